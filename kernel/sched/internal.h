/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of sched/ and the boot code. */
#pragma once

#include "lib/types.h"
#include "sched/task.h"

struct vcpu;

/* Earliest deadline of all timers, or NO_DEADLINE. */
uint64_t timer_next(void);
/* Fires what is due. */
void timer_run(void);

/* Makes the running vCPU able to run tasks; its stack becomes that of its idle task. */
void sched_init_vcpu(struct vcpu *v);
/* The idle loop; never returns. */
NORETURN void sched_idle(void);
/* What a tick does: reaps completions, fires timers, asks for a reschedule. */
void sched_tick(void);
/* Has the host's timer fired unnoticed? To be asked after the vCPU was idle outside. */
void sched_look_at_timer(void);
#ifdef OCCLUM_DEBUG
void sched_check_tick(void); /* on the way to user code; see sched.c */
#else
#define sched_check_tick() ((void)0)
#endif
/* Work on the way to user code that concerns the scheduler. */
void sched_user_return(void);
/* How many vCPUs run. */
extern _Atomic uint32_t vcpu_online;

struct run_queue;

/* The vCPU's timer may have to be set before `t` runs on. */
static inline void task_want_tick(struct task *t)
{
    if (!(atomic_load_explicit(&t->flags, memory_order_relaxed) & TASK_TICK))
        atomic_fetch_or(&t->flags, TASK_TICK);
}

/* sched/queue.c: `t` slept at `now`; t leaves for a vCPU where it may run (its queue's lock is
 * held), and arrives there (no lock). */
void task_note_sleep(struct task *t, uint64_t now);
void task_move_away(struct run_queue *q, struct task *t);
void task_place(struct task *t);
/* Interrupts what another vCPU runs, once no lock is held. */
void task_interrupt(const struct run_queue *q);
