/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Times between programs and the kernel: nanoseconds in uint64_t inside, struct timespec and
 * struct timeval outside. Deadlines are on CLOCK_MONOTONIC.
 */
#pragma once

#include "enclave/clock.h"
#include "lib/types.h"

#define NS_PER_SEC  1000000000ull
#define NS_PER_USEC 1000ull
#define TIME_MAX_NS ((uint64_t)INT64_MAX)

enum clock_id {
    CLOCK_REALTIME,
    CLOCK_MONOTONIC,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_THREAD_CPUTIME_ID,
    CLOCK_MONOTONIC_RAW,
    CLOCK_REALTIME_COARSE,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_TAI = 11,
};

/* From guest memory: -EFAULT; -EINVAL when negative or not normalised. Huge times saturate. */
int time_get_spec(uaddr_t address, uint64_t *ns) MUST_CHECK;
int time_get_val(uaddr_t address, uint64_t *ns) MUST_CHECK;
int time_put_spec(uaddr_t address, uint64_t ns) MUST_CHECK;
int time_put_val(uaddr_t address, uint64_t ns) MUST_CHECK;

/* now + ns, saturating at TIME_MAX_NS. */
uint64_t time_deadline_in(uint64_t ns);
/* An absolute time of CLOCK_REALTIME as a deadline. */
uint64_t time_deadline_realtime(uint64_t ns);
/* True for clocks that show the wall's time. */
static inline bool clock_is_realtime(int id)
{
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_REALTIME_ALARM ||
           id == CLOCK_TAI;
}
/* Reads one of the clocks that do not belong to processes; -EINVAL. */
int clock_read(int id, uint64_t *ns) MUST_CHECK;
