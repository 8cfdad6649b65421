/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that copy between files: sendfile, copy_file_range, splice, tee; memfd_create.
 * Data passes through a kernel buffer. LIMIT: splice and tee copy.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/ramfs/ramfs.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "signal/signal.h"
#include "syscall/syscall.h"

#define CHUNK             65536u
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_ALL      15u

struct copy {
    struct file *in, *out;
    uint64_t *in_pos, *out_pos; /* NULL: the file's own */
};

/* What was read but could not be written goes back, where the source has a position. */
static void unread(const struct copy *c, uint64_t bytes)
{
    if (c->in_pos)
        *c->in_pos -= bytes;
    else if (c->in->state & FILE_SEEK)
        (void)!file_seek(c->in, -(int64_t)bytes, SEEK_CUR);
}

/* One round through the buffer: bytes, 0 at the end, or negative errno. */
static ssize_t copy_chunk(const struct copy *c, void *buffer, size_t size)
{
    struct iter it;
    iter_kernel(&it, buffer, size);
    ssize_t got = file_read(c->in, &it, c->in_pos);
    if (got <= 0)
        return got;
    iter_kernel(&it, buffer, (size_t)got);
    ssize_t put = file_write(c->out, &it, c->out_pos);
    if (put < got)
        unread(c, (uint64_t)(got - MAX(put, (ssize_t)0)));
    return put;
}

static int64_t copy_files(const struct copy *c, uint64_t size)
{
    uint64_t done = 0;
    void *buffer = kmalloc((size_t)MIN(size, (uint64_t)CHUNK) + 1);
    ssize_t r = buffer ? 0 : -ENOMEM;
    while (r >= 0 && done < size) {
        r = copy_chunk(c, buffer, (size_t)MIN(size - done, (uint64_t)CHUNK));
        if (r <= 0)
            break;
        done += (uint64_t)r;
        if ((c->in->state & FILE_STREAM) || task_signalled())
            break; /* pipes: what was there; big files: signals get their turn */
    }
    kfree(buffer);
    return done ? (int64_t)done : r;
}

static int get_offset(uaddr_t at, uint64_t *value, uint64_t **out)
{
    *out = NULL;
    if (!at)
        return 0;
    if (get_user(value, at) < 0)
        return -EFAULT;
    *out = value;
    return (int64_t)*value < 0 ? -EINVAL : 0;
}

int64_t sys_sendfile(int out_fd, int in_fd, uaddr_t offset, uint64_t count)
{
    struct copy c = {.in = fd_file(in_fd), .out = fd_file(out_fd)};
    uint64_t pos;
    int64_t r = c.in && c.out ? 0 : -EBADF;
    if (r == 0 && (!(c.in->state & FILE_READ) || !(c.out->state & FILE_WRITE)))
        r = -EBADF;
    if (r == 0)
        r = get_offset(offset, &pos, &c.in_pos);
    if (r == 0 && (c.in->state & FILE_STREAM))
        r = offset ? -ESPIPE : -EINVAL;
    if (r == 0 && (c.out->flags & O_APPEND))
        r = -EINVAL;
    if (r == 0)
        r = copy_files(&c, MIN(count, ITER_MAX_BYTES));
    if (r >= 0 && c.in_pos && put_user(offset, *c.in_pos) < 0)
        r = -EFAULT;
    file_put(c.in);
    file_put(c.out);
    return r;
}

/* Also cuts the count at the end of the source as it is now. */
static int check_range(const struct copy *c, uint64_t *wanted)
{
    struct inode *in = c->in->inode, *out = c->out->inode;
    if (inode_is_dir(in) || inode_is_dir(out))
        return -EISDIR;
    if (!inode_is_reg(in) || !inode_is_reg(out))
        return -EINVAL;
    if (!(c->in->state & FILE_READ) || !(c->out->state & FILE_WRITE) ||
        (c->out->flags & O_APPEND))
        return -EBADF;
    uint64_t from = c->in_pos ? *c->in_pos : c->in->pos,
             to = c->out_pos ? *c->out_pos : c->out->pos;
    uint64_t count = MIN(*wanted, in->size > from ? in->size - from : 0);
    *wanted = count;
    if (in == out && from < to + count && to < from + count)
        return -EINVAL;
    return 0;
}

int64_t sys_copy_file_range(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off,
                            uint64_t count, uint32_t flags)
{
    struct copy c = {.in = fd_file(in_fd), .out = fd_file(out_fd)};
    uint64_t in_pos, out_pos;
    int64_t r = c.in && c.out ? 0 : -EBADF;
    count = MIN(count, ITER_MAX_BYTES);
    if (r == 0)
        r = flags ? -EINVAL : get_offset(in_off, &in_pos, &c.in_pos);
    if (r == 0)
        r = get_offset(out_off, &out_pos, &c.out_pos);
    if (r == 0)
        r = check_range(&c, &count);
    if (r == 0)
        r = copy_files(&c, count);
    if (r >= 0 && c.in_pos && put_user(in_off, in_pos) < 0)
        r = -EFAULT;
    if (r >= 0 && c.out_pos && put_user(out_off, out_pos) < 0)
        r = -EFAULT;
    file_put(c.in);
    file_put(c.out);
    return r;
}

