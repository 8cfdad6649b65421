/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dm-verity in the enclave: a host image's data blocks under a tree of SHA-256 hashes, laid out
 * as veritysetup does with --no-superblock, hash type 1, no salt, 4096-byte blocks: the top
 * level first, each level's blocks after one another.
 *
 * A block is copied into enclave memory, hashed there, and compared with its entry in a hash
 * block that was verified the same way, up to the root hash of the measured configuration. Only
 * then does anyone see it. Verified hash blocks are kept: 8 MiB for each GiB of data.
 */
#include "abi/errno.h"
#include "crypto/sha256.h"
#include "enclave/host.h"
#include "fs/erofs/erofs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define HASH       32u
#define PER_BLOCK  (EROFS_BLOCK / HASH)
#define LEVELS_MAX 8u
#define BATCH      CACHE_BATCH_MAX

struct level {
    uint64_t blocks, offset;      /* offset: bytes in the file */
    _Atomic(uint8_t *) *verified; /* [blocks]; NULL: not read yet */
};

struct verity {
    struct block_source source;
    unsigned image;
    unsigned levels; /* level 0 holds the hashes of the data */
    struct level level[LEVELS_MAX];
    uint8_t root[HASH];
};

static int mismatch(struct verity *v, const char *what, uint64_t block, uint64_t offset)
{
    log_always("image %u: %s block %llu at file offset %llu does not match its hash",
               v->image, what, (unsigned long long)block, (unsigned long long)offset);
    return -EIO;
}

static int read_failed(struct verity *v, uint64_t offset)
{
    log_always("image %u: the host did not give 4096 bytes at file offset %llu",
               v->image, (unsigned long long)offset);
    return -EIO;
}

static int read_level(struct verity *v, unsigned level, uint64_t index, const uint8_t **out);

/* The hash that a block of `level` (-1: data) must have. */
static int expected(struct verity *v, int level, uint64_t index, const uint8_t **out)
{
    const uint8_t *block;
    if (level + 1 == (int)v->levels) {
        *out = v->root;
        return 0;
    }
    int r = read_level(v, (unsigned)(level + 1), index / PER_BLOCK, &block);
    if (r == 0)
        *out = block + index % PER_BLOCK * HASH;
    return r;
}

static int load_hash_block(struct verity *v, unsigned level, uint64_t index, uint8_t *page)
{
    const uint8_t *want;
    uint8_t got[HASH];
    uint64_t offset = v->level[level].offset + index * EROFS_BLOCK;
    int r = expected(v, (int)level, index, &want);
    if (r < 0)
        return r;
    if (host_image_read(v->image, offset, page, EROFS_BLOCK) < 0)
        return read_failed(v, offset);
    host_image_was_read(v->image, EROFS_BLOCK);
    sha256(page, EROFS_BLOCK, got);
    return memcmp(got, want, HASH) ? mismatch(v, "hash", index, offset) : 0;
}

/* Recursion: one step a level, at most LEVELS_MAX. */
static int read_level(struct verity *v, unsigned level, uint64_t index, const uint8_t **out)
{
    struct level *l = &v->level[level];
    uint8_t *have = atomic_load(&l->verified[index]), *none = NULL;
    if (likely(have != NULL)) {
        *out = have;
        return 0;
    }
    uint8_t *page = pages_alloc(1);
    if (!page)
        return -ENOMEM;
    int r = load_hash_block(v, level, index, page);
    if (r < 0) {
        pages_free(page, 1);
        return r;
    }
    if (!atomic_compare_exchange_strong(&l->verified[index], &none, page)) {
        pages_free(page, 1);
        page = none;
    }
    *out = page;
    return 0;
}

static int verify_batch(struct verity *v, uint64_t block, void *const pages[], size_t count)
{
    uint8_t got[16][HASH];
    for (size_t done = 0; done < count; done += ARRAY_SIZE(got)) {
        size_t n = MIN(count - done, ARRAY_SIZE(got));
        sha256_many((const void *const *)pages + done, EROFS_BLOCK, n, got);
        for (size_t i = 0; i < n; i++) {
            const uint8_t *want;
            int r = expected(v, -1, block + done + i, &want);
            if (r < 0)
                return r;
            if (memcmp(got[i], want, HASH))
                return mismatch(v, "data", block + done + i, (block + done + i) * EROFS_BLOCK);
        }
    }
    return 0;
}

static int verity_read(struct block_source *s, uint64_t block, void *const pages[],
                       size_t count)
{
    struct verity *v = container_of(s, struct verity, source);
    int r = 0;
    if (block >= s->blocks || count > s->blocks - block)
        return -EIO;
    for (size_t i = 0; i < count && r == 0; i++) {
        uint64_t offset = (block + i) * EROFS_BLOCK;
        if (host_image_read(v->image, offset, pages[i], EROFS_BLOCK) < 0)
            r = read_failed(v, offset);
    }
    host_image_was_read(v->image, count * EROFS_BLOCK);
    if (r == 0)
        r = verify_batch(v, block, pages, count);
    for (size_t i = 0; i < count && r < 0; i++)
        memset(pages[i], 0, EROFS_BLOCK);
    return r;
}

static void verity_free(struct block_source *s)
{
    struct verity *v = container_of(s, struct verity, source);
    for (unsigned l = 0; l < v->levels; l++) {
        for (uint64_t i = 0; v->level[l].verified && i < v->level[l].blocks; i++) {
            uint8_t *page = atomic_load(&v->level[l].verified[i]);
            if (page)
                pages_free(page, 1);
        }
        kfree((void *)v->level[l].verified);
    }
    kfree(v);
}

/* Level sizes from the data up, then their places from the top down. */
static int lay_out(struct verity *v, uint64_t data_blocks, uint64_t hash_offset)
{
    uint64_t below = data_blocks, offset = hash_offset;
    while (below > 1) {
        if (v->levels == LEVELS_MAX)
            return -EINVAL;
        below = (below + PER_BLOCK - 1) / PER_BLOCK;
        v->level[v->levels++].blocks = below;
    }
    for (unsigned l = v->levels; l-- > 0;) {
        v->level[l].offset = offset;
        offset += v->level[l].blocks * EROFS_BLOCK;
        v->level[l].verified = kcalloc(v->level[l].blocks, sizeof(*v->level[l].verified));
        if (!v->level[l].verified)
            return -ENOMEM;
    }
    if (offset > host_image_size(v->image)) {
        log_always(
            "occlum: image %u is shorter than the configuration says: %llu bytes, not %llu",
            v->image, (unsigned long long)host_image_size(v->image),
            (unsigned long long)offset);
        return -EIO;
    }
    return 0;
}

int verity_open(const struct config_mount *config, struct block_source **out)
{
    if (config->data_blocks == 0 || config->data_blocks > (1ull << 40) ||
        config->hash_offset % EROFS_BLOCK || config->hash_offset > (1ull << 60) ||
        config->hash_offset / EROFS_BLOCK < config->data_blocks) {
        log_always("image %u: the configuration's figures make no sense",
                   config->image);
        return -EINVAL;
    }
    struct verity *v = kzalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->source = (struct block_source){config->data_blocks, verity_read, verity_free};
    v->image = config->image;
    memcpy(v->root, config->root_hash, HASH);
    int r = lay_out(v, config->data_blocks, config->hash_offset);
    if (r < 0) {
        verity_free(&v->source);
        return r;
    }
    *out = &v->source;
    return 0;
}
