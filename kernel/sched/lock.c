/* SPDX-License-Identifier: BSD-3-Clause */
/* Spinlocks and mutexes. */
#include "sched/lock.h"

#include "lib/log.h"
#include "sched/task.h"
#include "sched/wait.h"

void spin_init(struct spinlock *l, enum lock_rank rank)
{
    atomic_init(&l->held, 0);
    l->rank = rank;
}

bool spin_trylock(struct spinlock *l) UNCHECKED_LOCKING
{
    return !atomic_exchange_explicit(&l->held, 1, memory_order_acquire);
}

void spin_lock(struct spinlock *l) UNCHECKED_LOCKING
{
    while (!spin_trylock(l)) {
        while (atomic_load_explicit(&l->held, memory_order_relaxed))
            __asm__ volatile("pause");
    }
}

void spin_unlock(struct spinlock *l) UNCHECKED_LOCKING
{
    assert(atomic_load_explicit(&l->held, memory_order_relaxed));
    atomic_store_explicit(&l->held, 0, memory_order_release);
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    spin_init(&m->lock, RANK_WAIT);
    m->owner = NULL;
    list_init(&m->waiters);
    m->rank = rank;
}

struct mutex_waiter {
    struct list node;
    struct task *task;
};

bool mutex_trylock(struct mutex *m) UNCHECKED_LOCKING
{
    spin_lock(&m->lock);
    bool free = !m->owner;
    if (free)
        m->owner = current;
    spin_unlock(&m->lock);
    return free;
}

/* The releasing task hands the mutex over, so that a waiter never starves. */
void mutex_lock(struct mutex *m) UNCHECKED_LOCKING
{
    struct mutex_waiter w = {.task = current};

    spin_lock(&m->lock);
    if (!m->owner) {
        m->owner = current;
        spin_unlock(&m->lock);
        return;
    }
    assert(m->owner != current);
    list_append(&m->waiters, &w.node);
    for (;;) {
        atomic_store(&current->state, TASK_UNINTERRUPTIBLE);
        if (m->owner == current)
            break;
        spin_unlock(&m->lock);
        schedule();
        spin_lock(&m->lock);
    }
    atomic_store(&current->state, TASK_RUNNABLE);
    spin_unlock(&m->lock);
}

void mutex_unlock(struct mutex *m) UNCHECKED_LOCKING
{
    struct task *next = NULL;

    spin_lock(&m->lock);
    assert(m->owner == current);
    struct list *first = list_pop(&m->waiters);
    if (first)
        next = list_entry(first, struct mutex_waiter, node)->task;
    m->owner = next;
    spin_unlock(&m->lock);
    if (next)
        task_wake(next);
}

bool mutex_held(const struct mutex *m)
{
    return m->owner == current;
}
