/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS, read-only and uncompressed, over a source of verified blocks. On-disk integers are
 * little endian, as the processor's. What the source hands out is authentic, but the reader
 * still checks all of it against the image's bounds: whoever built the image may have been
 * careless.
 */
#pragma once

#include "fs/core/file.h"

#define EROFS_BLOCK 4096u

/* Where blocks come from. */
struct block_source {
    uint64_t blocks;
    /* `count` consecutive blocks into as many pages; each verified, or -EIO. */
    int (*read)(struct block_source *s, uint64_t block, void *const pages[], size_t count);
    void (*free)(struct block_source *s);
};

void erofs_register(void);
/* Takes over the source, also on failure. -EINVAL: not such an image; the reason was logged. */
int erofs_open(struct block_source *source, struct super **out) MUST_CHECK;

/* crypt.c: decrypts what `below` has verified; takes it over, but not on failure. */
int crypt_open(const char *options, struct block_source *below,
               struct block_source **out) MUST_CHECK;
/* verity.c: blocks of a host image under a hash tree. */
int verity_open(const struct config_mount *config, struct block_source **out) MUST_CHECK;
