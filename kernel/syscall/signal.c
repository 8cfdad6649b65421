/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal system calls: dispositions, masks, waiting, sending. */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "mm/user.h"
#include "proc/pidfd.h"
#include "signal/frame.h"
#include "syscall/syscall.h"
#include "time/time.h"

/* ---- dispositions and masks ---- */

#define SA_KNOWN                                                                               \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART |        \
     SA_NODEFER | SA_RESETHAND)

int64_t sys_rt_sigaction(int sig, uaddr_t act, uaddr_t oldact, uint64_t size)
{
    struct abi_sigaction fresh = {0}, old;
    if (size != sizeof(uint64_t))
        return -EINVAL;
    if (act && copy_from_user(&fresh, act, sizeof(fresh)))
        return -EFAULT;
    if (sig < 1 || sig > SIGMAX || (act && (SIGBIT(sig) & SIGNALS_UNBLOCKABLE)))
        return -EINVAL;
    fresh.mask &= ~SIGNALS_UNBLOCKABLE;
    fresh.flags &= SA_KNOWN;
    if (fresh.handler > SIG_IGN && signal_restorer_usual(fresh.restorer))
        fresh.flags |= SIGNAL_USUAL_RESTORER;
    signal_action(sig, act ? &fresh : NULL, &old);
    old.flags &= ~SIGNAL_USUAL_RESTORER;
    return oldact ? copy_to_user(oldact, &old, sizeof(old)) : 0;
}

int64_t sys_rt_sigprocmask(int how, uaddr_t set, uaddr_t oldset, uint64_t size)
{
    struct signal_thread *s = task_signals(current);
    uint64_t mask, old = s->blocked;
    if (size != sizeof(mask))
        return -EINVAL;
    if (set) {
        if (get_user(&mask, set))
            return -EFAULT;
        if (how == SIG_BLOCK)
            mask |= old;
        else if (how == SIG_UNBLOCK)
            mask = old & ~mask;
        else if (how != SIG_SETMASK)
            return -EINVAL;
        signal_mask_set(mask);
    }
    return oldset ? put_user(oldset, old) : 0;
}

int64_t sys_rt_sigpending(uaddr_t set, uint64_t size)
{
    struct signal_thread *s = task_signals(current);
    uint64_t pending = signal_pending_set(s) & s->blocked;
    if (size > sizeof(pending))
        return -EINVAL;
    return copy_to_user(set, &pending, size);
}

int64_t sys_sigaltstack(uaddr_t ss, uaddr_t old)
{
    struct signal_thread *s = task_signals(current);
    struct abi_stack fresh, before = s->altstack;
    bool on = signal_on_altstack();
    if (ss && copy_from_user(&fresh, ss, sizeof(fresh)))
        return -EFAULT;
    if (ss) {
        uint32_t mode = (uint32_t)fresh.ss_flags & ~SS_AUTODISARM;
        if (on)
            return -EPERM;
        if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
            return -EINVAL;
        if (mode == SS_DISABLE) {
            fresh = (struct abi_stack){
                .ss_flags = (int32_t)((uint32_t)fresh.ss_flags & SS_AUTODISARM) | SS_DISABLE};
        } else {
            if (fresh.ss_size < MINSIGSTKSZ)
                return -ENOMEM;
            fresh.ss_flags = (int32_t)((uint32_t)fresh.ss_flags & SS_AUTODISARM);
        }
        s->altstack = fresh;
    }
    if (!old)
        return 0;
    if (on)
        before.ss_flags |= SS_ONSTACK;
    before.pad = 0;
    return copy_to_user(old, &before, sizeof(before));
}

int64_t sys_rt_sigreturn(void)
{
    return signal_return(task_regs(current));
}

/* ---- waiting ---- */

/* Sleeps until a signal's handler is due. */
static int sleep_for_signal(void)
{
    struct signal_thread *s = task_signals(current);
    struct wait_queue *q = &s->group->arrival;
    for (;;) {
        int r = wait_event(q, false, NO_DEADLINE);
        if (r == -ERESTARTSYS)
            return -ERESTARTNOHAND;
    }
}

int64_t sys_pause(void)
{
    return sleep_for_signal();
}

int64_t sys_rt_sigsuspend(uaddr_t set, uint64_t size)
{
    uint64_t mask;
    int r = signal_get_mask(set, size, &mask);
    if (!r)
        r = signal_mask_begin(set, size);
    if (r)
        return r;
    r = sleep_for_signal();
    signal_mask_end(true);
    return r;
}

