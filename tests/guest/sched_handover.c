/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread wakes another one and then keeps its CPU without a call. Whatever the two have used
 * so far, and wherever they ran, the other one runs before long.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
#include "tests/guest/test.h"

#define ROUNDS   40
#define PATIENCE 20000 /* milliseconds */

static sem_t wanted, given, seen;
static volatile int begun, answered;
static int longest;

static int ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static void burn(int duration)
{
    int end = ms(CLOCK_THREAD_CPUTIME_ID) + duration;

    while (ms(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
}

/* It uses less CPU time than the other. */
static void *giver(void *arg)
{
    for (int i = 0; i < ROUNDS && longest < PATIENCE; i++) {
        sem_wait(&wanted);
        begun = 1;
        burn(3); /* the other one sleeps meanwhile, and its CPU, too */
        int begin = ms(CLOCK_MONOTONIC), took = 0;
        sem_post(&given);
        while (!answered && (took = ms(CLOCK_MONOTONIC) - begin) < PATIENCE)
            ;
        longest = took > longest ? took : longest;
        answered = 0;
        sem_post(&seen);
    }
    return arg;
}

int main(void)
{
    pthread_t t;

    sem_init(&wanted, 0, 0);
    sem_init(&given, 0, 0);
    sem_init(&seen, 0, 0);
    expect(pthread_create(&t, NULL, giver, NULL), 0, 0);
    for (int i = 0; i < ROUNDS && longest < PATIENCE; i++) {
        burn(12);
        begun = 0;
        sem_post(&wanted);
        while (!begun)
            ;
        sem_wait(&given);
        answered = 1;
        sem_wait(&seen);
    }
    pthread_join(t, NULL);
    if (longest >= PATIENCE)
        printf("a woken thread did not run for %d ms\n", longest);
    expect(longest < PATIENCE, 1, 0);
    return test_end();
}
