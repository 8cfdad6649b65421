/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree of mounts. One for all processes.
 * LIMIT: no mount namespaces; all mounts are private.
 */
#pragma once

#include <stdatomic.h>

#include "boundary/config.h"
#include "lib/list.h"
#include "lib/types.h"

struct dentry;
struct path;
struct super;

struct mount {
    struct super *sb;
    struct dentry *root;
    struct mount *parent;      /* NULL: the root of all */
    struct dentry *mountpoint; /* in the parent's file system */
    _Atomic uint32_t flags;    /* MOUNT_FLAGS */
    uint32_t id;
    _Atomic uint32_t refs;
    char *source; /* for /proc/mounts */
    struct list node;
    bool detached;
    bool expires; /* MNT_EXPIRE has been asked for once */
};

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m); /* NULL is fine */

/* What a file system type offers. */
struct fs_type {
    const char *name;
    bool user_mountable; /* by mount(2) */
    /* A new super block with sb->root set. */
    int (*mount)(const struct config_mount *config, const char *source, const char *options,
                 struct super **out);
    struct list node;
};
void fs_type_register(struct fs_type *type);
struct fs_type *fs_type_find(const char *name);
/* For /proc/filesystems. */
struct fs_type *fs_type_next(struct fs_type *prev);

/* Mounts over `at` (NULL: the root of all). */
int mount_attach(struct super *sb, struct dentry *root, const struct path *at, uint32_t flags,
                 const char *source) MUST_CHECK;
/* umount2's flags. MNT_DETACH takes along what is mounted on it. */
int mount_detach(const struct path *at, uint32_t flags) MUST_CHECK;
/* The tree of `from` once more at `at`; recursive: with what is mounted in it. */
int mount_bind(const struct path *from, const struct path *at, bool recursive) MUST_CHECK;
/* -EINVAL: `from` is no mount's root. -ELOOP: into itself. */
int mount_move(const struct path *from, const struct path *to) MUST_CHECK;
/* The topmost mount on this place, with a reference, or NULL. */
struct mount *mount_over(struct mount *m, struct dentry *d);
bool mount_have_root(void);
/* What was mounted over the root of all becomes the root, and all else is taken away; false:
 * there is nothing over it. */
bool mount_root_settle(void);
/* The root of all, with references. */
void mount_root_path(struct path *out);
/* A mount for files without a name (pipes, sockets, memfd): one for all. */
struct mount *mount_anonymous(void);
/* For /proc/mounts: calls each in order; `m` is referenced meanwhile. */
int mount_walk(int (*each)(struct mount *m, void *arg), void *arg) MUST_CHECK;
void mount_sync_all(void);

/*
 * Boot: registers the file systems, then one call for each CONFIG_MOUNT record in order, the
 * first with target "/". Missing directories of the target are made where the tree can be
 * written. Errors have been explained by log_always().
 */
/* kernel/fs/boot.c: the first call registers the file systems. */
int fs_boot_mount(const struct config_mount *m, const char *target, const char *source,
                  const char *options) MUST_CHECK;

/* What mount(2) can set on each mount. */
#define MOUNT_FLAGS                                                                            \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME)
#define MOUNT_RDONLY_FLAG 1u
static inline bool mount_rdonly(const struct mount *m)
{
    return atomic_load_explicit(&m->flags, memory_order_relaxed) & MOUNT_RDONLY_FLAG;
}
