/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks. The host gives (tsc, monotonic, realtime) triples; between them the TSC runs on. A
 * new triple moves the base, but never so that a reading would be smaller than one given
 * before: when the host's clock is behind ours, ours stands on its own value and goes on from
 * there.
 */
#include "enclave/clock.h"

#include <stdatomic.h>

#include "enclave/boot.h"
#include "enclave/hostcall.h"
#include "lib/log.h"

#define NS_PER_S    1000000000ull
#define CLOCK_SHIFT 32
#define DEFAULT_HZ  1000000000ull
#define MIN_HZ      100000000ull
#define MAX_HZ      20000000000ull

struct clock_page clock_page;
static _Atomic uint32_t sync_lock;

static uint64_t scale(uint64_t ticks, uint64_t mult)
{
    return (uint64_t)(((unsigned __int128)ticks * mult) >> CLOCK_SHIFT);
}

static uint64_t read_clock(int64_t *offset)
{
    uint64_t ns;
    uint32_t sequence;

    do {
        sequence = atomic_load_explicit(&clock_page.sequence, memory_order_acquire);
        uint64_t tsc = rdtsc(), base = clock_page.base_tsc;
        ns = clock_page.monotonic_ns + (tsc > base ? scale(tsc - base, clock_page.mult) : 0);
        *offset = clock_page.realtime_offset_ns;
        atomic_thread_fence(memory_order_acquire);
    } while ((sequence & 1) ||
             sequence != atomic_load_explicit(&clock_page.sequence, memory_order_relaxed));
    return ns;
}

uint64_t clock_monotonic_ns(void)
{
    int64_t offset;
    return read_clock(&offset);
}

uint64_t clock_realtime_ns(void)
{
    int64_t offset;
    uint64_t ns = read_clock(&offset);
    return ns + (uint64_t)offset;
}

uint64_t clock_tsc_to_ns(uint64_t ticks)
{
    return scale(ticks, clock_page.mult);
}

static void set_rate(void)
{
    uint64_t hz = boot_info->tsc_hz;

    if (hz < MIN_HZ || hz > MAX_HZ)
        hz = DEFAULT_HZ;
    clock_page.mult = (uint64_t)(((unsigned __int128)NS_PER_S << CLOCK_SHIFT) / hz);
    clock_page.shift = CLOCK_SHIFT;
}

static void publish(const struct host_clock *h, uint64_t monotonic)
{
    atomic_fetch_add_explicit(&clock_page.sequence, 1, memory_order_acq_rel);
    clock_page.base_tsc = h->tsc;
    clock_page.monotonic_ns = monotonic;
    clock_page.realtime_offset_ns = (int64_t)(h->realtime_ns - h->monotonic_ns);
    atomic_fetch_add_explicit(&clock_page.sequence, 1, memory_order_release);
}

void clock_sync(void)
{
    struct host_clock h;
    haddr_t buffer = host_sync_area() + HOST_SYNC_DATA;
    uint64_t before, after;

    if (atomic_exchange(&sync_lock, 1))
        return;
    before = rdtsc();
    int64_t r = hostcall1(HOSTCALL_CLOCK, buffer);
    host_copy_in(&h, buffer, sizeof(h));
    after = rdtsc();
    if (r >= 0 && h.tsc >= before && h.tsc <= after) {
        if (!clock_page.mult)
            set_rate();
        uint64_t ours = clock_page.base_tsc ? clock_monotonic_ns() : 0;
        publish(&h, MAX(h.monotonic_ns, ours));
    } else if (!clock_page.mult) {
        set_rate();
        log_warn("the host's clock makes no sense; time starts at zero");
        publish(&(struct host_clock){.tsc = after}, 0);
    }
    atomic_store(&sync_lock, 0);
}
