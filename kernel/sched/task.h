/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tasks: what the scheduler runs. Each user thread is one task; it embeds struct task first.
 * The kernel is not preempted: a task leaves the CPU only in schedule(). User code is, by a
 * tick.
 */
#pragma once

#include <stdatomic.h>

#include "enclave/regs.h"
#include "enclave/vcpu.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "sched/lock.h"

struct mm;
struct fd_table;
struct sched_family;
struct fs_context;
struct cred;

enum task_state {
    TASK_RUNNABLE,        /* running or in a run queue */
    TASK_SLEEPING,        /* interruptible: signals wake it */
    TASK_UNINTERRUPTIBLE, /* only its wake-up wakes it */
    TASK_DEAD,
};

/* What the scheduler knows of an address space: struct mm begins with it. */
struct sched_mm {
    struct task *_Atomic frozen_by;      /* nobody else of this mm runs; NULL: not frozen */
    struct sched_family *_Atomic family; /* NULL: its memory overlaps nobody's */
    uint32_t linger_hold, linger_held;   /* see sched/family.c; under the family's lock */
};

/* struct task.flags */
#define TASK_SIGNAL                                                                            \
    0x1u /* a signal may be deliverable: look on the way to user code; ends sleeps */
#define TASK_RESCHED 0x2u /* give up the CPU on the way to user code */
#define TASK_TICK    0x4u /* the vCPU's timer may have to be set earlier */

#define KERNEL_STACK_BYTES (32u * 1024)
#define TASK_NAME_BYTES    16

#define RUN_ACCOUNTING UINT64_MAX

#define QUANTUM_NS   10000000ull /* how long a task runs while its equals wait */
#define REALTIME_MAX 99u
#define WEIGHT_UNIT  1024u

struct task_priority {
    uint8_t realtime; /* 1..99, more is first; 0: none */
    bool round_robin; /* gives way to its equals after a quantum */
    bool batch;       /* preempts nobody when it wakes */
    uint32_t weight;  /* virtual time per time, in units of 1/WEIGHT_UNIT: less is more CPU */
};

struct task {
    uint64_t rsp;       /* kernel stack pointer while not running; known to switch.S */
    uint64_t fs_base;   /* the program's, while not running; known to switch.S */
    uint64_t stack_top; /* struct regs lies right below */
    void *stack;        /* lowest byte above the guard page */

    void *vector;      /* XSAVE area, 64-byte aligned */
    bool vector_saved; /* the program's vector state is in `vector`, not in the registers */

    _Atomic uint32_t flags;
    _Atomic uint32_t state; /* enum task_state */
    _Atomic bool on_cpu;    /* its stack is in use */
    _Atomic uint32_t vcpu;  /* whose run queue it belongs to */
    struct sched_family *claim; /* counted in it while this task runs; sched/family.h */
    bool keeps_claim;           /* even asleep: what it waits for comes soon, and surely */

    /* Under the lock of its run queue; sched/queue.c. */
    struct rb_node run_node;
    bool on_queue;      /* runnable and owned by a run queue, or running */
    bool in_tree;       /* waits in the queue's tree */
    bool to_tail;       /* behind its equals when it is put back */
    bool round_robin;   /* as they are in force: of `base` and `inherited` */
    uint8_t realtime;   /* 1..99; 0: shares the CPU by weight */
    uint32_t weight;
    uint64_t key, vruntime;
    struct task_priority base, inherited;
    uint64_t affinity;  /* bit set: may run on that vCPU; 0: any */

    /* Its own. */
    uint32_t pinned;    /* to this vCPU, counted from 1, for as long as host I/O is in flight */
    int8_t wake_score;  /* > 0: it mostly sleeps soon after it woke another */
    uint64_t woke_tsc;  /* when it last woke another; 0: slept since */
    uint64_t slept_cpu_ns, burst_ns; /* cpu_ns when it last slept; what it used since then */
    int nice;
    uint64_t switches, preemptions; /* voluntary and not */
    uint64_t faults;                /* that brought a page in */
    uint32_t unmeasured;            /* system calls until one is timed */

