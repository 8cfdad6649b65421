/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers for keys, nonces and programs: AES-256 CTR_DRBG (SP 800-90A, no derivation
 * function), one state a vCPU, seeded from the processor. The host has no part in it.
 */
#pragma once

#include "lib/types.h"

void random_bytes(void *out, size_t size);

static inline uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}
/* 0 .. bound - 1, without bias; bound > 0. */
uint64_t random_below(uint64_t bound);
