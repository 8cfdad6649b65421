/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contents of hostfs: files through the page cache, written through at once; directories as a
 * snapshot taken when reading starts, so that positions stay valid.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/host.h"
#include "fs/hostfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"

#define WRITE_CHUNK   (128u * 1024)
#define FRESH_NS      1000000u /* an open this soon after making the file is the same call */
#define DIR_BUFFER    (32u * 1024)
#define DIR_BYTES_MAX (64u << 20)

static int read_exact(int fd, void *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t r = hostio_pread(fd, (uint8_t *)buffer + done, size - done, offset + done);
        if (r < 0)
            return (int)r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return 0;
}

int host_read_pages(struct inode *i, uint64_t index, void *const pages[], size_t count)
{
    struct host_node *n = host_node(i);
    struct host_super *s = host_super(i);
    uint64_t offset = index << PAGE_SHIFT;
    int fd = host_fd_get(n, HOST_READ), r = 0;
    if (fd < 0)
        return fd;
    if (count == 1) {
        r = read_exact(fd, pages[0], PAGE_SIZE, offset);
    } else {
        mutex_lock(&s->scratch_lock);
        memset(s->scratch, 0, count * PAGE_SIZE);
        r = read_exact(fd, s->scratch, count * PAGE_SIZE, offset);
        for (size_t k = 0; k < count && r == 0; k++)
            memcpy(pages[k], s->scratch + k * PAGE_SIZE, PAGE_SIZE);
        mutex_unlock(&s->scratch_lock);
    }
    host_fd_put(n);
    return r;
}

int host_open(struct inode *i, struct file *f)
{
    struct host_node *n = host_node(i);
    int fd = 0;
    if (f->state & FILE_READ)
        fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    if (f->state & FILE_WRITE) {
        fd = host_fd_get(n, HOST_WRITE);
        if (fd < 0 && (f->state & FILE_READ))
            host_fd_put(n);
        if (fd < 0)
            return fd;
    }
    bool fresh = atomic_exchange(&n->made_by, NULL) == current &&
                 clock_monotonic_ns() - n->checked_ns < FRESH_NS;
    return fresh || host_super(i)->read_only ? 0 : host_node_refresh(n);
}

static void host_release(struct file *f)
{
    struct host_node *n = host_node(f->inode);
    if (f->state & FILE_READ)
        host_fd_put(n);
    if (f->state & FILE_WRITE)
        host_fd_put(n);
}

/* Files of size 0 may still have contents (the host's /sys): asked directly. */
static ssize_t read_direct(struct file *f, struct iter *to, uint64_t *pos)
{
    struct host_node *n = host_node(f->inode);
    size_t size = MIN(to->remaining, (size_t)WRITE_CHUNK);
    if (*pos > INT64_MAX - WRITE_CHUNK)
        return 0;
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    uint8_t *buffer = kmalloc(size);
    ssize_t r = buffer ? hostio_read(fd, buffer, size, (int64_t)*pos) : -ENOMEM;
    host_fd_put(n);
    if (r > 0) {
        size_t copied = iter_copy_to(to, buffer, (size_t)r);
        r = copied ? (ssize_t)copied : -EFAULT;
        *pos += copied;
    }
    kfree(buffer);
    return r;
}

static ssize_t host_file_read(struct file *f, struct iter *to, uint64_t *pos)
{
    if (unlikely(f->inode->size == 0))
        return to->remaining ? read_direct(f, to, pos) : 0;
    return file_read_cached(f, to, pos);
}

/* Writes kernel bytes to the host and into the cache. */
static ssize_t write_through(struct host_node *n, const void *data, size_t size, uint64_t pos)
{
    int fd = host_fd_get(n, HOST_WRITE);
    if (fd < 0)
        return fd;
    ssize_t r = hostio_pwrite(fd, data, size, pos);
    host_fd_put(n);
    if (r > 0) {
        cache_update(&n->inode.cache, data, (size_t)r, pos);
        n->checked_ns = 0;
    }
    return r;
}

/* What was taken from the iterator but not written goes back. */
static void unsent(struct iter *from, const struct iter *saved, size_t written)
{
    iter_revert(from, saved);
    iter_advance(from, written);
}

