/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes and names of the store, as the VFS wants them. Link counts are the store's, and the
 * fields here follow; all other attributes are these fields', and the store gets them when it
 * is committed.
 */
#include "abi/errno.h"
#include "fs/sefs/vfs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define DIR_SIZE 4096u /* names have no size of their own; programs expect some */

/* ---- inodes ---- */

static const struct inode_ops *ops_of(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return &vnode_dir_ops;
    case S_IFREG:
        return &vnode_file_ops;
    case S_IFLNK:
        return &vnode_link_ops;
    default:
        return &vnode_other_ops;
    }
}

static struct timespec64 time_of(struct sefs_time t)
{
    return (struct timespec64){t.sec, t.nsec};
}

static struct vnode *vnode_new(struct vsuper *v, uint64_t ino, const struct sefs_inode *rec)
{
    struct vnode *n = kzalloc(sizeof(*n));
    if (!n)
        return NULL;
    struct inode *i = &n->inode;
    inode_init(i, &v->sb, ops_of(rec->mode), rec->mode);
    list_init(&n->dirty_node);
    i->ino = ino;
    i->uid = rec->uid;
    i->gid = rec->gid;
    i->nlink = rec->nlink;
    i->size = n->disk_size = inode_is_dir(i) ? DIR_SIZE : rec->size;
    i->rdev = rec->rdev;
    n->blocks = rec->blocks;
    i->atime = time_of(rec->atime);
    i->mtime = time_of(rec->mtime);
    i->ctime = time_of(rec->ctime);
    i->btime = time_of(rec->btime);
    i->cache.dirty_count = &v->promised;
    i->cached = inode_is_reg(i);
    if (inode_is_dir(i))
        i->file_ops = &vdir_file_ops;
    else if (inode_is_reg(i))
        i->file_ops = &vfile_ops;
    return n;
}

/* The store is locked, so that nobody changes the record between reading it and entering it. */
static int load_locked(struct vsuper *v, uint64_t ino, struct inode **out)
{
    struct sefs_inode rec;
    *out = inode_find(&v->sb, ino);
    if (*out)
        return 0;
    int r = store_inode_get(v->store, ino, &rec);
    if (r < 0)
        return r;
    struct vnode *n = vnode_new(v, ino, &rec);
    if (!n)
        return -ENOMEM;
    *out = &n->inode;
    r = inode_hash(*out);
    if (r < 0) {
        n->inode.nlink = 1; /* it shall not be removed, only forgotten */
        inode_put(*out);
    }
    return r;
}

int vnode_get(struct vsuper *v, uint64_t ino, struct inode **out)
{
    vs_lock(v);
    int r = load_locked(v, ino, out);
    vs_unlock(v);
    return r;
}

/* The last reference may go while the store is locked, by us. */
static void vnode_free(struct inode *i) UNCHECKED_LOCKING
{
    struct vsuper *v = vsuper_of(i);
    if (i->nlink == 0 && !v->read_only) {
        bool held = mutex_held(&v->lock);
        if (!held)
            vs_lock(v);
        if (store_remove(v->store, i->ino) < 0)
            log_warn("sefs %s: inode %lu stays until the next mount", v->name, i->ino);
        if (!held)
            vs_unlock(v);
    }
    kfree(vnode_of(i));
}

int vnode_getattr(struct inode *i)
{
    struct vnode *n = vnode_of(i);
    uint64_t pages = (i->size + PAGE_SIZE - 1) >> PAGE_SHIFT, dirty = i->cache.dirty.count;
    uint64_t blocks = n->blocks + dirty;
    if (dirty && blocks > pages) /* some of the dirty pages have blocks already */
        blocks = MAX(n->blocks, pages);
    i->blocks = blocks * (PAGE_SIZE / 512);
    return 0;
}

int vnode_open(struct inode *i, struct file *f)
{
    (void)f;
    atomic_fetch_add(&vnode_of(i)->opens, 1);
    return 0;
}

void vnode_release(struct inode *i)
{
    if (atomic_fetch_sub(&vnode_of(i)->opens, 1) == 1 && i->nlink == 0)
        vnode_forget(vnode_of(i));
}

