/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes and threads. One spinlock, proc_lock, protects the tables, the family tree and what
 * is marked so below; signals have their group's lock. A thread is a task; it embeds struct
 * task and struct signal_thread as its first members. Process 1 is the kernel itself: it has no
 * threads and collects orphans. See docs/process.md.
 */
#pragma once

#include "abi/process.h"
#include "lib/radix.h"
#include "proc/rusage.h"
#include "sched/lock.h"
#include "sched/task.h"
#include "sched/timer.h"
#include "sched/wait.h"
#include "signal/signal.h"

struct file;
struct mm;
struct posix_timer;

#define SCHED_RESET_ON_FORK 0x40000000u /* in thread->policy */

#define PID_INIT 1
#define PID_MAX  4194304

enum process_state { PROCESS_LIVE, PROCESS_ZOMBIE, PROCESS_REAPED };

/* ITIMER_REAL; timers_lock. */
struct itimer {
    struct timer timer;
    uint64_t deadline_ns; /* 0: disarmed */
    uint64_t interval_ns;
};

/* ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU: compared with consumed time; timers_lock. */
struct cpu_itimer {
    uint64_t expires_ns; /* consumed time; 0: disarmed */
    uint64_t interval_ns;
};

struct thread {
    struct task task;
    struct signal_thread signals;

    struct process *process;
    _Atomic uint32_t refs;
    struct list node; /* process->threads; proc_lock */
    uaddr_t clear_child_tid;
    uaddr_t robust_list;
    int parent_death_signal;
    struct vfork_wait *vfork;  /* somebody waits until this one execs or exits; proc_lock */
    uint32_t policy, priority; /* sched_setscheduler(2); see task_set_priority() */
    uint64_t timer_slack_ns;
    uint64_t start_ns;     /* CLOCK_MONOTONIC */
    uaddr_t set_child_tid; /* the thread writes its tid there when it first runs */
    uint32_t personality;
    int io_priority; /* ioprio_set(2) */
    int wanted_tid;  /* clone3's set_tid; 0: any */
    bool no_new_privs;
};
_Static_assert(offsetof(struct thread, signals) == offsetof(struct signal_task, signals),
               "task_signals() relies on it");

struct process {
    int pid;
    _Atomic uint32_t refs;
    uint64_t start_ns;
    _Atomic int parent_pid; /* follows `parent`, for those who only ask */

    /* proc_lock */
    struct process *parent; /* never NULL but for PID_INIT; no reference: children hold none */
    struct list children, sibling;
    struct list threads;
    uint32_t thread_count; /* that have not left */
    enum process_state state;
    int pgid, sid;
    bool no_tty;  /* gave up its session's terminal; only the process itself changes it */
    uint32_t outside; /* started from outside the enclave, where somebody waits; 0: not */
    int exit_signal;
    uint32_t uid;              /* its user, for SIGCHLD */
    int wait_status; /* of a zombie */
    int stop_signal; /* stopped and not yet reported, 0: none */
    bool continued;  /* went on and not yet reported */
    bool did_exec;
    bool child_reaper;
    struct abi_rlimit limit[RLIMIT_COUNT];
    struct usage reaped; /* by children waited for */
    struct usage left;   /* by threads that have left; the peak is the process's */

    struct file *exe; /* counted; NULL in zombies */
    char *cmdline;    /* as at exec: NUL-terminated strings; proc_lock */
    size_t cmdline_size;
    uint64_t *auxv; /* for /proc/PID/auxv; pairs, ends with AT_NULL */
    size_t auxv_size;
    bool dumpable;

    struct list sem_undo;         /* sem_operate() */
    struct list aio;              /* struct aio_context, ipc/aio.h */
    struct wait_queue exit_wait;  /* pidfds */
    struct wait_queue child_wait; /* its parent's waits for children are here */
    struct signal_group signals;

    struct spinlock timers_lock; /* RANK_PROC */
    struct itimer real;
    struct timer cpu_tick;          /* looks at the three below while one is armed */
    struct cpu_itimer cpu_timer[3]; /* enum cpu_timer_kind */
    struct radix timers;            /* struct posix_timer by id */
    int next_timer;
};

extern struct spinlock proc_lock;
extern struct process *process_init; /* process 1 */

static inline struct thread *thread_of(struct task *t)
{
    return container_of(t, struct thread, task);
}
/* Only in a thread's context, never in kernel tasks. */
#define current_thread  thread_of(current)
#define current_process (current_thread->process)

