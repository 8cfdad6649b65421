/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setitimer(2) and RLIMIT_CPU. Real time has a kernel timer of its own. Consumed time is looked
 * at by a kernel timer that comes when the earliest limit can have been reached, not before.
 */
#include "abi/errno.h"
#include "proc/internal.h"
#include "proc/timers.h"
#include "sched/internal.h"
#include "time/time.h"

#define CPU_LOOK_MIN_NS 1000000ull

static void send(struct process *p, int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    (void)signal_send_group(&p->signals, &info);
}

static void real_fire(struct timer *timer)
{
    struct process *p = container_of(timer, struct process, real.timer);
    uint64_t now = clock_monotonic_ns();
    spin_lock(&p->timers_lock);
    bool due = p->real.deadline_ns && p->real.deadline_ns <= now;
    if (due && p->real.interval_ns) {
        uint64_t missed = (now - p->real.deadline_ns) / p->real.interval_ns;
        p->real.deadline_ns += (missed + 1) * p->real.interval_ns;
        timer_set(timer, p->real.deadline_ns);
    } else if (due) {
        p->real.deadline_ns = 0;
    }
    spin_unlock(&p->timers_lock);
    if (due)
        send(p, SIGALRM);
}

void itimer_real(struct process *p, const struct timer_value *fresh, struct timer_value *old)
{
    uint64_t now = clock_monotonic_ns();
    spin_lock(&p->timers_lock);
    uint64_t d = p->real.deadline_ns;
    *old = (struct timer_value){p->real.interval_ns, d > now ? d - now : d ? 1000 : 0};
    if (fresh) {
        p->real.interval_ns = fresh->interval_ns;
        p->real.deadline_ns = fresh->value_ns ? time_deadline_in(fresh->value_ns) : 0;
        if (p->real.deadline_ns)
            timer_set(&p->real.timer, p->real.deadline_ns);
    }
    spin_unlock(&p->timers_lock);
    /* A timer that still comes after disarming finds deadline_ns 0. */
}

/* ---- consumed time ---- */

static void consumed(struct process *p, uint64_t by_kind[3])
{
    uint64_t user, system;
    process_cpu_ns(p, &user, &system);
    by_kind[CPU_TIMER_VIRTUAL] = user;
    by_kind[CPU_TIMER_PROF] = by_kind[CPU_TIMER_LIMIT] = user + system;
}

/* When to look again: no earlier than all vCPUs together can have consumed what is left. */
static void look_later(struct process *p, const uint64_t used[3]) HELD(p->timers_lock)
{
    uint64_t least = UINT64_MAX;
    for (int k = 0; k < 3; k++) {
        uint64_t at = p->cpu_timer[k].expires_ns;
        if (at)
            least = MIN(least, at > used[k] ? at - used[k] : 0ull);
    }
    if (least == UINT64_MAX)
        return;
    least /= MAX(atomic_load(&vcpu_online), 1u);
    timer_set(&p->cpu_tick, time_deadline_in(MAX(least, CPU_LOOK_MIN_NS)));
}

/* Sets each kind's signal in `due` that has expired. */
static void cpu_fire(struct timer *timer)
{
    static const int signals[3] = {SIGVTALRM, SIGPROF, SIGXCPU};
    struct process *p = container_of(timer, struct process, cpu_tick);
    uint64_t used[3];
    bool due[3] = {false};
    consumed(p, used);
    spin_lock(&p->timers_lock);
    for (int k = 0; k < 3; k++) {
        struct cpu_itimer *t = &p->cpu_timer[k];
        if (!t->expires_ns || t->expires_ns > used[k])
            continue;
        due[k] = true;
        t->expires_ns = t->interval_ns ? used[k] + t->interval_ns : 0;
    }
    look_later(p, used);
    spin_unlock(&p->timers_lock);
    for (int k = 0; k < 3; k++) {
        if (due[k])
            send(p, signals[k]);
    }
    uint64_t hard = p->limit[RLIMIT_CPU].max;
    if (due[CPU_TIMER_LIMIT] && hard != RLIM_INFINITY &&
        used[CPU_TIMER_LIMIT] / NS_PER_SEC >= hard)
        send(p, SIGKILL);
}

void itimer_cpu(struct process *p, enum cpu_timer_kind kind, const struct timer_value *fresh,
                struct timer_value *old)
{
    uint64_t used[3];
    consumed(p, used);
    spin_lock(&p->timers_lock);
    struct cpu_itimer *t = &p->cpu_timer[kind];
    uint64_t at = t->expires_ns;
    *old = (struct timer_value){t->interval_ns, at > used[kind] ? at - used[kind]
                                                : at            ? 1000
                                                                : 0};
    if (fresh) {
        t->interval_ns = fresh->interval_ns;
        t->expires_ns = fresh->value_ns ? used[kind] + fresh->value_ns : 0;
        look_later(p, used);
    }
    spin_unlock(&p->timers_lock);
}

/* SIGXCPU at the soft limit and each second from there, SIGKILL at the hard one. */
void process_cpu_limit_changed(struct process *p)
{
    uint64_t used[3], soft = process_limit(p, RLIMIT_CPU);
    consumed(p, used);
    spin_lock(&p->timers_lock);
    struct cpu_itimer *t = &p->cpu_timer[CPU_TIMER_LIMIT];
    t->interval_ns = NS_PER_SEC;
    t->expires_ns = soft >= TIME_MAX_NS / NS_PER_SEC ? 0 : MAX(soft, 1ull) * NS_PER_SEC;
    look_later(p, used);
    spin_unlock(&p->timers_lock);
}

void process_timers_init(struct process *p)
{
    spin_init(&p->timers_lock, RANK_PROC);
    timer_init(&p->real.timer, real_fire);
    timer_init(&p->cpu_tick, cpu_fire);
    radix_init(&p->timers);
}

void process_timers_exit(struct process *p)
{
    spin_lock(&p->timers_lock);
    p->real.deadline_ns = p->real.interval_ns = 0;
    for (int k = 0; k < 3; k++)
        p->cpu_timer[k] = (struct cpu_itimer){0};
    spin_unlock(&p->timers_lock);
    (void)timer_cancel(&p->real.timer);
    (void)timer_cancel(&p->cpu_tick);
    process_timers_exec(p);
}
