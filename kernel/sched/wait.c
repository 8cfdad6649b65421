/* SPDX-License-Identifier: BSD-3-Clause */
/* Wait queues. */
#include "sched/wait.h"

#include "lib/log.h"

void wait_queue_init(struct wait_queue *q)
{
    spin_init(&q->lock, RANK_WAIT);
    list_init(&q->waiters);
}

void wait_add(struct wait_queue *q, struct waiter *w)
{
    spin_lock(&q->lock);
    if (w->exclusive)
        list_append(&q->waiters, &w->node);
    else
        list_push(&q->waiters, &w->node);
    spin_unlock(&q->lock);
}

void wait_remove(struct wait_queue *q, struct waiter *w)
{
    spin_lock(&q->lock);
    if (w->node.next && !list_empty(&w->node))
        list_remove(&w->node);
    spin_unlock(&q->lock);
}

void wait_prepare(struct wait_queue *q, struct waiter *w, enum task_state state)
{
    if (!w->task) {
        w->task = current;
        list_init(&w->node);
    }
    spin_lock(&q->lock);
    if (list_empty(&w->node)) {
        if (w->exclusive)
            list_append(&q->waiters, &w->node);
        else
            list_push(&q->waiters, &w->node);
    }
    spin_unlock(&q->lock);
    atomic_store(&current->state, state);
}

void wait_finish(struct wait_queue *q, struct waiter *w)
{
    atomic_store(&current->state, TASK_RUNNABLE);
    wait_remove(q, w);
}

unsigned wait_wake(struct wait_queue *q, unsigned count)
{
    struct waiter *w, *tmp;
    unsigned woken = 0, exclusive = 0;

    /* The sleeper queues itself before it looks at the condition. */
    atomic_thread_fence(memory_order_seq_cst);
    if (list_empty(&q->waiters))
        return 0;
    spin_lock(&q->lock);
    list_for_each_safe (w, tmp, &q->waiters, node) {
        if (w->exclusive && exclusive == count)
            break;
        woken++;
        if (w->notify) {
            exclusive += w->notify(w) && w->exclusive;
            continue;
        }
        exclusive += w->exclusive;
        struct task *t = w->task;
        list_remove(&w->node);
        task_wake(t);
    }
    spin_unlock(&q->lock);
    return woken;
}

unsigned wait_wake_all(struct wait_queue *q)
{
    return wait_wake(q, UINT32_MAX);
}
