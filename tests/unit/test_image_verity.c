/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verity tree of images around each power of its fan-out, against a tree computed from the
 * definition: follow one block's digests up to the root.
 */
/* LINK: image/*.c cli/err.c cli/progress.c LIBS: -lcrypto -lpthread */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/verity.h"
#include "tests/unit/unit.h"

#define FANOUT 128u

/* Blocks of each level, from the lowest; returns how many levels. */
static int levels_of(uint64_t blocks, uint64_t level[8])
{
    int count = 0;

    while (blocks > 1) {
        blocks = (blocks + FANOUT - 1) / FANOUT;
        level[count++] = blocks;
    }
    return count;
}

/* Whether the digests on the way from data block `index` to the root are right. */
static int path_ok(const uint8_t *file, const struct verity_tree *tree, uint64_t index)
{
    uint64_t level[8], start = 0;
    int count = levels_of(tree->data_blocks, level);
    const uint8_t *block = file + index * IMAGE_BLOCK;
    uint8_t digest[32];

    for (int i = 0; i < count; i++)
        start += level[i];
    for (int i = 0; i < count; i++) {
        start -= level[i];
        image_sha256(block, IMAGE_BLOCK, digest);
        block = file + tree->hash_offset + (start + index / FANOUT) * IMAGE_BLOCK;
        if (memcmp(block + index % FANOUT * 32, digest, 32))
            return 0;
        index /= FANOUT;
    }
    image_sha256(block, IMAGE_BLOCK, digest);
    return !memcmp(digest, tree->root_hash, 32);
}

/* The blocks in pieces, the last piece first. */
static void build_tree(int fd, uint64_t blocks, struct verity_tree *tree)
{
    struct verity_build *build = verity_begin(blocks);
    uint64_t piece = blocks / 3 + 1;
    uint8_t *data = malloc(piece * IMAGE_BLOCK);

    CHECK(build && data);
    for (uint64_t first = (blocks - 1) / piece * piece;; first -= piece) {
        uint64_t count = blocks - first < piece ? blocks - first : piece;

        CHECK_EQ(pread(fd, data, count * IMAGE_BLOCK, (off_t)(first * IMAGE_BLOCK)),
                 count * IMAGE_BLOCK);
        verity_hash(build, first, data, count);
        if (!first)
            break;
    }
    CHECK(!verity_finish(build, fd, "image", tree));
    free(data);
    verity_free(build);
}

static void check_size(uint64_t blocks)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    uint64_t level[8], hash_blocks = 0;
    struct verity_tree tree;

    CHECK(fd >= 0 && !ftruncate(fd, (off_t)(blocks * IMAGE_BLOCK)));
    for (uint64_t i = 0; i < blocks; i += 1 + i / 40) {
        unsigned long long word = unit_random();

        CHECK_EQ(pwrite(fd, &word, sizeof(word), (off_t)(i * IMAGE_BLOCK)), sizeof(word));
    }
    build_tree(fd, blocks, &tree);
    for (int i = levels_of(blocks, level) - 1; i >= 0; i--)
        hash_blocks += level[i];
    CHECK_EQ(tree.data_blocks, blocks);
    CHECK_EQ(tree.hash_offset, blocks * IMAGE_BLOCK);
    CHECK_EQ(tree.end, (blocks + hash_blocks) * IMAGE_BLOCK);
    CHECK_EQ(verity_end(blocks), tree.end);
    CHECK_EQ(lseek(fd, 0, SEEK_END), hash_blocks ? tree.end : blocks * IMAGE_BLOCK);
    uint8_t *file = mmap(NULL, tree.end, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

    CHECK(file != MAP_FAILED);
    for (uint64_t i = 0; i < blocks; i += 1 + i / 30)
        CHECK(path_ok(file, &tree, i));
    CHECK(path_ok(file, &tree, blocks - 1));
    file[(blocks / 2) * IMAGE_BLOCK + 77] ^= 4;
    CHECK(!path_ok(file, &tree, blocks / 2));
    munmap(file, tree.end);
    close(fd);
}

int main(void)
{
    static const uint64_t sizes[] = {1, 2, 127, 128, 129, 1000, 16383, 16384, 16385, 20001};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_size(sizes[i]);
    return 0;
}
