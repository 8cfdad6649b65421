/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks and sleeping. LIMIT: the clocks cannot be set; they are the host's. */
#include "abi/errno.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/cputime.h"
#include "proc/process.h"
#include "proc/rusage.h"
#include "syscall/syscall.h"
#include "time/time.h"

#define TIMER_ABSTIME 1
#define TIMEX_BYTES   208u

int64_t sys_clock_gettime(int clock, uaddr_t tp)
{
    uint64_t ns;
    int r = clock_read_any(clock, &ns);
    return r ? r : time_put_spec(tp, ns);
}

int64_t sys_clock_getres(int clock, uaddr_t tp)
{
    uint64_t ns;
    int r = clock_read_any(clock, &ns);
    if (r || !tp)
        return r;
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    return time_put_spec(tp, coarse ? NS_PER_SEC / 250 : 1);
}

int64_t sys_gettimeofday(uaddr_t tv, uaddr_t tz)
{
    uint64_t zone = 0;
    if (tv && time_put_val(tv, clock_realtime_ns()))
        return -EFAULT;
    return tz ? put_user(tz, zone) : 0;
}

int64_t sys_time(uaddr_t tloc)
{
    int64_t now = (int64_t)(clock_realtime_ns() / NS_PER_SEC);
    if (tloc && put_user(tloc, now))
        return -EFAULT;
    return now;
}

int64_t sys_clock_settime(int clock, uaddr_t tp)
{
    uint64_t ns;
    if (!clock_is_realtime(clock))
        return -EINVAL;
    int r = time_get_spec(tp, &ns);
    return r ? r : -EPERM;
}

int64_t sys_settimeofday(uaddr_t tv, uaddr_t tz)
{
    uint64_t ns;
    int r = tv ? time_get_val(tv, &ns) : 0;
    return r ? r : -EPERM;
}

/* Only asking is allowed, and there is nothing to tell. */
static int64_t adjust(uaddr_t tx)
{
    uint32_t modes;
    int r = get_user(&modes, tx);
    if (r)
        return r;
    if (modes)
        return -EPERM;
    r = clear_user(tx, TIMEX_BYTES);
    return r ? r : 5; /* TIME_ERROR: not synchronised, as far as we know */
}

int64_t sys_clock_adjtime(int clock, uaddr_t tx)
{
    return clock == CLOCK_REALTIME ? adjust(tx) : -EINVAL;
}

int64_t sys_adjtimex(uaddr_t tx)
{
    return adjust(tx);
}

/* ---- sleeping ---- */

/* 0, or -ERESTARTSYS. */
static int sleep_until(uint64_t deadline)
{
    struct wait_queue q;
    wait_queue_init(&q);
    int r = wait_event(&q, false, deadline);
    return r == -ETIMEDOUT ? 0 : r;
}

static int64_t finish_relative(uint64_t deadline, uaddr_t rem);

static int64_t sleep_again(struct signal_thread *s)
{
    return finish_relative(s->restart_arg[0], s->restart_arg[1]);
}

static int64_t finish_relative(uint64_t deadline, uaddr_t rem)
{
    struct signal_thread *s = task_signals(current);
    if (!sleep_until(deadline))
        return 0;
    uint64_t now = clock_monotonic_ns(), left = deadline > now ? deadline - now : 0;
    if (!left)
        return 0;
    if (rem && time_put_spec(rem, left))
        return -EFAULT;
    s->restart = sleep_again;
    s->restart_arg[0] = deadline;
    s->restart_arg[1] = rem;
    return -ERESTART_RESTARTBLOCK;
}

int64_t sys_restart_syscall(void)
{
    struct signal_thread *s = task_signals(current);
    int64_t (*restart)(struct signal_thread *) = s->restart;
    s->restart = NULL;
    return restart ? restart(s) : -EINTR;
}

int64_t sys_nanosleep(uaddr_t req, uaddr_t rem)
{
    uint64_t ns;
    int r = time_get_spec(req, &ns);
    return r ? r : finish_relative(time_deadline_in(ns), rem);
}

/* Sleeping on consumed time: looks again after the time that is left at least. */
static int64_t sleep_cpu(int clock, uint64_t target)
{
    for (;;) {
        uint64_t now;
        int r = clock_read_any(clock, &now);
        if (r)
            return r;
        if (now >= target)
            return 0;
        if (sleep_until(time_deadline_in(target - now)))
            return -EINTR;
    }
}

int64_t sys_clock_nanosleep(int clock, int flags, uaddr_t req, uaddr_t rem)
{
    uint64_t ns, now;
    if (clock == CLOCK_THREAD_CPUTIME_ID || clock_read_any(clock, &now))
        return -EINVAL;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
        clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    int r = time_get_spec(req, &ns);
    if (r)
        return r;
    if (clock_is_cpu(clock))
        return sleep_cpu(clock, flags & TIMER_ABSTIME ? ns : now + ns);
    if (!(flags & TIMER_ABSTIME))
        return finish_relative(time_deadline_in(ns), rem);
    r = sleep_until(clock_is_realtime(clock) ? time_deadline_realtime(ns) : ns);
    return r ? -ERESTARTNOHAND : 0;
}

/* ---- consumed time ---- */

int64_t sys_getrusage(int who, uaddr_t usage)
{
    struct process *p = current_process;
    struct usage u;
    task_cpu_sync();
    switch (who) {
    case RUSAGE_SELF:
        process_usage(p, &u);
        break;
    case RUSAGE_CHILDREN:
        spin_lock(&proc_lock);
        u = p->reaped;
        spin_unlock(&proc_lock);
        break;
    case RUSAGE_THREAD:
        usage_of_task(current, &u);
        break;
    default:
        return -EINVAL;
    }
    if (who != RUSAGE_CHILDREN)
        u.peak_pages = MAX(p->left.peak_pages, vm_peak_pages(current->mm));
    return rusage_put(usage, &u);
}

int64_t sys_times(uaddr_t buf)
{
    const uint64_t tick = NS_PER_SEC / CLOCK_TICKS;
    struct process *p = current_process;
    uint64_t user, system;
    task_cpu_sync();
    process_cpu_ns(p, &user, &system);
    int64_t t[4] = {
        (int64_t)(user / tick),
        (int64_t)(system / tick),
        (int64_t)(p->reaped.user_ns / tick),
        (int64_t)(p->reaped.system_ns / tick),
    };
    if (buf && copy_to_user(buf, t, sizeof(t)))
        return -EFAULT;
    return (int64_t)(clock_monotonic_ns() / tick);
}
