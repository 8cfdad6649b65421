/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dm-verity tree over an image: every level is the SHA-256 digests of the blocks below it,
 * 128 to a block, up to one block whose digest is the root hash. In the file the topmost level
 * comes first. The lowest level, where the work is, is filled by whoever has the data at hand.
 */
#include "image/verity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/file.h"

#define DIGEST     32u
#define FANOUT     (IMAGE_BLOCK / DIGEST)
#define LEVELS_MAX 8

struct levels {
    int count;
    uint64_t blocks[LEVELS_MAX]; /* 0: the lowest */
    uint64_t total;
};

struct verity_build {
    struct levels levels;
    uint64_t data_blocks;
    uint8_t
        *lowest; /* one digest a data block; within `hashes` unless there is one block only */
    uint8_t *hashes; /* all levels, as in the file, and a block to spare */
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

struct verity_build *verity_begin(uint64_t data_blocks)
{
    struct verity_build *build = calloc(1, sizeof(*build));

    if (!build)
        return NULL;
    build->levels = count_levels(data_blocks);
    build->data_blocks = data_blocks;
    build->hashes = calloc(build->levels.total + 1, IMAGE_BLOCK);
    if (!build->hashes) {
        free(build);
        return NULL;
    }
    /* The lowest level is the last in the file. */
    build->lowest = build->hashes;
    if (build->levels.count)
        build->lowest += (build->levels.total - build->levels.blocks[0]) * IMAGE_BLOCK;
    return build;
}

void verity_hash(struct verity_build *build, uint64_t first, const uint8_t *data,
                 uint64_t blocks)
{
    for (uint64_t i = 0; i < blocks && first + i < build->data_blocks; i++)
        image_sha256(data + i * IMAGE_BLOCK, IMAGE_BLOCK, build->lowest + (first + i) * DIGEST);
}

/* From the lowest level up to the root. */
static void hash_levels(const struct verity_build *build, uint8_t root[32])
{
    const struct levels *levels = &build->levels;
    const uint8_t *below = build->lowest;

    for (int level = 1; level < levels->count; level++) {
        uint8_t *here = (uint8_t *)below - levels->blocks[level] * IMAGE_BLOCK;

        for (uint64_t i = 0; i < levels->blocks[level - 1]; i++)
            image_sha256(below + i * IMAGE_BLOCK, IMAGE_BLOCK, here + i * DIGEST);
        below = here;
    }
    if (levels->count)
        image_sha256(build->hashes, IMAGE_BLOCK, root);
    else
        memcpy(root, build->lowest, DIGEST);
}

struct err *verity_finish(struct verity_build *build, int fd, const char *name,
                          struct verity_tree *tree)
{
    tree->data_blocks = build->data_blocks;
    tree->hash_offset = build->data_blocks * IMAGE_BLOCK;
    tree->end = verity_end(build->data_blocks);
    hash_levels(build, tree->root_hash);
    return file_write_at(fd, name, build->hashes, build->levels.total * IMAGE_BLOCK,
                         tree->hash_offset);
}

void verity_free(struct verity_build *build)
{
    if (build)
        free(build->hashes);
    free(build);
}
