/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls on descriptors and on the context: open, close, dup, fcntl, chdir. */
#include "abi/errno.h"
#include "abi/poll.h"
#include "fs/core/fd.h"
#include "fs/core/lock.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "syscall/syscall.h"

static int64_t do_open(int dirfd, uaddr_t path, const struct abi_open_how *how)
{
    char *name;
    struct file *f;
    int r = strdup_from_user(path, PATH_MAX, &name);
    if (r < 0)
        return r;
    int fd = fd_reserve(0);
    if (fd < 0) {
        kfree(name);
        return fd;
    }
    r = file_open(dirfd, name, (uint32_t)how->flags, (uint32_t)how->mode,
                  (uint32_t)how->resolve, &f);
    kfree(name);
    if (r < 0) {
        fd_unreserve(fd);
        return r;
    }
    fd_install(fd, f, how->flags & O_CLOEXEC);
    return fd;
}

#define OPEN_KNOWN                                                                             \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |      \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |     \
     O_PATH | O_TMPFILE_BIT)

int64_t sys_openat(int dirfd, uaddr_t path, uint32_t flags, uint32_t mode)
{
    struct abi_open_how how = {flags & OPEN_KNOWN, mode, 0};
    return do_open(dirfd, path, &how);
}

int64_t sys_open(uaddr_t path, uint32_t flags, uint32_t mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

int64_t sys_creat(uaddr_t path, uint32_t mode)
{
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* The known part, and nothing but zeros behind it: openat2(2)'s way to grow. */
static int get_open_how(uaddr_t at, uint64_t size, struct abi_open_how *how)
{
    if (size < sizeof(*how))
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (copy_from_user(how, at, sizeof(*how)) < 0)
        return -EFAULT;
    for (uint64_t i = sizeof(*how); i < size; i++) {
        uint8_t byte;
        if (get_user(&byte, at + i) < 0)
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    return 0;
}

int64_t sys_openat2(int dirfd, uaddr_t path, uaddr_t at, uint64_t size)
{
    struct abi_open_how how;
    int r = get_open_how(at, size, &how);
    if (r < 0)
        return r;
    bool makes = how.flags & (O_CREAT | O_TMPFILE_BIT);
    if ((how.flags & ~(uint64_t)OPEN_KNOWN) || (how.mode & ~07777ull) || (how.mode && !makes))
        return -EINVAL;
    if (how.resolve & ~0x3full)
        return -EINVAL;
    if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
        return -EINVAL;
    if ((how.flags & O_PATH) &&
        (how.flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
        return -EINVAL;
    if (how.resolve & RESOLVE_CACHED)
        return -EAGAIN; /* the caller then asks again without it */
    return do_open(dirfd, path, &how);
}

int64_t sys_close(int fd)
{
    return fd_close(fd);
}

int64_t sys_close_range(uint32_t first, uint32_t last, uint32_t flags)
{
    if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        struct fd_table *own, *shared = current->files;
        int r = fd_table_clone(shared, &own);
        if (r < 0)
            return r;
        current->files = own;
        fd_table_put(shared);
    }
    return fd_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
}

int64_t sys_dup(int fd)
{
    struct file *f = fd_file_any(fd);
    return f ? fd_add(f, false) : -EBADF;
}

static int64_t dup_to(int fd, int to, bool cloexec)
{
    struct file *f = fd_file_any(fd);
    if (!f)
        return -EBADF;
    return fd_replace(to, f, cloexec);
}

int64_t sys_dup2(int fd, int to)
{
    if (fd == to) {
        struct file *f = fd_file_any(fd);
        file_put(f);
        return f ? fd : -EBADF;
    }
    return dup_to(fd, to, false);
}

int64_t sys_dup3(int fd, int to, uint32_t flags)
{
    if ((flags & ~O_CLOEXEC) || fd == to)
        return -EINVAL;
    return dup_to(fd, to, flags & O_CLOEXEC);
}

static int64_t dup_from(struct file *f, uint64_t min, bool cloexec)
{
    if (min >= fs_rlimit(FS_RLIMIT_NOFILE) || min > INT32_MAX)
        return -EINVAL;
    int fd = fd_reserve((int)min);
    if (fd >= 0)
        fd_install(fd, file_get(f), cloexec);
    return fd;
}

#define SETTABLE (O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK)

static int64_t set_flags(struct file *f, int fd, uint32_t flags)
{
    if (((flags ^ f->flags) & O_ASYNC) && f->ops->poll) {
        int r = sigio_set(f, fd, flags & O_ASYNC);
        if (r < 0)
            return r;
    }
    if ((flags & O_NOATIME) && !(f->flags & O_NOATIME) &&
        !inode_owner_or_root(f->inode, fs_cred()))
        return -EPERM;
    uint32_t old = atomic_load(&f->flags);
    while (
        !atomic_compare_exchange_weak(&f->flags, &old, (old & ~SETTABLE) | (flags & SETTABLE)))
        ;
    return 0;
}

static int64_t record_lock(struct file *f, int command, uaddr_t arg)
{
    struct abi_flock l;
    bool ofd = command >= F_OFD_GETLK && command <= F_OFD_SETLKW;
    if (copy_from_user(&l, arg, sizeof(l)) < 0)
        return -EFAULT;
    if (command == F_GETLK || command == F_OFD_GETLK) {
        int r = file_record_test(f, &l, ofd);
        return r < 0 ? r : copy_to_user(arg, &l, sizeof(l));
    }
    return file_record_lock(f, &l, ofd, command == F_SETLKW || command == F_OFD_SETLKW);
}

static int64_t owner_extended(struct file *f, bool set, uaddr_t arg)
{
    struct abi_owner o = {F_OWNER_PID, f->owner_pid};
    if (!set) {
        if (o.pid < 0)
            o = (struct abi_owner){F_OWNER_PGRP, -o.pid};
        else if (f->owner_thread)
            o.type = F_OWNER_TID;
        return copy_to_user(arg, &o, sizeof(o));
    }
    if (get_user(&o, arg) < 0)
        return -EFAULT;
    if (o.type < F_OWNER_TID || o.type > F_OWNER_PGRP)
        return -EINVAL;
    f->owner_pid = o.type == F_OWNER_PGRP ? -o.pid : o.pid;
    f->owner_thread = o.type == F_OWNER_TID;
    return 0;
}

static int64_t owner_control(struct file *f, int command, uint64_t arg)
{
    switch (command) {
    case F_SETOWN_EX:
    case F_GETOWN_EX:
        return owner_extended(f, command == F_SETOWN_EX, arg);
    case F_SETOWN:
        f->owner_pid = (int)arg;
        f->owner_thread = false;
        return 0;
    case F_GETOWN:
        return f->owner_pid;
    case F_SETSIG:
        if (arg > 64)
            return -EINVAL;
        f->owner_sig = (int)arg;
        return 0;
    default:
        return f->owner_sig;
    }
}

static int64_t file_control(struct file *f, int fd, int command, uint64_t arg)
{
    switch (command) {
    case F_SETFL:
        return set_flags(f, fd, (uint32_t)arg);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return record_lock(f, command, arg);
    case F_SETOWN:
    case F_GETOWN:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
    case F_SETSIG:
    case F_GETSIG:
        return owner_control(f, command, arg);
    case F_GETLEASE:
        return F_UNLCK;
    case F_SETLEASE: /* as where fs.leases-enable and fs.dir-notify-enable are 0 */
    case F_NOTIFY:
        return -EINVAL;
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
        return f->ops->fcntl ? f->ops->fcntl(f, command, arg) : -EBADF;
    default:
        return f->ops->fcntl ? f->ops->fcntl(f, command, arg) : -EINVAL;
    }
}

int64_t sys_fcntl(int fd, int command, uint64_t arg)
{
    struct file *f = fd_file_any(fd);
    int64_t r;
    if (!f)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        r = dup_from(f, arg, command == F_DUPFD_CLOEXEC);
        break;
    case F_GETFD:
        r = fd_get_cloexec(fd);
        break;
    case F_SETFD:
        r = fd_set_cloexec(fd, arg & FD_CLOEXEC);
        break;
    case F_GETFL:
        r = atomic_load(&f->flags);
        break;
    default:
        r = f->flags & O_PATH ? -EBADF : file_control(f, fd, command, arg);
        break;
    }
    file_put(f);
    return r;
}

int64_t sys_flock(int fd, int operation)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = file_flock(f, operation);
    file_put(f);
    return r;
}

static int64_t set_nonblock(struct file *f, uaddr_t arg)
{
    int32_t on;
    if (get_user(&on, arg) < 0)
        return -EFAULT;
    if (on)
        atomic_fetch_or(&f->flags, O_NONBLOCK);
    else
        atomic_fetch_and(&f->flags, ~O_NONBLOCK);
    return 0;
}

static int64_t set_async(struct file *f, int fd, uaddr_t arg)
{
    int32_t on;
    if (get_user(&on, arg) < 0)
        return -EFAULT;
    return sigio_set(f, fd, on != 0);
}

static int64_t bytes_left(struct file *f, uaddr_t arg)
{
    int64_t left = (int64_t)f->inode->size - (int64_t)f->pos;
    return put_user(arg, (int32_t)MAX(left, (int64_t)0));
}

int64_t sys_ioctl(int fd, uint32_t request, uint64_t arg)
{
    struct file *f = fd_file(fd);
    int64_t r;
    if (!f)
        return -EBADF;
    switch (request) {
    case FIOCLEX:
    case FIONCLEX:
        r = fd_set_cloexec(fd, request == FIOCLEX);
        break;
    case FIONBIO:
        r = set_nonblock(f, arg);
        break;
    case FIOASYNC:
        r = set_async(f, fd, arg);
        break;
    case FIONREAD:
        if (inode_is_reg(f->inode)) {
            r = bytes_left(f, arg);
            break;
        }
        /* fall through */
    default:
        r = f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
        break;
    }
    file_put(f);
    return r;
}

int64_t sys_umask(uint32_t mask)
{
    return atomic_exchange(&current->fs->umask, mask & 0777);
}

static int may_enter(const struct path *p)
{
    if (!inode_is_dir(path_inode(p)))
        return -ENOTDIR;
    return inode_permission(path_inode(p), fs_cred(), X_OK);
}

int64_t sys_chdir(uaddr_t path)
{
    struct path p;
    int r = path_walk_user(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (r < 0)
        return r;
    r = may_enter(&p);
    if (r == 0)
        fs_context_set_cwd(current->fs, &p);
    path_put(&p);
    return r;
}

int64_t sys_fchdir(int fd)
{
    struct file *f = fd_file_any(fd);
    if (!f)
        return -EBADF;
    int r = may_enter(&f->path);
    if (r == 0)
        fs_context_set_cwd(current->fs, &f->path);
    file_put(f);
    return r;
}

int64_t sys_chroot(uaddr_t path)
{
    struct path p;
    int r = path_walk_user(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (r < 0)
        return r;
    r = may_enter(&p);
    if (r == 0 && !cred_can(fs_cred(), CAP_SYS_CHROOT))
        r = -EPERM;
    if (r == 0)
        fs_context_set_root(current->fs, &p);
    path_put(&p);
    return r;
}

int64_t sys_getcwd(uaddr_t buffer, uint64_t size)
{
    static const char outside[] = "(unreachable)";
    struct path cwd, root;
    uint32_t flags;
    char *text = kmalloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    fs_context_cwd(current->fs, &cwd);
    fs_current_root(&root);
    size_t skip = sizeof(outside) - 1;
    memcpy(text, outside, skip);
    int64_t r = path_text_from(&cwd, &root, text + skip, PATH_MAX - skip, &flags);
    path_put(&cwd);
    path_put(&root);
    if (r == -ERANGE)
        r = -ENAMETOOLONG;
    if (r >= 0 && (flags & PATH_TEXT_DELETED))
        r = -ENOENT;
    if (r >= 0 && (flags & PATH_TEXT_UNREACHABLE)) {
        r += (int64_t)skip;
        skip = 0;
    }
    if (r >= 0 && (uint64_t)r + 1 > size)
        r = -ERANGE;
    if (r >= 0)
        r = copy_to_user(buffer, text + skip, (size_t)r + 1) < 0 ? -EFAULT : r + 1;
    kfree(text);
    return r;
}
