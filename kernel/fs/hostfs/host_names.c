/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes to hostfs: names, attributes, extended attributes. Each acts on (directory, name). */
#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/hostfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

static int make(int dirfd, const char *name, const struct inode_init *init, int *file)
{
    uint32_t mode = init->mode & 07777;
    switch (init->mode & S_IFMT) {
    case S_IFREG:
        *file =
            host_openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode,
                        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
        return *file < 0 ? *file : 0;
    case S_IFDIR:
        return host_mkdir(dirfd, name, mode);
    case S_IFLNK:
        return host_symlink(init->target, dirfd, name);
    default:
        return host_mknod(dirfd, name, init->mode, init->rdev);
    }
}

/* The host knows one user, and has a umask of its own. LIMIT: without rights there, what is
 * made belongs to that user. */
static void fix_owner_and_mode(struct inode *i, const struct inode_init *init)
{
    struct attr_change owner = {
        .mask = ATTR_UID | ATTR_GID, .uid = init->uid, .gid = init->gid};
    struct attr_change mode = {.mask = ATTR_MODE, .mode = init->mode & 07777};
    if (i->uid != init->uid || i->gid != init->gid)
        (void)!host_setattr(i, &owner);
    if (!inode_is_link(i) && (i->mode != mode.mode || (mode.mode & (S_ISUID | S_ISGID))))
        (void)!host_setattr(i, &mode);
}

/* The node of a file that has just been made and is open. */
static int host_adopt(struct inode *dir, const char *name, int file, struct inode **out)
{
    struct abi_statx x;
    int r = host_statx(file, "", AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, &x);
    if (r == 0)
        r = host_node_of(dir, name, &x, out);
    if (r == 0)
        host_node(*out)->made_by = current;
    return r;
}

int host_create(struct inode *dir, const char *name, const struct inode_init *init,
                struct inode **out)
{
    struct host_node *d = host_node(dir);
    int dirfd = host_fd_get(d, HOST_READ), file = -1;
    if (dirfd < 0)
        return dirfd;
    int r = make(dirfd, name, init, &file);
    host_fd_put(d);
    d->checked_ns = 0;
    if (r == 0)
        r = file < 0 ? host_lookup(dir, name, out) : host_adopt(dir, name, file, out);
    if (r == 0 && ((*out)->type != (init->mode & S_IFMT))) {
        inode_put(*out);
        r = -EIO;
    }
    if (r == 0)
        fix_owner_and_mode(*out, init);
    if (r == 0 && file >= 0)
        host_fd_adopt(host_node(*out), HOST_WRITE, file);
    else if (file >= 0)
        host_close(file);
    return r;
}

int host_link_name(struct inode *dir, const char *name, struct inode *target)
{
    struct host_node *d = host_node(dir), *t = host_node(target), *from;
    char old_name[NAME_MAX + 1];
    int newdir = host_fd_get(d, HOST_READ);
    if (newdir < 0)
        return newdir;
    int r = host_node_place(t, old_name, &from);
    if (r == 0) {
        int olddir = host_fd_get(from, HOST_READ);
        r = olddir < 0 ? olddir : host_link(olddir, old_name, newdir, name, 0);
        if (olddir >= 0)
            host_fd_put(from);
        inode_put(&from->inode);
    }
    host_fd_put(d);
    if (r == 0)
        host_name_add(t, d, name);
    d->checked_ns = t->checked_ns = 0;
    return r;
}

int host_unlink_name(struct inode *dir, const char *name, struct inode *victim)
{
    struct host_node *d = host_node(dir), *v = host_node(victim);
    int fd = host_fd_get(d, HOST_READ);
    if (fd < 0)
        return fd;
    int r = host_unlink(fd, name, inode_is_dir(victim) ? AT_REMOVEDIR : 0);
    host_fd_put(d);
    if (r < 0)
        return r;
    d->checked_ns = 0;
    host_name_drop(v, d, name);
    if (victim->nlink <= 1 || inode_is_dir(victim)) {
        v->removed = true;
        victim->nlink = 0;
    } else {
        victim->nlink--;
        v->checked_ns = 0;
    }
    return 0;
}

int host_rename_name(const struct rename_args *a)
{
    struct host_node *from = host_node(a->old_dir), *to = host_node(a->new_dir);
    int olddir = host_fd_get(from, HOST_READ);
    if (olddir < 0)
        return olddir;
    int newdir = host_fd_get(to, HOST_READ);
    int r = newdir;
    if (newdir >= 0) {
        r = host_rename(olddir, a->old_name, newdir, a->new_name, a->flags);
        host_fd_put(to);
    }
    host_fd_put(from);
    if (r < 0)
        return r;
    from->checked_ns = to->checked_ns = 0;
    host_name_add(host_node(a->inode), to, a->new_name);
    host_name_drop(host_node(a->inode), from, a->old_name);
    if (a->flags & RENAME_EXCHANGE)
        host_name_add(host_node(a->replaced), from, a->old_name);
    if (a->replaced)
        host_name_drop(host_node(a->replaced), to, a->new_name);
    if (a->replaced && !(a->flags & RENAME_EXCHANGE)) {
        host_node(a->replaced)->removed = a->replaced->nlink <= 1 || inode_is_dir(a->replaced);
        a->replaced->nlink = a->replaced->nlink ? a->replaced->nlink - 1 : 0;
    }
    return 0;
}

