/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control calls for files and terminals. Inputs go out through the vCPU's bounce area: a
 * path at 0, a second one at HOST_PATH_BYTES, data at HOST_SYNC_DATA. Every answer is bounded
 * by what was asked. What a hostile answer could do stands beside each call in
 * boundary/hostcalls.h.
 */
#include "enclave/host.h"

#include <stdatomic.h>

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/hostcall.h"
#include "lib/log.h"
#include "lib/string.h"

#define FD_MAX   (1 << 20)
#define DATA_MAX (HOST_SYNC_BYTES - HOST_SYNC_DATA)
#define IMAGE_MAPPED_MAX (1ul << 20)
#define IMAGE_AROUND     (64ul << 10) /* what Linux maps around a page that is touched */

/* The host's limits are not the program's: for it the system is full, and a line says why. */
int host_new_fd(int64_t r)
{
    static _Atomic bool told;

    if (r != -EMFILE && r != -ENFILE)
        return r < FD_MAX ? (int)r : -EIO;
    if (!atomic_exchange(&told, true))
        log_always("the host gives no more descriptors: %s",
                   r == -EMFILE ? "the limit of this process is reached (ulimit -n)"
                                : "the limit of the whole system is reached (fs.file-max)");
    return -ENFILE;
}

/* 0 or negative errno: anything else is a lie. */
static int plain(int64_t r)
{
    return r <= 0 ? (int)r : -EIO;
}

static ssize_t bounded(int64_t r, size_t max)
{
    return r <= (int64_t)max ? r : -EIO;
}

/* Copies a path out to slot 0 or 1. */
static int put_path(unsigned slot, const char *path, haddr_t *out)
{
    size_t size = strlen(path) + 1;

    if (size > HOST_PATH_MAX)
        return -ENAMETOOLONG;
    *out = host_sync_area() + slot * HOST_PATH_BYTES;
    host_copy_out(*out, path, size);
    return 0;
}

static haddr_t data_area(void)
{
    return host_sync_area() + HOST_SYNC_DATA;
}

int host_openat(int dirfd, const char *path, uint32_t flags, uint32_t mode, uint64_t resolve)
{
    haddr_t p;
    int e = put_path(0, path, &p);

    if (e)
        return e;
    int64_t r = hostcall(HOSTCALL_OPENAT, (uint64_t)dirfd, p, flags, mode, resolve, 0);
    return host_new_fd(r);
}

void host_close(int fd)
{
    (void)hostcall1(HOSTCALL_CLOSE, fd);
}

int host_statx(int dirfd, const char *path, uint32_t flags, struct abi_statx *out)
{
    haddr_t p;
    int e = put_path(0, path, &p);

    if (e)
        return e;
    int64_t r = hostcall(HOSTCALL_STATX, (uint64_t)dirfd, p, flags,
                         STATX_BASIC_STATS | STATX_BTIME, data_area(), 0);
    if (r)
        return plain(r);
    host_copy_in(out, data_area(), sizeof(*out));
    switch (out->stx_mode & S_IFMT) {
    case S_IFSOCK:
    case S_IFLNK:
    case S_IFREG:
    case S_IFBLK:
    case S_IFDIR:
    case S_IFCHR:
    case S_IFIFO:
        return 0;
    default:
        return -EIO;
    }
}

ssize_t host_getdents(int fd, void *buffer, size_t size)
{
    size = MIN(size, (size_t)DATA_MAX);
    ssize_t r = bounded(hostcall3(HOSTCALL_GETDENTS, fd, data_area(), size), size);
    if (r > 0)
        host_copy_in(buffer, data_area(), (size_t)r);
    return r;
}

ssize_t host_readlink(int dirfd, const char *path, char *buffer, size_t size)
{
    haddr_t p;
    int e = put_path(0, path, &p);

    if (e)
        return e;
    size = MIN(size, (size_t)HOST_PATH_MAX);
    ssize_t r =
        bounded(hostcall(HOSTCALL_READLINK, (uint64_t)dirfd, p, data_area(), size, 0, 0), size);
    if (r > 0)
        host_copy_in(buffer, data_area(), (size_t)r);
    return r;
}

