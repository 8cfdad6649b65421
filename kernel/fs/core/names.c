/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing names: create, unlink, rename, link. Each resolves the parent, locks what takes
 * part, looks the name up again under the lock, checks, and calls the file system.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/notify.h"
#include "fs/core/path.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

int dir_may_change(const struct path *dir)
{
    struct inode *i = path_inode(dir);
    if (!inode_is_dir(i))
        return -ENOTDIR;
    if (i->dead)
        return -ENOENT;
    int r = inode_permission(i, fs_cred(), W_OK | X_OK);
    if (r < 0)
        return r;
    return mount_rdonly(dir->mount) || (i->sb->flags & SUPER_RDONLY) ? -EROFS : 0;
}

/* What a new inode in `dir` looks like: its group and mode follow a set-group-id directory. */
struct inode_init inode_child_init(const struct inode *dir, const struct inode_init *init)
{
    struct inode_init child = *init;
    const struct cred *c = fs_cred();
    child.uid = c->fsuid;
    child.gid = c->fsgid;
    if (dir->mode & S_ISGID) {
        child.gid = dir->gid;
        if ((init->mode & S_IFMT) == S_IFDIR)
            child.mode |= S_ISGID;
        else if ((child.mode & 010) && !cred_can(c, CAP_FSETID) && !cred_in_group(c, dir->gid))
            child.mode &= ~S_ISGID;
    }
    return child;
}

int dir_create_locked(const struct path *dir, const char *name, const struct inode_init *init,
                      struct dentry **out)
{
    struct inode *i = path_inode(dir), *made = NULL;
    int r = dir_may_change(dir);
    if (r < 0)
        return r;
    if (!i->ops->create)
        return -EPERM;
    struct dentry *d = dentry_new_child(name);
    if (!d)
        return -ENOMEM;
    struct inode_init child = inode_child_init(i, init);
    r = i->ops->create(i, name, &child, &made);
    if (r < 0) {
        dentry_discard(d);
        return r;
    }
    *out = dentry_instantiate(dir->dentry, d, made);
    notify_dir(i, name, IN_CREATE | (inode_is_dir(made) ? IN_ISDIR : 0));
    return 0;
}

static uint32_t masked(uint32_t mode)
{
    uint32_t mask = current && current->fs ? atomic_load(&current->fs->umask) : 022;
    return (mode & S_IFMT) == S_IFLNK ? mode : mode & ~mask;
}

static int create_in(const struct path *dir, const struct last_name *last,
                     const struct inode_init *init)
{
    struct inode *i = path_inode(dir);
    struct dentry *d = NULL;
    mutex_lock(&i->lock);
    int r = path_lookup(dir->dentry, last->buffer, true, &d);
    if (r == 0 && d->inode)
        r = -EEXIST;
    else if (r == 0 && last->trailing_slash && (init->mode & S_IFMT) != S_IFDIR)
        r = -ENOENT;
    if (r == 0) {
        dentry_put(d);
        d = NULL;
        r = dir_create_locked(dir, last->buffer, init, &d);
    }
    mutex_unlock(&i->lock);
    dentry_put(d);
    return r;
}

int path_create(int dirfd, const char *name, uint32_t mode, uint64_t rdev, const char *target)
{
    struct path dir;
    struct last_name last;
    int r = path_walk_parent(dirfd, name, WALK_CREATE, &dir, &last);
    if (r < 0)
        return r;
    struct inode_init init = {.mode = masked(mode), .rdev = rdev, .target = target};
    if (last.is_root || last.is_dot || last.is_dotdot)
        r = -EEXIST;
    else
        r = create_in(&dir, &last, &init);
    kfree(last.buffer);
    path_put(&dir);
    return r;
}

/* The victim of an unlink or rename may go: type, stickiness, not a mount point. */
static int may_remove(const struct path *dir, struct dentry *victim, bool directory)
{
    struct inode *v = victim->inode;
    int r = inode_permission(path_inode(dir), fs_cred(), W_OK | X_OK);
    if (r == 0)
        r = inode_may_remove(path_inode(dir), v, fs_cred());
    if (r < 0)
        return r;
    if (directory && !inode_is_dir(v))
        return -ENOTDIR;
    if (!directory && inode_is_dir(v))
        return -EISDIR;
    if (path_inode(dir)->dead)
        return -ENOENT;
    return atomic_load(&victim->mounts) ? -EBUSY : 0;
}

