/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes and super blocks: what file systems implement. A file system embeds struct inode at
 * the start of its own node and fills const tables; beside each slot stands its contract.
 */
#pragma once

#include <stdatomic.h>

#include "abi/fcntl.h"
#include "abi/stat.h"
#include "fs/core/cache.h"
#include "fs/core/cred.h"
#include "lib/radix.h"
#include "lib/types.h"
#include "sched/lock.h"
#include "sched/wait.h"

struct inode;
struct file;
struct vm_object;
struct file_ops;
struct dir_sink;
struct path;

/* What changes in setattr. */
#define ATTR_MODE  0x01u
#define ATTR_UID   0x02u
#define ATTR_GID   0x04u
#define ATTR_SIZE  0x08u
#define ATTR_ATIME 0x10u
#define ATTR_MTIME 0x20u
#define ATTR_CTIME 0x40u
struct attr_change {
    uint32_t mask;
    uint32_t mode; /* permission bits */
    uint32_t uid, gid;
    uint64_t size;
    struct timespec64 atime, mtime, ctime;
};

/* What a new inode shall be. */
struct inode_init {
    uint32_t mode; /* type and permissions, umask applied */
    uint32_t uid, gid;
    uint64_t rdev;
    const char *target; /* symbolic links */
};

/* NULL names: exchange_ok and the like are flags. Both directories and victims are locked. */
struct rename_args {
    struct inode *old_dir, *new_dir;
    const char *old_name, *new_name;
    struct inode *inode;    /* what moves */
    struct inode *replaced; /* what is at the target, or NULL */
    uint32_t flags; /* RENAME_EXCHANGE, RENAME_WHITEOUT or 0; NOREPLACE has been checked */
};

/*
 * "dir locked": dir->lock is held by the caller. Names are NUL-terminated, 1..255 bytes, have
 * no slash, and are never "." or "..". New inodes come back with one reference. Permissions,
 * read-only mounts and types have been checked.
 */
struct inode_ops {
    /* dir locked. -ENOENT: no such name (it may be remembered). NULL: -ENOTDIR. */
    int (*lookup)(struct inode *dir, const char *name, struct inode **out);
    /* dir locked, name absent. All types: files, directories, links, nodes. NULL: -EPERM. */
    int (*create)(struct inode *dir, const char *name, const struct inode_init *init,
                  struct inode **out);
    /* As create, but without a name. NULL: -EOPNOTSUPP. */
    int (*tmpfile)(struct inode *dir, const struct inode_init *init, struct inode **out);
    /* dir locked; target is no directory. NULL: -EPERM. */
    int (*link)(struct inode *dir, const char *name, struct inode *target);
    /* dir and victim locked. Directories must be empty: -ENOTEMPTY. NULL: -EPERM. */
    int (*unlink)(struct inode *dir, const char *name, struct inode *victim);
    /* All locked. NULL: -EPERM. */
    int (*rename)(const struct rename_args *args);
    /* Bytes of the target, not terminated, at most size. NULL: -EINVAL. */
    ssize_t (*readlink)(struct inode *inode, char *buffer, size_t size);
    /* Magic links (/proc/self/fd/3): where they lead, referenced. NULL: readlink's text. */
    int (*jump)(struct inode *inode, struct path *out);
    /* A second word on what the mode bits refuse: 0 or -EACCES. NULL: they decide. */
    int (*permission)(const struct inode *inode, const struct cred *c, int access);
    /* Brings the attribute fields up to date; no locks. NULL: they always are. */
    int (*getattr)(struct inode *inode);
    /* inode locked. Applies and stores; ATTR_SIZE truncates or extends. NULL: -EPERM. */
    int (*setattr)(struct inode *inode, const struct attr_change *change);
    /* No locks. A new file of this inode; may set file->private, file->ops. NULL: nothing to
     * do. */
    int (*open)(struct inode *inode, struct file *file);
    /* Extended attributes; size 0 asks for the length, -ERANGE if too small, -ENODATA. inode
     * locked for set. value NULL removes. NULL: -EOPNOTSUPP. */
    ssize_t (*getxattr)(struct inode *inode, const char *name, void *buffer, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
                    int flags);
    ssize_t (*listxattr)(struct inode *inode, char *buffer, size_t size);
    /* Page cache fill: `count` pages from `index` on, zeroed before; bytes past the end stay
     * zero. The cache's fill lock is held. NULL: holes, reads as zero. */
    int (*read_pages)(struct inode *inode, uint64_t index, void *const pages[], size_t count);
    /* Is what lookup found, or did not find, still true? Called when `expires_ns` of the dentry
     * is over; no locks. `inode` NULL: a remembered absence. NULL: always true. */
    bool (*revalidate)(struct inode *dir, const char *name, struct inode *inode);
    /* Last reference gone: frees the node. The cache has been emptied. Never NULL. */
    void (*free)(struct inode *inode);
};

/* struct super.flags */
#define SUPER_RDONLY   1u
#define SUPER_NODEV    2u
#define SUPER_WHITEOUT 8u /* rename leaves whiteouts when asked to */
#define SUPER_PSEUDO   4u /* names are never remembered (procfs) */

