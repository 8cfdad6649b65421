/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer_create(2). A timer counts on CLOCK_MONOTONIC or on consumed time; on expiry it queues
 * its own preallocated signal, and counts overruns while that waits to be taken.
 */
#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/cputime.h"
#include "proc/internal.h"
#include "proc/timers.h"
#include "time/time.h"

#define TIMERS_MAX      65536
#define CPU_LOOK_MIN_NS 1000000ull

struct posix_timer {
    struct timer timer;
    _Atomic uint32_t refs;   /* the table's and those of running calls */
    struct process *process; /* outlives its timers */
    struct thread *thread;   /* SIGEV_THREAD_ID, counted; else NULL */
    struct thread *owner;    /* counted: whose CPU time CLOCK_THREAD_CPUTIME_ID means */
    int clock, notify;
    struct signal_queued signal;

    /* timers_lock */
    bool armed, dead;
    uint64_t deadline_ns; /* monotonic, or consumed time */
    uint64_t interval_ns;
};

static bool counts_cpu(const struct posix_timer *t)
{
    return clock_is_cpu(t->clock);
}

/* The clock that deadline_ns is on. */
static uint64_t now_of(struct posix_timer *t)
{
    uint64_t user, system;
    if (!counts_cpu(t))
        return clock_monotonic_ns();
    if (t->clock == CLOCK_THREAD_CPUTIME_ID)
        return task_cpu_ns(&t->owner->task, &system);
    process_cpu_ns(t->process, &user, &system);
    return user + system;
}

static void arm_locked(struct posix_timer *t, uint64_t now) HELD(t->process->timers_lock)
{
    if (!counts_cpu(t)) {
        timer_set(&t->timer, t->deadline_ns);
        return;
    }
    uint64_t left = t->deadline_ns > now ? t->deadline_ns - now : 0;
    timer_set(&t->timer, time_deadline_in(MAX(left, CPU_LOOK_MIN_NS)));
}

static void fire(struct timer *timer)
{
    struct posix_timer *t = container_of(timer, struct posix_timer, timer);
    struct process *p = t->process;
    uint64_t now = now_of(t), count = 0;
    spin_lock(&t->process->timers_lock);
    if (t->armed && !t->dead) {
        if (now >= t->deadline_ns) {
            count = 1;
            if (t->interval_ns)
                count += (now - t->deadline_ns) / t->interval_ns;
            t->armed = t->interval_ns != 0;
            t->deadline_ns += count * t->interval_ns;
        }
        if (t->armed)
            arm_locked(t, now);
    }
    spin_unlock(&t->process->timers_lock);
    if (count && t->notify != SIGEV_NONE)
        signal_send_queued(&p->signals, t->thread ? &t->thread->signals : NULL, &t->signal,
                           (uint32_t)MIN(count, (uint64_t)INT32_MAX));
}

static void timer_put(struct posix_timer *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    thread_put(t->thread);
    thread_put(t->owner);
    kfree(t);
}

static struct posix_timer *timer_find(int id)
{
    struct process *p = current_process;
    spin_lock(&p->timers_lock);
    struct posix_timer *t = id < 0 ? NULL : radix_get(&p->timers, (uint64_t)id);
    if (t)
        atomic_fetch_add(&t->refs, 1);
    spin_unlock(&p->timers_lock);
    return t;
}

/* ---- creation ---- */

static int check_clock(int clock)
{
    uint64_t ns;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
        clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    if (clock < 0) /* LIMIT: only the caller's own CPU-time clocks */
        return -EINVAL;
    return clock_read_any(clock, &ns);
}

static int set_event(struct posix_timer *t, const struct abi_sigevent *e)
{
    t->notify = e->notify;
    if (e->notify == SIGEV_NONE)
        return 0;
    if (e->notify != SIGEV_SIGNAL && e->notify != SIGEV_THREAD &&
        e->notify != (SIGEV_SIGNAL | SIGEV_THREAD_ID))
        return -EINVAL;
    if (e->signo < 1 || e->signo > SIGMAX)
        return -EINVAL;
    if (e->notify & SIGEV_THREAD_ID) {
        t->thread = thread_find(e->tid);
        if (!t->thread || t->thread->process != t->process)
            return -EINVAL;
    }
    t->signal.info.si_signo = e->signo;
    t->signal.info.si_code = SI_TIMER;
    t->signal.info.value = e->value;
    return 0;
}

