/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/root_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define SGXS INSTANCE_BUILD "/" BUILD_SGXS

/* A directory holds the store as "store". */
static char *file_of(const char *source)
{
    struct stat st;
    char *path;
    const char *in = !stat(source, &st) && S_ISDIR(st.st_mode) ? "/store" : "";

    return asprintf(&path, "%s%s", source, in) < 0 ? NULL : path;
}

/* The source of a mount record if it is the root's store. */
static const char *source_of(const struct config_view *view)
{
    struct config_mount mount;

    if (view->type != CONFIG_MOUNT)
        return NULL;
    memcpy(&mount, view->payload, sizeof(mount));
    if (mount.fs != CONFIG_FS_SEFS || !(mount.flags & CONFIG_MOUNT_LAYER))
        return NULL;
    return (const char *)view->payload + sizeof(mount) + mount.target_bytes;
}

struct err *root_store_built(char **path)
{
    struct page_plan plan = {0};
    struct enclave_config header;
    struct config_view view;
    size_t size, cursor = 0;
    const char *source = NULL;
    struct err *err = sgxs_read(SGXS, &plan, NULL);

    *path = NULL;
    if (err)
        return err;
    const uint8_t *bytes = plan_config(&plan, &size);

    err = config_check(bytes, size, SGXS, &header);
    while (!err && !source && config_next(bytes, &cursor, &view))
        source = source_of(&view);
    if (source) {
        *path = file_of(source);
        if (!*path)
            err = err_sys(ENOMEM, "reading the configuration");
    }
    plan_free(&plan);
    return err;
}

char *root_store_configured(const struct instance_config *config, const char **options)
{
    for (size_t i = 0; i < config->mount_count; i++) {
        const struct mount_entry *mount = &config->mounts[i];

        if (mount->fs != CONFIG_FS_SEFS || !(mount->flags & CONFIG_MOUNT_LAYER))
            continue;
        *options = mount->options;
        return file_of(mount->source);
    }
    return NULL;
}

int root_store_exists(const char *path)
{
    struct stat st;

    return path && !stat(path, &st) && S_ISREG(st.st_mode) && st.st_size > 0;
}

struct err *root_store_remove(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? NULL : err_sys(errno, "%s", path);
    struct err *err = NULL;

    if (flock(fd, LOCK_EX | LOCK_NB))
        err = err_hint(err_new("%s: is in use", path), "stop the instance first");
    else if (unlink(path))
        err = err_sys(errno, "%s: cannot be removed", path);
    close(fd);
    return err;
}

/* The nearest part of a path that is there; what is missing can be made in it. */
static void existing(char *path)
{
    char *slash;

    while (access(path, F_OK) && errno == ENOENT && (slash = strrchr(path, '/')) != NULL)
        *slash = 0;
    if (access(path, F_OK) && errno == ENOENT)
        memcpy(path, ".", 2);
}

struct err *root_store_check(const struct config_view *view)
{
    const char *source = source_of(view);
    char *path = source && *source ? file_of(source) : NULL;
    struct err *err = NULL;

    if (!path)
        return NULL;
    existing(path);
    if (access(path, R_OK | W_OK))
        err = err_hint(err_sys(errno, "%s: what programs write to / is kept there", source),
                       "make it yours to write, or copy the instance to where you may write");
    free(path);
    return err;
}
