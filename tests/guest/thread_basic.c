/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads: create and join, mutexes, condition variables, thread-local storage, barriers, once,
 * detached threads, many at a time.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include "tests/guest/test.h"

#define THREADS 16
#define ROUNDS  2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread long local = 7;
static long counter, once_count, turn;
static volatile int detached_done;

static void count_once(void)
{
    once_count++;
}

static void *add(void *arg)
{
    long me = (long)arg;
    expect(local, 7, 0);
    local = me;
    pthread_once(&once, count_once);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    expect(local, me, 0);
    expect(syscall(SYS_gettid) != getpid(), 1, 0);
    return (void *)(me * 2);
}

static void joining(void)
{
    pthread_t threads[THREADS];
    void *result;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, add, (void *)(i + 100)), 0, 0);
    for (long i = 0; i < THREADS; i++) {
        expect(pthread_join(threads[i], &result), 0, 0);
        expect(result, 2 * (i + 100), 0);
    }
    expect(counter, THREADS * ROUNDS, 0);
    expect(once_count, 1, 0);
    expect(local, 7, 0);
}

static void *take_turns(void *arg)
{
    long me = (long)arg;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 1000; i++) {
        while (turn % 2 != me)
            pthread_cond_wait(&cond, &mutex);
        turn++;
        pthread_cond_signal(&cond);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void turns(void)
{
    pthread_t other;
    expect(pthread_create(&other, NULL, take_turns, (void *)1), 0, 0);
    take_turns((void *)0);
    expect(pthread_join(other, NULL), 0, 0);
    expect(turn, 2000, 0);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 10000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    expect(pthread_cond_timedwait(&cond, &mutex, &until), ETIMEDOUT, 0);
    pthread_mutex_unlock(&mutex);
}

static void *nothing(void *arg)
{
    if (arg)
        __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void many(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    for (int i = 0; i < 500; i++) {
        expect(pthread_create(&thread, NULL, nothing, NULL), 0, 0);
        expect(pthread_join(thread, NULL), 0, 0);
    }
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 50; i++)
        expect(pthread_create(&thread, &attr, nothing, (void *)&detached_done), 0, 0);
    for (int i = 0; i < 2000 && detached_done < 50; i++)
        usleep(1000);
    expect(detached_done, 50, 0);
}

/* Nobody of those that only compute keeps the others from running. */
static void *spin(void *stop)
{
    while (!*(volatile int *)stop)
        ;
    return NULL;
}

static void fairness(void)
{
    static volatile int stop;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        expect(pthread_create(&threads[i], NULL, spin, (void *)&stop), 0, 0);
    usleep(20000);
    stop = 1;
    for (int i = 0; i < 4; i++)
        expect(pthread_join(threads[i], NULL), 0, 0);
    cpu_set_t cpus;
    expect(sched_getaffinity(0, sizeof(cpus), &cpus), 0, 0);
    expect(CPU_COUNT(&cpus) >= 1, 1, 0);
    expect(sched_yield(), 0, 0);
}

int main(void)
{
    joining();
    turns();
    many();
    fairness();
    return test_end();
}
