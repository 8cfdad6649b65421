/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that move data: read, write and their vectored and positioned forms, seeking. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/layer.h"
#include "fs/core/notify.h"
#include "mm/iter.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "signal/signal.h"
#include "syscall/syscall.h"

/* One transfer. position: NULL, or where (then the file must be seekable). */
static int64_t transfer(int fd, struct iter *it, uint64_t *position, bool write)
{
    struct file *f = fd_file(fd);
    int64_t r;
    if (!f)
        return -EBADF;
    if (position && (f->state & FILE_STREAM))
        r = -ESPIPE;
    else if (write)
        r = file_write(f, it, position);
    else
        r = file_read(f, it, position);
    file_put(f);
    return r;
}

static int64_t transfer_buffer(int fd, uaddr_t buffer, uint64_t count, uint64_t *position,
                               bool write)
{
    struct iter it;
    if ((int64_t)count < 0)
        return -EINVAL;
    if (!user_range_ok(buffer, count)) {
        struct file *f = fd_file(fd); /* a bad descriptor counts first */
        file_put(f);
        return f ? -EFAULT : -EBADF;
    }
    iter_user(&it, buffer, MIN(count, ITER_MAX_BYTES));
    return transfer(fd, &it, position, write);
}

int64_t sys_read(int fd, uaddr_t buffer, uint64_t count)
{
    return transfer_buffer(fd, buffer, count, NULL, false);
}

int64_t sys_write(int fd, uaddr_t buffer, uint64_t count)
{
    return transfer_buffer(fd, buffer, count, NULL, true);
}

int64_t sys_pread64(int fd, uaddr_t buffer, uint64_t count, int64_t offset)
{
    uint64_t position = (uint64_t)offset;
    return offset < 0 ? -EINVAL : transfer_buffer(fd, buffer, count, &position, false);
}

int64_t sys_pwrite64(int fd, uaddr_t buffer, uint64_t count, int64_t offset)
{
    uint64_t position = (uint64_t)offset;
    return offset < 0 ? -EINVAL : transfer_buffer(fd, buffer, count, &position, true);
}

static int64_t transfer_vector(int fd, uaddr_t iov, uint64_t count, uint64_t *position,
                               bool write)
{
    struct iter it;
    struct iter_segment *segments;
    struct file *f = fd_file(fd);
    file_put(f);
    if (!f)
        return -EBADF;
    int r = iter_user_vector(&it, iov, count, &segments);
    if (r < 0)
        return r;
    int64_t n = transfer(fd, &it, position, write);
    kfree(segments);
    return n;
}

int64_t sys_readv(int fd, uaddr_t iov, uint64_t count)
{
    return transfer_vector(fd, iov, count, NULL, false);
}

int64_t sys_writev(int fd, uaddr_t iov, uint64_t count)
{
    return transfer_vector(fd, iov, count, NULL, true);
}

int64_t sys_preadv(int fd, uaddr_t iov, uint64_t count, int64_t low, int64_t high)
{
    uint64_t position = (uint64_t)low;
    (void)high; /* 64-bit offsets fit into the first */
    return low < 0 ? -EINVAL : transfer_vector(fd, iov, count, &position, false);
}

int64_t sys_pwritev(int fd, uaddr_t iov, uint64_t count, int64_t low, int64_t high)
{
    uint64_t position = (uint64_t)low;
    (void)high;
    return low < 0 ? -EINVAL : transfer_vector(fd, iov, count, &position, true);
}

