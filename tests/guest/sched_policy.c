/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Affinity, nice values and policies, and that they act. What acting means is measured on one
 * CPU with threads that count: ratios are wide enough for a machine that does other things.
 * TIMEOUT: 120
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/guest/test.h"

static cpu_set_t all;
static int first_cpu, last_cpu;

static int gettid_(void)
{
    return (int)syscall(SYS_gettid);
}

static void stay_on(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    expect(sched_setaffinity(0, sizeof(one), &one), 0, 0);
}

static void test_affinity(void)
{
    cpu_set_t set;

    must(sched_getaffinity(0, sizeof(all), &all));
    for (first_cpu = 0; !CPU_ISSET(first_cpu, &all); first_cpu++)
        ;
    for (int i = first_cpu; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all))
            last_cpu = i;
    for (int round = 0; round < 50; round++) {
        int cpu = round % 2 ? first_cpu : last_cpu;
        stay_on(cpu);
        expect(sched_getcpu(), cpu, 0);
        expect(sched_getaffinity(0, sizeof(set), &set), 0, 0);
        expect(CPU_COUNT(&set), 1, 0);
        struct timespec nap = {0, 20000};
        nanosleep(&nap, NULL);
        expect(sched_getcpu(), cpu, 0);
    }
    CPU_ZERO(&set);
    expect(sched_setaffinity(0, sizeof(set), &set), -1, EINVAL);
    expect(sched_setaffinity(4194300, sizeof(all), &all), -1, ESRCH);
    expect(sched_setaffinity(0, sizeof(all), &all), 0, 0);
}

/* ---- moving somebody else ---- */

static volatile int stop, where = -1, mover_tid;

static void *spin_and_tell(void *arg)
{
    mover_tid = gettid_();
    while (!stop)
        where = sched_getcpu();
    return arg;
}

static void test_move_running(void)
{
    pthread_t t;
    stop = mover_tid = 0;
    must(pthread_create(&t, NULL, spin_and_tell, NULL));
    while (!mover_tid)
        sched_yield();
    for (int round = 0; round < 20; round++) {
        int cpu = round % 2 ? first_cpu : last_cpu;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        expect(sched_setaffinity(mover_tid, sizeof(one), &one), 0, 0);
        where = -1;
        for (long n = 0; where != cpu && n < 50000000; n++)
            sched_yield();
        expect(where, cpu, 0);
    }
    stop = 1;
    pthread_join(t, NULL);
}

/* ---- who gets how much ---- */

struct counter {
    int nice, policy;
    volatile long count;
    long cpu_ns;
};
static pthread_barrier_t start_line;

static void *count_up(void *arg)
{
    struct counter *c = arg;
    struct timespec used;
    struct sched_param none = {0};
    stay_on(first_cpu);
    if (c->policy)
        expect(sched_setscheduler(0, c->policy, &none), 0, 0);
    expect(setpriority(PRIO_PROCESS, (id_t)gettid_(), c->nice), 0, 0);
    expect(getpriority(PRIO_PROCESS, (id_t)gettid_()), c->nice, 0);
    pthread_barrier_wait(&start_line);
    while (!stop)
        c->count++;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    c->cpu_ns = used.tv_sec * 1000000000L + used.tv_nsec;
    return NULL;
}

static long process_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000000000L + used.tv_nsec;
}

static void compete(struct counter *a, struct counter *b)
{
    pthread_t t[2];
    stop = 0;
    pthread_barrier_init(&start_line, NULL, 3);
    must(pthread_create(&t[0], NULL, count_up, a));
    must(pthread_create(&t[1], NULL, count_up, b));
    pthread_barrier_wait(&start_line);
    long begin = process_ns();
    for (int i = 0; i < 1000 && process_ns() - begin < 500000000; i++)
        usleep(20000);
    stop = 1;
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    pthread_barrier_destroy(&start_line);
}

static void test_shares(void)
{
    struct counter even[2] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
    compete(&even[0], &even[1]);
    expect(even[0].cpu_ns < 3 * even[1].cpu_ns && even[1].cpu_ns < 3 * even[0].cpu_ns, 1, 0);
    struct counter nice[2] = {{0, 0, 0, 0}, {10, 0, 0, 0}};
    compete(&nice[0], &nice[1]);
    expect(nice[0].cpu_ns > 3 * nice[1].cpu_ns, 1, 0);
    struct counter idle[2] = {{0, 0, 0, 0}, {0, SCHED_IDLE, 0, 0}};
    compete(&idle[0], &idle[1]);
    expect(idle[0].cpu_ns > 8 * idle[1].cpu_ns, 1, 0);
    struct counter batch[2] = {{0, 0, 0, 0}, {0, SCHED_BATCH, 0, 0}};
    compete(&batch[0], &batch[1]);
    expect(batch[0].cpu_ns < 3 * batch[1].cpu_ns && batch[1].cpu_ns < 3 * batch[0].cpu_ns, 1,
           0);
}

/* ---- realtime: who is woken first runs first, and nobody else meanwhile ---- */

static uint32_t go;
static volatile int order[3], arrived;

static void *realtime(void *arg)
{
    int me = (int)(long)arg;
    struct sched_param p = {.sched_priority = 10 + me};
    stay_on(first_cpu);
    expect(sched_setscheduler(0, me == 1 ? SCHED_RR : SCHED_FIFO, &p), 0, 0);
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) {
        if (order[i] == 0) {
            order[i] = 10 + me;
            break;
        }
    }
    return NULL;
}

