/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Synchronisation under load: read-write locks, semaphores, robust and recursive mutexes,
 * cancellation, thread-specific data, signals to threads, many waiters. TIMEOUT: 90
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include "tests/guest/test.h"

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t items, room;
static long a, b, torn, produced, consumed;
static volatile int signalled;

static void *read_pairs(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_rdlock(&rwlock);
        if (a != b)
            __atomic_add_fetch(&torn, 1, __ATOMIC_RELAXED);
        pthread_rwlock_unlock(&rwlock);
    }
    return arg;
}

static void *write_pairs(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        pthread_rwlock_wrlock(&rwlock);
        a++;
        b++;
        pthread_rwlock_unlock(&rwlock);
    }
    return arg;
}

static void *produce(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        sem_wait(&room);
        __atomic_add_fetch(&produced, 1, __ATOMIC_RELAXED);
        sem_post(&items);
    }
    return arg;
}

static void *consume(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        sem_wait(&items);
        __atomic_add_fetch(&consumed, 1, __ATOMIC_RELAXED);
        sem_post(&room);
    }
    return arg;
}

static void run_all(void *(*const bodies[])(void *), int count)
{
    pthread_t threads[16];
    for (int i = 0; i < count; i++)
        expect(pthread_create(&threads[i], NULL, bodies[i], NULL), 0, 0);
    for (int i = 0; i < count; i++)
        expect(pthread_join(threads[i], NULL), 0, 0);
}

static void *die_with_lock(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static void mutexes(void)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t mutex;
    pthread_t thread;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attr);
    for (int i = 0; i < 5; i++)
        expect(pthread_mutex_lock(&mutex), 0, 0);
    for (int i = 0; i < 5; i++)
        expect(pthread_mutex_unlock(&mutex), 0, 0);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex, &attr);
    expect(pthread_mutex_lock(&mutex), 0, 0);
    expect(pthread_mutex_lock(&mutex), EDEADLK, 0);
    expect(pthread_mutex_unlock(&mutex), 0, 0);
    expect(pthread_mutex_unlock(&mutex), EPERM, 0);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_NORMAL);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attr);
    expect(pthread_create(&thread, NULL, die_with_lock, &mutex), 0, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(pthread_mutex_lock(&mutex), EOWNERDEAD, 0);
    expect(pthread_mutex_consistent(&mutex), 0, 0);
    expect(pthread_mutex_unlock(&mutex), 0, 0);
}

static void note_cleanup(void *flag)
{
    *(int *)flag = 1;
}

static void *wait_for_cancel(void *flag)
{
    pthread_cleanup_push(note_cleanup, flag);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancelling(void)
{
    pthread_t thread;
    void *result;
    int cleaned = 0;
    expect(pthread_create(&thread, NULL, wait_for_cancel, &cleaned), 0, 0);
    usleep(2000);
    expect(pthread_cancel(thread), 0, 0);
    expect(pthread_join(thread, &result), 0, 0);
    expect(result == PTHREAD_CANCELED, 1, 0);
    expect(cleaned, 1, 0);
}

static __thread int mine;

static void on_signal(int signal)
{
    mine = 1;
    signalled++;
}

static void *wait_for_signal(void *ready)
{
    sem_post(ready);
    while (!mine)
        usleep(500);
    return (void *)(long)mine;
}

static void signals(void)
{
    pthread_t thread;
    void *result;
    sem_t ready;
    sem_init(&ready, 0, 0);
    signal(SIGUSR1, on_signal);
    expect(pthread_create(&thread, NULL, wait_for_signal, &ready), 0, 0);
    while (sem_wait(&ready))
        ;
    expect(pthread_kill(thread, SIGUSR1), 0, 0);
    expect(pthread_join(thread, &result), 0, 0);
    expect(result, 1, 0);
    expect(signalled, 1, 0);
    expect(mine, 0, 0);
}

static void timeouts(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 5000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    sem_t empty;
    sem_init(&empty, 0, 0);
    expect(sem_timedwait(&empty, &until), -1, ETIMEDOUT);
    expect(sem_trywait(&empty), -1, EAGAIN);
}

int main(void)
{
    static void *(*const pairs[])(void *) = {read_pairs, write_pairs, read_pairs, write_pairs,
                                             read_pairs, write_pairs};
    static void *(*const queue[])(void *) = {produce, consume, produce, consume, produce,
                                             consume, produce, consume};
    run_all(pairs, 6);
    expect(torn, 0, 0);
    expect(a, 3000, 0);
    sem_init(&items, 0, 0);
    sem_init(&room, 0, 3);
    run_all(queue, 8);
    expect(produced == 8000 && consumed == 8000, 1, 0);
    mutexes();
    cancelling();
    signals();
    timeouts();
    return test_end();
}
