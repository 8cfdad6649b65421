/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel timers in one tree, fired by whichever vCPU finds them due. */
#include "sched/timer.h"

#include "enclave/clock.h"
#include "lib/log.h"
#include "sched/internal.h"
#include "sched/lock.h"
#include "sched/task.h"

static struct spinlock timer_lock = SPINLOCK_INIT(RANK_TIMER);
static struct rb_root timers GUARDED_BY(timer_lock);
static _Atomic uint64_t next_deadline = NO_DEADLINE;

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    *t = (struct timer){.fire = fire};
}

static struct timer *first_timer(void) HELD(timer_lock)
{
    struct rb_node *n = rb_first(&timers);
    return n ? container_of(n, struct timer, node) : NULL;
}

static void note_next(void) HELD(timer_lock)
{
    struct timer *first = first_timer();
    atomic_store(&next_deadline, first ? first->deadline_ns : NO_DEADLINE);
}

static void insert(struct timer *t) HELD(timer_lock)
{
    struct rb_node **link = &timers.node, *parent = NULL;

    while (*link) {
        parent = *link;
        struct timer *other = container_of(parent, struct timer, node);
        link = t->deadline_ns < other->deadline_ns ? &parent->left : &parent->right;
    }
    rb_insert(&timers, parent, link, &t->node);
    t->armed = true;
}

static bool unlink_timer(struct timer *t) HELD(timer_lock)
{
    bool was = t->armed;

    if (was)
        rb_remove(&timers, &t->node);
    t->armed = false;
    return was;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
    spin_lock(&timer_lock);
    unlink_timer(t);
    t->deadline_ns = deadline_ns;
    insert(t);
    note_next();
    spin_unlock(&timer_lock);
    if (current)
        atomic_fetch_or(&current->flags, TASK_TICK);
}

bool timer_cancel(struct timer *t)
{
    for (;;) {
        spin_lock(&timer_lock);
        if (!t->running) {
            bool was = unlink_timer(t);
            note_next();
            spin_unlock(&timer_lock);
            return was;
        }
        spin_unlock(&timer_lock);
        __asm__ volatile("pause");
    }
}

uint64_t timer_next(void)
{
    return atomic_load(&next_deadline);
}

void timer_run(void)
{
    if (timer_next() == NO_DEADLINE)
        return;
    uint64_t now = clock_monotonic_ns();
    if (timer_next() > now)
        return;
    spin_lock(&timer_lock);
    for (;;) {
        struct timer *t = first_timer();
        if (!t || t->deadline_ns > now)
            break;
        unlink_timer(t);
        t->running = true;
        spin_unlock(&timer_lock);
        t->fire(t);
        spin_lock(&timer_lock);
        t->running = false;
    }
    note_next();
    spin_unlock(&timer_lock);
}
