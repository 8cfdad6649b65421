/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names: the cache of directory entries, paths, and the walk (path_resolution(7)).
 *
 * A dentry is a name in a directory, with its inode or the memory of its absence. It holds a
 * reference on its parent. Unused ones stay on a bounded LRU list. The cache's spinlock
 * protects names, parents and the hash table; an inode never changes while the dentry is
 * positive.
 */
#pragma once

#include "fs/core/inode.h"
#include "fs/core/mount.h"
#include "lib/list.h"

#define PATH_MAX_LINKS 40u

struct dentry {
    struct dentry *parent; /* itself: the root of a file system */
    struct inode *inode;   /* NULL: no such file */
    struct super *sb;      /* of roots and their children; not counted */
    const char *name;      /* NUL-terminated */
    uint32_t name_len;
    uint32_t hash;
    _Atomic uint32_t refs;
    bool hashed;             /* can be found */
    bool unlinked;           /* its name was removed */
    _Atomic uint32_t mounts; /* mounts on top of it */
    uint64_t expires_ns;     /* 0: never */
    struct list bucket;
    struct list lru;
    char short_name[32];
};

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

void path_get(const struct path *p);
void path_put(struct path *p); /* zeroed ones are fine; zeroes it */
static inline struct inode *path_inode(const struct path *p)
{
    return p->dentry->inode;
}

/* A root dentry without a name; takes over the inode's reference. For mounts and for files that
 * have no name (pipes): `name` is what /proc shows. */
struct dentry *dentry_new_root(struct inode *inode, const char *name) MUST_CHECK;
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* Forgets the name (it was removed or is stale). */
void dentry_drop(struct dentry *d);
/* Forgets everything about a super block that is not in use. True: nothing was left. */
bool dentry_forget_super(struct super *sb);
/* Gives memory back: forgets up to `count` unused names. */
void dentry_shrink(size_t count);

/* Of the current task; kernel tasks act as root, at the root of all. */
const struct cred *fs_cred(void);
void fs_current_root(struct path *out);

/* walk flags */
#define WALK_FOLLOW    0x001u /* follow a link in the last place */
#define WALK_DIRECTORY 0x002u /* the result must be a directory */
#define WALK_EMPTY     0x004u /* an empty path names the start */
#define WALK_PARENT    0x008u /* stop before the last component */
#define WALK_NO_XDEV   0x010u
#define WALK_NO_MAGIC  0x020u
#define WALK_NO_LINKS  0x040u
#define WALK_BENEATH   0x080u
#define WALK_IN_ROOT   0x100u
#define WALK_CREATE    0x200u /* with WALK_PARENT: the last component may be absent (open) */

/* The last component of a WALK_PARENT walk. */
struct last_name {
    char *buffer;                    /* kfree() it */
    bool is_dot, is_dotdot, is_root; /* ".", "..", or nothing but slashes */
    bool trailing_slash;
};

/*
 * Resolves a kernel string with the current task's root, working directory and credentials.
 * dirfd counts for relative paths. A positive result, with references.
 */
int path_walk(int dirfd, const char *name, uint32_t flags, struct path *out) MUST_CHECK;
int path_walk_from(const struct path *start, const char *name, uint32_t flags,
                   struct path *out) MUST_CHECK;
/* The parent directory in *out and the last name; on success the caller owns both. */
int path_walk_parent(int dirfd, const char *name, uint32_t flags, struct path *out,
                     struct last_name *last) MUST_CHECK;
/* As the two above, with the name in guest memory; AT_EMPTY_PATH gives WALK_EMPTY. */
int path_walk_user(int dirfd, uaddr_t name, uint32_t flags, struct path *out) MUST_CHECK;

/* One name in a directory: *out positive or negative, referenced; not across mounts.
 * May lock the directory; `locked`: the caller has. */
int path_lookup(struct dentry *dir, const char *name, bool locked,
                struct dentry **out) MUST_CHECK;
/* What is remembered of the name, or NULL; the file system may be asked whether it is true. */
struct dentry *path_known(struct dentry *dir, const char *name);
/* As path_lookup() without the lock, with a name that is not terminated. */
int path_lookup_part(struct dentry *dir, const char *name, size_t len,
                     struct dentry **out) MUST_CHECK;
/* The parent with a reference; parents change by renames. */
struct dentry *dentry_parent(struct dentry *d);
/* Between these two, names and parents stand still. */
void dcache_lock_names(void);
void dcache_unlock_names(void);
/* A new name, made in three steps so that nothing can fail once the file system has it: an
 * entry with nothing but the name; then either it goes into the cache with the inode, whose
 * reference it takes over, or away. */
struct dentry *dentry_new_child(const char *name) MUST_CHECK;
struct dentry *dentry_instantiate(struct dentry *dir, struct dentry *d, struct inode *inode);
void dentry_discard(struct dentry *d);
/* After a rename: `d` gets a new parent and name; without memory it is only forgotten. */
void dentry_move(struct dentry *d, struct dentry *new_parent, const char *name);
void dentry_exchange(struct dentry *a, struct dentry *b);

/* After an unlink: the name is gone, a directory dead. */
void dentry_forget_removed(struct dentry *d);
/* After a rename of `moved` to `name` in `to`, where `there`, maybe negative, stood. */
void dentry_renamed(struct dentry *moved, struct dentry *there, struct dentry *to,
                    const char *name, uint32_t flags);

/* The text of a path as the current root sees it; "(unreachable)" and " (deleted)" as in Linux.
 * Length, or -ERANGE. */
ssize_t path_text(const struct path *p, char *buffer, size_t size) MUST_CHECK;
/* As path_text, without the marks; *flags tells. */
#define PATH_TEXT_DELETED     1u
#define PATH_TEXT_UNREACHABLE 2u
ssize_t path_text_from(const struct path *p, const struct path *root, char *buffer, size_t size,
                       uint32_t *flags) MUST_CHECK;

/* Where it is in its file system; "/" if that does not fit. */
const char *dentry_text(struct dentry *d, char *buffer, size_t size);

/* Names of files: what system calls do with a path. Permissions are checked. */
int path_create(int dirfd, const char *name, uint32_t mode, uint64_t rdev,
                const char *target) MUST_CHECK;
int path_unlink(int dirfd, const char *name, bool directory) MUST_CHECK;
int path_rename(int olddirfd, const char *old, int newdirfd, const char *new_name,
                uint32_t flags) MUST_CHECK;
int path_link(int olddirfd, const char *old, int newdirfd, const char *new_name,
              uint32_t flags) MUST_CHECK;
/* Creates in a directory that is locked: checks and op. *out is positive. */
int dir_create_locked(const struct path *dir, const char *name, const struct inode_init *init,
                      struct dentry **out) MUST_CHECK;
/* Owner and mode that something new gets in `dir`. */
struct inode_init inode_child_init(const struct inode *dir, const struct inode_init *init);
/* -EROFS, -EACCES, -ENOENT (dead). */
int dir_may_change(const struct path *dir) MUST_CHECK;