/* One path, two numbers. */
static int path_call(enum hostcall_nr nr, int dirfd, const char *path, uint64_t a, uint64_t b)
{
    haddr_t p;
    int e = put_path(0, path, &p);

    return e ? e : plain(hostcall(nr, (uint64_t)dirfd, p, a, b, 0, 0));
}

int host_mkdir(int dirfd, const char *path, uint32_t mode)
{
    return path_call(HOSTCALL_MKDIR, dirfd, path, mode, 0);
}

int host_unlink(int dirfd, const char *path, uint32_t flags)
{
    return path_call(HOSTCALL_UNLINK, dirfd, path, flags, 0);
}

int host_mknod(int dirfd, const char *path, uint32_t mode, uint64_t dev)
{
    return path_call(HOSTCALL_MKNOD, dirfd, path, mode, dev);
}

static int two_path_call(enum hostcall_nr nr, int olddir, const char *old, int newdir,
                         const char *new, uint32_t flags)
{
    haddr_t p, q;
    int e = put_path(0, old, &p);

    if (!e)
        e = put_path(1, new, &q);
    return e ? e : plain(hostcall(nr, (uint64_t)olddir, p, (uint64_t)newdir, q, flags, 0));
}

int host_rename(int olddir, const char *old, int newdir, const char *new, uint32_t flags)
{
    return two_path_call(HOSTCALL_RENAME, olddir, old, newdir, new, flags);
}

int host_link(int olddir, const char *old, int newdir, const char *new, uint32_t flags)
{
    return two_path_call(HOSTCALL_LINK, olddir, old, newdir, new, flags);
}

int host_symlink(const char *target, int dirfd, const char *path)
{
    haddr_t p, q;
    int e = put_path(0, target, &p);

    if (!e)
        e = put_path(1, path, &q);
    return e ? e : plain(hostcall3(HOSTCALL_SYMLINK, p, dirfd, q));
}

int host_truncate(int fd, uint64_t length)
{
    return plain(hostcall2(HOSTCALL_TRUNCATE, fd, length));
}

/* In a bounce chunk; without one, or where it would wait, the ring must do it. */
ssize_t host_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    haddr_t chunk = pool_get();
    if (!chunk)
        return -EAGAIN;
    size = MIN(size, (size_t)POOL_CHUNK_BYTES);
    ssize_t r =
        bounded(hostcall(HOSTCALL_PREAD, (uint64_t)fd, chunk, size, offset, 0, 0), size);
    if (r > 0)
        host_copy_in(buffer, chunk, (size_t)r);
    pool_put(chunk);
    return r;
}

ssize_t host_pwrite(int fd, const void *buffer, size_t size, uint64_t offset)
{
    haddr_t chunk = pool_get();
    if (!chunk)
        return -EAGAIN;
    size = MIN(size, (size_t)POOL_CHUNK_BYTES);
    host_copy_out(chunk, buffer, size);
    ssize_t r =
        bounded(hostcall(HOSTCALL_PWRITE, (uint64_t)fd, chunk, size, offset, 0, 0), size);
    pool_put(chunk);
    return r;
}

int host_flush(int fd)
{
    return plain(hostcall1(HOSTCALL_FLUSH, fd));
}

int host_fallocate(int fd, uint32_t mode, uint64_t offset, uint64_t length)
{
    return plain(hostcall(HOSTCALL_FALLOCATE, (uint64_t)fd, mode, offset, length, 0, 0));
}

int64_t host_seek(int fd, int64_t offset, int whence)
{
    return hostcall3(HOSTCALL_SEEK, fd, offset, whence);
}

int host_chmod(int fd, uint32_t mode)
{
    return plain(hostcall2(HOSTCALL_CHMOD, fd, mode));
}

int host_chown(int fd, uint32_t uid, uint32_t gid)
{
    return plain(hostcall3(HOSTCALL_CHOWN, fd, uid, gid));
}

