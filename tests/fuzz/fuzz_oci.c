/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any JSON as an OCI image layout and as what `docker save` packs: it is read or refused, and
 * no name in it leads to a file beside the layout. The input is index.json (or manifest.json),
 * a manifest and a configuration, separated by bytes 0x1e; %1 and %2 in them stand for the
 * digests of the second and the third.
 * LINK: oci/layout.c oci/unpack.c oci/remove.c cli/err.c cli/progress.c
 * LIBS: -larchive -ljansson -lcrypto
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/layout.h"
#include "oci/remove.h"
#include "oci/unpack.h"

#define MOST (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[] = "/tmp/fuzz-oci.XXXXXX";
static int dir = -1; /* the layout, below `place`; beside it lies a secret */

static void end(void)
{
    (void)!remove_at(AT_FDCWD, place);
}

static void put(const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    size_t n = strlen(text);

    if (fd < 0 || write(fd, text, n) != (ssize_t)n || close(fd))
        abort();
}

static void begin(void)
{
    char path[64];

    if (!mkdtemp(place))
        abort();
    atexit(end);
    dir = open(place, O_PATH | O_DIRECTORY);
    put("secret", "[\"secret\"]");
    snprintf(path, sizeof(path), "%s/layout", place);
    dir = mkdir(path, 0755) ? -1 : open(path, O_PATH | O_DIRECTORY);
    if (dir < 0 || mkdirat(dir, "blobs", 0755) || mkdirat(dir, "blobs/sha256", 0755))
        abort();
    put("oci-layout", "{}");
    snprintf(path, sizeof(path), "%s/secret", place);
    if (symlinkat("../secret", dir, "out") || symlinkat(path, dir, "absolute"))
        abort();
}

/* A copy with the digests put in. */
static char *fill(const char *text, const char digest[2][65])
{
    char *out = malloc(strlen(text) * 32 + 1), *to = out;

    for (; *text; text++) {
        if (text[0] == '%' && (text[1] == '1' || text[1] == '2')) {
            to = stpcpy(to, digest[text[1] - '1']);
            text++;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
    return out;
}

static void put_blob(const char *text, char digest[65])
{
    uint8_t hash[32];
    char name[96];

    EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 32; i++)
        snprintf(digest + 2 * i, 3, "%02x", hash[i]);
    snprintf(name, sizeof(name), "blobs/sha256/%s", digest);
    put(name, text);
}

/* What is named as a layer lies in the layout, or cannot be opened. */
static void check(struct oci_layout *layout)
{
    char text[16] = "";

    for (size_t i = 0; i < layout->layer_count; i++) {
        int fd = open_inside(dir, layout->layers[i], O_RDONLY | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (read(fd, text, sizeof(text) - 1) > 0 && !strncmp(text, "[\"secret", 8))
            abort();
        close(fd);
    }
    layout_close(layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char digest[2][65] = {"", ""}, name[96], *part[3], *made[3];
    struct oci_layout layout;

    if (dir < 0)
        begin();
    char *copy = calloc(1, (size > MOST ? MOST : size) + 1), *at = copy;
    memcpy(copy, data, size > MOST ? MOST : size);
    for (int i = 0; i < 3; i++) {
        part[i] = at ? at : "";
        at = at ? strchr(at, 0x1e) : NULL;
        if (at)
            *at++ = 0;
    }
    for (int i = 2; i >= 0; i--) {
        made[i] = fill(part[i], digest);
        if (i)
            put_blob(made[i], digest[i - 1]);
    }
    put("index.json", made[0]);
    put("manifest.json", made[0]);
    struct err *err = layout_open(dir, "layout", NULL, &layout);
    if (!err)
        check(&layout);
    err_free(err);
    err = docker_open(dir, "layout", "tag", &layout);
    if (!err)
        check(&layout);
    err_free(err);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "blobs/sha256/%s", digest[i]);
        unlinkat(dir, name, 0);
    }
    for (int i = 0; i < 3; i++)
        free(made[i]);
    free(copy);
    return 0;
}