static ssize_t host_file_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct inode *i = f->inode;
    size_t size = MIN(from->remaining, (size_t)WRITE_CHUNK);
    struct iter saved = *from;
    ssize_t r = 0;
    if (size == 0)
        return 0;
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    size = iter_copy_from(from, buffer, size);
    mutex_lock(&i->lock);
    uint64_t at = f->flags & O_APPEND ? i->size : *pos;
    if (size == 0)
        r = -EFAULT;
    else if (at > (uint64_t)INT64_MAX - size)
        r = -EFBIG;
    else
        r = write_through(host_node(i), buffer, size, at);
    if (r > 0) {
        *pos = at + (uint64_t)r;
        if (*pos > i->size)
            i->size = *pos;
        inode_touch_modified(i);
        inode_kill_suid(i, fs_cred());
    }
    mutex_unlock(&i->lock);
    kfree(buffer);
    if (r == 0)
        r = -EIO; /* a host that writes nothing */
    if (r >= 0 && (size_t)r < size)
        unsent(from, &saved, (size_t)r);
    return r;
}

static ssize_t host_write_mapped(struct file *f, struct iter *from, uint64_t pos)
{
    struct inode *i = f->inode;
    uint64_t end = i->size;
    if (pos >= end)
        return 0;
    size_t size = MIN(from->remaining, (size_t)WRITE_CHUNK);
    size = (size_t)MIN((uint64_t)size, end - pos);
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    size = iter_copy_from(from, buffer, size);
    ssize_t r = size ? write_through(host_node(i), buffer, size, pos) : -EFAULT;
    kfree(buffer);
    return r;
}

static int host_file_fsync(struct file *f, bool data_only)
{
    struct host_node *n = host_node(f->inode);
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    int r = hostio_fsync(fd, data_only);
    host_fd_put(n);
    return r;
}

static int host_file_fallocate(struct file *f, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct inode *i = f->inode;
    struct host_node *n = host_node(i);
    int fd = host_fd_get(n, HOST_WRITE);
    if (fd < 0)
        return fd;
    int r = host_fallocate(fd, mode, offset, size);
    host_fd_put(n);
    if (r < 0)
        return r;
    cache_invalidate(&i->cache);
    n->checked_ns = 0;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + size > i->size)
        i->size = offset + size;
    return 0;
}

static int64_t host_file_seek(struct file *f, int64_t offset, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return file_seek_generic(f, offset, whence);
    struct host_node *n = host_node(f->inode);
    int64_t size = (int64_t)f->inode->size;
    if (offset < 0 || offset >= size)
        return -ENXIO;
    int fd = host_fd_get(n, HOST_READ);
    if (fd < 0)
        return fd;
    int64_t r = host_seek(fd, offset, whence);
    host_fd_put(n);
    if (r >= 0 && (r < offset || r > size))
        r = -EIO;
    if (r >= 0)
        f->pos = (uint64_t)r;
    return r;
}

const struct file_ops host_file_ops = {
    .read = host_file_read,
    .write = host_file_write,
    .write_mapped = host_write_mapped,
    .seek = host_file_seek,
    .fsync = host_file_fsync,
    .fallocate = host_file_fallocate,
    .vm = &file_vm_ops,
    .release = host_release,
};

/* ---- directories ---- */

struct dir_snapshot {
    size_t used, size;
    uint8_t bytes[];
};

/* One entry in a snapshot: number, type, length, name without NUL. */
struct dir_entry {
    uint64_t ino;
    uint8_t type;
    uint8_t len;
    char name[];
};
#define ENTRY_FIXED 10u

static int snapshot_add(struct dir_snapshot **s, uint64_t ino, uint8_t type, const char *name,
                        size_t len)
{
    struct dir_snapshot *d = *s;
    size_t need = ENTRY_FIXED + len;
    if (d->used + need > d->size) {
        size_t size = MAX(d->size * 2, (size_t)4096);
        if (size > DIR_BYTES_MAX)
            return -EIO;
        d = krealloc(d, sizeof(*d) + size);
        if (!d)
            return -ENOMEM;
        d->size = size;
        *s = d;
    }
    uint8_t *p = d->bytes + d->used;
    memcpy(p, &ino, 8);
    p[8] = type;
    p[9] = (uint8_t)len;
    memcpy(p + ENTRY_FIXED, name, len);
    d->used += need;
    return 0;
}

