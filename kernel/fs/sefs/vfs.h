/* SPDX-License-Identifier: BSD-3-Clause */
/* What joins the store to the VFS, from the inside. The store knows nothing of it. */
#pragma once

#include "fs/core/file.h"
#include "fs/sefs/store.h"
#include "sched/wait.h"

struct vnode;
struct seal_info;

/* What tells old states from new ones, outside of the host's reach; see vfs_counter.c. */
struct vs_counter;
struct vs_counter_ops {
    int (*read)(struct vs_counter *c, uint64_t *out);
    int (*advance)(struct vs_counter *c, uint64_t to); /* durable when it returns */
    void (*free)(struct vs_counter *c);
};
struct vs_counter {
    const struct vs_counter_ops *ops;
    uint64_t value;
};

struct vs_options {
    uint8_t key[32];
    size_t key_size; /* 0: the seal key */
    uint8_t root[32];
    bool have_root, temporary;
    bool only_enclave; /* no store that the signer's other enclaves can open */
    uint16_t policy;
    uint64_t disk_size, cache_size;
    char *counter; /* a file of the host, NULL: none; whose text is `text` */
    char *text;
    size_t text_size;
};
/* Needs vs_options_end, also after an error. */
int vs_options_parse(const char *options, struct vs_options *o) MUST_CHECK;
void vs_options_end(struct vs_options *o);
/* What whoever starts the enclave requires of the root's writable layer. */
int vs_options_required(struct vs_options *o) MUST_CHECK;

struct vbatch { /* pages on their way to the store */
    struct store_page pages[STORE_WRITE_MAX];
    struct cached_page *held[STORE_WRITE_MAX];
    struct vnode *nodes[STORE_WRITE_MAX];
    size_t count;
};

struct vsuper {
    struct super sb;
    struct sefs_dev dev;
    int fd;
    _Atomic uint64_t unsent; /* bytes written since the host last began to write to its disk */
    char *name;
    bool read_only;
    struct vs_counter *counter; /* NULL: none; under commit_lock */
    struct mutex lock;          /* the store, disk_size and blocks of all inodes, `batch` */
    struct store *store;
    struct vbatch *batch;
    struct store_fetch *_Atomic spare[2]; /* for reading, unused */
    struct mutex commit_lock; /* one commit at a time */
    _Atomic uint64_t begun;   /* commits; changed under commit_lock */
    uint64_t done;            /* under commit_lock: how many have ended, and how the last did */
    int result;
    _Atomic int64_t promised; /* dirty pages */
    int64_t dirty_max;
    _Atomic int64_t room;     /* blocks that may be promised */
    struct spinlock list_lock;
    struct list with_pages, with_attr; /* dirty inodes, referenced */
    struct wait_queue wake;            /* the flusher */
    _Atomic bool urgent, stop, stopped, idle;
    struct task *flusher;
    bool ended; /* the last reference was the flusher's: it takes the rest away */
};

enum vnode_dirt { VNODE_CLEAN, VNODE_ATTR, VNODE_PAGES };

struct vnode {
    struct inode inode;
    struct list dirty_node; /* under list_lock */
    enum vnode_dirt dirt;   /* under list_lock */
    uint64_t disk_size;     /* what a crash would leave; under vsuper.lock */
    uint64_t flush_size;    /* under vsuper.lock: the size when its pages were taken */
    uint64_t blocks;        /* under vsuper.lock */
    _Atomic uint32_t opens;
    bool tail_clean; /* nothing lies behind the end; under inode.lock */
};

static inline struct vnode *vnode_of(struct inode *i)
{
    return container_of(i, struct vnode, inode);
}
static inline struct vsuper *vsuper_of(const struct inode *i)
{
    return container_of(i->sb, struct vsuper, sb);
}

void vs_lock(struct vsuper *v) ACQUIRES(v->lock);
void vs_unlock(struct vsuper *v) RELEASES(v->lock);
/* The inode of that number, referenced. */
int vnode_get(struct vsuper *v, uint64_t ino, struct inode **out) MUST_CHECK;
extern const struct inode_ops vnode_dir_ops, vnode_file_ops, vnode_link_ops, vnode_other_ops;
extern const struct file_ops vfile_ops, vdir_file_ops;
int vnode_setattr(struct inode *i, const struct attr_change *c);
int vnode_read_pages(struct inode *i, uint64_t index, void *const pages[], size_t count);
int vnode_getattr(struct inode *i);
int vnode_open(struct inode *i, struct file *f);
void vnode_release(struct inode *i);

/* ---- vfs_options.c, vfs_counter.c ---- */

int vs_choose_key(struct vsuper *v, struct vs_options *o, const struct sefs_super *sb,
                  struct seal_info *info, struct store_params *p) MUST_CHECK;
int vs_counter_open_file(const char *path, struct vs_counter **out) MUST_CHECK;
/* Right after the store is opened: -ESTALE if its state is not the newest. */
int vs_counter_check(struct vsuper *v) MUST_CHECK;
/* The next commit's value; and when that commit is durable. */
void vs_counter_begin(struct vsuper *v);
int vs_counter_end(struct vsuper *v) MUST_CHECK;

/* ---- vfs_back.c: what is dirty, and how it becomes durable ---- */

void vnode_dirty(struct vnode *n, enum vnode_dirt dirt);
/* Nobody will want it: a file without a name that nobody has open. */
void vnode_forget(struct vnode *n);
/* All dirty pages go to the store. */
int vs_flush(struct vsuper *v) MUST_CHECK;
/* Everything up to now becomes durable; `settle`: and needs no second look when it is opened.
 */
int vs_sync(struct vsuper *v, bool settle) MUST_CHECK;
/* Room for so many more dirty pages; -ENOSPC. */
int vs_reserve(struct vsuper *v, uint64_t pages) MUST_CHECK;
/* A writer waits here while too much is dirty; no locks held. */
void vs_throttle(struct vsuper *v);
int vs_start_flusher(struct vsuper *v) MUST_CHECK;
void vs_stop_flusher(struct vsuper *v);
void vs_destroy(struct vsuper *v);
