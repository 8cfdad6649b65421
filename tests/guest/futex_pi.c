/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Priority inheritance that acts, PI mutexes under contention, and requeueing from a condition
 * to a PI lock.
 * TIMEOUT: 120
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/guest/test.h"

static long futex(uint32_t *a, int op, uint32_t val, const void *timeout, uint32_t *b,
                  uint32_t val3)
{
    return syscall(SYS_futex, a, op, val, timeout, b, val3);
}

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- contention ---- */

static pthread_mutex_t mutex;
static long counter;

static void *add(void *arg)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&mutex);
        long was = counter;
        if (i % 64 == 0)
            sched_yield();
        counter = was + 1;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void make_mutex(int robust)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    if (robust)
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    must(pthread_mutex_init(&mutex, &a) ? -1 : 0);
}

static void test_contention(void)
{
    pthread_t t[8];
    make_mutex(0);
    for (int i = 0; i < 8; i++)
        must(pthread_create(&t[i], NULL, add, NULL));
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    expect(counter, 40000, 0);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec = soon.tv_nsec / 2;
    pthread_mutex_lock(&mutex);
    expect(pthread_mutex_trylock(&mutex), EBUSY, 0);
    pthread_mutex_unlock(&mutex);
}

static void *die_with_it(void *arg)
{
    pthread_mutex_lock(&mutex);
    return arg;
}

static void test_robust(void)
{
    pthread_t t;
    make_mutex(1);
    must(pthread_create(&t, NULL, die_with_it, NULL));
    pthread_join(t, NULL);
    expect(pthread_mutex_lock(&mutex), EOWNERDEAD, 0);
    expect(pthread_mutex_consistent(&mutex), 0, 0);
    expect(pthread_mutex_unlock(&mutex), 0, 0);
}

/* ---- low holds what high wants, and middle would run for ever ---- */

static volatile int low_has, high_wants, middle_runs, done, low_late;
static cpu_set_t one;

static void become(int priority)
{
    struct sched_param p = {.sched_priority = priority};
    must(sched_setaffinity(0, sizeof(one), &one));
    expect(sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER, &p), 0, 0);
}

static void *low(void *arg)
{
    become(0);
    pthread_mutex_lock(&mutex);
    low_has = 1;
    while (!middle_runs)
        usleep(1000);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void *middle(void *arg)
{
    become(10);
    long end = now_ms() + 4000;
    while (!high_wants) /* on this CPU: when this one sees it, the other is asleep */
        usleep(1000);
    middle_runs = 1;
    while (!done && now_ms() < end)
        ;
    low_late = !done;
    return arg;
}

static void *high(void *arg)
{
    become(20);
    while (!low_has)
        usleep(1000);
    high_wants = 1;
    pthread_mutex_lock(&mutex);
    done = 1;
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void test_inheritance(void)
{
    struct sched_param p = {.sched_priority = 1}, none = {0};
    cpu_set_t all;
    pthread_t t[3];
    if (sched_setscheduler(0, SCHED_FIFO, &p))
        return; /* not allowed here */
    must(sched_setscheduler(0, SCHED_OTHER, &none));
    must(sched_getaffinity(0, sizeof(all), &all));
    for (int i = 0; !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    make_mutex(0);
    must(pthread_create(&t[0], NULL, low, NULL));
    must(pthread_create(&t[1], NULL, high, NULL));
    must(pthread_create(&t[2], NULL, middle, NULL));
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    expect(done, 1, 0);
    expect(low_late, 0, 0);
}

/* ---- requeueing ---- */

static uint32_t condition, lock;
static int waiting, got;

static void *wait_and_own(void *arg)
{
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    long r;
    do {
        r = futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &lock, 0);
    } while (r == -1 && errno == EAGAIN && !__atomic_load_n(&condition, __ATOMIC_SEQ_CST));
    expect(r, 0, 0);
    expect(__atomic_load_n(&lock, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK, tid, 0);
    got++;
    uint32_t mine = tid;
    if (!__atomic_compare_exchange_n(&lock, &mine, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        expect(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, 0);
    return arg;
}

static void test_requeue(void)
{
    pthread_t t[4];
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    long moved = 0;

    expect(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)4, &lock, 0), -1, EINVAL);
    expect(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)4, &lock, 1), -1, EAGAIN);
    expect(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)4, &lock, 0), 0, 0);
    struct timespec past = {1, 0};
    expect(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &past, &lock, 0), -1, ETIMEDOUT);
    expect(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 7, NULL, &lock, 0), -1, EAGAIN);
    expect(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, 0);
    for (int i = 0; i < 4; i++)
        must(pthread_create(&t[i], NULL, wait_and_own, NULL));
    while (moved < 4) {
        long r = futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)8, &lock, 0);
        if (r < 0) {
            expect(r, 0, 0);
            break;
        }
        moved += r;
        sched_yield();
    }
    expect(__atomic_load_n(&lock, __ATOMIC_SEQ_CST), tid | FUTEX_WAITERS, 0);
    expect(got, 0, 0);
    expect(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    expect(got, 4, 0);
    expect(lock, 0, 0);
}

int main(void)
{
    test_contention();
    test_robust();
    test_requeue();
    test_inheritance();
    return test_end();
}
