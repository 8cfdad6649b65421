/* SPDX-License-Identifier: BSD-3-Clause */
/* See import.h. Names of users and programs are looked up in the image, not on this machine. */
#include "cli/import.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "image/file.h"
#include "oci/oci.h"
#include "oci/unpack.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- users -------------------------------------------------------------- */

/* The third field of the line that begins with "name:"; in passwd the fourth as well. */
static int look_up(int root, const char *file, const char *name, unsigned *id, unsigned *group)
{
    int fd = open_inside(root, file, O_RDONLY | O_NONBLOCK);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    char line[1024];
    size_t n = strlen(name);
    int found = 0;

    if (!f && fd >= 0)
        close(fd);
    while (f && !found && fgets(line, sizeof(line), f)) {
        char *field = line + n;
        if (strncmp(line, name, n) || *field != ':' || !(field = strchr(field + 1, ':')))
            continue;
        unsigned ignored;
        found = sscanf(field, ":%9u:%9u", id, group ? group : &ignored) == (group ? 2 : 1) ||
                (!group && sscanf(field, ":%9u", id) == 1);
    }
    if (f)
        fclose(f);
    return found;
}

static int number(const char *text, unsigned *out)
{
    int end = 0;

    return sscanf(text, "%9u%n", out, &end) == 1 && !text[end];
}

/* "", "uid", "name", each with ":gid" or ":group", to numbers; docker's rules. */
static struct err *resolve_user(int root, const char *text, char *out, size_t size)
{
    char name[256];
    unsigned uid = 0, gid = 0;

    if (strlen(text) >= sizeof(name))
        return err_new("config.User: too long");
    snprintf(name, sizeof(name), "%s", text);
    char *group = strchr(name, ':');
    if (group)
        *group++ = 0;
    if (*name && !number(name, &uid) && !look_up(root, "etc/passwd", name, &uid, &gid))
        return err_new("config.User: %s is not in the image's /etc/passwd", name);
    if (group && *group && !number(group, &gid) &&
        !look_up(root, "etc/group", group, &gid, NULL))
        return err_new("config.User: group %s is not in the image's /etc/group", group);
    snprintf(out, size, "%u:%u", uid, gid);
    return NULL;
}

/* ---- programs ----------------------------------------------------------- */

static int is_program(int root, const char *path)
{
    struct stat st;
    int fd = open_inside(root, path, O_PATH);
    int yes = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0111);

    if (fd >= 0)
        close(fd);
    return yes;
}

/* The absolute path of the image's program. */
static struct err *resolve_program(int root, const struct oci_config *image, char *out,
                                   size_t size)
{
    const char *name = image->command[0], *path = DEFAULT_PATH;

    if (strchr(name, '/')) {
        int absolute = name[0] == '/';
        snprintf(out, size, "%s%s%s", absolute ? "" : image->working_dir, absolute ? "" : "/",
                 name);
        return is_program(root, out) ? NULL : err_new("its program %s is not there", out);
    }
    for (char **e = image->env; e && *e; e++) {
        if (!strncmp(*e, "PATH=", 5))
            path = *e + 5;
    }
    while (*path) {
        size_t n = strcspn(path, ":");
        if (*path == '/' && snprintf(out, size, "%.*s/%s", (int)n, path, name) < (int)size &&
            is_program(root, out))
            return NULL;
        path += n + (path[n] == ':');
    }
    return err_new("its program %s is not in its PATH", name);
}

/* ---- Occlum.json -------------------------------------------------------- */

static json_t *strings(char *const *list)
{
    json_t *array = json_array();

    for (size_t i = 0; list && list[i]; i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

static struct err *fill_command(int root, const struct oci_config *image, json_t *config)
{
    json_t *process = json_object_get(config, "process"), *command;
    char program[PATH_MAX];

    if (!image->command || !image->command[0])
        return NULL;
    struct err *err = resolve_program(root, image, program, sizeof(program));
    if (err)
        return err;
    command = strings(image->command);
    json_array_set_new(command, 0, json_string(program));
    json_object_set_new(process, "command", command);
    return json_object_set_new(config, "entry_points", json_pack("[s]", program))
               ? err_new("a string that is not UTF-8")
               : NULL;
}

static struct err *fill_config(int root, const struct oci_config *image, json_t *config)
{
    json_t *process = json_object_get(config, "process");
    char user[32];
    struct err *err = resolve_user(root, image->user, user, sizeof(user));

    if (!err)
        err = fill_command(root, image, config);
    if (err)
        return err;
    if (strcmp(user, "0:0"))
        json_object_set_new(process, "user", json_string(user));
    if (image->working_dir[0] == '/' && image->working_dir[1])
        json_object_set_new(process, "working_dir", json_string(image->working_dir));
    if (image->env && image->env[0])
        json_object_set_new(json_object_get(config, "env"), "default", strings(image->env));
    return NULL;
}

static struct err *write_config(const char *instance, const struct oci_config *image)
{
    char path[PATH_MAX];
    json_t *config = json_loads(instance_template, 0, NULL);
    struct err *err = NULL;

    snprintf(path, sizeof(path), "%s/" INSTANCE_IMAGE, instance);
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || !config)
        err = err_sys(errno, "%s", path);
    if (!err)
        err = fill_config(root, image, config);
    char *text = err ? NULL : json_dumps(config, JSON_INDENT(4));
    if (!err && !text)
        err = err_sys(ENOMEM, "writing the configuration");
    snprintf(path, sizeof(path), "%s/" INSTANCE_CONFIG, instance);
    if (!err)
        err = file_put(path, text, strlen(text));
    free(text);
    json_decref(config);
    if (root >= 0)
        close(root);
    return err;
}

struct err *import_image(const char *reference, const char *instance, uint64_t max_bytes)
{
    char target[PATH_MAX], scratch[PATH_MAX];
    struct oci_config image;

    if (snprintf(target, sizeof(target), "%s/" INSTANCE_IMAGE, instance) >= PATH_MAX - 64)
        return err_sys(ENAMETOOLONG, "%s", instance);
    snprintf(scratch, sizeof(scratch), "%s/.__occlum_import", instance);
    if (mkdir(target, 0755))
        return err_sys(errno, "%s", target);
    struct err *err = oci_import(reference, target, scratch, max_bytes, &image);
    if (err)
        return err;
    err = write_config(instance, &image);
    oci_config_free(&image);
    return err_wrap(err, "%s", reference);
}
