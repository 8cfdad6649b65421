/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, writing and polling a descriptor of the host. */
#include "fs/devfs/stream.h"

#include "abi/errno.h"
#include "enclave/host.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/hostio.h"
#include "sched/task.h"

#define CHUNK (64u * 1024)

struct stream {
    int fd;
    bool waits, owned;
    struct wait_queue ready; /* pollers */
    struct wait_queue work;  /* the watcher */
    _Atomic uint32_t wanted; /* events that pollers wait for */
    _Atomic bool ending;
    _Atomic bool told; /* nobody else touches it, or the watcher, any more */
    struct task *watcher;
    struct mutex lock; /* of `watcher` */
};

struct stream *stream_new(int fd, bool waits, bool owned)
{
    struct stream *s = kzalloc(sizeof(*s));
    if (!s)
        return NULL;
    s->fd = fd;
    s->waits = waits;
    s->owned = owned;
    wait_queue_init(&s->ready);
    wait_queue_init(&s->work);
    mutex_init(&s->lock, RANK_IO);
    return s;
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}

static uint32_t ready_now(struct stream *s)
{
    uint32_t both = POLLIN | POLLOUT;
    if (!s->waits)
        return both | POLLRDNORM | POLLWRNORM;
    int r = hostio_poll(s->fd, both, 0);
    if (r < 0)
        return r == -ERESTARTSYS ? 0 : POLLERR;
    uint32_t events = (uint32_t)r & (both | POLLERR | POLLHUP);
    if (events & POLLIN)
        events |= POLLRDNORM;
    if (events & POLLOUT)
        events |= POLLWRNORM;
    return events;
}

ssize_t stream_read(struct stream *s, bool wait, struct iter *to, int64_t offset)
{
    size_t size = MIN(to->remaining, (size_t)CHUNK);
    if (size == 0)
        return 0;
    if (s->waits && !wait && !(ready_now(s) & (POLLIN | POLLHUP | POLLERR)))
        return -EAGAIN;
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    ssize_t r = hostio_read(s->fd, buffer, size, offset);
    if (r > 0) {
        size_t n = iter_copy_to(to, buffer, (size_t)r);
        r = n ? (ssize_t)n : -EFAULT;
    }
    kfree(buffer);
    return r;
}

ssize_t stream_write(struct stream *s, bool wait, struct iter *from, int64_t offset)
{
    uint8_t small[256], *buffer = small;
    struct iter saved = *from;
    size_t size = MIN(from->remaining, (size_t)CHUNK);
    if (size == 0)
        return 0;
    if (s->waits && !wait && !(ready_now(s) & (POLLOUT | POLLERR | POLLHUP)))
        return -EAGAIN;
    if (size > sizeof(small))
        buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    size = iter_copy_from(from, buffer, size);
    ssize_t r = size ? hostio_write(s->fd, buffer, size, offset) : -EFAULT;
    iter_revert(from, &saved);
    if (r > 0)
        iter_advance(from, (size_t)r);
    if (buffer != small)
        kfree(buffer);
    return r;
}

static void end(struct stream *s)
{
    if (s->owned)
        host_close(s->fd);
    kfree(s);
}

static void watch(void *arg)
{
    struct stream *s = arg;
    while (!atomic_load(&s->ending)) {
        (void)!wait_event(&s->work, atomic_load(&s->wanted) != 0 || atomic_load(&s->ending),
                          NO_DEADLINE);
        uint32_t wanted = atomic_exchange(&s->wanted, 0);
        if (wanted && !atomic_load(&s->ending))
            (void)!hostio_poll(s->fd, wanted, NO_DEADLINE);
        wait_wake_all(&s->ready);
    }
    while (!atomic_load(&s->told))
        task_yield();
    end(s);
    task_exit();
}

static void watcher_gone(struct task *t)
{
    task_fini(t);
    kfree(t);
}

void stream_free(struct stream *s)
{
    if (!s->watcher) {
        end(s);
        return;
    }
    struct task *t = s->watcher;
    atomic_store(&s->ending, true);
    task_notify(t); /* out of its sleep, or its poll */
    atomic_store(&s->told, true);
}

/* Asks the watcher, made at the first use, to announce one of the events. */
static void watch_for(struct stream *s, uint32_t events)
{
    mutex_lock(&s->lock);
    if (!s->watcher) {
        struct task *t = kzalloc(sizeof(*t));
        if (t && task_init(t, watch, s) == 0) {
            t->release = watcher_gone;
            s->watcher = t;
            task_start(t);
        } else {
            kfree(t);
        }
    }
    mutex_unlock(&s->lock);
    atomic_fetch_or(&s->wanted, events);
    wait_wake_all(&s->work);
}

uint32_t stream_poll(struct stream *s, struct file *f, struct poll_table *t)
{
    if (t && s->waits)
        poll_add(t, &s->ready);
    uint32_t ready = ready_now(s);
    uint32_t missing = (POLLIN | POLLOUT) & ~ready;
    if (t && s->waits && !(ready & (POLLERR | POLLHUP)) && missing)
        watch_for(s, f->state & FILE_READ && !(ready & POLLIN) ? POLLIN : missing);
    return ready;
}

int64_t stream_ioctl(struct stream *s, uint32_t request, uaddr_t arg, size_t size, bool in)
{
    uint8_t buffer[64] = {0};
    if (in && copy_from_user(buffer, arg, size) < 0)
        return -EFAULT;
    int r = host_ioctl(s->fd, request, buffer, size);
    if (r < 0 || in)
        return r;
    return copy_to_user(arg, buffer, size) < 0 ? -EFAULT : 0;
}
