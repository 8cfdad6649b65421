/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli.h"
#include "image/file.h"
#include "oci/remove.h"

#define BLOBS "blobs/sha256"

static const char *const files[] = {
    INSTANCE_CONFIG,
    INSTANCE_STATUS,
    INSTANCE_BUILD "/" BUILD_SGXS,
    INSTANCE_BUILD "/" BUILD_SIG,
    INSTANCE_BUILD "/" BUILD_SITES,
    INSTANCE_BUILD "/" BUILD_INITFS,
    INSTANCE_BUILD "/" BUILD_ROOTFS,
    INSTANCE_BUILD "/" BUILD_MODE,
};

/* ---- tar ---- */

struct out {
    const char *name;
    FILE *plain;
    gzFile gzip;
};

static struct err *put_bytes(struct out *o, const void *bytes, size_t size)
{
    const char *p = bytes;

    while (size) {
        unsigned part = size > 1u << 30 ? 1u << 30 : (unsigned)size;
        int good = o->gzip ? gzwrite(o->gzip, p, part) == (int)part
                           : fwrite(p, 1, part, o->plain) == part;
        if (!good)
            return err_sys(errno ? errno : EIO, "%s: cannot be written", o->name);
        p += part;
        size -= part;
    }
    return NULL;
}

/* Eleven octal digits; what is larger in binary, as GNU tar has it. */
static void put_size(char *field, uint64_t size)
{
    if (size < 1ull << 33) {
        snprintf(field, 12, "%011llo", (unsigned long long)size);
        return;
    }
    field[0] = (char)0x80;
    for (int i = 11; i > 3; i--, size >>= 8)
        field[i] = (char)size;
}

/* POSIX ustar: a directory, or the head of a file. */
static struct err *put_head(struct out *o, const char *name, uint64_t size, unsigned mode)
{
    char head[512] = "";
    int64_t epoch = 0;
    unsigned sum = 0;

    source_epoch(&epoch);
    snprintf(head, 100, "%s", name);
    snprintf(head + 100, 8, "%07o", mode);
    snprintf(head + 108, 8, "%07o", 0u);
    snprintf(head + 116, 8, "%07o", 0u);
    put_size(head + 124, size);
    put_size(head + 136, (uint64_t)epoch);
    memset(head + 148, ' ', 8);
    head[156] = name[strlen(name) - 1] == '/' ? '5' : '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(head); i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    return put_bytes(o, head, sizeof(head));
}

static struct err *put_file(struct out *o, const char *path, const char *name, unsigned mode)
{
    static const char zeros[512];
    struct file_map map;
    struct err *err = file_map(path, &map);

    if (err)
        return err;
    err = put_head(o, name, map.size, mode);
    if (!err)
        err = put_bytes(o, map.bytes, map.size);
    if (!err)
        err = put_bytes(o, zeros, -map.size % sizeof(zeros));
    file_unmap(&map);
    return err;
}

static struct err *put_all(struct out *o, const struct pack *p, const char *prefix)
{
    char name[256];
    struct err *err = NULL;

    if (*prefix)
        err = put_head(o, prefix, 0, 0755);
    snprintf(name, sizeof(name), "%s" INSTANCE_BUILD "/", prefix);
    if (!err)
        err = put_head(o, name, 0, 0755);
    snprintf(name, sizeof(name), "%socclum", prefix);
    if (!err)
        err = put_file(o, p->program, name, 0755);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !err; i++) {
        snprintf(name, sizeof(name), "%s%s", prefix, files[i]);
        if (!access(files[i], F_OK))
            err = put_file(o, files[i], name, 0644);
    }
    return err;
}

static struct err *write_tar(const struct pack *p, const char *name, const char *prefix,
                             int gzip)
{
    static const char end[1024];
    struct out o = {.name = name};

    errno = 0;
    if (gzip)
        o.gzip = gzopen(name, "wb6");
    else
        o.plain = fopen(name, "wb");
    if (!o.gzip && !o.plain)
        return err_sys(errno, "%s: cannot be made", name);
    struct err *err = put_all(&o, p, prefix);

    if (!err)
        err = put_bytes(&o, end, sizeof(end));
    if ((gzip ? gzclose(o.gzip) != Z_OK : fclose(o.plain)) && !err)
        err = err_sys(errno, "%s: cannot be written", name);
    if (err)
        unlink(name);
    return err;
}