int64_t sys_rt_sigtimedwait(uaddr_t set, uaddr_t info_at, uaddr_t timeout, uint64_t size)
{
    struct signal_thread *s = task_signals(current);
    struct abi_siginfo info;
    uint64_t mask, ns, deadline = NO_DEADLINE;
    int sig = 0, r = signal_get_mask(set, size, &mask);
    if (!r && timeout) {
        r = time_get_spec(timeout, &ns);
        deadline = r ? 0 : time_deadline_in(ns);
    }
    if (r)
        return r;
    mask &= ~SIGNALS_UNBLOCKABLE;
    r = wait_event(&s->group->arrival, (sig = signal_take(mask, &info)) != 0, deadline);
    if (!sig)
        return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    if (info_at && copy_to_user(info_at, &info, sizeof(info)))
        return -EFAULT;
    return sig;
}

/* ---- sending ---- */

static void user_info(struct abi_siginfo *info, int sig, int code)
{
    *info = (struct abi_siginfo){.si_signo = sig, .si_code = code};
    info->pid = current->tgid;
    info->uid = current->cred->uid;
}

static int send_process(struct process *p, const struct abi_siginfo *info)
{
    if (p == process_init)
        return cred_can(current->cred, CAP_KILL) ? 0 : -EPERM; /* it hears nothing */
    if (!process_may_signal(p, info->si_signo))
        return -EPERM;
    return info->si_signo ? signal_send_group(&p->signals, info) : 0;
}

/* To every process of a group (pgid > 0), or to all but init and the caller (pgid 0). */
static int send_many(int pgid, const struct abi_siginfo *info)
{
    struct process *p;
    int r = -ESRCH;
    for (int pid = PID_INIT + 1; (p = process_next(&pid)) != NULL; pid++) {
        bool chosen = pgid ? p->pgid == pgid : p != current_process;
        if (chosen) {
            int one = send_process(p, info);
            if (!one || r == -ESRCH)
                r = one;
        }
        process_put(p);
    }
    return r;
}

int64_t sys_kill(int pid, int sig)
{
    struct abi_siginfo info;
    if (sig < 0 || sig > SIGMAX)
        return -EINVAL;
    user_info(&info, sig, SI_USER);
    if (pid <= 0) {
        if (pid == INT32_MIN)
            return -ESRCH;
        return send_many(pid == -1 ? 0 : pid ? -pid : current_process->pgid, &info);
    }
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    int r = send_process(p, &info);
    process_put(p);
    return r;
}

/* tgid 0: whatever process the thread belongs to. */
static int send_thread(int tgid, int tid, const struct abi_siginfo *info)
{
    struct thread *t = thread_find(tid);
    int r = -ESRCH;
    if (t && (!tgid || t->process->pid == tgid)) {
        r = process_may_signal(t->process, info->si_signo) ? 0 : -EPERM;
        if (!r && info->si_signo)
            r = signal_send_thread(&t->signals, info);
    }
    thread_put(t);
    return r;
}

int64_t sys_tgkill(int tgid, int tid, int sig)
{
    struct abi_siginfo info;
    if (sig < 0 || sig > SIGMAX || tgid <= 0 || tid <= 0)
        return -EINVAL;
    user_info(&info, sig, SI_TKILL);
    return send_thread(tgid, tid, &info);
}

int64_t sys_tkill(int tid, int sig)
{
    struct abi_siginfo info;
    if (sig < 0 || sig > SIGMAX || tid <= 0)
        return -EINVAL;
    user_info(&info, sig, SI_TKILL);
    return send_thread(0, tid, &info);
}

/* The caller's siginfo: what only the kernel or kill(2) says is refused to others. */
static int get_info(struct abi_siginfo *info, uaddr_t at, int sig, int pid)
{
    if (copy_from_user(info, at, sizeof(*info)))
        return -EFAULT;
    if (sig < 0 || sig > SIGMAX)
        return -EINVAL;
    info->si_signo = sig;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && pid != current->tgid)
        return -EPERM;
    return 0;
}

int64_t sys_rt_sigqueueinfo(int pid, int sig, uaddr_t at)
{
    struct abi_siginfo info;
    int r = get_info(&info, at, sig, pid);
    if (r)
        return r;
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    r = send_process(p, &info);
    process_put(p);
    return r;
}

int64_t sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, uaddr_t at)
{
    struct abi_siginfo info;
    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    int r = get_info(&info, at, sig, tgid);
    return r ? r : send_thread(tgid, tid, &info);
}