void dentry_forget_removed(struct dentry *d)
{
    d->unlinked = true;
    if (inode_is_dir(d->inode))
        d->inode->dead = true;
    dentry_drop(d);
}

void dentry_renamed(struct dentry *moved, struct dentry *there, struct dentry *to,
                    const char *name, uint32_t flags)
{
    if (flags & RENAME_EXCHANGE) {
        dentry_exchange(moved, there);
        return;
    }
    if (there->inode)
        dentry_forget_removed(there);
    else
        dentry_drop(there);
    dentry_move(moved, to, name);
}

static int read_only(const struct path *p)
{
    return mount_rdonly(p->mount) || (p->mount->sb->flags & SUPER_RDONLY) ? -EROFS : 0;
}

/* Looks up the child to unlink; a slash behind the name asks for a directory, which is none. */
static int existing_child(const struct path *dir, const struct last_name *last, bool directory,
                          struct dentry **out)
{
    int r = path_lookup(dir->dentry, last->buffer, false, out);
    if (r < 0)
        return r;
    if (!(*out)->inode)
        r = -ENOENT;
    else if (last->trailing_slash && !directory)
        r = inode_is_dir((*out)->inode) ? -EISDIR : -ENOTDIR;
    if (r < 0) {
        dentry_put(*out);
        *out = NULL;
    }
    return r;
}

static int unlink_in(const struct path *dir, const struct last_name *last, bool directory)
{
    struct inode *i = path_inode(dir);
    struct dentry *d = NULL, *again = NULL;
    int r = inode_is_dir(i) ? inode_permission(i, fs_cred(), X_OK) : -ENOTDIR;
    if (r == 0)
        r = read_only(dir);
    if (r == 0)
        r = existing_child(dir, last, directory, &d);
    if (r < 0)
        return r;
    struct inode *locks[2] = {i, d->inode};
    inode_lock_many(locks, 2);
    r = path_lookup(dir->dentry, last->buffer, true, &again);
    if (r == 0 && again->inode != d->inode)
        r = -ENOENT; /* it was replaced meanwhile: as if we had come earlier */
    if (r == 0)
        r = may_remove(dir, d, directory);
    if (r == 0)
        r = i->ops->unlink ? i->ops->unlink(i, last->buffer, d->inode) : -EPERM;
    if (r == 0) {
        dentry_forget_removed(again);
        if (again != d)
            dentry_forget_removed(d);
    }
    inode_unlock_many(locks, 2);
    bool is_dir = inode_is_dir(d->inode);
    if (r == 0 && !is_dir)
        notify_inode(d->inode, IN_ATTRIB);
    dentry_put(again);
    dentry_put(d);
    if (r == 0)
        notify_dir(i, last->buffer, IN_DELETE | (is_dir ? IN_ISDIR : 0));
    return r;
}

int path_unlink(int dirfd, const char *name, bool directory)
{
    struct path dir;
    struct last_name last;
    int r = path_walk_parent(dirfd, name, 0, &dir, &last);
    if (r < 0)
        return r;
    if (last.is_root)
        r = directory ? -EBUSY : -EISDIR;
    else if (last.is_dot)
        r = directory ? -EINVAL : -EISDIR;
    else if (last.is_dotdot)
        r = directory ? -ENOTEMPTY : -EISDIR;
    else
        r = unlink_in(&dir, &last, directory);
    kfree(last.buffer);
    path_put(&dir);
    return r;
}

/* Another user's file must be one that could be copied as well: fs.protected_hardlinks. */
static int may_link(const struct inode *i, const struct cred *c)
{
    bool runs_as_owner = (i->mode & S_ISUID) || (i->mode & (S_ISGID | 010)) == (S_ISGID | 010);
    if (inode_owner_or_root(i, c))
        return 0;
    return inode_is_reg(i) && !runs_as_owner && inode_permission(i, c, R_OK | W_OK) == 0
               ? 0
               : -EPERM;
}