struct err *pack_archive(const struct pack *p, const char *name)
{
    return write_tar(p, name, "", 1);
}

/* ---- OCI ---- */

struct blob {
    char digest[72]; /* sha256:... */
    int64_t size;
};

/* Names a file after its digest. */
static struct err *seal_blob(const char *path, struct blob *b)
{
    struct file_map map;
    uint8_t hash[32];
    char to[160];
    struct err *err = file_map(path, &map);

    if (err)
        return err;
    b->size = (int64_t)map.size;
    int good = EVP_Digest(map.bytes, map.size, hash, NULL, EVP_sha256(), NULL);
    file_unmap(&map);
    if (!good)
        return err_new("%s: no digest can be made", path);
    memcpy(b->digest, "sha256:", 8);
    for (int i = 0; i < 32; i++)
        snprintf(b->digest + 7 + 2 * i, 3, "%02x", hash[i]);
    snprintf(to, sizeof(to), BLOBS "/%s", b->digest + 7);
    return rename(path, to) ? err_sys(errno, "%s", to) : NULL;
}

static struct err *put_json(json_t *o, const char *path)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    struct err *err = text ? file_put(path, text, strlen(text)) : err_sys(ENOMEM, "packing");

    free(text);
    json_decref(o);
    return err;
}

static json_t *image_config(const struct pack *p, const struct blob *layer)
{
    char hex[65];
    json_t *command = json_array();

    for (char *const *c = p->command; *c; c++)
        json_array_append_new(command, json_string_nocheck(*c));
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", p->mrenclave[i]);
    return json_pack("{s:s, s:s, s:{s:[s,s], s:o, s:s, s:{s:s}}, s:{s:s, s:[s]}}",
                     "architecture", "amd64", "os", "linux", "config", "Entrypoint",
                     "/instance/occlum", "run", "Cmd", command, "WorkingDir", "/instance",
                     "Labels", "occlum.mrenclave", hex, "rootfs", "type", "layers", "diff_ids",
                     layer->digest);
}

static json_t *descriptor(const char *type, const struct blob *b)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", b->digest, "size",
                     (json_int_t)b->size);
}

/* In the new directory: what describes the layer. */
static struct err *describe(const struct pack *p, const struct blob *layer)
{
    struct blob config, manifest;
    struct err *err = put_json(image_config(p, layer), "new");

    if (!err)
        err = seal_blob("new", &config);
    if (!err)
        err = put_json(
            json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
                      "application/vnd.oci.image.manifest.v1+json", "config",
                      descriptor("application/vnd.oci.image.config.v1+json", &config), "layers",
                      descriptor("application/vnd.oci.image.layer.v1.tar", layer)),
            "new");
    if (!err)
        err = seal_blob("new", &manifest);
    if (err)
        return err;
    json_t *entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);

    json_object_set_new(entry, "annotations",
                        json_pack("{s:s}", "org.opencontainers.image.ref.name", "latest"));
    err = put_json(json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType",
                             "application/vnd.oci.image.index.v1+json", "manifests", entry),
                   "index.json");
    return err ? err
               : put_json(json_pack("{s:s}", "imageLayoutVersion", "1.0.0"), "oci-layout");
}

static struct err *fill_layout(const struct pack *p, const char *directory, int here)
{
    struct blob layer;
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/new", directory) >= (int)sizeof(path))
        return err_new("%s: too long a name", directory);
    struct err *err = write_tar(p, path, "instance/", 0);

    if (err)
        return err;
    if (chdir(directory) || mkdir("blobs", 0755) || mkdir(BLOBS, 0755))
        err = err_sys(errno, "%s", directory);
    if (!err)
        err = seal_blob("new", &layer);
    if (!err)
        err = describe(p, &layer);
    return fchdir(here) && !err ? err_sys(errno, "the instance") : err;
}

struct err *pack_oci(const struct pack *p, const char *directory)
{
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (here < 0)
        return err_sys(errno, "the instance");
    struct err *err =
        mkdir(directory, 0755) ? err_sys(errno, "%s: cannot be made", directory) : NULL;

    if (!err) {
        err = fill_layout(p, directory, here);
        if (err && remove_at(here, directory))
            err = err_wrap(err, "%s could not be removed again", directory);
    }
    close(here);
    return err;
}
