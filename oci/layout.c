/* SPDX-License-Identifier: BSD-3-Clause */
/* See layout.h. */
#include "oci/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"
#include "oci/unpack.h"

#define JSON_BYTES_MAX (4u << 20)
#define LAYERS_MAX     1024u
#define NESTING_MAX    4
#define REF_NAME       "org.opencontainers.image.ref.name"
#define DIGEST_TEXT    64 /* hexadecimal digits of a SHA-256 */

/* ---- files and digests -------------------------------------------------- */

static struct err *hash_file(int fd, const char *want, const char *path)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t buffer[65536], digest[32];
    char text[DIGEST_TEXT + 1] = "";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ssize_t n = 0;
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    while (good && (n = read(fd, buffer, sizeof(buffer))) > 0) {
        good = EVP_DigestUpdate(ctx, buffer, (size_t)n);
        progress_add((uint64_t)n);
    }
    good = good && n == 0 && EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    if (!good)
        return err_sys(n < 0 ? errno : EIO, "%s", path);
    for (size_t i = 0; i < sizeof(digest); i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    if (strcmp(text, want))
        return err_hint(err_new("%s: damaged: its SHA-256 is %s", path, text),
                        "fetch the image again");
    return lseek(fd, 0, SEEK_SET) ? err_sys(errno, "%s", path) : NULL;
}

static struct err *open_regular(int dir, const char *path, int *fd)
{
    struct stat st;

    *fd = open_inside(dir, path, O_RDONLY | O_NONBLOCK);
    if (*fd < 0)
        return err_sys(errno, "%s", path);
    if (fstat(*fd, &st) || !S_ISREG(st.st_mode)) {
        close(*fd);
        return err_new("%s: not a regular file", path);
    }
    return NULL;
}

static struct err *read_json(int dir, const char *path, const char *digest, json_t **out)
{
    json_error_t error;
    struct stat st;
    int fd;
    struct err *err = open_regular(dir, path, &fd);

    if (err)
        return err;
    if (fstat(fd, &st) || st.st_size > JSON_BYTES_MAX)
        err = err_new("%s: too large", path);
    if (!err && digest)
        err = hash_file(fd, digest, path);
    if (!err) {
        *out = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            err = err_new("%s:%d: %s", path, error.line, error.text);
    }
    close(fd);
    return err;
}

/* ---- OCI ---------------------------------------------------------------- */

/* "sha256:HEX" of a descriptor to the blob's path; `hex` points into `path`. */
static struct err *blob_path(const json_t *descriptor, char path[96], const char **hex)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));

    if (!digest || strncmp(digest, "sha256:", 7) ||
        strspn(digest + 7, "0123456789abcdef") != DIGEST_TEXT || digest[7 + DIGEST_TEXT])
        return err_new("a digest that is not sha256:HEX");
    snprintf(path, 96, "blobs/sha256/%s", digest + 7);
    *hex = path + strlen("blobs/sha256/");
    return NULL;
}

static struct err *read_blob_json(int dir, const json_t *descriptor, json_t **out)
{
    char path[96];
    const char *hex;
    struct err *err = blob_path(descriptor, path, &hex);

    return err ? err : read_json(dir, path, hex, out);
}

static bool is_index(const json_t *descriptor)
{
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));

    return type && (strstr(type, "image.index") || strstr(type, "manifest.list"));
}

static bool fits(const json_t *descriptor, const char *tag)
{
    json_t *platform = json_object_get(descriptor, "platform");
    const char *os = json_string_value(json_object_get(platform, "os"));
    const char *cpu = json_string_value(json_object_get(platform, "architecture"));
    json_t *notes = json_object_get(descriptor, "annotations");
    const char *name = json_string_value(json_object_get(notes, REF_NAME));

    if (platform && ((os && strcmp(os, "linux")) || (cpu && strcmp(cpu, "amd64"))))
        return false;
    return !tag || (name && !strcmp(name, tag));
}

static struct err *no_choice(const json_t *manifests, const char *tag, bool several)
{
    char names[512] = "";
    size_t i, used = 0;
    json_t *m;

    json_array_foreach(manifests, i, m)
    {
        json_t *notes = json_object_get(m, "annotations");
        const char *name = json_string_value(json_object_get(notes, REF_NAME));
        if (name && used < sizeof(names))
            used += (size_t)snprintf(names + used, sizeof(names) - used, " %s", name);
    }
    struct err *err = tag       ? err_new("no image for linux/amd64 is called %s", tag)
                      : several ? err_new("several images are there")
                                : err_new("no image for linux/amd64 is there");
    return *names ? err_hint(err, "put :TAG behind it, one of:%s", names) : err;
}

/* From an index down to a manifest. */
static struct err *find_manifest(int dir, const json_t *index, const char *tag, int depth,
                                 json_t **manifest)
{
    json_t *manifests = json_object_get(index, "manifests"), *m, *found = NULL, *inner;
    size_t i;

    json_array_foreach(manifests, i, m)
    {
        if (!fits(m, tag))
            continue;
        if (found)
            return no_choice(manifests, tag, true);
        found = m;
    }
    if (!found || depth > NESTING_MAX)
        return no_choice(manifests, tag, false);
    if (!is_index(found))
        return read_blob_json(dir, found, manifest);
    struct err *err = read_blob_json(dir, found, &inner);
    if (err)
        return err;
    err = find_manifest(dir, inner, NULL, depth + 1, manifest);
    json_decref(inner);
    return err;
}

