/* SPDX-License-Identifier: BSD-3-Clause */
#include "enclave/trace.h"

#include "enclave/clock.h"
#include "enclave/stop.h"
#include "lib/log.h"
#include "lib/string.h"

#define LINE_BYTES 600
#define DAY_US     (24ull * 3600 * 1000000)

struct trace trace;
void (*trace_summary)(void);

void trace_configure(const struct boot_info *b, const struct enclave_config *c)
{
    uint32_t max_log_level = c->max_log_level;

    trace.maps = (b->flags & BOOT_MAPS) && (c->flags & CONFIG_FLAG_DEBUGGABLE);
    trace.stats = (b->flags & BOOT_STATS) && max_log_level > LOG_OFF;
    if (max_log_level < LOG_TRACE)
        return;
    memcpy(trace.set, b->trace, sizeof(trace.set));
    if (b->log_level >= LOG_TRACE)
        memset(trace.set, 0xff, sizeof(trace.set));
    for (unsigned i = 0; i < ARRAY_SIZE(trace.set); i++)
        trace.calls |= trace.set[i] != 0;
}

void trace_line(int tid, const char *format, ...)
{
    char line[LINE_BYTES];
    uint64_t us = clock_realtime_ns() / 1000 % DAY_US;
    va_list args;

    int n =
        format_string(line, sizeof(line), "[%d] %02lu:%02lu:%02lu.%06lu ", tid,
                      us / 3600000000u, us / 60000000 % 60, us / 1000000 % 60, us % 1000000);
    va_start(args, format);
    n += format_string_v(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    n = MIN(n, (int)sizeof(line) - 2);
    line[n++] = '\n';
    log_write(line, (size_t)n);
}
