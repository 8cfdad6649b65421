/* SPDX-License-Identifier: BSD-3-Clause */
/* timerfd(2): a timer whose expirations are read from a descriptor. */
#include "ipc/timerfd.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "mm/kmalloc.h"
#include "sched/timer.h"
#include "time/time.h"

struct timerfd {
    struct timer timer;
    struct wait_queue queue;
    int clock;
    struct spinlock lock; /* RANK_EVENT */
    uint64_t deadline_ns; /* 0: disarmed */
    uint64_t interval_ns;
    uint64_t count; /* expirations not yet read */
};

static void fire(struct timer *timer)
{
    struct timerfd *t = container_of(timer, struct timerfd, timer);
    uint64_t now = clock_monotonic_ns();
    spin_lock(&t->lock);
    bool due = t->deadline_ns && t->deadline_ns <= now;
    if (due && t->interval_ns) {
        uint64_t n = (now - t->deadline_ns) / t->interval_ns + 1;
        t->count += n;
        t->deadline_ns += n * t->interval_ns;
        timer_set(&t->timer, t->deadline_ns);
    } else if (due) {
        t->count++;
        t->deadline_ns = 0;
    }
    spin_unlock(&t->lock);
    if (due)
        wait_wake_all(&t->queue);
}

static ssize_t timerfd_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct timerfd *t = f->private;
    if (to->remaining < sizeof(t->count))
        return -EINVAL;
    spin_lock(&t->lock);
    uint64_t count = t->count;
    t->count = 0;
    spin_unlock(&t->lock);
    if (!count)
        return -EAGAIN;
    size_t n = iter_copy_to(to, &count, sizeof(count));
    return n == sizeof(count) ? (ssize_t)n : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *table)
{
    struct timerfd *t = f->private;
    poll_add(table, &t->queue);
    spin_lock(&t->lock);
    bool ready = t->count;
    spin_unlock(&t->lock);
    return ready ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->private;
    spin_lock(&t->lock);
    t->deadline_ns = 0;
    spin_unlock(&t->lock);
    (void)timer_cancel(&t->timer);
    kfree(t);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
};

int timerfd_new(int clock, uint32_t flags, struct file **out)
{
    struct timerfd *t = kzalloc(sizeof(*t));
    struct inode *inode;
    if (!t)
        return -ENOMEM;
    t->clock = clock;
    spin_init(&t->lock, RANK_EVENT);
    wait_queue_init(&t->queue);
    timer_init(&t->timer, fire);
    int r = inode_new_anonymous(0600, &inode);
    if (r) {
        kfree(t);
        return r;
    }
    r = file_new_anonymous(inode, "anon_inode:[timerfd]", O_RDWR | (flags & O_NONBLOCK),
                           &timerfd_ops, t, out);
    if (r)
        kfree(t);
    return r;
}

static void read_locked(struct timerfd *t, uint64_t *interval, uint64_t *value) HELD(t->lock)
{
    uint64_t now = clock_monotonic_ns();
    *interval = t->interval_ns;
    *value = 0;
    if (t->deadline_ns)
        *value = t->deadline_ns > now ? t->deadline_ns - now : 1;
}

int timerfd_get(struct file *f, uint64_t *interval, uint64_t *value)
{
    struct timerfd *t = f->private;
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    spin_lock(&t->lock);
    read_locked(t, interval, value);
    spin_unlock(&t->lock);
    return 0;
}

int timerfd_set(struct file *f, bool absolute, uint64_t *interval, uint64_t *value)
{
    struct timerfd *t = f->private;
    uint64_t fresh_interval = *interval, fresh = *value;
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    uint64_t deadline = time_deadline_in(fresh);
    if (absolute)
        deadline = clock_is_realtime(t->clock) ? time_deadline_realtime(fresh) : fresh;
    spin_lock(&t->lock);
    read_locked(t, interval, value);
    t->interval_ns = fresh_interval;
    t->deadline_ns = fresh ? MAX(deadline, 1ull) : 0;
    t->count = 0;
    if (fresh)
        timer_set(&t->timer, t->deadline_ns);
    spin_unlock(&t->lock);
    return 0;
}