/* ---- names ---- */

static int vdir_lookup(struct inode *dir, const char *name, struct inode **out)
{
    struct vsuper *v = vsuper_of(dir);
    uint64_t ino;
    vs_lock(v);
    int r = store_lookup(v->store, dir->ino, name, &ino);
    if (r == 0)
        r = load_locked(v, ino, out);
    vs_unlock(v);
    return r;
}

/* Space that the last commit still holds becomes free by another one. */
static int retry_full(struct vsuper *v, int r, bool *again)
{
    if (r != -ENOSPC || *again)
        return r;
    *again = true;
    int e = vs_sync(v, false);
    return e < 0 ? e : -EAGAIN;
}

static void changed(struct inode *dir)
{
    inode_touch_modified(dir);
    vnode_dirty(vnode_of(dir), VNODE_ATTR);
}

static int make(struct inode *dir, const char *name, const struct inode_init *init,
                struct inode **out)
{
    struct vsuper *v = vsuper_of(dir);
    struct timespec64 now = fs_now();
    struct store_new n = {.mode = init->mode,
                          .uid = init->uid,
                          .gid = init->gid,
                          .rdev = init->rdev,
                          .target = init->target,
                          .now = {now.sec, (uint32_t)now.nsec}};
    bool again = false;
    uint64_t ino;
    int r;
    do {
        vs_lock(v);
        r = name ? store_create(v->store, dir->ino, name, &n, &ino)
                 : store_create_orphan(v->store, &n, &ino);
        if (r == 0)
            r = load_locked(v, ino, out);
        vs_unlock(v);
        r = retry_full(v, r, &again);
    } while (r == -EAGAIN);
    if (r == 0)
        vnode_of(*out)->tail_clean = true;
    return r;
}

static int vdir_create(struct inode *dir, const char *name, const struct inode_init *init,
                       struct inode **out)
{
    int r = make(dir, name, init, out);
    if (r < 0)
        return r;
    if (inode_is_dir(*out))
        dir->nlink++;
    changed(dir);
    return 0;
}

static int vdir_tmpfile(struct inode *dir, const struct inode_init *init, struct inode **out)
{
    return make(dir, NULL, init, out);
}

static int vdir_link(struct inode *dir, const char *name, struct inode *target)
{
    struct vsuper *v = vsuper_of(dir);
    bool again = false;
    int r;
    do {
        vs_lock(v);
        r = store_link(v->store, dir->ino, name, target->ino);
        vs_unlock(v);
        r = retry_full(v, r, &again);
    } while (r == -EAGAIN);
    if (r < 0)
        return r;
    target->nlink++;
    target->ctime = fs_now();
    vnode_dirty(vnode_of(target), VNODE_ATTR);
    changed(dir);
    return 0;
}

static void unlinked(struct inode *i)
{
    i->nlink = inode_is_dir(i) ? 0 : i->nlink - 1;
    i->ctime = fs_now();
    if (i->nlink == 0 && !atomic_load(&vnode_of(i)->opens))
        vnode_forget(vnode_of(i));
    else
        vnode_dirty(vnode_of(i), VNODE_ATTR);
}

static int vdir_unlink(struct inode *dir, const char *name, struct inode *victim)
{
    struct vsuper *v = vsuper_of(dir);
    bool again = false;
    int r;
    do {
        vs_lock(v);
        r = store_unlink(v->store, dir->ino, name);
        vs_unlock(v);
        r = retry_full(v, r, &again);
    } while (r == -EAGAIN);
    if (r < 0)
        return r;
    if (inode_is_dir(victim))
        dir->nlink--;
    unlinked(victim);
    changed(dir);
    return 0;
}

/* The store has changed the link counts; so do we. */
static void renamed(const struct rename_args *a)
{
    struct inode *from = a->old_dir, *to = a->new_dir;
    uint32_t moved = inode_is_dir(a->inode), other = a->replaced && inode_is_dir(a->replaced);
    from->nlink -= moved;
    to->nlink += moved - other;
    if (a->flags & RENAME_EXCHANGE) {
        from->nlink += other;
        a->replaced->ctime = fs_now();
        vnode_dirty(vnode_of(a->replaced), VNODE_ATTR);
    } else if (a->replaced) {
        unlinked(a->replaced);
    }
    a->inode->ctime = fs_now();
    vnode_dirty(vnode_of(a->inode), VNODE_ATTR);
    changed(from);
    changed(to);
}

