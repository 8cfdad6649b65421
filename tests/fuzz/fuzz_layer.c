/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a layer of a container image: whatever it names, nothing beside the target
 * changes, and no more is written than allowed.
 * LINK: oci/unpack.c oci/remove.c cli/err.c cli/progress.c LIBS: -larchive
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/remove.h"
#include "oci/unpack.h"

#define MOST (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[] = "/tmp/fuzz-layer.XXXXXX";
static char target[sizeof(place) + 8], canary[sizeof(place) + 8];

static void end(void)
{
    (void)!remove_at(AT_FDCWD, place);
}

static void begin(void)
{
    if (!mkdtemp(place))
        abort();
    snprintf(target, sizeof(target), "%s/in", place);
    snprintf(canary, sizeof(canary), "%s/canary", place);
    FILE *f = mkdir(target, 0755) ? NULL : fopen(canary, "w");
    if (!f || fputs("untouched", f) < 0 || fclose(f))
        abort();
    atexit(end);
}

/* Only the target and the canary are there, and the canary is as it was. */
static void check_surroundings(void)
{
    char text[16] = "";
    DIR *d = opendir(place);
    int entries = 0, fd = open(canary, O_RDONLY | O_NOFOLLOW);

    while (d && readdir(d))
        entries++;
    if (!d || closedir(d) || entries != 4 || fd < 0 || read(fd, text, sizeof(text)) != 9 ||
        strcmp(text, "untouched"))
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct unpack u;
    int fd = memfd_create("layer", MFD_CLOEXEC), dir;

    if (!*target)
        begin();
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || unpack_begin(&u, target, MOST))
        abort();
    struct err *err = unpack_file(&u, fd, "layer", size & 1);
    if (u.bytes_left > MOST)
        abort();
    struct err *late = unpack_end(&u, !err);
    err_free(err);
    err_free(late);
    close(fd);
    check_surroundings();
    dir = open(target, O_RDONLY | O_DIRECTORY);
    if (dir < 0 || remove_contents(dir))
        abort();
    close(dir);
    return 0;
}
