/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool, see pool.h. A fixed number of buffers goes round: free, with the caller, queued,
 * with a thread. After the first error the threads only give buffers back.
 */
#include "image/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "image/crypt.h"
#include "image/file.h"

#define THREADS_MAX 8
#define BUFFERS_MAX (2 * THREADS_MAX + 1)

struct job {
    uint8_t *buffer;
    size_t size;
    uint64_t offset;
};

struct pool {
    int fd;
    const char *name;
    struct verity_build *build;
    const uint8_t *xts_key;
    pthread_t threads[THREADS_MAX];
    int thread_count;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    uint8_t *free[BUFFERS_MAX];
    struct job queue[BUFFERS_MAX];
    int free_count, queued, buffer_count;
    int stop;
    struct err *err;
};

static void give_back(struct pool *pool, uint8_t *buffer, struct err *err)
{
    pthread_mutex_lock(&pool->lock);
    pool->free[pool->free_count++] = buffer;
    if (pool->err)
        err_free(err);
    else
        pool->err = err;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

/* The next job; 0 when there will be none. */
static int next_job(struct pool *pool, struct job *job)
{
    int found = 0;

    pthread_mutex_lock(&pool->lock);
    while (!pool->queued && !pool->stop)
        pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->queued) {
        *job = pool->queue[0];
        pool->queued--;
        memmove(pool->queue, pool->queue + 1, (size_t)pool->queued * sizeof(*job));
        found = 1;
    }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

static void *work(void *context)
{
    struct pool *pool = context;
    struct job job;

    while (next_job(pool, &job)) {
        struct err *err = NULL;

        if (!pool_failed(pool) && pool->xts_key &&
            !crypt_blocks(pool->xts_key, job.offset / IMAGE_BLOCK, job.buffer,
                          job.size / IMAGE_BLOCK))
            err = err_new("%s: cannot be encrypted", pool->name);
        if (!err && !pool_failed(pool)) {
            verity_hash(pool->build, job.offset / IMAGE_BLOCK, job.buffer,
                        job.size / IMAGE_BLOCK);
            err = file_write_at(pool->fd, pool->name, job.buffer, job.size, job.offset);
            progress_add(job.size);
        }
        give_back(pool, job.buffer, err);
    }
    return NULL;
}

static void pool_free(struct pool *pool)
{
    while (pool->free_count > 0)
        free(pool->free[--pool->free_count]);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct pool *pool_new(int fd, const char *name, struct verity_build *build,
                      const uint8_t *xts_key)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted = cpus < 1 ? 1 : cpus < THREADS_MAX ? (int)cpus : THREADS_MAX;

    if (!pool)
        return NULL;
    pool->fd = fd;
    pool->name = name;
    pool->build = build;
    pool->xts_key = xts_key;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    while (pool->free_count < 2 * wanted + 1) {
        uint8_t *buffer = aligned_alloc(IMAGE_BLOCK, POOL_BUFFER);

        if (!buffer)
            break;
        pool->free[pool->free_count++] = buffer;
    }
    pool->buffer_count = pool->free_count;
    while (pool->buffer_count && pool->thread_count < wanted &&
           !pthread_create(&pool->threads[pool->thread_count], NULL, work, pool))
        pool->thread_count++;
    if (pool->thread_count)
        return pool;
    pool_free(pool);
    return NULL;
}

uint8_t *pool_take(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->free_count)
        pthread_cond_wait(&pool->changed, &pool->lock);
    uint8_t *buffer = pool->free[--pool->free_count];

    pthread_mutex_unlock(&pool->lock);
    return buffer;
}

void pool_put(struct pool *pool, uint8_t *buffer, size_t size, uint64_t offset)
{
    if (!size) {
        give_back(pool, buffer, NULL);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->queue[pool->queued++] =
        (struct job){.buffer = buffer, .size = size, .offset = offset};
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

int pool_failed(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    int failed = pool->err != NULL;

    pthread_mutex_unlock(&pool->lock);
    return failed;
}

struct err *pool_finish(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->free_count < pool->buffer_count)
        pthread_cond_wait(&pool->changed, &pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->changed);
    struct err *err = pool->err;

    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pool_free(pool);
    return err;
}
