/* SPDX-License-Identifier: BSD-3-Clause */
/* futex(2) as such: values, wake counts, bit sets, requeueing, WAKE_OP, PI locks, robust lists.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/guest/test.h"

static _Atomic uint32_t word, other;
static _Atomic int returned;

static long futex(_Atomic uint32_t *a, int op, uint32_t val, const void *timeout,
                  _Atomic uint32_t *b, uint32_t val3)
{
    return syscall(SYS_futex, a, op, val, timeout, b, val3);
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void test_values(void)
{
    struct timespec t = {0, 30000000}, bad = {0, 1000000000}, past = {1, 0};
    long long start = now_ms();
    word = 1;
    expect(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), -1, EAGAIN);
    expect(futex(&word, FUTEX_WAIT, 1, &t, NULL, 0), -1, ETIMEDOUT);
    expect(now_ms() - start >= 29, 1, 0);
    expect(futex(&word, FUTEX_WAIT, 1, &bad, NULL, 0), -1, EINVAL);
    expect(futex(&word, FUTEX_WAIT_BITSET, 1, &past, NULL, ~0u), -1, ETIMEDOUT);
    expect(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &past, NULL, ~0u), -1,
           ETIMEDOUT);
    expect(futex(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), -1, EINVAL);
    expect(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0, 0);
    expect(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 1, NULL, NULL, 0), -1, EINVAL);
    expect(syscall(SYS_futex, 8, FUTEX_WAIT, 1, NULL, NULL, 0), -1, EFAULT);
    expect(futex(&word, 99, 0, NULL, NULL, 0), -1, ENOSYS);
}

static void *waiter(void *bits)
{
    long r = futex(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, (uint32_t)(long)bits);
    atomic_fetch_add(&returned, 1);
    return (void *)r;
}

/* Wakes until `n` have been woken: the waiters may not be there yet. */
static long wake_all(_Atomic uint32_t *a, long n, uint32_t bits)
{
    long woken = 0;
    for (int i = 0; i < 20000 && woken < n; i++) {
        woken += futex(a, FUTEX_WAKE_BITSET, (uint32_t)(n - woken), NULL, NULL, bits);
        usleep(100);
    }
    return woken;
}

static void test_bits(void)
{
    pthread_t t[4];
    returned = 0;
    word = 1;
    for (long i = 0; i < 4; i++)
        must(-pthread_create(&t[i], NULL, waiter, (void *)(i < 2 ? 1l : 2l)));
    expect(wake_all(&word, 2, 2), 2, 0);
    pthread_join(t[2], NULL);
    pthread_join(t[3], NULL);
    expect(returned, 2, 0);
    expect(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 2), 0, 0);
    expect(wake_all(&word, 2, 3), 2, 0);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
}

static void test_requeue(void)
{
    pthread_t t[3];
    long moved = 0;
    word = 1;
    expect(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)10l, &other, 5), -1, EAGAIN);
    for (int i = 0; i < 3; i++)
        must(-pthread_create(&t[i], NULL, waiter, (void *)-1l));
    for (int i = 0; i < 20000 && moved < 3; i++) {
        moved += futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)10l, &other, 1);
        usleep(100);
    }
    expect(moved, 3, 0);
    expect(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0, 0);
    expect(futex(&other, FUTEX_WAKE, 9, NULL, NULL, 0), 3, 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

static void test_wake_op(void)
{
    pthread_t t;
    word = 1;
    other = 5;
    must(-pthread_create(&t, NULL, waiter, (void *)-1l));
    long woken = 0;
    for (int i = 0; i < 20000 && !woken; i++) {
        other = 5;
        woken = futex(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other,
                      FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5));
        usleep(100);
    }
    expect(woken, 1, 0);
    expect(other, 8, 0);
    pthread_join(t, NULL);
    expect(futex(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other,
                 FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_GT, 7)),
           0, 0);
    expect(other, 1, 0);
}

static pthread_mutex_t mutex;
static int shared_count;

static void *count_up(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        shared_count++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *die_with_it(void *arg)
{
    pthread_mutex_lock(&mutex);
    return NULL;
}

static void make_mutex(int protocol, int robust)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, protocol);
    pthread_mutexattr_setrobust(&a, robust);
    expect(pthread_mutex_init(&mutex, &a), 0, 0);
}

static void test_pi(void)
{
    pthread_t t[4];
    make_mutex(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    for (int i = 0; i < 4; i++)
        must(-pthread_create(&t[i], NULL, count_up, NULL));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    expect(shared_count, 8000, 0);
    word = 0;
    expect(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0, 0);
    expect(word, (long)syscall(SYS_gettid), 0);
    expect(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), -1, EDEADLK);
    expect(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0, 0);
    expect(word, 0, 0);
    expect(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), -1, EPERM);
}

static void test_robust(int protocol)
{
    pthread_t t;
    make_mutex(protocol, PTHREAD_MUTEX_ROBUST);
    must(-pthread_create(&t, NULL, die_with_it, NULL));
    pthread_join(t, NULL);
    expect(pthread_mutex_lock(&mutex), EOWNERDEAD, 0);
    expect(pthread_mutex_consistent(&mutex), 0, 0);
    expect(pthread_mutex_unlock(&mutex), 0, 0);
    expect(pthread_mutex_lock(&mutex), 0, 0);
    expect(pthread_mutex_unlock(&mutex), 0, 0);
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static int turn;

static void *ping(void *arg)
{
    long me = (long)arg;
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&plain);
        while (turn != me)
            pthread_cond_wait(&cond, &plain);
        turn = !me;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&plain);
    }
    return NULL;
}

static void test_cond(void)
{
    pthread_t t[2];
    for (long i = 0; i < 2; i++)
        must(-pthread_create(&t[i], NULL, ping, (void *)i));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    expect(turn, 0, 0);
}

int main(void)
{
    test_values();
    test_bits();
    test_requeue();
    test_wake_op();
    test_pi();
    test_robust(PTHREAD_PRIO_NONE);
    test_robust(PTHREAD_PRIO_INHERIT);
    test_cond();
    return test_end();
}