/* Out of a pipe into something else: what that does not take goes back. */
static ssize_t splice_from(const struct copy *c, uint8_t *buffer, size_t size, uint32_t how)
{
    struct iter it;
    ssize_t got = pipe_take(c->in, buffer, size, how);
    if (got <= 0)
        return got;
    iter_kernel(&it, buffer, (size_t)got);
    ssize_t put = file_write(c->out, &it, c->out_pos);
    size_t moved = (size_t)MAX(put, (ssize_t)0);
    pipe_return(c->in, (size_t)got, buffer + moved, (size_t)got - moved);
    return put;
}

/* Into a pipe, of something else or of another pipe: not more is read than it has room for. */
static ssize_t splice_into(const struct copy *c, uint8_t *buffer, size_t size, uint32_t how)
{
    struct iter it;
    bool pipe = pipe_is(c->in);
    ssize_t room = pipe_reserve(c->out, size, how), got;
    if (room == -EPIPE)
        signal_send_current(SIGPIPE);
    if (room < 0)
        return room;
    iter_kernel(&it, buffer, (size_t)room);
    got = pipe ? pipe_take(c->in, buffer, (size_t)room, how) : file_read(c->in, &it, c->in_pos);
    pipe_fill(c->out, (size_t)room, buffer, (size_t)MAX(got, (ssize_t)0));
    if (pipe && got > 0 && !(how & PIPE_PEEK))
        pipe_return(c->in, (size_t)got, NULL, 0);
    return got;
}

/* What is no pipe waits as its own O_NONBLOCK says. */
static int64_t splice_files(const struct copy *c, uint64_t count, uint32_t flags, uint32_t how)
{
    bool into = pipe_is(c->out), from = pipe_is(c->in);
    uint32_t own = (into ? c->out->flags : 0) | (from ? c->in->flags : 0);
    size_t size = (size_t)MIN(count, (uint64_t)CHUNK);
    if (size == 0)
        return 0;
    if (!(flags & SPLICE_F_NONBLOCK) && !(own & O_NONBLOCK))
        how |= PIPE_WAIT;
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    ssize_t r = into ? splice_into(c, buffer, size, how) : splice_from(c, buffer, size, how);
    kfree(buffer);
    return r;
}

static int check_splice(const struct copy *c, uint32_t flags)
{
    if (!c->in || !c->out || !(c->in->state & FILE_READ) || !(c->out->state & FILE_WRITE))
        return -EBADF;
    bool pipes = pipe_is(c->in) && pipe_is(c->out);
    if ((flags & ~SPLICE_F_ALL) || (!pipe_is(c->in) && !pipe_is(c->out)) ||
        (pipes && c->in->inode == c->out->inode))
        return -EINVAL;
    return !pipe_is(c->out) && (c->out->flags & O_APPEND) ? -EINVAL : 0;
}

int64_t sys_splice(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off, uint64_t count,
                   uint32_t flags)
{
    struct copy c = {.in = fd_file(in_fd), .out = fd_file(out_fd)};
    uint64_t in_pos, out_pos;
    int64_t r = check_splice(&c, flags);
    if (r == 0 && ((in_off && pipe_is(c.in)) || (out_off && pipe_is(c.out))))
        r = -ESPIPE;
    if (r == 0)
        r = get_offset(in_off, &in_pos, &c.in_pos);
    if (r == 0)
        r = get_offset(out_off, &out_pos, &c.out_pos);
    if (r == 0)
        r = splice_files(&c, count, flags, 0);
    if (r >= 0 && c.in_pos && put_user(in_off, in_pos) < 0)
        r = -EFAULT;
    if (r >= 0 && c.out_pos && put_user(out_off, out_pos) < 0)
        r = -EFAULT;
    file_put(c.in);
    file_put(c.out);
    return r;
}

int64_t sys_tee(int in_fd, int out_fd, uint64_t count, uint32_t flags)
{
    struct copy c = {.in = fd_file(in_fd), .out = fd_file(out_fd)};
    int64_t r = check_splice(&c, flags);
    if (r == 0 && (!pipe_is(c.in) || !pipe_is(c.out)))
        r = -EINVAL;
    if (r == 0)
        r = splice_files(&c, count, flags, PIPE_PEEK);
    file_put(c.in);
    file_put(c.out);
    return r;
}

int64_t sys_memfd_create(uaddr_t name, uint32_t flags)
{
    char text[256] = "/memfd:";
    struct file *f;
    if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) ||
        (flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC))
        return -EINVAL;
    ssize_t n = strncpy_from_user(text + 7, name, 249);
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    (void)!str_copy(text + 7 + n, sizeof(text) - 7 - (size_t)n, " (deleted)");
    int r = ramfs_new_memfd(text, flags & MFD_NOEXEC_SEAL ? 0666 : 0777, &f);
    if (r < 0)
        return r;
    if (flags & MFD_NOEXEC_SEAL)
        f->inode->seals = F_SEAL_EXEC;
    else if (flags & MFD_ALLOW_SEALING)
        f->inode->seals = 0;
    return fd_add(f, flags & MFD_CLOEXEC);
}
