/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linux AIO: io_setup(2) and its kin. As on Linux where files are cached, an operation is over
 * when io_submit returns. LIMIT: no IOCB_CMD_POLL, no RWF flags, no io_pgetevents.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/core/fd.h"
#include "ipc/aio.h"
#include "ipc/ipc.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "syscall/syscall.h"

#define PIECE      16u
#define FLAG_RESFD 1u

enum { CMD_PREAD, CMD_PWRITE, CMD_FSYNC, CMD_FDSYNC, CMD_PREADV = 7, CMD_PWRITEV };

struct abi_iocb {
    uint64_t data;
    uint32_t key, rw_flags;
    uint16_t opcode;
    int16_t priority;
    int32_t fd;
    uint64_t buffer, size;
    int64_t offset;
    uint64_t reserved;
    uint32_t flags, result_fd;
};

/* The id is an address, because libraries look there for a ring that they know by its magic
 * number: they find a page of zeros, and ask us. */
int64_t sys_io_setup(uint32_t count, uaddr_t at)
{
    struct vm_map_args a = {
        .length = PAGE_SIZE, .prot = PROT_READ, .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    uint64_t was;
    if (get_user(&was, at) < 0)
        return -EFAULT;
    if (was || !count)
        return -EINVAL;
    int64_t id = vm_map(current->mm, &a);
    if (id < 0)
        return -ENOMEM;
    int r = aio_new(&current_process->aio, (uint64_t)id, count);
    if (r == 0 && put_user(at, (uint64_t)id) < 0) {
        r = -EFAULT;
        (void)!aio_end(&current_process->aio, (uint64_t)id);
    }
    if (r < 0)
        (void)!vm_unmap(current->mm, (uaddr_t)id, PAGE_SIZE);
    return r;
}

int64_t sys_io_destroy(uint64_t id)
{
    int r = aio_end(&current_process->aio, id);
    return r < 0 ? r : vm_unmap(current->mm, id, PAGE_SIZE);
}

static ssize_t synchronise(struct file *f, bool data_only)
{
    return f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
}

/* What submitting says; *result is the operation's. */
static int perform(struct file *f, const struct abi_iocb *o, int64_t *result)
{
    bool write = o->opcode == CMD_PWRITE || o->opcode == CMD_PWRITEV;
    bool vector = o->opcode == CMD_PREADV || o->opcode == CMD_PWRITEV;
    uint64_t position = (uint64_t)o->offset, *pos = f->state & FILE_STREAM ? NULL : &position;
    struct iter_segment *segments = NULL;
    struct iter it;
    if (o->opcode == CMD_FSYNC || o->opcode == CMD_FDSYNC) {
        *result = synchronise(f, o->opcode == CMD_FDSYNC);
        return f->ops->fsync ? 0 : -EINVAL;
    }
    if (o->opcode != CMD_PREAD && o->opcode != CMD_PWRITE && !vector)
        return -EINVAL;
    if (!(f->state & (write ? FILE_WRITE : FILE_READ)))
        return -EBADF;
    if (pos && o->offset < 0)
        return -EINVAL;
    if (vector) {
        int r = iter_user_vector(&it, o->buffer, o->size, &segments);
        if (r < 0)
            return r;
    } else {
        if (!user_range_ok(o->buffer, o->size))
            return -EFAULT;
        iter_user(&it, o->buffer, MIN(o->size, ITER_MAX_BYTES));
    }
    ssize_t n = write ? file_write(f, &it, pos) : file_read(f, &it, pos);
    kfree(segments);
    *result = n == -ERESTARTSYS ? -EINTR : n;
    return 0;
}

static int submit_reserved(struct aio_context *c, uaddr_t at, const struct abi_iocb *o)
{
    struct file *f = fd_file(o->fd), *told = NULL;
    struct aio_event e = {.data = o->data, .object = at};
    int r = f ? 0 : -EBADF;
    if (r == 0 && (o->flags & FLAG_RESFD)) {
        told = fd_file((int)o->result_fd);
        r = !told ? -EBADF : eventfd_is(told) ? 0 : -EINVAL;
    }
    if (r == 0 && put_user(at + offsetof(struct abi_iocb, key), (uint32_t)0) < 0)
        r = -EFAULT;
    if (r == 0)
        r = perform(f, o, &e.result);
    if (r == 0) {
        aio_complete(c, &e);
        if (told)
            eventfd_signal(told);
    }
    file_put(told);
    file_put(f);
    return r;
}

static int submit(struct aio_context *c, uaddr_t at)
{
    struct abi_iocb o;
    if (get_user(&o, at) < 0)
        return -EFAULT;
    if (o.reserved || o.rw_flags || (o.flags & ~FLAG_RESFD) || (int64_t)o.size < 0)
        return -EINVAL;
    if (!aio_reserve(c))
        return -EAGAIN;
    int r = submit_reserved(c, at, &o);
    if (r < 0)
        aio_unreserve(c);
    return r;
}

int64_t sys_io_submit(uint64_t id, int64_t count, uaddr_t list)
{
    struct aio_context *c = aio_find(&current_process->aio, id);
    int64_t done = 0;
    int r = count < 0 || !c ? -EINVAL : 0;
    for (; r == 0 && done < count; done += r == 0) {
        uint64_t at;
        r = get_user(&at, list + (uint64_t)done * sizeof(at));
        if (r == 0)
            r = submit(c, at);
    }
    if (c)
        aio_put(c);
    return done ? done : r;
}

/* Everything is over when it was submitted. */
int64_t sys_io_cancel(uint64_t id, uaddr_t at, uaddr_t result)
{
    uint32_t key;
    (void)id;
    (void)result;
    return get_user(&key, at + offsetof(struct abi_iocb, key)) < 0 ? -EFAULT : -EINVAL;
}

static int64_t fetch(struct aio_context *c, int64_t least, int64_t most, uaddr_t out,
                     uint64_t deadline)
{
    struct aio_event piece[PIECE];
    int64_t done = 0;
    int r = 1;
    while (r > 0 && done < most) {
        uint32_t n = (uint32_t)MIN(most - done, (int64_t)PIECE);
        r = aio_take(c, piece, n, done < least ? deadline : 0);
        if (r > 0 && copy_to_user(out + (uint64_t)done * sizeof(piece[0]), piece,
                                  (uint32_t)r * sizeof(piece[0])) < 0)
            r = -EFAULT;
        done += MAX(r, 0);
    }
    return done ? done : r < 0 ? r : 0;
}

int64_t sys_io_getevents(uint64_t id, int64_t least, int64_t most, uaddr_t out, uaddr_t timeout)
{
    struct timespec64 t = {0};
    uint64_t deadline = NO_DEADLINE, ns;
    if (timeout && get_user(&t, timeout) < 0)
        return -EFAULT;
    if (timeout && (t.sec < 0 || t.nsec < 0))
        deadline = 0;
    else if (timeout && !mul_overflows((uint64_t)t.sec, 1000000000u, &ns) &&
             !add_overflows(ns, (uint64_t)t.nsec, &ns) &&
             !add_overflows(ns, clock_monotonic_ns(), &ns))
        deadline = ns;
    struct aio_context *c = aio_find(&current_process->aio, id);
    if (!c)
        return -EINVAL;
    int64_t r = -EINVAL;
    if (least >= 0 && least <= most)
        r = fetch(c, least, most, out, deadline);
    aio_put(c);
    return r;
}
