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
#define SYNC_NS     1000000000ull
#define SLEW_NS     10000000000ull /* in which what ours is ahead shall be gone */
#define PARTS       1000000ull
#define SLEW_MAX    5000ull /* of PARTS: half a percent */
#define MIN_HZ      100000000ull
#define MAX_HZ      20000000000ull

struct clock_page clock_page;
static _Atomic uint32_t sync_lock;
static _Atomic uint64_t synced_tsc;
static uint64_t nominal_mult; /* of the rate that was told at boot */

static uint64_t scale(uint64_t ticks, uint64_t mult)
{
    return (uint64_t)(((unsigned __int128)ticks * mult) >> CLOCK_SHIFT);
}

/* By the page as it is: for whoever holds its sequence, or checks that. */
static uint64_t monotonic_at(uint64_t tsc)
{
    uint64_t base = clock_page.base_tsc;
    return clock_page.monotonic_ns + (tsc > base ? scale(tsc - base, clock_page.mult) : 0);
}

static uint64_t read_clock(int64_t *offset)
{
    uint64_t ns;
    uint32_t sequence;

    do {
        sequence = atomic_load_explicit(&clock_page.sequence, memory_order_acquire);
        ns = monotonic_at(rdtsc());
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

#define MAX_TO_TSC_NS (1000 * NS_PER_S)
uint64_t clock_ns_to_tsc(uint64_t ns)
{
    uint64_t hz = boot_info->tsc_hz;

    if (hz < MIN_HZ || hz > MAX_HZ)
        hz = DEFAULT_HZ;
    return MIN(ns, MAX_TO_TSC_NS) * (hz / 1000) / (NS_PER_S / 1000);
}

static void set_rate(void)
{
    uint64_t hz = boot_info->tsc_hz;

    if (hz < MIN_HZ || hz > MAX_HZ)
        hz = DEFAULT_HZ;
    nominal_mult = (uint64_t)(((unsigned __int128)NS_PER_S << CLOCK_SHIFT) / hz);
    clock_page.shift = CLOCK_SHIFT;
}

static void set_page(uint64_t tsc, uint64_t monotonic, uint64_t realtime, uint64_t mult)
{
    clock_page.base_tsc = tsc;
    clock_page.monotonic_ns = monotonic;
    clock_page.realtime_offset_ns = (int64_t)(realtime - monotonic);
    clock_page.mult = mult;
}

/* Ours is ahead: it runs slower until the other has caught up, within seconds for what an
 * inexact rate makes of a second, later for more. */
static uint64_t slowed(uint64_t ahead_ns)
{
    uint64_t parts = MIN(ahead_ns / (SLEW_NS / PARTS), SLEW_MAX);

    return nominal_mult - nominal_mult / PARTS * parts;
}

/* The host's triple becomes the new base; no reading becomes smaller. What the base is follows
 * from a TSC that is read while readers wait: none has seen a later one by the old page. */
static void adopt(const struct host_clock *h)
{
    atomic_fetch_add_explicit(&clock_page.sequence, 1, memory_order_seq_cst);
    uint64_t tsc = rdtsc(), ours = monotonic_at(tsc);
    uint64_t passed = tsc > h->tsc ? scale(tsc - h->tsc, nominal_mult) : 0;
    uint64_t monotonic = h->monotonic_ns + passed, realtime = h->realtime_ns + passed;
    uint64_t ahead = ours > monotonic ? ours - monotonic : 0;
    uint64_t wall = ours + (uint64_t)clock_page.realtime_offset_ns;

    set_page(tsc, MAX(monotonic, ours), MAX(realtime, wall), slowed(ahead));
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
        if (clock_page.mult) {
            adopt(&h);
        } else {
            set_rate();
            set_page(h.tsc, h.monotonic_ns, h.realtime_ns, nominal_mult);
        }
    } else if (!clock_page.mult) {
        set_rate();
        log_warn("the host's clock makes no sense; time starts at zero");
        set_page(after, 0, 0, nominal_mult);
    }
    atomic_store(&synced_tsc, after);
    atomic_store(&sync_lock, 0);
}

void clock_sync_sometimes(void)
{
    if (scale(rdtsc() - atomic_load(&synced_tsc), nominal_mult) > SYNC_NS)
        clock_sync();
}