static int64_t enter(struct process *p, struct posix_timer *t, bool own_value)
{
    int64_t id = -EAGAIN;
    spin_lock(&p->timers_lock);
    for (int i = 0; i < TIMERS_MAX; i++) {
        int next = p->next_timer;
        p->next_timer = (next + 1) % TIMERS_MAX;
        if (radix_get(&p->timers, (uint64_t)next))
            continue;
        id = radix_set(&p->timers, (uint64_t)next, t) ? -ENOMEM : next;
        break;
    }
    if (id >= 0) {
        t->signal.info.timer_id = (int32_t)id;
        if (!own_value)
            t->signal.info.value = (uint64_t)id;
    }
    spin_unlock(&p->timers_lock);
    return id;
}

int64_t posix_timer_create(int clock, const struct abi_sigevent *event)
{
    struct abi_sigevent alarm = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    int64_t r = check_clock(clock);
    if (r)
        return r;
    struct posix_timer *t = kzalloc(sizeof(*t));
    if (!t)
        return -EAGAIN;
    t->refs = 1;
    t->clock = clock;
    t->process = current_process;
    t->owner = thread_get(current_thread);
    t->signal.preallocated = true;
    list_init(&t->signal.node);
    timer_init(&t->timer, fire);
    r = set_event(t, event ? event : &alarm);
    if (!r)
        r = enter(t->process, t, event != NULL);
    if (r < 0)
        timer_put(t);
    return r;
}

/* ---- use ---- */

static void read_locked(const struct posix_timer *t, uint64_t now, struct timer_value *out)
{
    *out = (struct timer_value){.interval_ns = t->interval_ns};
    if (t->armed)
        out->value_ns = t->deadline_ns > now ? t->deadline_ns - now : 1;
}

static uint64_t deadline_of(const struct posix_timer *t, uint64_t value, bool absolute,
                            uint64_t now)
{
    if (absolute && clock_is_realtime(t->clock))
        return time_deadline_realtime(value);
    if (absolute)
        return value;
    return value > TIME_MAX_NS - now ? TIME_MAX_NS : now + value;
}

int posix_timer_set(int id, const struct timer_value *fresh, bool absolute,
                    struct timer_value *old)
{
    struct posix_timer *t = timer_find(id);
    if (!t)
        return -EINVAL;
    struct process *p = t->process;
    uint64_t now = now_of(t);
    spin_lock(&t->process->timers_lock);
    read_locked(t, now, old);
    t->interval_ns = fresh->interval_ns;
    t->armed = fresh->value_ns != 0 && !t->dead;
    if (t->armed) {
        t->deadline_ns = deadline_of(t, fresh->value_ns, absolute, now);
        arm_locked(t, now);
    }
    spin_unlock(&t->process->timers_lock);
    signal_unqueue(&p->signals, &t->signal);
    timer_put(t);
    return 0;
}

int posix_timer_get(int id, struct timer_value *out)
{
    struct posix_timer *t = timer_find(id);
    if (!t)
        return -EINVAL;
    uint64_t now = now_of(t);
    spin_lock(&t->process->timers_lock);
    read_locked(t, now, out);
    spin_unlock(&t->process->timers_lock);
    timer_put(t);
    return 0;
}

int64_t posix_timer_overrun(int id)
{
    struct posix_timer *t = timer_find(id);
    if (!t)
        return -EINVAL;
    int64_t n = t->signal.last_overrun;
    timer_put(t);
    return n;
}

/* Already out of the table. */
static void destroy(struct process *p, struct posix_timer *t)
{
    spin_lock(&t->process->timers_lock);
    t->dead = true;
    t->armed = false;
    spin_unlock(&t->process->timers_lock);
    (void)timer_cancel(&t->timer);
    signal_unqueue(&p->signals, &t->signal);
    timer_put(t);
}

int posix_timer_delete(int id)
{
    struct process *p = current_process;
    spin_lock(&p->timers_lock);
    struct posix_timer *t = id < 0 ? NULL : radix_remove(&p->timers, (uint64_t)id);
    spin_unlock(&p->timers_lock);
    if (!t)
        return -EINVAL;
    destroy(p, t);
    return 0;
}

void process_timers_exec(struct process *p)
{
    for (;;) {
        uint64_t key = 0;
        spin_lock(&p->timers_lock);
        struct posix_timer *t = radix_next(&p->timers, &key);
        if (t)
            (void)radix_remove(&p->timers, key);
        spin_unlock(&p->timers_lock);
        if (!t)
            return;
        destroy(p, t);
    }
}
