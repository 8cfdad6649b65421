/* SPDX-License-Identifier: BSD-3-Clause */
/* eventfd(2): a counter that can be waited for. */
#include "abi/errno.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    uint64_t count;
    bool semaphore;
    struct wait_queue wait;
};

static ssize_t eventfd_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct eventfd *e = f->private;
    uint64_t value;
    (void)pos;
    if (to->remaining < sizeof(value))
        return -EINVAL;
    spin_lock(&e->lock);
    value = e->semaphore && e->count ? 1 : e->count;
    e->count -= value;
    spin_unlock(&e->lock);
    if (value == 0)
        return -EAGAIN;
    wait_wake_all(&e->wait);
    return iter_copy_to(to, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                    : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct eventfd *e = f->private;
    struct iter saved = *from;
    uint64_t value;
    (void)pos;
    if (from->remaining < sizeof(value))
        return -EINVAL;
    if (iter_copy_from(from, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value == UINT64_MAX)
        return -EINVAL;
    spin_lock(&e->lock);
    bool fits = value <= COUNT_MAX - e->count;
    if (fits)
        e->count += value;
    spin_unlock(&e->lock);
    if (!fits) {
        iter_revert(from, &saved);
        return -EAGAIN;
    }
    from->remaining = 0; /* eight bytes count, however many were offered */
    if (value)
        wait_wake_all(&e->wait);
    return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *t)
{
    struct eventfd *e = f->private;
    uint32_t events = 0;
    poll_add(t, &e->wait);
    spin_lock(&e->lock);
    if (e->count)
        events |= POLLIN | POLLRDNORM;
    if (e->count < COUNT_MAX)
        events |= POLLOUT | POLLWRNORM;
    spin_unlock(&e->lock);
    return events;
}

static void eventfd_release(struct file *f)
{
    kfree(f->private);
}

static int eventfd_info(struct file *f, char *buffer, size_t size)
{
    struct eventfd *e = f->private;
    return format_string(buffer, size, "eventfd-count: %16llx\n", (unsigned long long)e->count);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .fdinfo = eventfd_info,
};

bool eventfd_is(const struct file *f)
{
    return f->ops == &eventfd_ops;
}

void eventfd_signal(struct file *f)
{
    struct eventfd *e = f->private;
    spin_lock(&e->lock);
    e->count += e->count < COUNT_MAX;
    spin_unlock(&e->lock);
    wait_wake_all(&e->wait);
}

int eventfd_new(uint64_t count, uint32_t flags, struct file **out)
{
    struct inode *i;
    struct eventfd *e = kzalloc(sizeof(*e));
    if (!e)
        return -ENOMEM;
    spin_init(&e->lock, RANK_EVENT);
    wait_queue_init(&e->wait);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    int r = inode_new_anonymous(0600, &i);
    if (r == 0)
        r = file_new_anonymous(i, "anon_inode:[eventfd]", O_RDWR | (flags & O_NONBLOCK),
                               &eventfd_ops, e, out);
    if (r < 0)
        kfree(e);
    return r;
}
