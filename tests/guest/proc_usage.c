/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What getrusage(2), times(2), wait4(2) and the CPU clocks say: user and system time, faults
 * and switches; and that no clock goes backwards over some seconds.
 * TIMEOUT: 120
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>

#include "tests/guest/test.h"

static volatile long sink;

static long ns_of(struct timeval t)
{
    return t.tv_sec * 1000000000L + t.tv_usec * 1000L;
}

static long clock_ns(clockid_t id)
{
    struct timespec ts;
    must(clock_gettime(id, &ts));
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void compute_for(long ns)
{
    long end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 200000; i++)
            sink += i;
}

/* Little of it is the program's. */
static void call_for(long ns)
{
    static char buffer[65536];
    int fd = must(open("/dev/zero", O_RDONLY));
    long end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 500; i++)
            must(read(fd, buffer, sizeof(buffer)));
    close(fd);
}

static void test_times(void)
{
    struct rusage a, b, c;
    struct tms t;

    must(getrusage(RUSAGE_SELF, &a));
    compute_for(200000000);
    must(getrusage(RUSAGE_SELF, &b));
    long user = ns_of(b.ru_utime) - ns_of(a.ru_utime);
    long system = ns_of(b.ru_stime) - ns_of(a.ru_stime);
    expect(user > 150000000 && user < 400000000, 1, 0);
    expect(system < user / 2, 1, 0);
    call_for(200000000);
    must(getrusage(RUSAGE_SELF, &c));
    user = ns_of(c.ru_utime) - ns_of(b.ru_utime);
    system = ns_of(c.ru_stime) - ns_of(b.ru_stime);
    expect(system > 100000000 && system < 400000000, 1, 0);
    expect(user < system, 1, 0);
    expect(times(&t) != -1, 1, 0);
    expect(t.tms_utime + t.tms_stime >= 30, 1, 0);
}

static void test_faults(void)
{
    struct rusage a, b;
    size_t size = 64 << 12;
    char *p = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0));
    must(madvise(p, size, MADV_NOHUGEPAGE) || 1);
    must(getrusage(RUSAGE_SELF, &a));
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    must(getrusage(RUSAGE_SELF, &b));
    expect(b.ru_minflt > a.ru_minflt, 1, 0);
    munmap(p, size);
}

static volatile int stop;

static void *spin(void *arg)
{
    cpu_set_t *one = arg;
    must(sched_setaffinity(0, sizeof(*one), one));
    while (!stop)
        ;
    return NULL;
}

static void test_switches(void)
{
    struct rusage a, b;
    struct timespec nap = {0, 1000000};
    pthread_t t;
    cpu_set_t all, one;

    must(getrusage(RUSAGE_THREAD, &a));
    for (int i = 0; i < 10; i++)
        nanosleep(&nap, NULL);
    must(getrusage(RUSAGE_THREAD, &b));
    expect(b.ru_nvcsw - a.ru_nvcsw >= 10, 1, 0);
    must(sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&one);
    for (int i = 0; !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    must(sched_setaffinity(0, sizeof(one), &one));
    must(pthread_create(&t, NULL, spin, &one));
    compute_for(100000000);
    stop = 1;
    pthread_join(t, NULL);
    must(getrusage(RUSAGE_THREAD, &b));
    expect(b.ru_nivcsw > a.ru_nivcsw, 1, 0);
    must(sched_setaffinity(0, sizeof(all), &all));
}

static void test_children(void)
{
    struct rusage r, all;
    pid_t pid = must(fork());
    if (!pid) {
        compute_for(100000000);
        _exit(0);
    }
    int status;
    expect(wait4(pid, &status, 0, &r), pid, 0);
    expect(ns_of(r.ru_utime) > 70000000, 1, 0);
    expect(r.ru_maxrss > 0, 1, 0);
    must(getrusage(RUSAGE_CHILDREN, &all));
    expect(ns_of(all.ru_utime) >= ns_of(r.ru_utime), 1, 0);
    expect(all.ru_maxrss >= r.ru_maxrss, 1, 0);
}

/* Long enough for clocks that are set anew every second; with sleeps, since idle CPUs do it. */
static void test_forward(void)
{
    long end = clock_ns(CLOCK_MONOTONIC) + 3500000000L, mono = 0, real = 0;
    struct timespec nap = {0, 100000000};
    while (mono < end) {
        for (int i = 0; i < 20000; i++) {
            long m = clock_ns(CLOCK_MONOTONIC), r = clock_ns(CLOCK_REALTIME);
            if (m < mono || r < real)
                expect(0, 1, 0);
            mono = m;
            real = r;
        }
        nanosleep(&nap, NULL);
    }
    expect(clock_ns(CLOCK_MONOTONIC) >= end, 1, 0);
}

int main(void)
{
    test_times();
    test_faults();
    test_switches();
    test_children();
    test_forward();
    return test_end();
}