int host_utimens(int dirfd, const char *path, const struct timespec64 times[2], uint32_t flags)
{
    host_copy_out(data_area(), times, 2 * sizeof(times[0]));
    return path_call(HOSTCALL_UTIMENS, dirfd, path, data_area(), flags);
}

int host_statfs(int fd, struct abi_statfs *out)
{
    int64_t r = hostcall2(HOSTCALL_STATFS, fd, data_area());

    if (r == 0)
        host_copy_in(out, data_area(), sizeof(*out));
    return plain(r);
}

ssize_t host_getxattr(int fd, const char *name, void *buffer, size_t size)
{
    haddr_t p;
    int e = put_path(0, name, &p);

    if (e)
        return e;
    size = MIN(size, (size_t)DATA_MAX);
    int64_t r = hostcall(HOSTCALL_GETXATTR, (uint64_t)fd, p, data_area(), size, 0, 0);
    ssize_t n = bounded(r, size ? size : DATA_MAX);
    if (n > 0 && size)
        host_copy_in(buffer, data_area(), (size_t)n);
    return n;
}

ssize_t host_listxattr(int fd, char *buffer, size_t size)
{
    size = MIN(size, (size_t)DATA_MAX);
    ssize_t n =
        bounded(hostcall3(HOSTCALL_LISTXATTR, fd, data_area(), size), size ? size : DATA_MAX);
    if (n > 0 && size)
        host_copy_in(buffer, data_area(), (size_t)n);
    return n;
}

int host_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    haddr_t p;
    int e = put_path(0, name, &p);

    if (!e && size > DATA_MAX)
        e = -E2BIG;
    if (e)
        return e;
    if (value)
        host_copy_out(data_area(), value, size);
    return plain(hostcall(HOSTCALL_SETXATTR, (uint64_t)fd, p, value ? data_area() : 0, size,
                          (uint64_t)flags, 0));
}

int host_flock(int fd, int operation)
{
    return plain(hostcall2(HOSTCALL_FLOCK, fd, operation));
}

int host_ioctl(int fd, uint32_t request, void *buffer, size_t size)
{
    if (size > DATA_MAX)
        return -EINVAL;
    host_copy_out(data_area(), buffer, size);
    int64_t r = hostcall(HOSTCALL_IOCTL, (uint64_t)fd, request, data_area(), size, 0, 0);
    if (r >= 0)
        host_copy_in(buffer, data_area(), size);
    return plain(r);
}

void host_mapped(const char *path, uaddr_t address, uint64_t offset)
{
    haddr_t p;

    if (put_path(0, path, &p) == 0)
        (void)hostcall3(HOSTCALL_MAPPED, p, address, offset);
}

int host_ioctl_value(int fd, uint32_t request, uint64_t value)
{
    return plain(hostcall(HOSTCALL_IOCTL, (uint64_t)fd, request, value, 0, 0, 0));
}

uint64_t host_image_size(unsigned index)
{
    return index < BOOT_MAX_IMAGES ? boot_info->image[index].size : 0;
}

int host_image_read(unsigned index, uint64_t offset, void *buffer, size_t size)
{
    uint64_t end, limit = host_image_size(index);

    if (offset % 8 || add_overflows(offset, (uint64_t)size, &end) || end > limit)
        return -EIO;
    /* The last quadword may reach past the end, but not past its page, which the host mapped.
     */
    host_copy_in(buffer, boot_info->image[index].host_address + offset, size);
    return 0;
}

void host_image_was_read(unsigned index, size_t size)
{
    static _Atomic uint64_t mapped[BOOT_MAX_IMAGES];
    const struct boot_image *i = &boot_info->image[index];

    size = MAX(size, (size_t)IMAGE_AROUND);
    if (atomic_fetch_add(&mapped[index], size) + size < IMAGE_MAPPED_MAX)
        return;
    atomic_store(&mapped[index], 0);
    (void)hostcall3(HOSTCALL_FORGET, i->host_address, i->size, 0);
}
