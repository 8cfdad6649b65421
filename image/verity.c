/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dm-verity tree over an image: every level is the SHA-256 digests of the blocks below it,
 * 128 to a block, up to one block whose digest is the root hash. In the file the topmost level
 * comes first. The lowest level, where the work is, is hashed by several threads.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/progress.h"
#include "image/file.h"
#include "image/image.h"

#define DIGEST      32u
#define FANOUT      (IMAGE_BLOCK / DIGEST)
#define LEVELS_MAX  8
#define THREADS_MAX 8
#define BATCH       512u /* blocks a thread takes at a time */

struct levels {
    int count;
    uint64_t blocks[LEVELS_MAX]; /* 0: the lowest */
    uint64_t total;
};

static struct levels count_levels(uint64_t data_blocks)
{
    struct levels levels = {0};

    for (uint64_t below = data_blocks; below > 1 && levels.count < LEVELS_MAX;) {
        below = (below + FANOUT - 1) / FANOUT;
        levels.blocks[levels.count++] = below;
        levels.total += below;
    }
    return levels;
}

uint64_t verity_end(uint64_t data_blocks)
{
    return (data_blocks + count_levels(data_blocks).total) * IMAGE_BLOCK;
}

/* ---- the lowest level -----------------------------------------------------------------------
 */

struct job {
    const uint8_t *data;
    uint64_t blocks;
    uint8_t *digests;
    _Atomic uint64_t next;
};

static void *hash_blocks(void *context)
{
    struct job *job = context;

    for (;;) {
        uint64_t from = atomic_fetch_add(&job->next, BATCH);
        uint64_t to = from + BATCH < job->blocks ? from + BATCH : job->blocks;

        if (from >= job->blocks)
            return NULL;
        for (uint64_t i = from; i < to; i++)
            SHA256(job->data + i * IMAGE_BLOCK, IMAGE_BLOCK, job->digests + i * DIGEST);
        progress_add((to - from) * IMAGE_BLOCK);
    }
}

static void hash_all(struct job *job)
{
    pthread_t threads[THREADS_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted =
        job->blocks < 4 * BATCH ? 0 : (int)(cpus < THREADS_MAX ? cpus : THREADS_MAX) - 1;
    int started = 0;

    while (started < wanted && !pthread_create(&threads[started], NULL, hash_blocks, job))
        started++;
    hash_blocks(job);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

/* ---- the tree -------------------------------------------------------------------------------
 */

/* Fills `hashes`, laid out as in the file, from the lowest level up. */
static void build_levels(const struct levels *levels, const uint8_t *data, uint64_t data_blocks,
                         uint8_t *hashes)
{
    uint64_t start = levels->total; /* in blocks; the lowest level is the last in the file */

    for (int level = 0; level < levels->count; level++) {
        struct job job = {.data = data, .blocks = data_blocks};

        start -= levels->blocks[level];
        job.digests = hashes + start * IMAGE_BLOCK;
        hash_all(&job);
        data = job.digests;
        data_blocks = levels->blocks[level];
    }
}

struct err *verity_append(int fd, const char *name, uint64_t data_blocks,
                          struct verity_tree *tree)
{
    struct levels levels = count_levels(data_blocks);
    size_t data_bytes = data_blocks * IMAGE_BLOCK;

    if (data_blocks == 0)
        return err_new("%s: nothing to hash", name);
    uint8_t *hashes = calloc(levels.total + 1, IMAGE_BLOCK);
    void *data = mmap(NULL, data_bytes, PROT_READ, MAP_SHARED, fd, 0);
    struct err *err = NULL;

    if (!hashes || data == MAP_FAILED) {
        err = err_sys(errno, "%s: cannot be hashed", name);
        goto out;
    }
    madvise(data, data_bytes, MADV_SEQUENTIAL);
    progress_begin("hashing the image", data_bytes);
    build_levels(&levels, data, data_blocks, hashes);
    progress_end();
    tree->data_blocks = data_blocks;
    tree->hash_offset = data_bytes;
    tree->end = verity_end(data_blocks);
    SHA256(levels.count ? hashes : data, IMAGE_BLOCK, tree->root_hash);
    err = file_write_at(fd, name, hashes, levels.total * IMAGE_BLOCK, data_bytes);
out:
    if (data != MAP_FAILED)
        munmap(data, data_bytes);
    free(hashes);
    return err;
}
