/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers: setitimer, alarm, timer_create. */
#include "abi/errno.h"
#include "mm/user.h"
#include "proc/process.h"
#include "proc/timers.h"
#include "syscall/syscall.h"
#include "time/time.h"

#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2
#define TIMER_ABSTIME  1

/* struct itimerval and itimerspec: two times of 16 bytes, interval first. */
static int get_val(uaddr_t at, struct timer_value *v)
{
    int r = time_get_val(at, &v->interval_ns);
    return r ? r : time_get_val(at + 16, &v->value_ns);
}

static int put_val(uaddr_t at, const struct timer_value *v)
{
    int r = time_put_val(at, v->interval_ns);
    return r ? r : time_put_val(at + 16, v->value_ns);
}

static int get_spec(uaddr_t at, struct timer_value *v)
{
    int r = time_get_spec(at, &v->interval_ns);
    return r ? r : time_get_spec(at + 16, &v->value_ns);
}

static int put_spec(uaddr_t at, const struct timer_value *v)
{
    int r = time_put_spec(at, v->interval_ns);
    return r ? r : time_put_spec(at + 16, v->value_ns);
}

static void itimer(int which, const struct timer_value *fresh, struct timer_value *old)
{
    struct process *p = current_process;
    if (which == ITIMER_REAL)
        itimer_real(p, fresh, old);
    else
        itimer_cpu(p, which == ITIMER_VIRTUAL ? CPU_TIMER_VIRTUAL : CPU_TIMER_PROF, fresh, old);
}

int64_t sys_getitimer(int which, uaddr_t value)
{
    struct timer_value v;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    itimer(which, NULL, &v);
    return put_val(value, &v);
}

int64_t sys_setitimer(int which, uaddr_t value, uaddr_t old)
{
    struct timer_value v = {0}, o;
    int r = value ? get_val(value, &v) : 0;
    if (r)
        return r;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    itimer(which, &v, &o);
    return old ? put_val(old, &o) : 0;
}

int64_t sys_alarm(uint32_t seconds)
{
    struct timer_value v = {.value_ns = seconds * NS_PER_SEC}, o;
    itimer_real(current_process, &v, &o);
    if (!o.value_ns)
        return 0;
    int64_t left = (int64_t)((o.value_ns + NS_PER_SEC / 2) / NS_PER_SEC);
    return left ? left : 1;
}

int64_t sys_timer_create(int clock, uaddr_t event, uaddr_t timer)
{
    struct abi_sigevent e;
    if (event && copy_from_user(&e, event, sizeof(e)))
        return -EFAULT;
    int64_t id = posix_timer_create(clock, event ? &e : NULL);
    if (id < 0)
        return id;
    if (put_user(timer, (int32_t)id)) {
        int r = posix_timer_delete((int)id);
        return r ? r : -EFAULT;
    }
    return 0;
}

int64_t sys_timer_settime(int timer, int flags, uaddr_t value, uaddr_t old)
{
    struct timer_value v, o;
    if (!value)
        return -EINVAL;
    int r = get_spec(value, &v);
    if (!r)
        r = posix_timer_set(timer, &v, flags & TIMER_ABSTIME, &o);
    return r || !old ? r : put_spec(old, &o);
}

int64_t sys_timer_gettime(int timer, uaddr_t value)
{
    struct timer_value v;
    int r = posix_timer_get(timer, &v);
    return r ? r : put_spec(value, &v);
}

int64_t sys_timer_getoverrun(int timer)
{
    return posix_timer_overrun(timer);
}

int64_t sys_timer_delete(int timer)
{
    return posix_timer_delete(timer);
}
