/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host asks to be shown of programs: system calls as they happen, counts at the end.
 * Programs' data goes out with the traces, so they follow the measured bound of messages: only
 * where LOG_TRACE is allowed. Counts are given wherever messages are.
 */
#pragma once

#include "boundary/boot.h"
#include "lib/types.h"

struct trace {
    bool calls; /* something in `set` */
    bool stats; /* count, and print the counts at the end */
    bool maps;  /* tell the host what programs execute */
    _Atomic uint64_t faults;
    uint64_t set[8]; /* a bit a system call's number */
};
extern struct trace trace;

#define trace_on() unlikely(trace.calls || trace.stats)

void trace_configure(const struct boot_info *b, const struct enclave_config *c);
static inline bool trace_wants(uint32_t nr)
{
    return trace.calls && nr < 512 && (trace.set[nr / 64] >> nr % 64 & 1);
}

/* One line with the thread and the time in front. */
void trace_line(int tid, const char *format, ...) PRINTF(2, 3);

/* Called before the kernel stops, where `stats` is set. */
extern void (*trace_summary)(void);