/* What a flagged transfer works on: the file as it is, or opened once more to append. */
static int flagged_file(int fd, int flags, bool write, struct file **out)
{
    static const int known = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;
    struct file *f = fd_file(fd), *again;
    int r = !f ? -EBADF : flags & ~known ? -EOPNOTSUPP : 0;
    bool nowait = flags & RWF_NOWAIT;
    if (r == 0 && nowait && (f->state & FILE_STREAM)) {
        uint32_t ready = file_poll(f, NULL);
        r = ready & ((write ? POLLOUT : POLLIN) | POLL_ALWAYS) ? 0 : -EAGAIN;
    } else if (r == 0 && nowait && (write || !f->inode->cache.keep)) {
        r = -EOPNOTSUPP; /* LIMIT: only what is always in memory never waits */
    }
    if (r == 0 && write && (flags & RWF_APPEND) && inode_is_reg(f->inode) &&
        (f->state & FILE_WRITE)) {
        r = layer_open(f->path.mount, f->path.dentry, O_WRONLY | O_APPEND, &again);
        if (r == 0) {
            file_put(f);
            f = again;
        }
    }
    if (r < 0)
        file_put(f);
    else
        *out = f;
    return r;
}

/* As Linux, an appending write leaves its file's position at its end. */
static int64_t flagged_write(int fd, struct file *f, struct iter *it, uint64_t *pos, int flags)
{
    struct file *own = fd_file(fd);
    bool appends = own && own != f;
    if (appends && pos == NULL) {
        mutex_lock(&own->pos_lock);
        int64_t r = file_write(f, it, &own->pos);
        mutex_unlock(&own->pos_lock);
        file_put(own);
        return r;
    }
    int64_t r = file_write(f, it, pos);
    if (r > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) && f->ops->fsync) {
        int synced = f->ops->fsync(f, !(flags & RWF_SYNC));
        r = synced < 0 ? synced : r;
    }
    file_put(own);
    return r;
}

static int64_t flagged(int fd, uaddr_t iov, uint64_t count, int64_t offset, int flags,
                       bool write)
{
    struct iter it;
    struct iter_segment *segments;
    struct file *f;
    uint64_t position = (uint64_t)offset, *pos = offset == -1 ? NULL : &position;
    if (offset < -1)
        return -EINVAL;
    int64_t r = flagged_file(fd, flags, write, &f);
    if (r < 0)
        return r;
    if (pos && (f->state & FILE_STREAM))
        r = -ESPIPE;
    else
        r = iter_user_vector(&it, iov, count, &segments);
    if (r == 0) {
        r = write ? flagged_write(fd, f, &it, pos, flags) : file_read(f, &it, pos);
        kfree(segments);
    }
    file_put(f);
    return r;
}

int64_t sys_preadv2(int fd, uaddr_t iov, uint64_t count, int64_t low, int64_t high, int flags)
{
    (void)high;
    return flagged(fd, iov, count, low, flags, false);
}

int64_t sys_pwritev2(int fd, uaddr_t iov, uint64_t count, int64_t low, int64_t high, int flags)
{
    (void)high;
    return flagged(fd, iov, count, low, flags, true);
}

int64_t sys_lseek(int fd, int64_t offset, int whence)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int64_t r =
        whence < SEEK_SET || whence > SEEK_HOLE ? -EINVAL : file_seek(f, offset, whence);
    file_put(f);
    return r;
}

int64_t sys_truncate(uaddr_t path, int64_t size)
{
    struct path p;
    if (size < 0)
        return -EINVAL;
    int r = path_walk_user(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    r = path_truncate(&p, (uint64_t)size);
    path_put(&p);
    return r;
}

int64_t sys_ftruncate(int fd, int64_t size)
{
    if (size < 0)
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = file_truncate(f, (uint64_t)size);
    file_put(f);
    return r;
}

static int check_fallocate(struct file *f, int mode, int64_t offset, int64_t size)
{
    int64_t end;
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    if (offset < 0 || size <= 0)
        return -EINVAL;
    switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_ZERO_RANGE:
        break;
    case FALLOC_FL_PUNCH_HOLE:
        if (!keep)
            return -EOPNOTSUPP;
        break;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
        if (keep)
            return -EOPNOTSUPP;
        break;
    default:
        return -EOPNOTSUPP;
    }
    if (!(f->state & FILE_WRITE))
        return -EBADF;
    if (f->state & FILE_STREAM)
        return -ESPIPE;
    if (inode_is_dir(f->inode))
        return -EISDIR;
    if (!inode_is_reg(f->inode))
        return -ENODEV;
    if (add_overflows(offset, size, &end))
        return -EFBIG;
    /* As on ext4, the other modes are not asked. */
    if (mode == 0 && (uint64_t)end > f->inode->size &&
        (uint64_t)end > fs_rlimit(FS_RLIMIT_FSIZE)) {
        signal_send_current(SIGXFSZ);
        return -EFBIG;
    }
    return f->ops->fallocate ? 0 : -EOPNOTSUPP;
}

