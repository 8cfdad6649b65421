/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wait queues. A sleeper queues itself, then tests its condition, then schedules; a waker
 * changes the condition, then wakes the queue. Early and repeated wake-ups are harmless.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "sched/lock.h"
#include "sched/task.h"

struct wait_queue {
    struct spinlock lock;
    struct list waiters;
};

struct waiter {
    struct list node;
    struct task *task;
    bool exclusive;
    /* When set, called instead of waking `task`, with the queue's lock held; must not sleep.
     * False: nobody was there to be woken, an exclusive one does not count. */
    bool (*notify)(struct waiter *w);
};

void wait_queue_init(struct wait_queue *q);
/* Queues the current task and sets its state (TASK_SLEEPING or TASK_UNINTERRUPTIBLE). */
void wait_prepare(struct wait_queue *q, struct waiter *w, enum task_state state);
void wait_finish(struct wait_queue *q, struct waiter *w);
/* For poll: queues `w` (task or notify set by the caller) without touching the task's state. */
void wait_add(struct wait_queue *q, struct waiter *w);
void wait_remove(struct wait_queue *q, struct waiter *w);
/* Wakes all, or up to `count` exclusive waiters (and all others). Returns how many. */
unsigned wait_wake_all(struct wait_queue *q);
unsigned wait_wake(struct wait_queue *q, unsigned count);

/*
 * Sleeps until `condition` holds. 0; -ERESTARTSYS when a signal came first; -ETIMEDOUT.
 * The condition is evaluated without locks held and may run several times.
 */
#define wait_event(queue, condition, deadline_ns)                                              \
    ({                                                                                         \
        struct waiter we_ = {0};                                                               \
        int we_r_ = 0;                                                                         \
        for (;;) {                                                                             \
            wait_prepare((queue), &we_, TASK_SLEEPING);                                        \
            if (condition)                                                                     \
                break;                                                                         \
            if (task_signalled()) {                                                            \
                we_r_ = -ERESTARTSYS;                                                          \
                break;                                                                         \
            }                                                                                  \
            if (!schedule_until(deadline_ns)) {                                                \
                we_r_ = (condition) ? 0 : -ETIMEDOUT;                                          \
                break;                                                                         \
            }                                                                                  \
        }                                                                                      \
        wait_finish((queue), &we_);                                                            \
        we_r_;                                                                                 \
    })
