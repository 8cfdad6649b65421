/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts for `--stats`, printed when the kernel stops: system calls by the time spent in them,
 * waiting included, and what the kernel's parts have to tell.
 */
#include "enclave/clock.h"
#include "enclave/trace.h"
#include "fs/core/cache.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "sched/queue.h"
#include "syscall/syscall.h"

#define CALLS_MAX 512u
#define SHOWN     20u
#define MIB(n)    ((n) >> 20)

static struct {
    const char *name;
    _Atomic uint64_t count, errors, ns;
} calls[CALLS_MAX];

void stats_call(uint32_t nr, const struct syscall_entry *e, int64_t result, uint64_t ns)
{
    if (nr >= CALLS_MAX)
        return;
    calls[nr].name = e->name;
    atomic_fetch_add(&calls[nr].count, 1);
    atomic_fetch_add(&calls[nr].ns, ns);
    if (result < 0 && result >= -4095)
        atomic_fetch_add(&calls[nr].errors, 1);
}

static void print(const char *format, ...) PRINTF(1, 2);
static void print(const char *format, ...)
{
    char line[160];
    va_list args;

    va_start(args, format);
    int n = format_string_v(line, sizeof(line), format, args);
    va_end(args);
    log_write(line, MIN((size_t)n, sizeof(line) - 1));
}

/* The one with most time below `limit`, or at it and behind `last`; CALLS_MAX: none. */
static uint32_t next_call(uint64_t limit, uint32_t last)
{
    uint32_t best = CALLS_MAX;

    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        bool later = calls[i].ns < limit || (calls[i].ns == limit && i > last);
        if (calls[i].count && later && (best == CALLS_MAX || calls[i].ns > calls[best].ns))
            best = i;
    }
    return best;
}

static void print_calls(void)
{
    uint64_t limit = UINT64_MAX, count = 0, errors = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        count += calls[i].count;
        errors += calls[i].errors;
    }
    print("     seconds  us/call      calls    errors  system call\n");
    for (unsigned n = 0; n < SHOWN && (at = next_call(limit, at)) < CALLS_MAX; n++) {
        limit = calls[at].ns;
        print("%5lu.%06lu %8lu %10lu %9lu  %s\n", limit / 1000000000, limit / 1000 % 1000000,
              limit / 1000 / calls[at].count, calls[at].count, calls[at].errors,
              calls[at].name);
    }
    print("%32lu %9lu  all\n", count, errors);
}

static void print_summary(void)
{
    uint64_t switches = 0, preemptions = 0, exchanges = 0, exchange_tsc = 0;
    struct heap_stats heap;
    struct cache_stats cache;

    print_calls();
    for (unsigned i = 0; i < LAYOUT_VCPU_MAX; i++) {
        switches += queues[i].switches;
        preemptions += queues[i].preemptions;
        exchanges += queues[i].exchanges;
        exchange_tsc += queues[i].exchange_tsc;
    }
    heap_stats(&heap);
    cache_stats(&cache);
    print("task switches: %lu, and %lu preemptions\n", switches, preemptions);
    if (exchanges)
        print("exchanges of memories: %lu, each %lu us\n", exchanges,
              clock_tsc_to_ns(exchange_tsc) / exchanges / 1000);
    print("page faults: %lu; pages of programs: %lu MiB now\n", atomic_load(&trace.faults),
          MIB(vm_used_pages() * 4096));
    print("page cache: %lu pages read in, %lu dropped, %lu there (%lu kept) of %lu\n",
          cache.filled, cache.dropped, cache.pages, cache.kept_pages, cache.limit_pages);
    print("kernel heap: %lu MiB used, %lu MiB backed\n", MIB(heap.used_bytes),
          MIB(heap.committed_bytes));
}

void stats_init(void)
{
    if (trace.stats)
        trace_summary = print_summary;
}