static int link_in(const struct path *dir, const struct last_name *last,
                   const struct path *from)
{
    struct inode *i = path_inode(dir), *target = path_inode(from);
    struct dentry *d = NULL;
    struct inode *locks[2] = {i, target};
    inode_lock_many(locks, 2);
    int r = path_lookup(dir->dentry, last->buffer, true, &d);
    if (r == 0 && d->inode)
        r = -EEXIST;
    else if (r == 0 && last->trailing_slash)
        r = -ENOENT;
    if (r == 0)
        r = read_only(dir);
    if (r == 0 && from->mount != dir->mount)
        r = -EXDEV;
    if (r == 0)
        r = may_link(target, fs_cred());
    if (r == 0)
        r = dir_may_change(dir);
    if (r == 0 && inode_is_dir(target))
        r = -EPERM;
    if (r == 0 && target->nlink == 0 && !target->linkable)
        r = -ENOENT;
    if (r == 0)
        r = i->ops->link ? i->ops->link(i, last->buffer, target) : -EPERM;
    if (r == 0) {
        dentry_drop(d);
        notify_inode(target, IN_ATTRIB);
        notify_dir(i, last->buffer, IN_CREATE);
    }
    inode_unlock_many(locks, 2);
    dentry_put(d);
    return r;
}

int path_link(int olddirfd, const char *old, int newdirfd, const char *new_name, uint32_t flags)
{
    struct path from, dir;
    struct last_name last;
    int r = path_walk(olddirfd, old, flags, &from);
    if (r < 0)
        return r;
    r = path_walk_parent(newdirfd, new_name, WALK_CREATE, &dir, &last);
    if (r < 0)
        goto put_from;
    if (last.is_root || last.is_dot || last.is_dotdot)
        r = -EEXIST;
    else
        r = inode_permission(path_inode(&dir), fs_cred(), X_OK);
    if (r == 0)
        r = link_in(&dir, &last, &from);
    kfree(last.buffer);
    path_put(&dir);
put_from:
    path_put(&from);
    return r;
}

/* The two sides of a rename. */
struct rename_side {
    struct path dir;
    struct last_name last;
    struct dentry *d; /* the child; may be negative on the new side */
};

/* Is `d` the same as, or inside, `top`? */
static bool is_inside(struct dentry *d, struct dentry *top)
{
    bool inside = false;
    dcache_lock_names();
    for (;; d = d->parent) {
        inside = d->inode == top->inode;
        if (inside || d->parent == d)
            break;
    }
    dcache_unlock_names();
    return inside;
}

static int rename_check_target(struct rename_side *from, struct rename_side *to, uint32_t flags)
{
    struct inode *moved = from->d->inode, *target = to->d->inode;
    if (!target)
        return dir_may_change(&to->dir);
    if (flags & RENAME_EXCHANGE)
        return may_remove(&to->dir, to->d, inode_is_dir(target));
    return may_remove(&to->dir, to->d, inode_is_dir(moved));
}