static int vdir_rename(const struct rename_args *a)
{
    struct vsuper *v = vsuper_of(a->old_dir);
    struct store_rename mv = {.old_dir = a->old_dir->ino,
                              .new_dir = a->new_dir->ino,
                              .old_name = a->old_name,
                              .new_name = a->new_name,
                              .exchange = a->flags & RENAME_EXCHANGE};
    bool again = false;
    int r;
    do {
        vs_lock(v);
        r = store_rename(v->store, &mv);
        vs_unlock(v);
        r = retry_full(v, r, &again);
    } while (r == -EAGAIN);
    if (r == 0)
        renamed(a);
    return r;
}

static ssize_t vlink_readlink(struct inode *i, char *buffer, size_t size)
{
    struct vsuper *v = vsuper_of(i);
    vs_lock(v);
    ssize_t r = store_readlink(v->store, i->ino, buffer, size);
    vs_unlock(v);
    return r;
}

/* ---- extended attributes ---- */

static ssize_t vnode_getxattr(struct inode *i, const char *name, void *buffer, size_t size)
{
    struct vsuper *v = vsuper_of(i);
    vs_lock(v);
    ssize_t r = store_xattr_get(v->store, i->ino, name, buffer, size);
    vs_unlock(v);
    return r;
}

static int vnode_setxattr(struct inode *i, const char *name, const void *value, size_t size,
                          int flags)
{
    struct vsuper *v = vsuper_of(i);
    struct store_xattr x = {.name = name, .value = value, .size = size, .flags = flags};
    bool again = false;
    int r;
    if (!str_starts(name, "user.") && !str_starts(name, "trusted.") &&
        !str_starts(name, "security."))
        return -EOPNOTSUPP;
    do {
        vs_lock(v);
        r = store_xattr_set(v->store, i->ino, &x);
        vs_unlock(v);
        r = retry_full(v, r, &again);
    } while (r == -EAGAIN);
    if (r < 0)
        return r;
    i->ctime = fs_now();
    vnode_dirty(vnode_of(i), VNODE_ATTR);
    return 0;
}

static ssize_t vnode_listxattr(struct inode *i, char *buffer, size_t size)
{
    struct vsuper *v = vsuper_of(i);
    vs_lock(v);
    ssize_t r = store_xattr_list(v->store, i->ino, buffer, size);
    vs_unlock(v);
    return r;
}

const struct inode_ops vnode_dir_ops = {
    .lookup = vdir_lookup,
    .create = vdir_create,
    .tmpfile = vdir_tmpfile,
    .link = vdir_link,
    .unlink = vdir_unlink,
    .rename = vdir_rename,
    .setattr = vnode_setattr,
    .getxattr = vnode_getxattr,
    .setxattr = vnode_setxattr,
    .listxattr = vnode_listxattr,
    .free = vnode_free,
};

const struct inode_ops vnode_file_ops = {
    .getattr = vnode_getattr,
    .setattr = vnode_setattr,
    .open = vnode_open,
    .getxattr = vnode_getxattr,
    .setxattr = vnode_setxattr,
    .listxattr = vnode_listxattr,
    .read_pages = vnode_read_pages,
    .free = vnode_free,
};

const struct inode_ops vnode_link_ops = {
    .readlink = vlink_readlink,
    .setattr = vnode_setattr,
    .getxattr = vnode_getxattr,
    .setxattr = vnode_setxattr,
    .listxattr = vnode_listxattr,
    .free = vnode_free,
};

const struct inode_ops vnode_other_ops = {
    .setattr = vnode_setattr,
    .getxattr = vnode_getxattr,
    .setxattr = vnode_setxattr,
    .listxattr = vnode_listxattr,
    .free = vnode_free,
};
