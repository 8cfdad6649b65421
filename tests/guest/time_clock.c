/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks go forward, agree with each other, and sleeping takes as long as was asked.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>
#include "tests/guest/test.h"

static long now_ns(clockid_t clock)
{
    struct timespec ts;
    expect(clock_gettime(clock, &ts), 0, 0);
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void clocks(void)
{
    static const clockid_t all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                    CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                                    CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
                                    CLOCK_BOOTTIME};
    struct timespec ts, direct;
    struct timeval tv;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        long first = now_ns(all[i]), last = first;
        for (int j = 0; j < 1000; j++) {
            long next = now_ns(all[i]);
            expect(next >= last, 1, 0);
            last = next;
        }
        expect(clock_getres(all[i], &ts), 0, 0);
        expect(ts.tv_sec == 0 && ts.tv_nsec > 0 && ts.tv_nsec <= 10000000, 1, 0);
    }
    expect(clock_gettime(9999, &ts), -1, EINVAL);
    expect(gettimeofday(&tv, NULL), 0, 0);
    expect(clock_gettime(CLOCK_REALTIME, &ts), 0, 0);
    expect(labs(ts.tv_sec - tv.tv_sec) <= 1, 1, 0);
    expect(labs(time(NULL) - tv.tv_sec) <= 1, 1, 0);
    expect(tv.tv_sec > 1600000000, 1, 0);
    /* The system call and the vDSO tell the same time. */
    expect(clock_gettime(CLOCK_MONOTONIC, &ts), 0, 0);
    expect(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &direct), 0, 0);
    long apart = (direct.tv_sec - ts.tv_sec) * 1000000000L + direct.tv_nsec - ts.tv_nsec;
    expect(apart >= 0 && apart < 100000000, 1, 0);
    expect(times(NULL) != -1, 1, 0);
}

static void sleeping(void)
{
    struct timespec ts = {0, 30000000}, rest;
    long start = now_ns(CLOCK_MONOTONIC);
    expect(nanosleep(&ts, &rest), 0, 0);
    long took = now_ns(CLOCK_MONOTONIC) - start;
    expect(took >= 30000000 && took < 2000000000, 1, 0);
    ts.tv_nsec = 1000000000;
    expect(nanosleep(&ts, NULL), -1, EINVAL);
    ts.tv_sec = -1;
    ts.tv_nsec = 0;
    expect(nanosleep(&ts, NULL), -1, EINVAL);
    start = now_ns(CLOCK_MONOTONIC);
    long end = start + 20000000;
    struct timespec until = {end / 1000000000, end % 1000000000};
    expect(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0, 0);
    expect(now_ns(CLOCK_MONOTONIC) >= end, 1, 0);
    expect(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0, 0);
    /* What is spent computing counts as processor time, what is slept does not. */
    start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    usleep(20000);
    expect(now_ns(CLOCK_PROCESS_CPUTIME_ID) - start < 15000000, 1, 0);
    start = now_ns(CLOCK_MONOTONIC);
    long cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (now_ns(CLOCK_MONOTONIC) - start < 30000000)
        ;
    expect(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu > 1000000, 1, 0);
}

static void timer_descriptor(void)
{
    struct itimerspec set = {{0, 0}, {0, 10000000}}, got;
    uint64_t count = 0;
    int fd = must(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    expect(timerfd_settime(fd, 0, &set, NULL), 0, 0);
    expect(timerfd_gettime(fd, &got), 0, 0);
    expect(got.it_value.tv_nsec > 0 && got.it_value.tv_nsec <= 10000000, 1, 0);
    expect(read(fd, &count, 8), 8, 0);
    expect(count, 1, 0);
    expect(fcntl(fd, F_SETFL, O_NONBLOCK), 0, 0);
    expect(read(fd, &count, 8), -1, EAGAIN);
    expect(timerfd_create(9999, 0), -1, EINVAL);
    expect(close(fd), 0, 0);
}

int main(void)
{
    clocks();
    sleeping();
    timer_descriptor();
    return test_end();
}
