/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that write an image's buffers to its file and hash their blocks, while the caller
 * fills the next ones.
 */
#pragma once

#include "image/verity.h"

#define POOL_BUFFER (2u << 20)

struct pool;

/* NULL: no memory, or no threads. All must outlive the pool. With an XTS key (or NULL) the
 * buffers are encrypted before they are hashed. */
struct pool *pool_new(int fd, const char *name, struct verity_build *build,
                      const uint8_t *xts_key);
/* A buffer of POOL_BUFFER bytes; waits until one is free. */
uint8_t *pool_take(struct pool *pool);
/* Hands one over: `size` bytes, whole blocks, for `offset` in the file; 0 bytes: gives it back.
 */
void pool_put(struct pool *pool, uint8_t *buffer, size_t size, uint64_t offset);
/* An error has happened: there is no use in going on. */
int pool_failed(struct pool *pool);
/* Waits until all is done and ends the threads. */
MUST_CHECK struct err *pool_finish(struct pool *pool);
