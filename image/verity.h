/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building a dm-verity tree (version 1, SHA-256, 4 KiB blocks, no salt, no superblock) while
 * the data goes by.
 */
#pragma once

#include "image/image.h"

struct verity_build;

/* NULL: no memory. */
struct verity_build *verity_begin(uint64_t data_blocks);
/* Takes in blocks, in any order; several threads may, for different blocks. */
void verity_hash(struct verity_build *build, uint64_t first, const uint8_t *data,
                 uint64_t blocks);
/* Once every block is in: writes the tree behind the data. */
MUST_CHECK struct err *verity_finish(struct verity_build *build, int fd, const char *name,
                                     struct verity_tree *tree);
void verity_free(struct verity_build *build);