/* A record of the host: checked against the bytes that are there. Its length, or -EIO. */
static ssize_t take_record(struct dir_snapshot **s, const uint8_t *p, size_t left)
{
    static const size_t fixed = offsetof(struct abi_dirent64, d_name);
    struct abi_dirent64 d;
    if (left < fixed + 2)
        return -EIO;
    memcpy(&d, p, fixed);
    if (d.d_reclen < fixed + 2 || d.d_reclen > left)
        return -EIO;
    const char *name = (const char *)p + fixed;
    size_t len = strnlen(name, d.d_reclen - fixed);
    if (len == d.d_reclen - fixed || len == 0 || len > NAME_MAX || memchr(name, '/', len))
        return -EIO;
    bool dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
    uint8_t type = d.d_type <= DT_SOCK && d.d_type % 2 == 0 ? d.d_type : DT_UNKNOWN;
    if (d.d_type == DT_FIFO)
        type = DT_FIFO;
    int r = dots ? 0 : snapshot_add(s, d.d_ino, type, name, len);
    return r < 0 ? r : d.d_reclen;
}

static int snapshot_read(struct host_node *n, int fd, uint8_t *buffer, struct dir_snapshot **s)
{
    int64_t where = host_seek(fd, 0, SEEK_SET);
    if (where != 0)
        return where < 0 ? (int)where : -EIO;
    for (;;) {
        ssize_t got = host_getdents(fd, buffer, DIR_BUFFER);
        if (got <= 0)
            return (int)got;
        for (ssize_t at = 0; at < got;) {
            ssize_t used = take_record(s, buffer + at, (size_t)(got - at));
            if (used < 0)
                return (int)used;
            at += used;
        }
        if ((*s)->used > DIR_BYTES_MAX / 2)
            return -EIO;
    }
}

static int snapshot_take(struct file *f)
{
    struct host_node *n = host_node(f->inode);
    int fd = host_fd_get(n, HOST_LIST);
    if (fd < 0)
        return fd;
    uint8_t *buffer = kmalloc(DIR_BUFFER);
    struct dir_snapshot *s = kzalloc(sizeof(*s));
    int r = buffer && s ? snapshot_read(n, fd, buffer, &s) : -ENOMEM;
    host_fd_put(n);
    kfree(buffer);
    if (r < 0) {
        kfree(s);
        return r;
    }
    kfree(f->private);
    f->private = s;
    return 0;
}

/* Positions after the dots are 2 plus a byte offset into the snapshot. */
static int host_readdir(struct file *f, struct dir_sink *sink)
{
    if (!dir_emit_dots(f, sink))
        return 0;
    if (f->pos == 2 || !f->private) {
        int r = snapshot_take(f);
        if (r < 0)
            return r;
    }
    struct dir_snapshot *s = f->private;
    while (f->pos - 2 < s->used) {
        const uint8_t *p = s->bytes + (f->pos - 2);
        size_t left = s->used - (size_t)(f->pos - 2);
        uint64_t ino;
        if (left < ENTRY_FIXED + 1 || left < ENTRY_FIXED + p[9] || p[9] == 0)
            return -EINVAL; /* a position that lseek made up */
        memcpy(&ino, p, 8);
        uint64_t next = f->pos + ENTRY_FIXED + p[9];
        if (!sink->emit(sink, (const char *)p + ENTRY_FIXED, p[9], ino, p[8], next))
            break;
        f->pos = next;
    }
    return 0;
}

/* Held while it is open: once it is removed its name says nothing about it. */
int host_open_dir(struct inode *i, struct file *f)
{
    (void)f;
    int fd = host_fd_get(host_node(i), HOST_LIST);
    return fd < 0 ? fd : 0;
}

static void host_dir_release(struct file *f)
{
    host_fd_put(host_node(f->inode));
    kfree(f->private);
}

static int host_dir_fsync(struct file *f, bool data_only)
{
    return host_file_fsync(f, data_only);
}

const struct file_ops host_dir_file_ops = {
    .readdir = host_readdir,
    .seek = file_seek_dir,
    .fsync = host_dir_fsync,
    .release = host_dir_release,
};