static struct err *add_layer(struct oci_layout *out, const char *path)
{
    if (!out->layers)
        out->layers = calloc(LAYERS_MAX, sizeof(*out->layers));
    if (out->layer_count == LAYERS_MAX)
        return err_new("more than %u layers", LAYERS_MAX);
    if (!out->layers || !(out->layers[out->layer_count] = strdup(path)))
        return err_sys(ENOMEM, "reading the image");
    out->layer_count++;
    return NULL;
}

static struct err *take_layer(struct oci_layout *out, const json_t *descriptor)
{
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
    char path[96];
    const char *hex;
    int fd;

    if (!type || !strstr(type, "tar") || strstr(type, "encrypted"))
        return err_new("a layer of type %s; tar, plain, gzip or zstd, is what can be read",
                       type ? type : "unknown");
    struct err *err = blob_path(descriptor, path, &hex);
    if (!err)
        err = open_regular(out->dir, path, &fd);
    if (err)
        return err;
    err = hash_file(fd, hex, path);
    close(fd);
    return err ? err : add_layer(out, path);
}

static struct err *take_manifest(struct oci_layout *out, const json_t *manifest)
{
    json_t *layers = json_object_get(manifest, "layers"), *layer;
    struct err *err =
        read_blob_json(out->dir, json_object_get(manifest, "config"), &out->config);
    size_t i;

    if (!err && !json_array_size(layers))
        err = err_new("the manifest lists no layers");
    json_array_foreach(layers, i, layer)
    {
        if (!err)
            err = take_layer(out, layer);
    }
    return err;
}

struct err *layout_open(int dir, const char *name, const char *tag, struct oci_layout *out)
{
    json_t *index = NULL, *manifest = NULL;

    *out = (struct oci_layout){.dir = dir};
    if (faccessat(dir, "oci-layout", F_OK, 0))
        return err_hint(err_new("%s: not an OCI image layout", name),
                        "it should hold oci-layout, index.json and blobs, as made by: skopeo "
                        "copy SOURCE oci:DIR");
    struct err *err = read_json(dir, "index.json", NULL, &index);
    if (!err)
        err = find_manifest(dir, index, tag, 0, &manifest);
    if (!err)
        err = take_manifest(out, manifest);
    json_decref(index);
    json_decref(manifest);
    if (err)
        layout_close(out);
    return err_wrap(err, "%s", name);
}

/* ---- docker save -------------------------------------------------------- */

static bool has_tag(const json_t *image, const char *tag)
{
    json_t *tags = json_object_get(image, "RepoTags"), *t;
    size_t i;

    json_array_foreach(tags, i, t)
    {
        if (json_is_string(t) && !strcmp(json_string_value(t), tag))
            return true;
    }
    return !tag[0];
}

static struct err *take_docker_image(struct oci_layout *out, const json_t *image)
{
    const char *config = json_string_value(json_object_get(image, "Config"));
    json_t *layers = json_object_get(image, "Layers"), *layer;
    size_t i;

    if (!config || !json_array_size(layers))
        return err_new("manifest.json: no Config or no Layers");
    struct err *err = read_json(out->dir, config, NULL, &out->config);
    json_array_foreach(layers, i, layer)
    {
        if (!err && !json_is_string(layer))
            err = err_new("manifest.json: Layers[%zu] is no name", i);
        if (!err)
            err = add_layer(out, json_string_value(layer));
    }
    return err;
}

struct err *docker_open(int dir, const char *name, const char *tag, struct oci_layout *out)
{
    json_t *images = NULL, *image, *found = NULL;
    size_t i, count = 0;

    *out = (struct oci_layout){.dir = dir};
    if (faccessat(dir, "manifest.json", F_OK, 0))
        return err_hint(err_new("%s: no manifest.json in it", name),
                        "an archive as made by: docker save IMAGE -o FILE");
    struct err *err = read_json(dir, "manifest.json", NULL, &images);
    json_array_foreach(images, i, image)
    {
        if (!has_tag(image, tag ? tag : ""))
            continue;
        found = image;
        count++;
    }
    if (!err && count != 1)
        err = err_hint(
            err_new("%zu images%s%s in it", count, tag ? " called " : "", tag ? tag : ""),
            "put the :TAG of one behind the file's name");
    if (!err)
        err = take_docker_image(out, found);
    json_decref(images);
    if (err)
        layout_close(out);
    return err_wrap(err, "%s", name);
}

void layout_close(struct oci_layout *layout)
{
    for (size_t i = 0; i < layout->layer_count; i++)
        free(layout->layers[i]);
    free(layout->layers);
    json_decref(layout->config);
    *layout = (struct oci_layout){.dir = layout->dir};
}
