/* SPDX-License-Identifier: BSD-3-Clause */
/* Poll tables: one waiter on many wait queues. */
#include "fs/core/poll.h"

#include "abi/errno.h"
#include "fs/core/file.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

static bool notify_task(struct waiter *w)
{
    struct poll_entry *e = container_of(w, struct poll_entry, waiter);
    struct poll_table *t = e->owner;
    struct task *task = t->task;
    atomic_store(&t->triggered, true);
    return task_wake(task);
}

void poll_table_init(struct poll_table *t, bool (*notify)(struct waiter *w), void *owner)
{
    t->notify = notify ? notify : notify_task;
    t->owner = notify ? owner : t;
    t->task = current;
    t->count = 0;
    t->exclusive = false;
    t->failed = false;
    t->more = NULL;
    atomic_init(&t->triggered, false);
}

void poll_add(struct poll_table *t, struct wait_queue *q)
{
    if (!t)
        return;
    struct poll_entry *e;
    if (t->count < POLL_INLINE) {
        e = &t->entries[t->count];
    } else {
        e = kmalloc(sizeof(*e));
        if (!e) {
            t->failed = true;
            return;
        }
        e->next = t->more;
        t->more = e;
    }
    t->count++;
    memset(&e->waiter, 0, sizeof(e->waiter));
    e->waiter.task = t->task;
    e->waiter.notify = t->notify;
    e->waiter.exclusive = t->exclusive;
    e->owner = t->owner;
    e->queue = q;
    wait_add(q, &e->waiter);
}

void poll_table_fini(struct poll_table *t)
{
    for (unsigned i = 0; i < MIN(t->count, POLL_INLINE); i++)
        wait_remove(t->entries[i].queue, &t->entries[i].waiter);
    while (t->more) {
        struct poll_entry *e = t->more;
        t->more = e->next;
        wait_remove(e->queue, &e->waiter);
        kfree(e);
    }
    t->count = 0;
}

int poll_table_sleep(struct poll_table *t, uint64_t deadline_ns)
{
    int r = 0;
    if (t->failed)
        return -ENOMEM;
    atomic_store(&current->state, TASK_SLEEPING);
    while (!atomic_load(&t->triggered)) {
        if (task_signalled()) {
            r = -ERESTARTSYS;
            break;
        }
        if (!schedule_until(deadline_ns)) {
            r = atomic_load(&t->triggered) ? 0 : -ETIMEDOUT;
            break;
        }
        atomic_store(&current->state, TASK_SLEEPING);
    }
    atomic_store(&current->state, TASK_RUNNABLE);
    atomic_store(&t->triggered, false);
    return r;
}

uint32_t file_poll(struct file *f, struct poll_table *t)
{
    if (!f->ops->poll)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return f->ops->poll(f, t);
}
