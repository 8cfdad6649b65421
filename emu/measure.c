/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MRENCLAVE: SHA-256 over one 64-byte block for ECREATE, one for each EADD, and for each
 * EEXTEND one block and 256 bytes of the page. The emulator's own, as the CPU has its own;
 * image/ has another.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <string.h>

#include "emu/emu.h"

#define EXTEND_BYTES 256u

static void put(uint8_t *block, unsigned at, uint64_t value, unsigned bytes)
{
    memcpy(block + at, &value, bytes);
}

void emu_measure_create(struct emu *e)
{
    uint8_t block[64] = "ECREATE";

    put(block, 8, e->secs.ssa_frame_size, 4);
    put(block, 12, e->secs.size, 8);
    SHA256_Init(&e->hash);
    SHA256_Update(&e->hash, block, sizeof(block));
}

void emu_measure_add(struct emu *e, uint64_t offset, uint64_t secinfo, const uint8_t *data,
                     int extend)
{
    uint8_t block[64 + SGX_PAGE / EXTEND_BYTES * (64 + EXTEND_BYTES)];
    uint8_t *p = block + 64;

    memset(block, 0, 64);
    memcpy(block, "EADD", 4);
    put(block, 8, offset, 8);
    put(block, 16, secinfo, 8);
    for (unsigned i = 0; extend && i < SGX_PAGE; i += EXTEND_BYTES) {
        memset(p, 0, 64);
        memcpy(p, "EEXTEND", 7);
        put(p, 8, offset + i, 8);
        if (data)
            memcpy(p + 64, data + i, EXTEND_BYTES);
        else
            memset(p + 64, 0, EXTEND_BYTES);
        p += 64 + EXTEND_BYTES;
    }
    SHA256_Update(&e->hash, block, (size_t)(p - block));
}

void emu_sha256(const void *data, size_t size, uint8_t digest[32])
{
    SHA256_CTX h;

    SHA256_Init(&h);
    SHA256_Update(&h, data, size);
    SHA256_Final(digest, &h);
}

void emu_measure_final(struct emu *e)
{
    SHA256_Final(e->secs.mrenclave, &e->hash);
}