int64_t sys_fallocate(int fd, int mode, int64_t offset, int64_t size)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    bool shifts = mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE);
    bool drops = shifts || mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    struct vm_object *o = atomic_load(&f->inode->mapped);
    int r = check_fallocate(f, mode, offset, size);
    if (r == 0 && drops) /* nothing of before is to be written back over it */
        r = vm_object_flush(o, shifts ? 0 : (uint64_t)offset,
                            shifts ? INT64_MAX : (uint64_t)size);
    if (r == 0) {
        mutex_lock(&f->inode->lock);
        r = f->ops->fallocate(f, (uint32_t)mode, (uint64_t)offset, (uint64_t)size);
        if (r == 0)
            inode_kill_suid(f->inode, fs_cred());
        mutex_unlock(&f->inode->lock);
        if (r == 0)
            notify_dentry(f->path.dentry, IN_MODIFY);
        if (r == 0 && drops)
            vm_object_drop(o, (uint64_t)offset, shifts ? UINT64_MAX : (uint64_t)size);
    }
    file_put(f);
    return r;
}

static int64_t sync_file(int fd, bool data_only)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r =
        f->ops->fsync ? vm_object_flush(atomic_load(&f->inode->mapped), 0, INT64_MAX) : -EINVAL;
    if (r == 0)
        r = f->ops->fsync(f, data_only);
    file_put(f);
    return r;
}

int64_t sys_fsync(int fd)
{
    return sync_file(fd, false);
}

int64_t sys_fdatasync(int fd)
{
    return sync_file(fd, true);
}

int64_t sys_sync_file_range(int fd, int64_t offset, int64_t size, uint32_t flags)
{
    if (offset < 0 || size < 0 || (flags & ~7u))
        return -EINVAL;
    struct file *f = fd_file(fd);
    bool stream = f && (f->state & FILE_STREAM);
    file_put(f);
    if (!f || stream)
        return f ? -ESPIPE : -EBADF;
    return sync_file(fd, true);
}

int64_t sys_sync(void)
{
    mount_sync_all();
    return 0;
}

int64_t sys_syncfs(int fd)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    struct super *sb = f->inode->sb;
    int r = sb->ops->sync ? sb->ops->sync(sb) : 0;
    file_put(f);
    return r;
}

int64_t sys_fadvise64(int fd, int64_t offset, int64_t size, int advice)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    bool stream = f->state & FILE_STREAM;
    int r = stream ? -ESPIPE : size < 0 || advice < 0 || advice > 5 ? -EINVAL : 0;
    if (r == 0 && advice == POSIX_FADV_DONTNEED && offset >= 0 && inode_is_reg(f->inode))
        cache_forget(&f->inode->cache, (uint64_t)offset,
                     size ? (uint64_t)size : (uint64_t)INT64_MAX - (uint64_t)offset);
    file_put(f);
    return r;
}

int64_t sys_readahead(int fd, int64_t offset, uint64_t count)
{
    struct file *f = fd_file(fd);
    (void)offset;
    (void)count;
    if (!f)
        return -EBADF;
    bool ok = (f->state & FILE_READ) && inode_is_reg(f->inode);
    bool readable = f->state & FILE_READ;
    file_put(f);
    return ok ? 0 : readable ? -EINVAL : -EBADF;
}
