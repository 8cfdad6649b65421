/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Announcing changes (inotify(7)). Whoever changes or uses a file says so here; where nobody
 * watches, that costs one load. LIMIT: what the host changes in hostfs is not announced.
 */
#pragma once

#include "abi/inotify.h"
#include "fs/core/file.h"

extern _Atomic uint32_t notify_watches; /* in all */

void notify_dir_slow(struct inode *dir, const char *name, uint32_t event, uint32_t cookie);
void notify_inode_slow(struct inode *i, uint32_t event);
void notify_dentry_slow(struct dentry *d, uint32_t event);
void notify_moved(struct inode *from, const char *old, struct inode *to, const char *name,
                  struct inode *moved);
/* The last name of it, or its file system, is gone: its watches end. */
void notify_gone(struct inode *i, uint32_t event);
void notify_unmounted(struct super *sb);

static inline bool notify_any(void)
{
    return unlikely(atomic_load_explicit(&notify_watches, memory_order_relaxed) != 0);
}
/* To who watches the directory; IN_ISDIR is the caller's. */
static inline void notify_dir(struct inode *dir, const char *name, uint32_t event)
{
    if (notify_any())
        notify_dir_slow(dir, name, event, 0);
}
static inline void notify_inode(struct inode *i, uint32_t event)
{
    if (notify_any())
        notify_inode_slow(i, event);
}
/* To who watches the file, or its directory. */
static inline void notify_dentry(struct dentry *d, uint32_t event)
{
    if (notify_any())
        notify_dentry_slow(d, event);
}
/* What a change of attributes is called. */
void notify_setattr(struct dentry *d, uint32_t attr_mask);

int inotify_new(uint32_t flags, struct file **out) MUST_CHECK;
/* The watch's number; -EINVAL: no inotify file, -EEXIST, -ENOSPC. */
int inotify_add(struct file *f, struct inode *i, uint32_t mask) MUST_CHECK;
int inotify_remove(struct file *f, int wd) MUST_CHECK;