/* proc_lock; the caller keeps the lists of children. */
static inline void process_set_parent(struct process *p, struct process *parent)
{
    p->parent = parent;
    atomic_store_explicit(&p->parent_pid, parent->pid, memory_order_relaxed);
}

/* Lookups return a reference, or NULL. Threads by tid, processes by pid. */
struct process *process_find(int pid);
struct process *process_get(struct process *p);
void process_put(struct process *p);
struct thread *thread_find(int tid);
struct thread *thread_get(struct thread *t);
void thread_put(struct thread *t);
/* The first process whose pid is >= *pid, with a reference; sets *pid. NULL: no more. */
struct process *process_next(int *pid);
/* The same among a process's threads, by tid. */
struct thread *process_next_thread(struct process *p, int *tid);
/* Counted references to what a process acts on (its first thread's), or NULL (zombie, exiting).
 */
struct mm *process_mm(struct process *p);
bool process_uses(struct process *p, const struct mm *mm);
struct file *process_exe(struct process *p);
struct fd_table *process_files(struct process *p);
struct fs_context *process_fs(struct process *p);
struct cred *process_cred(struct process *p);
uint32_t process_count(uint32_t *threads);    /* live ones */
uint32_t threads_max(void);
uint32_t processes_max(void);
char process_state_letter(struct process *p); /* as in /proc/PID/stat */

/* Consumed CPU time with all threads, living and gone. */
void process_cpu_ns(struct process *p, uint64_t *user_ns, uint64_t *system_ns);
void process_usage(struct process *p, struct usage *out);
uint64_t process_limit(const struct process *p, unsigned which); /* soft */

/* Boot: the kernel's process 1. */
int proc_init(void) MUST_CHECK;
/*
 * Starting programs from outside. The caller has mounted the root. It keeps the struct until
 * `ran` is called; files, fs and cred are taken over unless proc_start() fails.
 */
struct proc_start {
    const char *path;
    char *const *argv;
    char *const *envp;
    struct fd_table *files;
    struct fs_context *fs;
    struct cred *cred;
    uint32_t id; /* becomes process.outside */
    /* In the program's first thread: it leads a session of its own, and has run nothing yet. */
    void (*began)(struct proc_start *s);
    /* There as well: the program is loaded, or cannot be (and the process ends). */
    void (*ran)(struct proc_start *s, int error);
};
/* A new process; negative errno: nothing was started. */
int proc_start(struct proc_start *s) MUST_CHECK;
/* What the measured configuration says: may that program be started, and the environment that
 * it has if the host wants `host`; an array to be freed, whose strings are not copied. NULL: no
 * memory. */
bool proc_entry_allowed(const char *path);
char **proc_environment(char *const *host) MUST_CHECK;
/* Why exec failed, in words, and the exit status that shells give it. */
const char *proc_exec_error(int error, int *status);

/* The next process is the first again; there is none. */
void proc_ids_restart(void);
/* The id of the first stage's /bin/init, and who hears of its end. */
#define PROC_STAGE (UINT32_MAX - 1)
extern void (*proc_stage_ended)(int wait_status);
/* What the first stage gives the second: entry point and environment, NULL: as configured. The
 * environment overrides the configured one, and is trusted. Both are kept. */
void proc_boot_override(const char *entry, char *const *environment);
#define PROC_FIRST UINT32_MAX /* the id of the first program: the kernel ends with it */
/* The first program from boot_info and the measured configuration; explains a refusal and
 * stops with 126 or 127. */
void proc_boot_configured(struct fd_table *files, struct fs_context *fs, struct cred *cred);
/* Filled in by the layers above: the first program's session begins; may be NULL. */
extern void (*proc_first_began)(struct proc_start *s);
/* Filled in by the layers above: a program from outside stopped (by a signal), or ended. */
extern void (*proc_outside_changed)(uint32_t id, int status, bool stopped);

/* Filled in by the layers above: what the end of a session's leader means to its terminal. */
extern void (*proc_session_ended)(int sid);
/* The end of all: what is written reaches files and sockets first. */
NORETURN void proc_stop_kernel(uint32_t wait_status);

/* Ends the calling process (all threads) or thread. */
NORETURN void process_exit(int wait_status);
NORETURN void thread_exit(int wait_status);
