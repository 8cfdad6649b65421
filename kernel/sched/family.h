/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Families of address spaces whose memories overlap (a residency set). At most one member's
 * private pages are in place; only tasks of that member run. A task that is chosen while nobody
 * of the family runs makes its member the resident one first: `exchange` is called on its
 * stack. A task's claim is its right to run as part of the resident member.
 */
#pragma once

#include <stdatomic.h>

#include "lib/types.h"
#include "sched/lock.h"
#include "sched/wait.h"

struct task;
struct sched_mm;

struct sched_family {
    struct spinlock lock;
    struct sched_mm *resident; /* NULL: nobody's pages are in place */
    uint32_t running;          /* claims */
    bool exchanging;           /* the only claim is bringing its member in */
    bool wanted;               /* a task of another member was passed over */
    bool refused;              /* any was, since the last change */
    bool unfinished;           /* a task of the resident member was preempted */
    bool guest;                /* somebody waits for nobody to run */
    bool lingers;              /* the resident's tasks sleep, and may be back at once */
    bool lingered;             /* somebody was passed over for that */
    uint64_t idle_tsc;         /* since when that is so */
    uint64_t since_tsc;        /* of the last exchange */
    uint64_t cost_tsc;         /* of it */
    struct wait_queue waiters; /* for nobody to run; no lock */
};

#define SCHED_FAMILY_INIT(name)                                                                \
    {                                                                                          \
        .lock = SPINLOCK_INIT(RANK_FAMILY),                                                    \
        .waiters = {.lock = SPINLOCK_INIT(RANK_WAIT),                                          \
                    .waiters = LIST_INIT((name).waiters.waiters)},                             \
    }
void sched_family_init(struct sched_family *f);
/* Brings `mm` in for the current task, which holds the only claim. Set by mm/. */
extern void (*sched_exchange)(struct sched_mm *mm);

/* The current task turns to another address space (NULL: none), and holds a claim for it. */
void sched_set_mm(struct sched_mm *mm);
/* The same for one that is being built and overlaps nobody: a claim on the old one is kept, as
 * long as the task does not sleep. */
void sched_use_mm(struct sched_mm *mm);

/* For the scheduler: may `t` run now? Takes a claim if it may. */
bool family_claim(struct task *t);
void family_release(struct task *t);
/* The current task is about to be preempted; it wants to go on. */
void family_preempt(void);
/* On the chosen task's stack, before anything else: makes its member resident. */
void family_settle(void);
/* The resident member has had its time, and another one waits. No lock: a hint. */
bool family_over(const struct sched_family *f);
/* That is so for the member that the task belongs to. */
bool family_expired(const struct task *t);
/* How long the current task's member may stay, in ns, if another one waits; else UINT64_MAX. */
uint64_t family_time_left(void);
/* Somebody else is to come in: the resident's tasks are to notice. */
void family_want(struct sched_family *f) HELD(f->lock);
/* Nobody runs, or nobody is being brought in, any more: who waits looks again. No lock is held.
 */
void family_changed(struct sched_family *f);
/* The current task sleeps until that is said, or a moment. */
void family_wait(struct sched_family *f);
/* Before a task or a family is freed: another vCPU may be looking at it. */
void sched_wait_watchers(void);
