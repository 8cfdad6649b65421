/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pipes and FIFOs (pipe(7), fifo(7)). A ring of bytes in kernel memory; a mutex orders copies,
 * because programs' memory cannot be touched under a spinlock. Writes of up to PIPE_BUF bytes
 * are whole or not at all. The buffer starts with one page and grows as it fills, up to its
 * size. Room that a splice(2) will fill, or may give bytes back to, is reserved: nothing that
 * was taken can be lost for want of room. A pipe lives as long as its inode.
 */
#include "abi/errno.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"

#define PIPE_BUF     4096u
#define PIPE_DEFAULT 65536u
#define PIPE_MAX     (1u << 20)

struct pipe {
    struct mutex lock;
    uint8_t *buffer;
    uint32_t allocated;  /* bytes of `buffer`, a power of two */
    uint32_t capacity;   /* what F_GETPIPE_SZ says; a power of two */
    uint32_t head, used; /* first byte, and how many */
    uint32_t reserved;   /* used + reserved <= allocated */
    _Atomic uint32_t readers, writers;
    _Atomic uint32_t read_opens, write_opens; /* ever: for open(2) of FIFOs */
    struct wait_queue read_wait, write_wait;
    bool fifo;
};

static const struct file_ops pipe_ops;

static struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof(*p));
    if (!p)
        return NULL;
    p->buffer = kmalloc(PIPE_BUF);
    if (!p->buffer) {
        kfree(p);
        return NULL;
    }
    p->allocated = PIPE_BUF;
    p->capacity = PIPE_DEFAULT;
    mutex_init(&p->lock, RANK_INODE);
    wait_queue_init(&p->read_wait);
    wait_queue_init(&p->write_wait);
    return p;
}

static void pipe_free(struct pipe *p)
{
    kfree(p->buffer);
    kfree(p);
}

static uint32_t room_of(const struct pipe *p)
{
    return p->capacity - p->used - p->reserved;
}

/* Moves the contents into a buffer of `size` bytes. */
static int resize_locked(struct pipe *p, uint32_t size)
{
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    uint32_t first = MIN(p->used, p->allocated - p->head);
    memcpy(buffer, p->buffer + p->head, first);
    memcpy(buffer + first, p->buffer, p->used - first);
    kfree(p->buffer);
    p->buffer = buffer;
    p->allocated = size;
    p->head = 0;
    return 0;
}

static ssize_t read_locked(struct pipe *p, struct iter *to)
{
    size_t done = 0;
    while (p->used && to->remaining) {
        size_t n = MIN(p->used, p->allocated - p->head);
        n = MIN(n, to->remaining);
        size_t copied = iter_copy_to(to, p->buffer + p->head, n);
        p->head = (p->head + (uint32_t)copied) & (p->allocated - 1);
        p->used -= (uint32_t)copied;
        done += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    if (p->used == 0)
        p->head = 0;
    return (ssize_t)done;
}

static ssize_t pipe_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct pipe *p = f->private;
    (void)pos;
    if (to->remaining == 0)
        return 0;
    mutex_lock(&p->lock);
    bool was_full = room_of(p) < PIPE_BUF;
    bool closed = atomic_load(&p->writers) == 0; /* before looking: what came last counts */
    ssize_t r = p->used ? read_locked(p, to) : closed ? 0 : -EAGAIN;
    bool room = room_of(p) >= PIPE_BUF;
    mutex_unlock(&p->lock);
    if (r > 0 && was_full && room)
        wait_wake_all(&p->write_wait);
    return r;
}

static int make_room(struct pipe *p, size_t wanted)
{
    uint32_t size = p->allocated;
    while (size < p->capacity && size - p->used - p->reserved < wanted)
        size *= 2;
    return size > p->allocated ? resize_locked(p, size) : 0;
}

