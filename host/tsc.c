/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frequency of the time stamp counter, as the kernel knows it if it tells (a dummy perf
 * event's page carries it), else as cpuid says, else measured for a moment.
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
#define MEASURE_NS 2000000u

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

static uint64_t monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t measured(void)
{
    uint64_t ns = monotonic_ns(), tsc = __rdtsc(), now;

    do {
        now = monotonic_ns();
    } while (now - ns < MEASURE_NS);
    return (uint64_t)((unsigned __int128)(__rdtsc() - tsc) * NS_PER_S / (now - ns));
}

uint64_t tsc_hz(void)
{
    uint64_t hz = from_perf();

    if (!hz)
        hz = from_cpuid();
    return hz ? hz : measured();
}
