/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that change attributes: chmod, chown, utimes, extended attributes. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/notify.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "syscall/syscall.h"

static int writable(const struct path *p)
{
    return mount_rdonly(p->mount) || (path_inode(p)->sb->flags & SUPER_RDONLY) ? -EROFS : 0;
}

static int change_path(const struct path *p, const struct attr_change *change)
{
    int r = inode_setattr(path_inode(p), change);
    if (r == 0)
        notify_setattr(p->dentry, change->mask);
    return r;
}

static int chmod_path(const struct path *p, uint32_t mode)
{
    struct inode *i = path_inode(p);
    const struct cred *c = fs_cred();
    struct attr_change change = {.mask = ATTR_MODE, .mode = mode & 07777};
    int r = writable(p);
    if (r < 0)
        return r;
    if (!inode_owner_or_root(i, c))
        return -EPERM;
    if (inode_is_link(i))
        return -EOPNOTSUPP;
    if (!cred_can(c, CAP_FSETID) && !cred_in_group(c, i->gid))
        change.mode &= ~S_ISGID;
    return change_path(p, &change);
}

/* A path of an *at call, or the descriptor itself. */
static int at_path(int dirfd, uaddr_t path, int flags, struct path *out)
{
    uint32_t how = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    if (flags & AT_EMPTY_PATH)
        how |= WALK_EMPTY;
    return path_walk_user(dirfd, path, how, out);
}