static int set_size(struct host_node *n, uint64_t size)
{
    struct inode *i = &n->inode;
    int fd = host_fd_get(n, HOST_WRITE);
    if (fd < 0)
        return fd;
    int r = host_truncate(fd, size);
    host_fd_put(n);
    if (r < 0)
        return r;
    if (size < i->size)
        cache_truncate(&i->cache, size);
    else
        cache_truncate(&i->cache, i->size);
    i->size = size;
    return 0;
}

static int set_owner_and_mode(struct host_node *n, const struct attr_change *c)
{
    struct inode *i = &n->inode;
    int r = 0;
    if (inode_is_link(i) && (c->mask & ATTR_MODE))
        return -EOPNOTSUPP;
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    if (c->mask & (ATTR_UID | ATTR_GID))
        r = host_chown(fd, c->mask & ATTR_UID ? c->uid : UINT32_MAX,
                       c->mask & ATTR_GID ? c->gid : UINT32_MAX);
    if (r == 0 && (c->mask & ATTR_MODE))
        r = host_chmod(fd, c->mode & 07777);
    host_fd_put(n);
    return r;
}

static int set_times(struct host_node *n, const struct attr_change *c)
{
    struct timespec64 times[2] = {c->atime, c->mtime};
    struct host_node *parent;
    char name[NAME_MAX + 1];
    if (!(c->mask & ATTR_ATIME))
        times[0].nsec = UTIME_OMIT;
    if (!(c->mask & ATTR_MTIME))
        times[1].nsec = UTIME_OMIT;
    int r = host_node_place(n, name, &parent);
    if (r < 0)
        return -EPERM; /* LIMIT: the mount's root keeps its times */
    int fd = host_fd_get(parent, HOST_READ);
    r = fd < 0 ? fd : host_utimens(fd, name, times, AT_SYMLINK_NOFOLLOW);
    if (fd >= 0)
        host_fd_put(parent);
    inode_put(&parent->inode);
    return r;
}

int host_setattr(struct inode *i, const struct attr_change *c)
{
    struct host_node *n = host_node(i);
    int r = 0;
    if (c->mask & ATTR_SIZE)
        r = set_size(n, c->size);
    if (r == 0 && (c->mask & (ATTR_MODE | ATTR_UID | ATTR_GID)))
        r = set_owner_and_mode(n, c);
    if (r == 0 && !(c->mask & ATTR_SIZE) && (c->mask & (ATTR_ATIME | ATTR_MTIME)))
        r = set_times(n, c);
    if (r == 0)
        inode_apply_attr(i, c);
    n->checked_ns = 0;
    return r;
}

ssize_t host_get_xattr(struct inode *i, const char *name, void *buffer, size_t size)
{
    struct host_node *n = host_node(i);
    if (!str_starts(name, "user."))
        return -ENODATA;
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    ssize_t r = host_getxattr(fd, name, buffer, size);
    host_fd_put(n);
    return r;
}

/* The host's attributes of a program are its own affair: only the user's space is ours. */
int host_set_xattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
    struct host_node *n = host_node(i);
    if (!str_starts(name, "user."))
        return -EOPNOTSUPP;
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    int r = host_setxattr(fd, name, value, size, flags);
    host_fd_put(n);
    n->checked_ns = 0;
    return r;
}

/* Only names of the user's space, each terminated, from what the host said. */
ssize_t host_list_xattr(struct inode *i, char *buffer, size_t size)
{
    struct host_node *n = host_node(i);
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    char *raw = kzalloc(XATTR_LIST_MAX);
    ssize_t got = raw ? host_listxattr(fd, raw, XATTR_LIST_MAX) : -ENOMEM;
    host_fd_put(n);
    size_t out = 0;
    for (ssize_t at = 0; at < got;) {
        size_t len = strnlen(raw + at, (size_t)(got - at));
        if (len == (size_t)(got - at))
            break;
        bool wanted = str_starts(raw + at, "user.");
        if (wanted && size && out + len + 1 > size) {
            got = -ERANGE;
            break;
        }
        if (wanted && size)
            memcpy(buffer + out, raw + at, len + 1);
        if (wanted)
            out += len + 1;
        at += (ssize_t)len + 1;
    }
    kfree(raw);
    return got < 0 ? got : (ssize_t)out;
}
