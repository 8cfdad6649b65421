/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of threads and processes: what they leave to others (robust futexes, orphans, a
 * zombie) and who hears of it.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/stop.h"
#include "enclave/trace.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/mount.h"
#include "ipc/aio.h"
#include "ipc/mqueue.h"
#include "ipc/sysv.h"
#include "lib/names.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "net/net.h"
#include "proc/futex.h"
#include "proc/group.h"
#include "proc/internal.h"
#include "sched/family.h"
#include "time/time.h"

#define DRAIN_NS 5000000000ull /* for the last bytes of closed sockets */

void vfork_finish(struct thread *t)
{
    struct thread *parent = NULL;
    spin_lock(&proc_lock);
    struct vfork_wait *v = t->vfork;
    t->vfork = NULL;
    if (v) {
        parent = thread_get(v->parent);
        atomic_store(&v->done, true);
    }
    spin_unlock(&proc_lock);
    if (parent)
        (void)task_wake(&parent->task);
    thread_put(parent);
}

void thread_release_mm(struct thread *t)
{
    robust_list_exit(t);
    if (t->clear_child_tid) {
        uaddr_t at = t->clear_child_tid;
        t->clear_child_tid = 0;
        if (!put_user(at, (int32_t)0))
            (void)futex_wake(at, false, 1, FUTEX_BITSET_ANY);
    }
}

/* ---- telling the parent ---- */

static void child_info(struct process *p, struct abi_siginfo *info) HELD(proc_lock)
{
    uint64_t user = p->left.user_ns, system = p->left.system_ns;
    *info = (struct abi_siginfo){.si_signo = p->exit_signal, .si_code = CLD_EXITED};
    info->pid = p->pid;
    info->uid = p->uid;
    info->status = p->wait_status >> 8 & 0xff;
    if (p->wait_status & 0x7f) {
        info->si_code = p->wait_status & WAIT_CORE ? CLD_DUMPED : CLD_KILLED;
        info->status = p->wait_status & 0x7f;
    }
    info->utime = (int64_t)(user / (NS_PER_SEC / CLOCK_TICKS));
    info->stime = (int64_t)(system / (NS_PER_SEC / CLOCK_TICKS));
}

/* What the parent is to hear once proc_lock is free: waking can mean leaving the enclave. */
struct notice {
    struct process *parent; /* counted */
    struct abi_siginfo info;
};

/* True when the parent does not want to wait for it. */
static bool prepare_notice(struct process *p, struct notice *n) HELD(proc_lock)
{
    struct process *parent = p->parent;
    bool unwanted = parent == process_init;
    *n = (struct notice){.parent = process_get(parent)};
    if (p->exit_signal && !unwanted) {
        child_info(p, &n->info);
        const struct abi_sigaction *a = &parent->signals.action[SIGCHLD];
        if (p->exit_signal == SIGCHLD)
            unwanted = a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT);
    }
    return unwanted;
}

static void give_notice(struct notice *n)
{
    if (n->info.si_signo)
        (void)signal_send_group(&n->parent->signals, &n->info);
    wait_wake_all(&n->parent->child_wait);
    process_put(n->parent);
}

void process_stop_changed(struct signal_group *g, int sig)
{
    struct process *p = container_of(g, struct process, signals);
    struct notice n = {0};
    spin_lock(&proc_lock);
    p->stop_signal = sig;
    p->continued = !sig;
    n.parent = process_get(p->parent);
    if (!(n.parent->signals.action[SIGCHLD].flags & SA_NOCLDSTOP)) {
        n.info.si_signo = SIGCHLD;
        n.info.si_code = sig ? CLD_STOPPED : CLD_CONTINUED;
        n.info.pid = p->pid;
        n.info.status = sig ? sig : SIGCONT;
    }
    spin_unlock(&proc_lock);
    give_notice(&n);
    if (sig && p->outside && p->outside != PROC_STAGE && proc_outside_changed)
        proc_outside_changed(p->outside, sig, true);
}

void process_reap_locked(struct process *p)
{
    struct process *parent = p->parent;
    p->state = PROCESS_REAPED;
    usage_add(&parent->reaped, &p->left);
    usage_add(&parent->reaped, &p->reaped);
    list_remove(&p->sibling);
    table_remove_process_locked(p);
}

/* ---- a process ends ---- */

static struct process *reaper_of(struct process *p) HELD(proc_lock)
{
    for (struct process *q = p->parent; q && q != process_init; q = q->parent) {
        if (q->child_reaper && q->state == PROCESS_LIVE && q->thread_count)
            return q;
    }
    return process_init;
}