static ssize_t write_locked(struct pipe *p, struct iter *from)
{
    size_t done = 0, room = room_of(p);
    size_t wanted = MIN(from->remaining, room);
    if (wanted == 0 || (from->remaining <= PIPE_BUF && wanted < from->remaining))
        return -EAGAIN;
    if (make_room(p, wanted) < 0) {
        wanted = MIN(wanted, (size_t)(p->allocated - p->used - p->reserved));
        if (wanted == 0)
            return -ENOMEM;
    }
    while (done < wanted) {
        uint32_t tail = (p->head + p->used) & (p->allocated - 1);
        size_t n = MIN(wanted - done, (size_t)(p->allocated - tail));
        size_t copied = iter_copy_from(from, p->buffer + tail, n);
        p->used += (uint32_t)copied;
        done += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

static ssize_t pipe_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct pipe *p = f->private;
    (void)pos;
    if (atomic_load(&p->readers) == 0)
        return -EPIPE;
    if (from->remaining == 0)
        return 0;
    mutex_lock(&p->lock);
    ssize_t r = write_locked(p, from);
    mutex_unlock(&p->lock);
    if (r > 0) /* each write counts, for edge-triggered epoll */
        wait_wake_all(&p->read_wait);
    return r;
}

/* ---- splice(2) and tee(2) ---- */

ssize_t pipe_take(struct file *f, void *buffer, size_t size, uint32_t how)
{
    struct pipe *p = f->private;
    for (;;) {
        struct iter to;
        iter_kernel(&to, buffer, size);
        mutex_lock(&p->lock);
        uint32_t head = p->head, used = p->used;
        bool closed = atomic_load(&p->writers) == 0;
        ssize_t r = used ? read_locked(p, &to) : closed ? 0 : -EAGAIN;
        if (how & PIPE_PEEK) {
            p->head = head;
            p->used = used;
        } else if (r > 0) {
            p->reserved += (uint32_t)r;
        }
        mutex_unlock(&p->lock);
        if (r != -EAGAIN || !(how & PIPE_WAIT))
            return r;
        int e =
            wait_event(&p->read_wait, p->used || atomic_load(&p->writers) == 0, NO_DEADLINE);
        if (e < 0)
            return e;
    }
}

void pipe_return(struct file *f, size_t taken, const void *rest, size_t size)
{
    struct pipe *p = f->private;
    mutex_lock(&p->lock);
    p->reserved -= (uint32_t)taken;
    p->head = (p->head - (uint32_t)size) & (p->allocated - 1);
    p->used += (uint32_t)size;
    size_t first = MIN(size, (size_t)(p->allocated - p->head));
    memcpy(p->buffer + p->head, rest, first);
    memcpy(p->buffer, (const uint8_t *)rest + first, size - first);
    mutex_unlock(&p->lock);
    if (size)
        wait_wake_all(&p->read_wait);
    if (size < taken)
        wait_wake_all(&p->write_wait);
}

ssize_t pipe_reserve(struct file *f, size_t size, uint32_t how)
{
    struct pipe *p = f->private;
    for (;;) {
        if (atomic_load(&p->readers) == 0)
            return -EPIPE;
        mutex_lock(&p->lock);
        uint32_t n = (uint32_t)MIN(size, (size_t)room_of(p));
        bool full = n == 0;
        if (make_room(p, n) < 0)
            n = MIN(n, p->allocated - p->used - p->reserved);
        p->reserved += n;
        mutex_unlock(&p->lock);
        if (!full)
            return n ? (ssize_t)n : -ENOMEM;
        if (!(how & PIPE_WAIT))
            return -EAGAIN;
        int e =
            wait_event(&p->write_wait, room_of(p) >= PIPE_BUF || atomic_load(&p->readers) == 0,
                       NO_DEADLINE);
        if (e < 0)
            return e;
    }
}

void pipe_fill(struct file *f, size_t reserved, const void *data, size_t size)
{
    struct pipe *p = f->private;
    struct iter from;
    iter_kernel(&from, (void *)(uintptr_t)data, size);
    mutex_lock(&p->lock);
    p->reserved -= (uint32_t)reserved;
    if (size)
        (void)!write_locked(p, &from);
    mutex_unlock(&p->lock);
    if (size)
        wait_wake_all(&p->read_wait);
    if (size < reserved)
        wait_wake_all(&p->write_wait);
}

static uint32_t pipe_poll(struct file *f, struct poll_table *t)
{
    struct pipe *p = f->private;
    uint32_t events = 0;
    if (f->state & FILE_READ)
        poll_add(t, &p->read_wait);
    if (f->state & FILE_WRITE)
        poll_add(t, &p->write_wait);
    uint32_t used = __atomic_load_n(&p->used, __ATOMIC_ACQUIRE);
    uint32_t reserved = __atomic_load_n(&p->reserved, __ATOMIC_ACQUIRE);
    if (f->state & FILE_READ) {
        if (used)
            events |= POLLIN | POLLRDNORM;
        if (atomic_load(&p->writers) == 0 && (!p->fifo || atomic_load(&p->write_opens)))
            events |= POLLHUP;
    }
    if (f->state & FILE_WRITE) {
        if ((uint64_t)used + reserved + PIPE_BUF <= p->capacity)
            events |= POLLOUT | POLLWRNORM;
        if (atomic_load(&p->readers) == 0)
            events |= POLLERR;
    }
    return events;
}

static int64_t pipe_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct pipe *p = f->private;
    if (request != FIONREAD)
        return -ENOTTY;
    return put_user(arg, (int32_t)p->used);
}

static int64_t set_capacity(struct pipe *p, uint64_t wanted)
{
    uint32_t size = PIPE_BUF;
    int r = 0;
    if (wanted > PIPE_MAX)
        return cred_can(fs_cred(), CAP_SYS_RESOURCE) && wanted <= INT32_MAX ? -ENOMEM : -EPERM;
    while (size < wanted)
        size *= 2;
    mutex_lock(&p->lock);
    if (p->used + p->reserved > size)
        r = -EBUSY;
    else if (p->allocated > size)
        r = resize_locked(p, size);
    if (r == 0)
        p->capacity = size;
    mutex_unlock(&p->lock);
    wait_wake_all(&p->write_wait);
    return r < 0 ? r : (int64_t)size;
}

