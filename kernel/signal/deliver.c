/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivery, on the way to user code: dying, stopping, default actions, handlers, and what
 * becomes of the system call that a signal interrupted.
 */
#include "abi/errno.h"
#include "enclave/trace.h"
#include "lib/log.h"
#include "lib/names.h"
#include "mm/patch.h"
#include "signal/internal.h"

#define NR_RESTART_SYSCALL 219
#define CORE_SIGNALS                                                                           \
    (SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | SIGBIT(SIGBUS) |   \
     SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ) | SIGBIT(SIGSYS))

#define FAULT_SIGNALS                                                                          \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGFPE) | SIGBIT(SIGTRAP))

/* Sleeps while the process is stopped. */
static void stopped_wait(struct signal_group *g)
{
    struct waiter w = {0};
    for (;;) {
        wait_prepare(&g->resume, &w, TASK_UNINTERRUPTIBLE);
        spin_lock(&g->lock);
        bool go = !g->stopped || g->dying;
        spin_unlock(&g->lock);
        if (go)
            break;
        schedule();
    }
    wait_finish(&g->resume, &w);
}

static void group_stop(struct signal_group *g, int sig)
{
    struct signal_thread *s;
    spin_lock(&g->lock);
    bool changed = !g->stopped && !g->dying;
    if (changed) {
        g->stopped = true;
        list_for_each (s, &g->threads, node)
            task_notify(signal_task_of(s));
    }
    spin_unlock(&g->lock);
    if (changed)
        signal_ops->stop_changed(g, sig);
}

/* Of its own for debuggers, which can stop here. */
static __attribute__((noinline)) void ends_program(const struct abi_siginfo *info)
{
    int status = info->si_signo;
    if (SIGBIT(status) & CORE_SIGNALS) {
        log_info("signal %d at 0x%lx (code %d, address 0x%lx) ends process %d", status,
                 task_regs(current)->rip, info->si_code, info->addr, current->tgid);
        if (signal_ops->dump_core(info, status | WAIT_CORE))
            status |= WAIT_CORE;
    }
    signal_ops->terminate(status);
}

/* The default action; returns when it is to go on. */
static void default_action(struct signal_group *g, const struct abi_siginfo *info)
{
    int sig = info->si_signo;
    if (signal_ignored_by_default(sig) || g->unkillable)
        return;
    if (signal_stops_by_default(sig)) {
        if (sig == SIGSTOP || !signal_ops->orphaned(g))
            group_stop(g, sig);
        return;
    }
    ends_program(info);
}

static bool is_restart(int64_t result)
{
    return result == -ERESTARTSYS || result == -ERESTARTNOHAND ||
           result == -ERESTART_RESTARTBLOCK;
}

static void rewind_call(struct regs *regs, uint64_t number)
{
    regs->rax = number;
    regs->rip -= 2;
    regs->kind = REGS_FULL;
}

/* A handler runs: the interrupted call fails with EINTR, or repeats afterwards. */
static void call_with_handler(struct regs *regs, const struct abi_sigaction *a)
{
    if ((int64_t)regs->orig_rax < 0 || !is_restart((int64_t)regs->rax))
        return;
    if ((int64_t)regs->rax == -ERESTARTSYS && (a->flags & SA_RESTART))
        rewind_call(regs, regs->orig_rax);
    else
        regs->rax = (uint64_t)-EINTR;
}

static void call_without_handler(struct regs *regs)
{
    if ((int64_t)regs->orig_rax < 0 || !is_restart((int64_t)regs->rax))
        return;
    if ((int64_t)regs->rax == -ERESTART_RESTARTBLOCK)
        rewind_call(regs, NR_RESTART_SYSCALL);
    else
        rewind_call(regs, regs->orig_rax);
}

static void handle(struct regs *regs, const struct abi_siginfo *info, struct abi_sigaction a)
{
    struct signal_thread *s = task_signals(current);
    int sig = info->si_signo;
    uint64_t old = s->restore_mask ? s->saved_mask : s->blocked;

    call_with_handler(regs, &a);
    regs->orig_rax = UINT64_MAX;
    if (frame_build(regs, info, &a, old)) {
        spin_lock(&s->group->lock);
        if (sig == SIGSEGV)
            s->group->action[SIGSEGV].handler = SIG_DFL;
        spin_unlock(&s->group->lock);
        signal_force_simple(SIGSEGV);
        return;
    }
    s->restore_mask = false;
    uint64_t mask = s->blocked | a.mask;
    if (!(a.flags & SA_NODEFER))
        mask |= SIGBIT(sig);
    signal_mask_set(mask);
}

/* The next signal to act on and its disposition; 0: none. Does not return in a dying process.
 */
static int next_signal(struct signal_thread *s, struct abi_siginfo *info,
                       struct abi_sigaction *a)
{
    struct signal_group *g = s->group;
    for (;;) {
        spin_lock(&s->group->lock);
        bool leave = g->dying && g->survivor != s;
        bool stopped = g->stopped && !g->dying;
        int sig = 0;
        if (!leave && !stopped)
            sig = signal_take_locked(s, ~s->blocked, info);
        if (sig) {
            *a = g->action[sig];
            if (a->handler > SIG_IGN && (a->flags & SA_RESETHAND))
                g->action[sig].handler = SIG_DFL;
        }
        spin_unlock(&s->group->lock);
        if (leave)
            signal_ops->leave();
        if (!stopped)
            return sig;
        stopped_wait(g);
    }
}

static void trace_signal(const struct abi_siginfo *info)
{
    bool fault = info->si_code > 0 && (SIGBIT(info->si_signo) & FAULT_SIGNALS);
    const char *name = signal_name(info->si_signo) ?: "realtime signal";

    if (fault)
        trace_line(current->tid, "--- %s {code %d, address 0x%lx} ---", name, info->si_code,
                   info->addr);
    else
        trace_line(current->tid, "--- %s {code %d, pid %d} ---", name, info->si_code,
                   info->pid);
}

void signal_deliver(struct regs *regs)
{
    struct signal_thread *s = task_signals(current);
    struct abi_siginfo info;
    struct abi_sigaction a;

    if (!current->tgid)
        return;
    uaddr_t rip = patch_site_of(current->mm, regs->rip);
    if (rip != regs->rip) {
        regs->rip = rip;
        regs->kind = REGS_FULL;
    }
    while (next_signal(s, &info, &a)) {
        if (unlikely(trace.calls))
            trace_signal(&info);
        if (a.handler == SIG_IGN)
            continue;
        if (a.handler == SIG_DFL) {
            default_action(s->group, &info);
            continue;
        }
        handle(regs, &info, a);
        if (signal_deliverable(s))
            atomic_fetch_or(&current->flags, TASK_SIGNAL);
        return;
    }
    call_without_handler(regs);
    if (s->restore_mask) {
        s->restore_mask = false;
        signal_mask_set(s->saved_mask);
    }
}

void signal_boot(const struct signal_ops *ops)
{
    signal_ops = ops;
    task_signal_hook = signal_deliver;
    exception_hook = signal_fault;
}
