/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers: the VFS as another file system uses it. */
#include "fs/core/layer.h"

#include "abi/errno.h"
#include "mm/kmalloc.h"

int layer_lookup(struct dentry *dir, const char *name, struct dentry **out)
{
    int r = path_lookup(dir, name, false, out);
    if (r == 0 && !(*out)->inode) {
        dentry_put(*out);
        *out = NULL;
        r = -ENOENT;
    }
    return r;
}

int layer_create(struct dentry *dir, const char *name, const struct inode_init *init,
                 struct dentry **out)
{
    struct inode *i = dir->inode, *made = NULL;
    struct dentry *old = NULL, *d = dentry_new_child(name);
    if (!d)
        return -ENOMEM;
    mutex_lock(&i->lock);
    int r = i->dead ? -ENOENT : path_lookup(dir, name, true, &old);
    if (r == 0 && old->inode)
        r = -EEXIST;
    if (r == 0)
        r = i->ops->create ? i->ops->create(i, name, init, &made) : -EPERM;
    if (r == 0)
        *out = dentry_instantiate(dir, d, made);
    mutex_unlock(&i->lock);
    if (r < 0)
        dentry_discard(d);
    dentry_put(old);
    return r;
}

int layer_make_dir(struct dentry *dir, const char *name, uint32_t mode, struct dentry **out)
{
    struct inode_init init = {.mode = S_IFDIR | mode};
    int r = layer_lookup(dir, name, out);
    if (r == -ENOENT)
        r = layer_create(dir, name, &init, out);
    if (r == 0 && !inode_is_dir((*out)->inode)) {
        dentry_put(*out);
        r = -ENOTDIR;
    }
    return r;
}

int layer_link(struct dentry *dir, const char *name, struct inode *target)
{
    struct inode *i = dir->inode, *locks[2] = {i, target};
    struct dentry *d = NULL;
    inode_lock_many(locks, 2);
    int r = i->dead ? -ENOENT : path_lookup(dir, name, true, &d);
    if (r == 0 && d->inode)
        r = -EEXIST;
    if (r == 0)
        r = i->ops->link ? i->ops->link(i, name, target) : -EPERM;
    if (r == 0)
        dentry_drop(d);
    inode_unlock_many(locks, 2);
    dentry_put(d);
    return r;
}

int layer_unlink(struct dentry *dir, const char *name)
{
    struct inode *i = dir->inode;
    struct dentry *d;
    int r = layer_lookup(dir, name, &d);
    if (r < 0)
        return r;
    struct inode *locks[2] = {i, d->inode};
    inode_lock_many(locks, 2);
    r = i->ops->unlink ? i->ops->unlink(i, name, d->inode) : -EPERM;
    if (r == 0)
        dentry_forget_removed(d);
    inode_unlock_many(locks, 2);
    dentry_put(d);
    return r;
}

int layer_rename(struct dentry *from, const char *old, struct dentry *to, const char *name,
                 uint32_t flags)
{
    struct dentry *moved, *there;
    int r = layer_lookup(from, old, &moved);
    if (r < 0)
        return r;
    mutex_lock(&from->sb->rename_lock);
    r = path_lookup(to, name, false, &there);
    if (r < 0)
        goto unlock;
    struct inode *locks[4] = {from->inode, to->inode, moved->inode, there->inode};
    struct rename_args args = {
        from->inode, to->inode, old, name, moved->inode, there->inode, flags,
    };
    inode_lock_many(locks, 4);
    r = from->inode->ops->rename ? from->inode->ops->rename(&args) : -EPERM;
    if (r == 0)
        dentry_renamed(moved, there, to, name, flags);
    inode_unlock_many(locks, 4);
    dentry_put(there);
unlock:
    mutex_unlock(&from->sb->rename_lock);
    dentry_put(moved);
    return r;
}

int layer_list(struct mount *m, struct dentry *d, struct dir_sink *sink)
{
    struct file *f;
    int r = layer_open(m, d, O_RDONLY | O_DIRECTORY, &f);
    if (r < 0)
        return r;
    mutex_lock(&f->inode->lock);
    r = f->ops->readdir ? f->ops->readdir(f, sink) : -ENOTDIR;
    mutex_unlock(&f->inode->lock);
    file_put(f);
    return r;
}