static int64_t pipe_fcntl(struct file *f, int command, uint64_t arg)
{
    struct pipe *p = f->private;
    if (command == F_GETPIPE_SZ)
        return p->capacity;
    return command == F_SETPIPE_SZ ? set_capacity(p, arg) : -EINVAL;
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->private;
    if (f->state & FILE_READ)
        atomic_fetch_sub(&p->readers, 1);
    if (f->state & FILE_WRITE)
        atomic_fetch_sub(&p->writers, 1);
    mutex_lock(&p->lock);
    if (atomic_load(&p->readers) + atomic_load(&p->writers) == 0)
        p->used = p->head = 0; /* a FIFO that nobody has open forgets */
    mutex_unlock(&p->lock);
    wait_wake_all(&p->read_wait);
    wait_wake_all(&p->write_wait);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .fcntl = pipe_fcntl,
    .release = pipe_release,
};

bool pipe_is(const struct file *f)
{
    return f->ops == &pipe_ops;
}

static void attach(struct file *f, struct pipe *p)
{
    f->ops = &pipe_ops;
    f->private = p;
    f->state = (f->state & ~FILE_SEEK) | FILE_STREAM;
    if (f->state & FILE_READ) {
        atomic_fetch_add(&p->readers, 1);
        atomic_fetch_add(&p->read_opens, 1);
    }
    if (f->state & FILE_WRITE) {
        atomic_fetch_add(&p->writers, 1);
        atomic_fetch_add(&p->write_opens, 1);
    }
}

/* Opening /proc/self/fd/N of a pipe gives another end of it. */
static int reopen(struct inode *i, struct file *f)
{
    attach(f, i->ipc);
    return 0;
}

static void pipe_inode_free(struct inode *i)
{
    kfree(i);
}

static const struct inode_ops pipe_inode_ops = {.open = reopen, .free = pipe_inode_free};

static int end_new(struct inode *i, struct pipe *p, uint32_t flags, struct file **out)
{
    char name[32];
    format_string(name, sizeof(name), "pipe:[%llu]", (unsigned long long)i->ino);
    int r = file_new_anonymous(inode_get(i), name, flags, &pipe_ops, p, out);
    if (r == 0)
        attach(*out, p);
    return r;
}

int pipe_new(uint32_t flags, struct file **reader, struct file **writer)
{
    struct inode *i;
    struct pipe *p = pipe_alloc();
    if (!p)
        return -ENOMEM;
    int r = inode_new_anonymous(S_IFIFO | 0600, &i);
    if (r < 0) {
        pipe_free(p);
        return r;
    }
    i->ops = &pipe_inode_ops;
    i->file_ops = &pipe_ops;
    i->ipc = p;
    r = end_new(i, p, (flags & O_NONBLOCK) | O_RDONLY, reader);
    if (r < 0)
        goto put;
    r = end_new(i, p, (flags & O_NONBLOCK) | O_WRONLY, writer);
    if (r < 0)
        file_put(*reader);
put:
    inode_put(i);
    return r;
}

/* ---- FIFOs ---- */

static struct pipe *fifo_of(struct inode *i)
{
    mutex_lock(&i->lock);
    if (!i->ipc) {
        struct pipe *p = pipe_alloc();
        if (p)
            p->fifo = true;
        i->ipc = p;
    }
    struct pipe *p = i->ipc;
    mutex_unlock(&i->lock);
    return p;
}

/* Blocks until the other side is there, as fifo(7) says. */
static int fifo_open(struct file *f)
{
    struct pipe *p = fifo_of(f->inode);
    int r = 0;
    if (!p)
        return -ENOMEM;
    bool reads = f->state & FILE_READ, writes = f->state & FILE_WRITE;
    bool nonblock = f->flags & O_NONBLOCK;
    if (writes && !reads && nonblock && atomic_load(&p->readers) == 0)
        return -ENXIO;
    uint32_t read_opens = atomic_load(&p->read_opens),
             write_opens = atomic_load(&p->write_opens);
    attach(f, p);
    wait_wake_all(&p->read_wait);
    wait_wake_all(&p->write_wait);
    if (nonblock || (reads && writes))
        return 0;
    if (reads && atomic_load(&p->writers) == 0)
        r = wait_event(&p->read_wait, atomic_load(&p->write_opens) != write_opens, NO_DEADLINE);
    else if (writes && atomic_load(&p->readers) == 0)
        r = wait_event(&p->write_wait, atomic_load(&p->read_opens) != read_opens, NO_DEADLINE);
    if (r < 0)
        pipe_release(f);
    return r;
}

static void fifo_free(struct inode *i)
{
    pipe_free(i->ipc);
}

void pipe_register(void)
{
    fs_hooks.fifo_open = fifo_open;
    fs_hooks.fifo_free = fifo_free;
}