    _Atomic uint64_t run_since; /* TSC; 0: not running; RUN_ACCOUNTING: the two are changing */
    uint64_t cpu_ns;            /* consumed, user and system */
    _Atomic uint64_t cpu_ns_read; /* the most that anybody was told */
    uint64_t system_ns;         /* estimate of the part in the kernel */

#ifdef OCCLUM_DEBUG
    struct held_locks held; /* mutexes */
    uint32_t freezes;       /* memories that it keeps still */
#endif
    int tid, tgid;
    char name[TASK_NAME_BYTES];

    /* What the task acts on; owned by the layers above, shared between threads. */
    struct mm *mm; /* NULL: kernel task */
    struct fd_table *files;
    struct fs_context *fs;
    struct cred *cred;

    void (*entry)(void *arg); /* first function on its stack */
    void *arg;
    void (*release)(
        struct task *t); /* called on another stack once TASK_DEAD has left the CPU */
};

/* Allocates the kernel stack and the vector area; -ENOMEM. The rest of *t must be zeroed. */
int task_init(struct task *t, void (*entry)(void *arg), void *arg) MUST_CHECK;
/* Undoes task_init() for a task that never ran, or from its release function. */
void task_fini(struct task *t);
/* Makes a new task runnable. */
void task_start(struct task *t);
/* Ends the current task; t->release runs later. */
NORETURN void task_exit(void);

/* The program's registers, at the top of the kernel stack. */
static inline struct regs *task_regs(const struct task *t)
{
    return (struct regs *)(t->stack_top - sizeof(struct regs));
}
/* Leaves for user code with task_regs(current); the last act of a new thread's entry function.
 */
NORETURN void user_enter(void);

/* Lets others run; returns when chosen again. The state must have been set before. */
void schedule(void);
/* As schedule(), but wakes at deadline_ns (CLOCK_MONOTONIC) at the latest. False: the time
 * came. */
bool schedule_until(uint64_t deadline_ns);
#define NO_DEADLINE UINT64_MAX
/* Lets others of its priority run first. */
void task_yield(void);
/* Makes a sleeping task runnable; true if it was sleeping. Any context, any vCPU. */
bool task_wake(struct task *t);
/* A sleeping vCPU comes for what waits behind the caller, which has more to do, and will not
 * give up the CPU soon. */
void sched_share(void);
/* Sets TASK_SIGNAL and gets the task's attention: wakes it from TASK_SLEEPING, or interrupts
 * the vCPU that runs it in user code. */
void task_notify(struct task *t);

void task_set_priority(struct task *t, const struct task_priority *p);
/* What waiters for a lock that it holds lend it; all zero: nothing. */
void task_inherit(struct task *t, const struct task_priority *p);
/* 0: any vCPU. Takes effect at once, wherever the task is. */
void task_set_affinity(struct task *t, uint64_t affinity);
/* struct task_priority.weight of a nice value. */
uint32_t task_weight(int nice);

static inline bool task_signalled(void)
{
    return atomic_load_explicit(&current->flags, memory_order_acquire) & TASK_SIGNAL;
}

/*
 * Work on the way to user code, filled in by the signal layer: called with flags TASK_SIGNAL
 * set (already cleared by the caller), may change *regs, may not return (exit).
 */
extern void (*task_signal_hook)(struct regs *regs);

/* Keeps all other tasks of current->mm from running until sched_thaw(), and returns when they
 * do not: pages of theirs can be filled or text rewritten under them. May sleep; no nesting.
 * They can be anywhere in the kernel, with any mutex held: until sched_thaw() the caller takes
 * none and does not sleep. */
void sched_freeze(struct sched_mm *mm);
/* The same for several: begin with each, giving all up again if one is somebody else's; then
 * wait once. Nobody who has begun may wait for another freeze. */
bool sched_freeze_begin(struct sched_mm *mm);
void sched_freeze_wait(void);
void sched_thaw(struct sched_mm *mm);

/* Consumed CPU time of a task in ns: user+system, and system alone. */
uint64_t task_cpu_ns(struct task *t, uint64_t *system_ns);
/* The same without promises: for differences. */
uint64_t task_cpu_charged(const struct task *t);
/* Before CPU time is read: takes what the host kept from the current task out of it. */
void task_cpu_sync(void);
