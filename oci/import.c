/* SPDX-License-Identifier: BSD-3-Clause */
/* See oci.h: which kind of source, its parts, its layers in order, its configuration. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"
#include "oci/layout.h"
#include "oci/oci.h"
#include "oci/remove.h"
#include "oci/unpack.h"

#define STRINGS_MAX 4096u

/* ---- the configuration -------------------------------------------------- */

static void free_strings(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void oci_config_free(struct oci_config *config)
{
    free_strings(config->env);
    free_strings(config->command);
    free(config->user);
    free(config->working_dir);
    *config = (struct oci_config){0};
}

/* Appends an array of strings; null and absence are empty. */
static struct err *append_strings(const json_t *array, const char *key, char ***list)
{
    size_t had = 0, n = json_array_size(array), i;
    json_t *item;

    if (array && !json_is_array(array) && !json_is_null(array))
        return err_new("config.%s: not an array", key);
    while (*list && (*list)[had])
        had++;
    if (had + n > STRINGS_MAX)
        return err_new("config.%s: more than %u strings", key, STRINGS_MAX);
    char **more = realloc(*list, (had + n + 1) * sizeof(*more));
    if (!more)
        return err_sys(ENOMEM, "reading the image");
    *list = more;
    more[had] = NULL;
    json_array_foreach(array, i, item)
    {
        if (!json_is_string(item))
            return err_new("config.%s[%zu]: not a string", key, i);
        if (!(more[had + i] = strdup(json_string_value(item))))
            return err_sys(ENOMEM, "reading the image");
        more[had + i + 1] = NULL;
    }
    return NULL;
}

static struct err *copy_string(const json_t *value, char **out)
{
    *out = strdup(json_is_string(value) ? json_string_value(value) : "");
    return *out ? NULL : err_sys(ENOMEM, "reading the image");
}

static struct err *read_config(const json_t *image, struct oci_config *out)
{
    json_t *config = json_object_get(image, "config");
    struct err *err = append_strings(json_object_get(config, "Env"), "Env", &out->env);

    if (!err)
        err =
            append_strings(json_object_get(config, "Entrypoint"), "Entrypoint", &out->command);
    if (!err)
        err = append_strings(json_object_get(config, "Cmd"), "Cmd", &out->command);
    if (!err)
        err = copy_string(json_object_get(config, "User"), &out->user);
    if (!err)
        err = copy_string(json_object_get(config, "WorkingDir"), &out->working_dir);
    return err;
}

/* ---- the layers --------------------------------------------------------- */

static struct err *unpack_layers(const struct oci_layout *layout, struct unpack *u)
{
    struct err *err = NULL;

    progress_begin("unpacking", 0);
    for (size_t i = 0; i < layout->layer_count && !err; i++) {
        int fd = open_inside(layout->dir, layout->layers[i], O_RDONLY | O_NONBLOCK);
        if (fd < 0)
            return err_sys(errno, "%s", layout->layers[i]);
        err = unpack_file(u, fd, layout->layers[i], true);
        close(fd);
    }
    progress_end();
    return err;
}

static struct err *finish(struct unpack *u, struct err *err)
{
    struct err *end = unpack_end(u, !err);

    if (err && end) {
        err_free(end);
        end = NULL;
    }
    return err ? err : end;
}

static struct err *import_layout(const struct oci_layout *layout, const char *target,
                                 uint64_t max_bytes, struct oci_config *config)
{
    struct unpack u;
    struct err *err = read_config(layout->config, config);

    if (!err)
        err = unpack_begin(&u, target, max_bytes);
    if (err)
        return err;
    return finish(&u, unpack_layers(layout, &u));
}

/* ---- kinds of sources --------------------------------------------------- */

struct request {
    const char *target, *scratch;
    uint64_t max_bytes;
    struct oci_config *config;
};

static struct err *open_directory(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? err_sys(errno, "%s", path) : NULL;
}

static struct err *import_oci(const char *path, const char *tag, const struct request *q)
{
    struct oci_layout layout;
    int dir;
    struct err *err = open_directory(path, &dir);

    if (err)
        return err;
    err = layout_open(dir, path, tag, &layout);
    if (!err) {
        err = import_layout(&layout, q->target, q->max_bytes, q->config);
        layout_close(&layout);
    }
    close(dir);
    return err;
}

static struct err *unpack_docker(const char *path, const struct request *q)
{
    struct unpack u;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "%s", path);
    struct err *err = unpack_begin(&u, q->scratch, q->max_bytes);
    if (!err)
        err = finish(&u, unpack_file(&u, fd, path, false));
    close(fd);
    return err;
}

static struct err *import_docker(const char *path, const char *tag, const struct request *q)
{
    struct oci_layout layout;
    int dir;

    if (mkdir(q->scratch, 0700))
        return err_sys(errno, "%s", q->scratch);
    struct err *err = unpack_docker(path, q);
    if (!err)
        err = open_directory(q->scratch, &dir);
    if (!err) {
        err = docker_open(dir, path, tag, &layout);
        if (!err) {
            err = import_layout(&layout, q->target, q->max_bytes, q->config);
            layout_close(&layout);
        }
        close(dir);
    }
    if (remove_at(AT_FDCWD, q->scratch) && !err)
        err = err_sys(errno, "%s: cannot be removed", q->scratch);
    return err;
}

static struct err *import_directory(const char *path, const char *tag, const struct request *q)
{
    struct unpack u;
    struct err *err = read_config(NULL, q->config);

    if (!err)
        err = unpack_begin(&u, q->target, q->max_bytes);
    if (err)
        return err;
    progress_begin("copying", 0);
    err = finish(&u, unpack_directory(&u, path));
    progress_end();
    return err;
}

static const struct {
    const char *prefix;
    int tagged;
    struct err *(*import)(const char *path, const char *tag, const struct request *q);
} kinds[] = {
    {"oci:", 1, import_oci},
    {"docker-archive:", 1, import_docker},
    {"dir:", 0, import_directory},
};

struct err *oci_import(const char *reference, const char *target, const char *scratch,
                       uint64_t max_bytes, struct oci_config *config)
{
    struct request q = {target, scratch, max_bytes, config};

    *config = (struct oci_config){0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(reference, kinds[i].prefix, n))
            continue;
        char *path = strdup(reference + n);
        if (!path)
            return err_sys(ENOMEM, "reading the image");
        char *colon = kinds[i].tagged ? strchr(path, ':') : NULL;
        if (colon)
            *colon++ = 0;
        struct err *err = kinds[i].import(path, colon, &q);
        free(path);
        if (err)
            oci_config_free(config);
        return err;
    }
    return err_hint(err_new("%s: not a kind of image that is known", reference),
                    "oci:DIR[:TAG], docker-archive:FILE[:TAG] or dir:DIR");
}
