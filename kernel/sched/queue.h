/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run queues, one a vCPU: what is runnable, in which order, and whom to tell of it. A queue's
 * lock covers its tree and, for the tasks that belong to it (task->vcpu), on_queue and in_tree.
 */
#pragma once

#include <stdatomic.h>

#include "enclave/vcpu.h"
#include "lib/rbtree.h"
#include "sched/lock.h"
#include "sched/task.h"

#define HELP_NS 2000000ull /* a task that should soon run on its waker's vCPU waits so long */

struct run_queue {
    struct vcpu *vcpu;
    struct spinlock lock;
    struct rb_root tasks; /* by key; the lock */
    uint64_t sequence;    /* orders realtime tasks of one priority; the lock */

    _Atomic uint64_t floor;       /* virtual time: no task that ran lately has less */
    _Atomic uint32_t length;      /* of the tree */
    _Atomic uint64_t running_key; /* of what runs; UINT64_MAX: idle */
    _Atomic uint32_t arrivals;    /* in the tree, ever; changed under the lock */
    _Atomic uint32_t changes;     /* of who may run, of what is in the tree */
    _Atomic bool sleeping;        /* outside, in HOSTCALL_WAIT, or about to be */
    _Atomic bool spinning;        /* idle, and looks at `length` all the time */

    /* of its own vCPU alone */
    _Atomic uint64_t armed_ns;      /* the host's timer for this vCPU; 0: off */
    uint64_t armed_span, armed_tsc; /* how long from then on; when that is over */
    uint32_t timer_fired;           /* the host's count, when last looked at */
    uint64_t kicks, interrupts;     /* vCPUs to be called once no lock is held */
    bool help;                      /* there may be work here that another vCPU could do */
    uint64_t retry_ns;              /* how soon one that was passed over may run */
#ifdef OCCLUM_DEBUG
    _Atomic uint32_t foreign; /* arrivals that other vCPUs brought; changed under the lock */
    uint32_t foreign_seen;    /* by sched_look_after() or set_tick() */
#endif
    uint64_t spin_ns;               /* how long spinning has been worth it lately */
    uint64_t synced_tsc, host_cpu;  /* when the host was asked, and what it said, in ns */
    uint64_t segment_ns;            /* charged to the current task since then */
    uint64_t switches, preemptions;
    uint64_t awake_tsc;               /* until then a family lingers that ran here */
    uint64_t exchanges, exchange_tsc; /* of families, by this vCPU */
    struct task *previous; /* switched away from, not yet let go of */
    struct task idle;
};

extern struct run_queue queues[LAYOUT_VCPU_MAX];

static inline struct run_queue *my_queue(void)
{
    return this_vcpu()->sched;
}

void run_queue_init(struct run_queue *q, struct vcpu *v);
/* May it run on that vCPU? Says nothing of frozen memories and families. */
bool task_allowed(const struct task *t, uint32_t vcpu);

/* The current task stays runnable: back into its vCPU's queue, or into one where it may run. */
void queue_put_back(struct run_queue *q, struct task *t) HELD(q->lock);
/* Takes the first task that may run on vCPU `me`, with its family's claim. */
struct task *queue_take(struct run_queue *q, uint32_t me) HELD(q->lock);
struct task *queue_steal(struct run_queue *mine);
/* Is there a task in `q` that vCPU `me` could take over? */
bool queue_could_help(struct run_queue *q, uint32_t me);
/* Would `t`, which runs here, have to leave for the first in the queue? */
bool queue_wants(struct run_queue *q, struct task *t);
/* Tasks that were passed over may be able to run now: vCPUs that have some look again. */
void queues_look_again(void);
/* A task that was put where another vCPU has to look for it: see queue_call(). */
void queue_announce(struct run_queue *q, uint64_t key);

/* Makes the calls that wake-ups have asked for; no lock may be held. `runs` goes on, or comes
 * next. True: the current task had better let the first of its queue run at once. */
bool queue_call(struct run_queue *q, const struct task *runs);
/* It mostly sleeps again after so short a while that nobody else need be called meanwhile. */
bool task_is_brief(const struct task *t);

/* What is looked at from here on, or the running task of another vCPU, is not freed before
 * watch_end(). In between: no host call, no sleep. */
void watch_begin(void);
struct task *watch_running(struct vcpu *v);
void watch_end(void);

/* ---- sched/account.c ---- */

/* The task has run until `now`: consumed and virtual time. */
void account_charge(struct task *t, uint64_t now);
/* From `prev` to `next`. */
void account_switch(struct task *prev, struct task *next, uint64_t now);
/* Asks the host how long this vCPU really ran, if that has not been asked for a while. */
void account_sync(struct run_queue *q, uint64_t now);
/* The vCPU was outside and idle, and the host said this: what passed there is nobody's. */
void account_resume(struct run_queue *q, int64_t host_cpu);