static int rename_check(struct rename_side *from, struct rename_side *to, uint32_t flags)
{
    struct inode *moved = from->d->inode;
    bool exchange = flags & RENAME_EXCHANGE;
    if (!moved)
        return -ENOENT;
    if (to->d->inode && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (!to->d->inode && exchange)
        return -ENOENT;
    if (exchange && to->last.trailing_slash && !inode_is_dir(to->d->inode))
        return -ENOTDIR;
    if (!inode_is_dir(moved) &&
        (from->last.trailing_slash || (to->last.trailing_slash && !exchange)))
        return -ENOTDIR;
    if (inode_is_dir(moved) && is_inside(to->dir.dentry, from->d))
        return -EINVAL;
    if (to->d->inode && inode_is_dir(to->d->inode) && is_inside(from->dir.dentry, to->d))
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (moved == to->d->inode)
        return 0;
    int r = may_remove(&from->dir, from->d, inode_is_dir(moved));
    if (r < 0)
        return r;
    r = rename_check_target(from, to, flags);
    if (r < 0)
        return r;
    if (path_inode(&from->dir) == path_inode(&to->dir))
        return 0;
    if (inode_is_dir(moved))
        r = inode_permission(moved, fs_cred(), W_OK);
    if (r == 0 && exchange && inode_is_dir(to->d->inode))
        r = inode_permission(to->d->inode, fs_cred(), W_OK);
    return r;
}

static int rename_locked(struct rename_side *from, struct rename_side *to, uint32_t flags)
{
    int r = rename_check(from, to, flags);
    if (r < 0)
        return r;
    if (from->d->inode == to->d->inode)
        return 0;
    struct rename_args args = {
        path_inode(&from->dir),
        path_inode(&to->dir),
        from->last.buffer,
        to->last.buffer,
        from->d->inode,
        to->d->inode,
        flags & (RENAME_EXCHANGE | RENAME_WHITEOUT),
    };
    if (!args.old_dir->ops->rename)
        return -EPERM;
    r = args.old_dir->ops->rename(&args);
    if (r < 0)
        return r;
    dentry_renamed(from->d, to->d, to->dir.dentry, to->last.buffer, flags);
    notify_moved(args.old_dir, from->last.buffer, args.new_dir, to->last.buffer, args.inode);
    if (flags & RENAME_EXCHANGE)
        notify_moved(args.new_dir, to->last.buffer, args.old_dir, from->last.buffer,
                     args.replaced);
    else if (args.replaced && !inode_is_dir(args.replaced))
        notify_inode(args.replaced, IN_ATTRIB);
    return 0;
}

/* The children are looked up before the locks, so that these can include them; then again. */
static int rename_sides(struct rename_side *from, struct rename_side *to, uint32_t flags)
{
    struct dentry *seen_from, *seen_to = NULL;
    int r = path_lookup(from->dir.dentry, from->last.buffer, false, &seen_from);
    if (r < 0)
        return r;
    if (!seen_from->inode) {
        r = -ENOENT;
        goto put_from;
    }
    r = path_lookup(to->dir.dentry, to->last.buffer, false, &seen_to);
    if (r < 0)
        goto put_from;
    struct inode *locks[4] = {path_inode(&from->dir), path_inode(&to->dir), seen_from->inode,
                              seen_to->inode};
    inode_lock_many(locks, 4);
    r = path_lookup(from->dir.dentry, from->last.buffer, true, &from->d);
    if (r == 0)
        r = path_lookup(to->dir.dentry, to->last.buffer, true, &to->d);
    if (r == 0 && (from->d->inode != locks[2] || to->d->inode != locks[3]))
        r = -EAGAIN;
    if (r == 0)
        r = rename_locked(from, to, flags);
    inode_unlock_many(locks, 4);
    dentry_put(from->d);
    dentry_put(to->d);
    from->d = to->d = NULL;
    dentry_put(seen_to);
put_from:
    dentry_put(seen_from);
    return r;
}

static bool rename_last_ok(const struct rename_side *s)
{
    return !s->last.is_root && !s->last.is_dot && !s->last.is_dotdot;
}

static int rename_may_begin(const struct rename_side *from, const struct rename_side *to)
{
    const struct cred *c = fs_cred();
    int r = inode_permission(path_inode(&from->dir), c, X_OK);
    if (r == 0)
        r = inode_permission(path_inode(&to->dir), c, X_OK);
    return r < 0 ? r : read_only(&from->dir);
}

int path_rename(int olddirfd, const char *old, int newdirfd, const char *new_name,
                uint32_t flags)
{
    struct rename_side from = {0}, to = {0};
    int r = path_walk_parent(olddirfd, old, 0, &from.dir, &from.last);
    if (r < 0)
        return r;
    r = path_walk_parent(newdirfd, new_name, WALK_CREATE, &to.dir, &to.last);
    if (r < 0)
        goto put_from;
    if (from.dir.mount != to.dir.mount)
        r = -EXDEV;
    else if (!rename_last_ok(&from))
        r = -EBUSY;
    else if (!rename_last_ok(&to))
        r = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    else if ((flags & RENAME_WHITEOUT) && !(from.dir.mount->sb->flags & SUPER_WHITEOUT))
        r = -EINVAL;
    else
        r = rename_may_begin(&from, &to);
    if (r < 0)
        goto put_to;
    struct super *sb = from.dir.mount->sb;
    mutex_lock(&sb->rename_lock);
    for (int tries = 0; tries < 16; tries++) {
        r = rename_sides(&from, &to, flags);
        if (r != -EAGAIN)
            break;
    }
    mutex_unlock(&sb->rename_lock);
put_to:
    kfree(to.last.buffer);
    path_put(&to.dir);
put_from:
    kfree(from.last.buffer);
    path_put(&from.dir);
    return r == -EAGAIN ? -EBUSY : r;
}
