/* SPDX-License-Identifier: BSD-3-Clause */
/* Conversion of times; see time.h. Not here: CPU-time clocks, timers (kernel/proc). */
#include "time/time.h"

#include "abi/errno.h"
#include "mm/user.h"

struct pair {
    int64_t sec, fraction;
};

static int get_pair(uaddr_t address, int64_t per_sec, uint64_t *ns)
{
    struct pair p;
    int r = get_user(&p, address);
    if (r)
        return r;
    if (p.sec < 0 || p.fraction < 0 || p.fraction >= per_sec)
        return -EINVAL;
    if ((uint64_t)p.sec >= TIME_MAX_NS / NS_PER_SEC)
        *ns = TIME_MAX_NS;
    else
        *ns = (uint64_t)p.sec * NS_PER_SEC +
              (uint64_t)p.fraction * (NS_PER_SEC / (uint64_t)per_sec);
    return 0;
}

int time_get_spec(uaddr_t address, uint64_t *ns)
{
    return get_pair(address, (int64_t)NS_PER_SEC, ns);
}

int time_get_val(uaddr_t address, uint64_t *ns)
{
    return get_pair(address, 1000000, ns);
}

int time_put_spec(uaddr_t address, uint64_t ns)
{
    struct pair p = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};
    return copy_to_user(address, &p, sizeof(p));
}

int time_put_val(uaddr_t address, uint64_t ns)
{
    struct pair p = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / NS_PER_USEC)};
    return copy_to_user(address, &p, sizeof(p));
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    uint64_t sum;
    if (add_overflows(a, b, &sum) || sum > TIME_MAX_NS)
        return TIME_MAX_NS;
    return sum;
}

uint64_t time_deadline_in(uint64_t ns)
{
    return add_saturating(clock_monotonic_ns(), ns);
}

uint64_t time_deadline_realtime(uint64_t ns)
{
    uint64_t now = clock_realtime_ns();
    return ns <= now ? clock_monotonic_ns() : time_deadline_in(ns - now);
}

int clock_read(int id, uint64_t *ns)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = clock_realtime_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = clock_monotonic_ns();
        return 0;
    default:
        return -EINVAL;
    }
}