struct super;
struct super_ops {
    int (*statfs)(struct super *sb, struct abi_statfs *out); /* NULL: zeros */
    int (*sync)(struct super *sb);                           /* NULL: nothing to do */
    int (*remount)(struct super *sb, const char *options);   /* NULL: there are none */
    void (*free)(struct super *sb);                          /* never NULL */
};

struct super {
    const struct super_ops *ops;
    const char *type; /* "erofs" */
    uint32_t flags;
    uint64_t dev;             /* st_dev */
    uint64_t id;              /* below 1 << 56, of what it holds, for ever; 0: unknown */
    uint64_t magic;           /* statfs f_type */
    uint64_t entry_ttl_ns;    /* names are believed this long; 0: for ever */
    uint64_t negative_ttl_ns; /* absences; UINT64_MAX: never remembered, 0: for ever */
    _Atomic uint32_t refs;    /* mounts and inodes */
    _Atomic uint32_t mounts;
    struct inode *root; /* until the last unmount */
    struct mutex rename_lock;
    struct spinlock table_lock;
    struct radix inodes; /* under table_lock: by number, where inode_hash() put them */
    _Atomic uint64_t next_ino;
};

/* From random or hashed bytes. */
static inline uint64_t super_id(const uint8_t bytes[8])
{
    uint64_t id = 0;
    for (int i = 0; i < 7; i++)
        id = id << 8 | bytes[i];
    return id;
}

struct file_locks;

struct inode {
    /* const after creation */
    const struct inode_ops *ops;
    const struct file_ops *file_ops;
    struct super *sb;
    uint64_t ino;
    uint64_t dev; /* st_dev, 0: the super block's */
    uint64_t rdev;
    uint32_t type; /* S_IFMT bits */
    bool hashed;
    bool cached; /* contents live in `cache` */
    _Atomic uint32_t refs;

    struct mutex lock;
    /* Changed under `lock`; read at any time. */
    uint32_t mode; /* permission bits */
    uint32_t uid, gid, nlink;
    _Atomic uint64_t size;
    _Atomic uint64_t blocks; /* of 512 bytes */
    struct timespec64 atime, mtime, ctime, btime;
    bool dead;     /* a removed directory: nothing can be created in it */
    bool linkable; /* O_TMPFILE: may get a first name */

    uint32_t seals; /* F_SEAL_*, under `lock` */
    struct page_cache cache;
    struct vm_object *_Atomic mapped;   /* shared mappings of it; NULL: there never were any */
    _Atomic bool was_mapped;            /* privately or not, since it came to memory */
    _Atomic(struct file_locks *) locks; /* made on first use */
    _Atomic uint32_t watches;           /* inotify's, */
    struct list watch_list;             /* under its lock */
    void *ipc; /* FIFOs: their pipe, under `lock`; sockets: their socket */
};

/* Takes a reference on sb. The type's bits come from `mode`. */
void inode_init(struct inode *i, struct super *sb, const struct inode_ops *ops, uint32_t mode);
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i); /* NULL is fine; may sleep */
/* Enters it into sb->inodes under its number; -EEXIST, -ENOMEM. */
int inode_hash(struct inode *i) MUST_CHECK;
/* The inode of that number with a new reference, or NULL. */
struct inode *inode_find(struct super *sb, uint64_t ino) MUST_CHECK;

void super_init(struct super *sb, const struct super_ops *ops, const char *type);
struct super *super_get(struct super *sb);
void super_put(struct super *sb);

static inline bool inode_is_dir(const struct inode *i)
{
    return i->type == S_IFDIR;
}
static inline bool inode_is_reg(const struct inode *i)
{
    return i->type == S_IFREG;
}
static inline bool inode_is_link(const struct inode *i)
{
    return i->type == S_IFLNK;
}

/* R_OK, W_OK, X_OK against mode bits and credentials; -EACCES. */
int inode_permission(const struct inode *i, const struct cred *c, int access) MUST_CHECK;
/* May `c` change attributes as the owner can? */
bool inode_owner_or_root(const struct inode *i, const struct cred *c);
/* Sticky directories: may `c` remove `victim` from `dir`? -EPERM. */
int inode_may_remove(const struct inode *dir, const struct inode *victim,
                     const struct cred *c) MUST_CHECK;
/* Fresh attributes as stat(2) has them. */
int inode_stat(struct inode *i, struct abi_stat *out) MUST_CHECK;
/* Checks nothing; locks, applies. */
int inode_setattr(struct inode *i, const struct attr_change *change) MUST_CHECK;
/* For file systems that keep attributes in the fields alone. */
void inode_apply_attr(struct inode *i, const struct attr_change *change);
/* The set-user-id and set-group-id bits that a change by `c` takes away. */
uint32_t inode_suid_bits(const struct inode *i, const struct cred *c);
/* Removes set-user-id and set-group-id after a write by somebody unprivileged. Locked. */
void inode_kill_suid(struct inode *i, const struct cred *c);
struct timespec64 fs_now(void);
void inode_touch_modified(struct inode *i); /* mtime and ctime; locked */
void inode_touch_accessed(struct inode *i); /* relatime */

/* Locks up to 4 inodes, repeated and NULL ones once or not at all. */
void inode_lock_many(struct inode *const v[], size_t count);
void inode_unlock_many(struct inode *const v[], size_t count);
