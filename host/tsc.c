/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frequency of the time stamp counter, as the kernel knows it if it tells (a dummy perf
 * event's page carries it), else as cpuid says, else measured over the time of loading.
 */
#include "host/tsc.h"

#include <cpuid.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define NS_PER_S   1000000000ull
#define MEASURE_NS 1000000u

static uint64_t from_perf(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_DUMMY,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    uint64_t hz = 0;

    if (fd < 0)
        return 0;
    const struct perf_event_mmap_page *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) {
        if (page->cap_user_time && page->time_mult && page->time_shift < 32)
            hz = (NS_PER_S << page->time_shift) / page->time_mult;
        munmap((void *)page, 4096);
    }
    close(fd);
    return hz;
}

static uint64_t from_cpuid(void)
{
    uint32_t a, b, c, d;

    if (__get_cpuid_max(0, NULL) < 0x15)
        return 0;
    __cpuid(0x15, a, b, c, d);
    return a && b && c ? (uint64_t)c * b / a : 0;
}

/* Both clocks at one moment: the tightest of a few readings. */
static struct tsc_sample sample(void)
{
    struct tsc_sample best = {0};
    uint64_t width = UINT64_MAX;
    struct timespec ts;

    for (int i = 0; i < 8; i++) {
        uint64_t before = __rdtsc();
        clock_gettime(CLOCK_MONOTONIC, &ts);
        uint64_t after = __rdtsc();
        if (after - before >= width)
            continue;
        width = after - before;
        best.tsc = before + width / 2;
        best.ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    }
    return best;
}

struct tsc_sample tsc_begin(void)
{
    return sample();
}

static uint64_t measured(const struct tsc_sample *begin)
{
    struct tsc_sample now;

    do {
        now = sample();
    } while (now.ns - begin->ns < MEASURE_NS);
    return (uint64_t)((unsigned __int128)(now.tsc - begin->tsc) * NS_PER_S /
                      (now.ns - begin->ns));
}

uint64_t tsc_hz(const struct tsc_sample *begin)
{
    uint64_t hz = from_perf();

    if (!hz)
        hz = from_cpuid();
    return hz ? hz : measured(begin);
}