/* Children go to the nearest reaper. Zombies that nobody waits for are put on `dead`. */
static void give_children_away(struct process *p, struct list *dead) HELD(proc_lock)
{
    struct process *c, *tmp, *reaper = reaper_of(p);
    list_for_each_safe (c, tmp, &p->children, sibling) {
        struct thread *t;
        list_remove(&c->sibling);
        list_append(&reaper->children, &c->sibling);
        process_set_parent(c, reaper);
        list_for_each (t, &c->threads, node) {
            if (t->parent_death_signal) {
                struct abi_siginfo info = {.si_signo = t->parent_death_signal};
                (void)signal_send_group(&c->signals, &info);
            }
        }
        if (c->state == PROCESS_ZOMBIE && reaper == process_init) {
            process_reap_locked(c);
            list_append(dead, &c->sibling);
        }
    }
    wait_wake_all(&reaper->child_wait);
}

NORETURN void proc_stop_kernel(uint32_t wait_status)
{
    net_drain(clock_monotonic_ns() + DRAIN_NS);
    mount_sync_all();
    if (trace_summary)
        trace_summary();
    kernel_stop(wait_status);
}

static void process_finish(struct process *p)
{
    struct list dead = LIST_INIT(dead), *n;
    struct notice notice;
    struct orphans orphans = {0};
    int killer = p->wait_status & 0x7f;
    if (unlikely(trace.calls) && killer)
        trace_line(p->pid, "+++ killed by %s +++", signal_name(killer) ?: "a realtime signal");
    else if (unlikely(trace.calls))
        trace_line(p->pid, "+++ exited with %d +++", p->wait_status >> 8 & 0xff);
    if (p->outside == PROC_FIRST)
        proc_stop_kernel((uint32_t)p->wait_status);
    if (p->outside == PROC_STAGE)
        proc_stage_ended(p->wait_status);
    else if (p->outside && proc_outside_changed)
        proc_outside_changed(p->outside, p->wait_status, false);
    if (p->pid == p->sid && proc_session_ended)
        proc_session_ended(p->sid);
    process_timers_exit(p);
    sem_undo_all(&p->sem_undo);
    aio_end_all(&p->aio);
    mq_notify_forget(&p->signals);
    spin_lock(&proc_lock);
    struct file *exe = p->exe;
    p->exe = NULL;
    orphans_find_locked(p, &orphans);
    give_children_away(p, &dead);
    p->state = PROCESS_ZOMBIE;
    if (prepare_notice(p, &notice)) {
        process_reap_locked(p);
        list_append(&dead, &p->sibling);
    }
    spin_unlock(&proc_lock);
    wait_wake_all(&p->exit_wait);
    give_notice(&notice);
    orphans_signal(&orphans);
    file_put(exe);
    while ((n = list_pop(&dead)) != NULL)
        process_put(list_entry(n, struct process, sibling));
}

/* ---- a thread ends ---- */

struct held {
    struct mm *mm;
    struct fd_table *files;
    struct fs_context *fs;
};

/* Leaves the table; true for the last one of its process. */
static bool thread_unlink(struct thread *t, int wait_status, struct held *held)
{
    struct process *p = t->process;
    struct usage used;
    usage_of_task(&t->task, &used);
    spin_lock(&proc_lock);
    usage_add(&p->left, &used);
    bool last = --p->thread_count == 0;
    if (t->task.tid == p->pid || (last && p->signals.dying))
        p->wait_status = wait_status;
    if (p->signals.dying)
        p->wait_status = p->signals.exit_status;
    p->uid = t->task.cred->uid;
    list_remove(&t->node);
    table_remove_thread_locked(t);
    held->mm = t->task.mm;
    held->files = t->task.files;
    held->fs = t->task.fs;
    t->task.files = NULL;
    t->task.fs = NULL;
    spin_unlock(&proc_lock);
    return last;
}

static void note_peak(struct process *p, struct mm *mm)
{
    if (mm)
        p->left.peak_pages = MAX(p->left.peak_pages, vm_peak_pages(mm));
}

NORETURN void thread_exit(int wait_status)
{
    struct thread *t = current_thread;
    struct process *p = t->process;
    struct held held;

    task_cpu_sync();
    if (t->task.mm)
        thread_release_mm(t);
    signal_thread_leave(&t->signals);
    note_peak(p, t->task.mm);
    bool last = thread_unlink(t, wait_status, &held);
    wait_wake_all(&p->signals.arrival); /* an exec waits until it is alone */
    if (held.files)
        fd_table_put(held.files);
    if (held.fs)
        fs_context_put(held.fs);
    vfork_finish(t);
    if (last && p->outside == PROC_FIRST)
        mm_put_at_end(held.mm);
    else
        mm_leave(held.mm); /* before others of its family come in */
    sched_set_mm(NULL);
    if (last)
        process_finish(p);
    struct cred *c = t->task.cred;
    t->task.cred = NULL;
    cred_put(c);
    task_exit();
}

NORETURN void process_terminate(int wait_status)
{
    struct process *p = current_process;
    (void)signal_group_kill(&p->signals, wait_status, NULL);
    thread_exit(wait_status);
}

NORETURN void process_exit(int wait_status)
{
    process_terminate(wait_status);
}

NORETURN void process_leave(void)
{
    thread_exit(current_process->signals.exit_status);
}
