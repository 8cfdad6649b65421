/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks from the TSC against a base that the host supplies; never backwards, whatever it says.
 * A hostile host can make time run at a wrong rate or jump forward.
 * LIMIT: when the host's realtime clock is set back, ours stays ahead of it.
 */
#pragma once

#include "lib/types.h"

/* For the vDSO too: ns = base_ns + ((tsc - base_tsc) * mult >> shift), under a sequence count.
 */
struct clock_page {
    _Atomic uint32_t sequence;
    uint32_t shift;
    uint64_t mult;
    uint64_t base_tsc;
    uint64_t monotonic_ns;
    int64_t realtime_offset_ns; /* realtime = monotonic + this */
};
extern struct clock_page clock_page;

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
/* TSC ticks to ns. */
/* About; what is longer than a quarter of an hour counts as that. */
uint64_t clock_ns_to_tsc(uint64_t ns);
uint64_t clock_tsc_to_ns(uint64_t ticks);
/* Reads the host's clock again and adjusts. */
void clock_sync(void);
/* The same, if that has not been done for a second. No lock may be held. */
void clock_sync_sometimes(void);

ALWAYS_INLINE uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((uint64_t)hi << 32) | lo;
}