static void test_realtime(void)
{
    pthread_t t[3];
    struct sched_param p = {.sched_priority = 50}, none = {0};
    if (geteuid()) {
        expect(sched_setscheduler(0, SCHED_FIFO, &p), -1, EPERM);
        return;
    }
    expect(sched_setscheduler(0, SCHED_FIFO, &p), 0, 0);
    expect(sched_getscheduler(0), SCHED_FIFO, 0);
    expect(sched_setscheduler(0, SCHED_OTHER, &none), 0, 0);
    for (long i = 0; i < 3; i++)
        must(pthread_create(&t[i], NULL, realtime, (void *)i));
    while (arrived < 3)
        sched_yield();
    struct timespec nap = {0, 50000000};
    nanosleep(&nap, NULL); /* they are asleep, or will not sleep at all: no matter */
    stay_on(first_cpu);
    expect(sched_setscheduler(0, SCHED_FIFO, &p), 0, 0);
    go = 1;
    syscall(SYS_futex, &go, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0);
    expect(order[0], 0, 0); /* none of them is above this thread */
    expect(sched_setscheduler(0, SCHED_OTHER, &none), 0, 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    expect(order[0], 12, 0);
    expect(order[1], 11, 0);
    expect(order[2], 10, 0);
    expect(sched_setaffinity(0, sizeof(all), &all), 0, 0);
}

/* ---- the calls ---- */

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t clamp[2];
    uint64_t more; /* that no kernel knows */
};

static void test_attr(void)
{
    struct attr a = {.size = 48, .policy = SCHED_BATCH, .nice = 3}, b = {0};
    expect(syscall(SYS_sched_setattr, 0, &a, 0), 0, 0);
    expect(syscall(SYS_sched_getattr, 0, &b, 48, 0), 0, 0);
    expect(b.policy, SCHED_BATCH, 0);
    expect(b.nice, 3, 0);
    expect(b.flags, 0, 0);
    expect(getpriority(PRIO_PROCESS, 0), 3, 0);
    a.flags = 1; /* reset on fork */
    expect(syscall(SYS_sched_setattr, 0, &a, 0), 0, 0);
    expect(sched_getscheduler(0), SCHED_BATCH | SCHED_RESET_ON_FORK, 0);
    a.flags = 1ull << 40;
    expect(syscall(SYS_sched_setattr, 0, &a, 0), -1, EINVAL);
    a.flags = 0;
    a.size = 40;
    expect(syscall(SYS_sched_setattr, 0, &a, 0), -1, E2BIG);
    a.size = sizeof(a);
    a.more = 1;
    expect(syscall(SYS_sched_setattr, 0, &a, 0), -1, E2BIG);
    a.more = 0;
    a.size = 48;
    expect(syscall(SYS_sched_setattr, 0, &a, 1), -1, EINVAL);
    a.policy = 77;
    expect(syscall(SYS_sched_setattr, 0, &a, 0), -1, EINVAL);
    expect(syscall(SYS_sched_getattr, 0, &b, 40, 0), -1, EINVAL);
    a = (struct attr){.size = 48, .policy = SCHED_OTHER, .nice = 0};
    expect(syscall(SYS_sched_setattr, 0, &a, 0), geteuid() ? -1 : 0, geteuid() ? EPERM : 0);
}

static void test_bad(void)
{
    struct sched_param p = {.sched_priority = 5};
    expect(sched_setscheduler(0, SCHED_OTHER, &p), -1, EINVAL);
    p.sched_priority = 0;
    expect(sched_setscheduler(0, SCHED_FIFO, &p), -1, EINVAL);
    expect(sched_setscheduler(0, 4, &p), -1, EINVAL);
    expect(sched_get_priority_max(SCHED_RR), 99, 0);
    expect(sched_get_priority_min(SCHED_RR), 1, 0);
    expect(sched_get_priority_max(SCHED_IDLE), 0, 0);
    expect(sched_get_priority_max(42), -1, EINVAL);
    struct timespec ts;
    expect(sched_rr_get_interval(0, &ts), 0, 0);
    expect(ts.tv_sec, 0, 0);
}

/* Children of one that resets are ordinary. */
static void test_reset(void)
{
    struct attr a = {.size = 48, .policy = SCHED_OTHER, .nice = -5, .flags = 1};
    if (syscall(SYS_sched_setattr, 0, &a, 0))
        return;
    pid_t pid = must(fork());
    if (!pid) {
        errno = 0;
        _exit(getpriority(PRIO_PROCESS, 0) == 0 && sched_getscheduler(0) == SCHED_OTHER);
    }
    int status;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(WEXITSTATUS(status), 1, 0);
    a.flags = 0;
    a.nice = 0;
    expect(syscall(SYS_sched_setattr, 0, &a, 0), 0, 0);
}

static void test_membarrier(void)
{
    long known = must(syscall(SYS_membarrier, 0, 0, 0));
    expect(known & 0x1e, 0x1e, 0);
    if (known & 1)
        expect(syscall(SYS_membarrier, 1, 0, 0), 0, 0);
    expect(syscall(SYS_membarrier, 2, 0, 0), 0, 0);
    expect(syscall(SYS_membarrier, 4, 0, 0), 0, 0);
    expect(syscall(SYS_membarrier, 16, 0, 0), 0, 0);
    expect(syscall(SYS_membarrier, 8, 0, 0), 0, 0);
    expect(syscall(SYS_membarrier, 8, 77, 0), -1, EINVAL);
    expect(syscall(SYS_membarrier, 3, 0, 0), -1, EINVAL);
}

int main(void)
{
    test_membarrier();
    test_affinity();
    test_move_running();
    test_bad();
    test_process(test_attr, "test_attr");
    test_reset();
    test_shares();
    test_realtime();
    return test_end();
}
