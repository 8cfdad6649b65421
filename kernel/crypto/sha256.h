/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256, one message or many of equal size at once, and HMAC. */
#pragma once

#include "lib/types.h"

#define SHA256_BYTES 32u
#define SHA256_BLOCK 64u

void sha256(const void *data, size_t size, uint8_t out[SHA256_BYTES]);

/* `count` messages of `size` bytes each; side by side, several times as fast, where `size` is a
 * multiple of SHA256_BLOCK. */
void sha256_many(const void *const blocks[], size_t size, size_t count,
                 uint8_t (*out)[SHA256_BYTES]);

struct sha256_state {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t partial[SHA256_BLOCK];
};
void sha256_begin(struct sha256_state *s);
void sha256_update(struct sha256_state *s, const void *data, size_t size);
/* Wipes the state. */
void sha256_end(struct sha256_state *s, uint8_t out[SHA256_BYTES]);

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_BYTES]);