int64_t sys_fchmodat2(int dirfd, uaddr_t path, uint32_t mode, int flags)
{
    struct path p;
    if (flags & ~(int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = at_path(dirfd, path, flags, &p);
    if (r < 0)
        return r;
    r = chmod_path(&p, mode);
    path_put(&p);
    return r;
}

int64_t sys_fchmodat(int dirfd, uaddr_t path, uint32_t mode)
{
    return sys_fchmodat2(dirfd, path, mode, 0);
}

int64_t sys_chmod(uaddr_t path, uint32_t mode)
{
    return sys_fchmodat2(AT_FDCWD, path, mode, 0);
}

int64_t sys_fchmod(int fd, uint32_t mode)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = chmod_path(&f->path, mode);
    file_put(f);
    return r;
}

static int chown_path(const struct path *p, uint32_t uid, uint32_t gid)
{
    struct inode *i = path_inode(p);
    const struct cred *c = fs_cred();
    struct attr_change change = {.uid = uid, .gid = gid};
    int r = writable(p);
    if (r < 0)
        return r;
    bool owner = c->fsuid == i->uid;
    if (uid != UINT32_MAX && !cred_can(c, CAP_CHOWN) && !(owner && uid == i->uid))
        return -EPERM;
    if (gid != UINT32_MAX && !cred_can(c, CAP_CHOWN) &&
        !(owner && (gid == i->gid || cred_in_group(c, gid))))
        return -EPERM;
    if (uid != UINT32_MAX)
        change.mask |= ATTR_UID;
    if (gid != UINT32_MAX)
        change.mask |= ATTR_GID;
    uint32_t kill = inode_is_dir(i) ? 0 : inode_suid_bits(i, c);
    if (kill && !inode_owner_or_root(i, c))
        return -EPERM;
    if (kill) {
        change.mask |= ATTR_MODE;
        change.mode = i->mode & ~kill;
    }
    return change_path(p, &change);
}

int64_t sys_fchownat(int dirfd, uaddr_t path, uint32_t uid, uint32_t gid, int flags)
{
    struct path p;
    if (flags & ~(int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = at_path(dirfd, path, flags, &p);
    if (r < 0)
        return r;
    r = chown_path(&p, uid, gid);
    path_put(&p);
    return r;
}

int64_t sys_chown(uaddr_t path, uint32_t uid, uint32_t gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

int64_t sys_lchown(uaddr_t path, uint32_t uid, uint32_t gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchown(int fd, uint32_t uid, uint32_t gid)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = chown_path(&f->path, uid, gid);
    file_put(f);
    return r;
}

/* ---- times ---- */

/* times[i].nsec may be UTIME_NOW or UTIME_OMIT; NULL: both now. */
static int touch_path(const struct path *p, const struct timespec64 *times)
{
    static const struct timespec64 now2[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    struct inode *i = path_inode(p);
    const struct cred *c = fs_cred();
    struct attr_change change = {0};
    if (!times)
        times = now2;
    bool both_now = times[0].nsec == UTIME_NOW && times[1].nsec == UTIME_NOW;
    if (times[0].nsec == UTIME_OMIT && times[1].nsec == UTIME_OMIT)
        return 0;
    int r = writable(p);
    if (r < 0)
        return r;
    if (!inode_owner_or_root(i, c)) {
        if (!both_now)
            return -EPERM;
        r = inode_permission(i, c, W_OK);
        if (r < 0)
            return r;
    }
    struct timespec64 now = fs_now();
    if (times[0].nsec != UTIME_OMIT) {
        change.mask |= ATTR_ATIME;
        change.atime = times[0].nsec == UTIME_NOW ? now : times[0];
    }
    if (times[1].nsec != UTIME_OMIT) {
        change.mask |= ATTR_MTIME;
        change.mtime = times[1].nsec == UTIME_NOW ? now : times[1];
    }
    return change_path(p, &change);
}

static int touch_fd(int fd, const struct timespec64 *times)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = touch_path(&f->path, times);
    file_put(f);
    return r;
}

static int touch_at(int dirfd, uaddr_t path, const struct timespec64 *times, int flags)
{
    struct path p;
    if (!path && dirfd != AT_FDCWD)
        return flags ? -EINVAL : touch_fd(dirfd, times);
    int r = at_path(dirfd, path, flags, &p);
    if (r < 0)
        return r;
    r = touch_path(&p, times);
    path_put(&p);
    return r;
}

static bool nsec_valid(int64_t nsec)
{
    return (nsec >= 0 && nsec < 1000000000) || nsec == UTIME_NOW || nsec == UTIME_OMIT;
}

int64_t sys_utimensat(int dirfd, uaddr_t path, uaddr_t times, int flags)
{
    struct timespec64 t[2];
    if (flags & ~(int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (times && copy_from_user(t, times, sizeof(t)) < 0)
        return -EFAULT;
    if (times && (!nsec_valid(t[0].nsec) || !nsec_valid(t[1].nsec)))
        return -EINVAL;
    return touch_at(dirfd, path, times ? t : NULL, flags);
}

int64_t sys_futimesat(int dirfd, uaddr_t path, uaddr_t times)
{
    struct timespec64 t[2]; /* struct timeval has the same shape */
    if (times && copy_from_user(t, times, sizeof(t)) < 0)
        return -EFAULT;
    for (int i = 0; i < 2 && times; i++) {
        if (t[i].nsec < 0 || t[i].nsec >= 1000000)
            return -EINVAL;
        t[i].nsec *= 1000;
    }
    return touch_at(dirfd, path, times ? t : NULL, 0);
}

int64_t sys_utimes(uaddr_t path, uaddr_t times)
{
    return sys_futimesat(AT_FDCWD, path, times);
}

int64_t sys_utime(uaddr_t path, uaddr_t times)
{
    struct timespec64 t[2] = {{0}};
    int64_t seconds[2];
    if (times && copy_from_user(seconds, times, sizeof(seconds)) < 0)
        return -EFAULT;
    if (times) {
        t[0].sec = seconds[0];
        t[1].sec = seconds[1];
    }
    return touch_at(AT_FDCWD, path, times ? t : NULL, 0);
}

/* ---- extended attributes ---- */

enum xattr_op { XATTR_GET, XATTR_SET, XATTR_LIST, XATTR_REMOVE };

struct xattr_call {
    enum xattr_op op;
    uaddr_t name, value;
    uint64_t size;
    int flags;
};

static int name_allowed(const struct inode *i, const char *name, bool change)
{
    const struct cred *c = fs_cred();
    if (str_starts(name, "user.")) {
        if (!inode_is_reg(i) && !inode_is_dir(i))
            return change ? -EPERM : -ENODATA;
        if (change && inode_is_dir(i) && (i->mode & S_ISVTX) && !inode_owner_or_root(i, c))
            return -EPERM;
        return inode_permission(i, c, change ? W_OK : R_OK);
    }
    if (str_starts(name, "trusted."))
        return cred_can(c, CAP_SYS_ADMIN) ? 0 : change ? -EPERM : -ENODATA;
    if (str_starts(name, "security."))
        return change && !cred_can(c, CAP_SYS_ADMIN) ? -EPERM : 0;
    if (str_starts(name, "system."))
        return 0;
    int r = inode_permission(i, c, change ? W_OK : R_OK);
    return r < 0 ? r : -EOPNOTSUPP;
}

static int64_t xattr_get(struct inode *i, const char *name, const struct xattr_call *call)
{
    size_t size = (size_t)MIN(call->size, (uint64_t)XATTR_SIZE_MAX);
    if (!i->ops->getxattr)
        return -EOPNOTSUPP;
    char *buffer = kmalloc(MAX(size, (size_t)1));
    if (!buffer)
        return -ENOMEM;
    int64_t r = i->ops->getxattr(i, name, buffer, size);
    if (r > 0 && size && copy_to_user(call->value, buffer, (size_t)r) < 0)
        r = -EFAULT;
    kfree(buffer);
    return r;
}

static int64_t xattr_set(struct inode *i, const char *name, const struct xattr_call *call)
{
    if (call->flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (call->size > XATTR_SIZE_MAX)
        return -E2BIG;
    if (!i->ops->setxattr)
        return -EOPNOTSUPP;
    char *buffer = NULL;
    if (call->op == XATTR_SET) {
        buffer = kmalloc(MAX(call->size, (uint64_t)1));
        if (!buffer)
            return -ENOMEM;
        if (copy_from_user(buffer, call->value, call->size) < 0) {
            kfree(buffer);
            return -EFAULT;
        }
    }
    mutex_lock(&i->lock);
    int r = i->ops->setxattr(i, name, buffer, call->size, call->flags);
    mutex_unlock(&i->lock);
    kfree(buffer);
    return r;
}

static int64_t xattr_list(struct inode *i, const struct xattr_call *call)
{
    size_t size = (size_t)MIN(call->size, (uint64_t)XATTR_LIST_MAX);
    if (!i->ops->listxattr)
        return 0;
    char *buffer = kmalloc(MAX(size, (size_t)1));
    if (!buffer)
        return -ENOMEM;
    int64_t r = i->ops->listxattr(i, buffer, size);
    if (r > 0 && size && copy_to_user(call->name, buffer, (size_t)r) < 0)
        r = -EFAULT;
    kfree(buffer);
    return r;
}

static int64_t xattr_on(const struct path *p, const struct xattr_call *call)
{
    struct inode *i = path_inode(p);
    bool change = call->op == XATTR_SET || call->op == XATTR_REMOVE;
    if (call->op == XATTR_LIST)
        return xattr_list(i, call);
    char *name;
    int64_t r = strdup_from_user(call->name, XATTR_NAME_MAX + 1, &name);
    if (r == -ENAMETOOLONG || (r >= 0 && *name == 0)) {
        if (r >= 0)
            kfree(name);
        return -ERANGE;
    }
    if (r < 0)
        return r;
    r = change ? writable(p) : 0;
    if (r == 0)
        r = name_allowed(i, name, change);
    if (r == 0)
        r = change ? xattr_set(i, name, call) : xattr_get(i, name, call);
    if (r == 0 && change)
        notify_dentry(p->dentry, IN_ATTRIB);
    kfree(name);
    return r;
}

static int64_t xattr_path(uaddr_t path, bool follow, const struct xattr_call *call)
{
    struct path p;
    int r = path_walk_user(AT_FDCWD, path, follow ? WALK_FOLLOW : 0, &p);
    if (r < 0)
        return r;
    int64_t n = xattr_on(&p, call);
    path_put(&p);
    return n;
}

static int64_t xattr_fd(int fd, const struct xattr_call *call)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int64_t n = xattr_on(&f->path, call);
    file_put(f);
    return n;
}

int64_t sys_getxattr(uaddr_t path, uaddr_t name, uaddr_t value, uint64_t size)
{
    return xattr_path(path, true, &(struct xattr_call){XATTR_GET, name, value, size, 0});
}

int64_t sys_lgetxattr(uaddr_t path, uaddr_t name, uaddr_t value, uint64_t size)
{
    return xattr_path(path, false, &(struct xattr_call){XATTR_GET, name, value, size, 0});
}

int64_t sys_fgetxattr(int fd, uaddr_t name, uaddr_t value, uint64_t size)
{
    return xattr_fd(fd, &(struct xattr_call){XATTR_GET, name, value, size, 0});
}

int64_t sys_setxattr(uaddr_t path, uaddr_t name, uaddr_t value, uint64_t size, int flags)
{
    return xattr_path(path, true, &(struct xattr_call){XATTR_SET, name, value, size, flags});
}

int64_t sys_lsetxattr(uaddr_t path, uaddr_t name, uaddr_t value, uint64_t size, int flags)
{
    return xattr_path(path, false, &(struct xattr_call){XATTR_SET, name, value, size, flags});
}

int64_t sys_fsetxattr(int fd, uaddr_t name, uaddr_t value, uint64_t size, int flags)
{
    return xattr_fd(fd, &(struct xattr_call){XATTR_SET, name, value, size, flags});
}

int64_t sys_listxattr(uaddr_t path, uaddr_t list, uint64_t size)
{
    return xattr_path(path, true, &(struct xattr_call){XATTR_LIST, list, 0, size, 0});
}

int64_t sys_llistxattr(uaddr_t path, uaddr_t list, uint64_t size)
{
    return xattr_path(path, false, &(struct xattr_call){XATTR_LIST, list, 0, size, 0});
}

int64_t sys_flistxattr(int fd, uaddr_t list, uint64_t size)
{
    return xattr_fd(fd, &(struct xattr_call){XATTR_LIST, list, 0, size, 0});
}

int64_t sys_removexattr(uaddr_t path, uaddr_t name)
{
    return xattr_path(path, true, &(struct xattr_call){XATTR_REMOVE, name, 0, 0, 0});
}

int64_t sys_lremovexattr(uaddr_t path, uaddr_t name)
{
    return xattr_path(path, false, &(struct xattr_call){XATTR_REMOVE, name, 0, 0, 0});
}

int64_t sys_fremovexattr(int fd, uaddr_t name)
{
    return xattr_fd(fd, &(struct xattr_call){XATTR_REMOVE, name, 0, 0, 0});
}
