/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals: queues, dispositions, delivery. Works on the two structs below, which processes and
 * threads embed; what only processes know (dying, stopping) is reached through struct
 * signal_ops. See docs/signals.md.
 */
#pragma once

#include "abi/signal.h"
#include "lib/list.h"
#include "sched/lock.h"
#include "sched/task.h"
#include "sched/wait.h"

#define SIGBIT(sig)         (1ull << ((sig)-1))
#define SIGNALS_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
/* Above the program's flags in struct abi_sigaction: its restorer is the usual one. */
#define SIGNAL_USUAL_RESTORER (1ull << 32)
#define SIGNAL_QUEUE_MAX    16384u /* queued signals a process may hold: RLIMIT_SIGPENDING */

struct signal_queued {
    struct list node;
    struct abi_siginfo info;
    bool preallocated;    /* belongs to a timer: not freed; `node` is empty while not queued */
    int32_t last_overrun; /* of a timer's signal taken last */
};

struct signal_pending {
    uint64_t set;
    struct list queue; /* struct signal_queued */
};

/* Where handlers may return to instead of the program's own restorer: see docs/signals.md. */
struct signal_restorer {
    uaddr_t address; /* 0: nowhere */
    uint64_t code;   /* what is to be found there */
    bool listed;     /* unwinders of the program find its description */
};

/* One a process. */
struct signal_group {
    struct spinlock lock; /* RANK_SIGNAL; protects everything here and in the threads */
    struct abi_sigaction action[SIGMAX + 1];
    struct signal_restorer restorer; /* set at exec */
    struct signal_pending pending;
    struct list threads; /* struct signal_thread.node */
    uint32_t queued;     /* of `pending` and of all threads */
    uint32_t queue_max;  /* RLIMIT_SIGPENDING */
    bool dying;          /* exit_group, exec or a fatal signal: threads leave at once */
    struct signal_thread *survivor; /* while dying for exec: who stays */
    int exit_status;                /* wait(2) status, valid when dying */
    bool stopped;                   /* job control */
    bool unkillable;                /* ignores signals it has no handler for */
    struct wait_queue resume;       /* stopped threads wait here */
    struct wait_queue arrival;      /* sigtimedwait, signalfd */
};

/* One a thread; lies right behind its struct task. */
struct signal_thread {
    struct signal_group *group;
    struct list node;
    struct signal_pending pending;
    uint64_t blocked;
    uint64_t saved_mask; /* back in force when the call ends, if restore_mask */
    bool restore_mask;
    bool killable; /* sleeps TASK_UNINTERRUPTIBLE, but a fatal signal should wake it */
    struct abi_stack altstack;
    uint32_t fault_vector, fault_error; /* of the last exception, for frames */
    uaddr_t fault_address;
    int64_t (*restart)(struct signal_thread *t); /* restart_syscall(2) */
    uint64_t restart_arg[4];
};

struct signal_task {
    struct task task;
    struct signal_thread signals;
};
static inline struct signal_thread *task_signals(struct task *t)
{
    return &container_of(t, struct signal_task, task)->signals;
}
static inline struct task *signal_task_of(struct signal_thread *s)
{
    return &container_of(s, struct signal_task, signals)->task;
}

/* Filled in by kernel/proc. */
struct signal_ops {
    /* Before terminate() for one of core(5)'s signals: true if a core file is written. */
    bool (*dump_core)(const struct abi_siginfo *info, int wait_status);
    /* Ends the current process: status is what wait(2) reports. */
    NORETURN void (*terminate)(int status);
    /* Ends the current thread: its process is dying. */
    NORETURN void (*leave)(void);
    /* The process stopped (sig) or went on (0): tell the parent. No locks held. */
    void (*stop_changed)(struct signal_group *g, int sig);
    /* Nobody could continue it: the terminal's stop signals do nothing. No locks held. */
    bool (*orphaned)(struct signal_group *g);
};
extern const struct signal_ops *signal_ops;

/* Installs the delivery and exception hooks. */
void signal_boot(const struct signal_ops *ops);
void signal_group_init(struct signal_group *g);
void signal_group_fini(struct signal_group *g); /* frees what is queued */
void signal_thread_init(struct signal_thread *s, struct signal_group *g);
/* A thread joins its group with its creator's mask; -EAGAIN when the group is dying. */
int signal_thread_join(struct signal_thread *s) MUST_CHECK;
/* Leaves; its share of the group's signals goes to the others. */
void signal_thread_leave(struct signal_thread *s);
/* execve: handlers back to default, alternate stack and timers' signals gone. */
void signal_exec(struct signal_group *g, struct signal_thread *s);

/* Sending. 0, or -EAGAIN when the queue is full (only for signals sent with a value). */
int signal_send_group(struct signal_group *g, const struct abi_siginfo *info);
int signal_send_thread(struct signal_thread *s, const struct abi_siginfo *info);
/* A timer's own entry, for `count` expirations; what is not delivered at once counts as
 * overrun. `thread` may be NULL: the group. */
void signal_send_queued(struct signal_group *g, struct signal_thread *thread,
                        struct signal_queued *q, uint32_t count);
/* Takes a preallocated entry out of whichever queue holds it. */
void signal_unqueue(struct signal_group *g, struct signal_queued *q);
/* To the current thread, as the kernel does for SIGPIPE, SIGXFSZ. */
void signal_send_current(int sig);
/* A fault of the current thread: cannot be blocked or ignored. */
void signal_force(const struct abi_siginfo *info);
void signal_force_simple(int sig);
/* Starts the death of the whole group; all its threads but `survivor` leave. False: it was
 * dying. */
bool signal_group_kill(struct signal_group *g, int status, struct signal_thread *survivor);

/* Receiving. */
/* Takes the next signal of `set`, the thread's own first: its number, or 0. */
int signal_take(uint64_t set, struct abi_siginfo *out);
uint64_t signal_pending_set(struct signal_thread *s);
/* Blocked or ignored by the current thread. */
bool signal_is_ignored(int sig);
/* A signal that would interrupt is pending: for code that must tell real from stale flags. */
bool signal_deliverable(struct signal_thread *s);

/* sigaction(2): the old disposition, and a new one unless NULL. */
void signal_action(int sig, const struct abi_sigaction *fresh, struct abi_sigaction *old);

/* Masks. */
void signal_mask_set(uint64_t mask);
/*
 * ppoll, pselect6, epoll_pwait: installs the program's mask (address 0: nothing to do) for the
 * length of the call. -EINVAL, -EFAULT. When the call ends with a signal's -EINTR or
 * -ERESTART*, pass interrupted: the old mask then returns after the handler's frame was built.
 */
int signal_mask_begin(uaddr_t mask, uint64_t size) MUST_CHECK;
void signal_mask_end(bool interrupted);
int signal_get_mask(uaddr_t mask, uint64_t size, uint64_t *out) MUST_CHECK;
