/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ten thousand threads at once; and where there is no room for more, EAGAIN and no harm.
 * TIMEOUT: 300
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/guest/test.h"

#define THREADS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, leave = PTHREAD_COND_INITIALIZER;
static int here, may_go;
static pthread_t thread[THREADS];

static void *stay(void *arg)
{
    pthread_mutex_lock(&lock);
    here++;
    pthread_cond_signal(&all_here);
    while (!may_go)
        pthread_cond_wait(&leave, &lock);
    here--;
    pthread_mutex_unlock(&lock);
    return arg;
}

int main(void)
{
    pthread_attr_t attr;
    int made = 0, error = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 32768);
    while (made < THREADS && !error) {
        error = pthread_create(&thread[made], &attr, stay, (void *)(long)made);
        made += !error;
    }
    if (error) {
        expect(error, EAGAIN, 0);
        fprintf(stderr, "%d threads\n", made);
    }
    pthread_mutex_lock(&lock);
    while (here < made)
        pthread_cond_wait(&all_here, &lock);
    expect(here, made, 0);
    may_go = 1;
    pthread_cond_broadcast(&leave);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < made; i++) {
        void *result = NULL;
        expect(pthread_join(thread[i], &result), 0, 0);
        expect((long)result, i, 0);
    }
    expect(here, 0, 0);
    if (made < THREADS && getenv("OCCLUM_TEST_THREADS"))
        expect(made, THREADS, 0);
    return test_end();
}
