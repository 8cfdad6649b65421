/* SPDX-License-Identifier: BSD-3-Clause */
/* The encrypted form of an image: what dm-crypt opens as aes-xts-plain64 (docs/image.md). */
#pragma once

#include "image/image.h"

#define CRYPT_KEY 64u

/* The XTS key that an image key stands for; 0: the library failed. */
int crypt_key(const uint8_t *key, size_t size, uint8_t xts[CRYPT_KEY]);
/* In place; `first` is the number of the first block. 0: the library failed. */
int crypt_blocks(const uint8_t xts[CRYPT_KEY], uint64_t first, uint8_t *data, uint64_t blocks);
