/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-GCM, AES-256-XTS as dm-crypt uses it, AES-128-CMAC. Keys are expanded once; the
 * structures hold secrets, so memzero_secret() them. Input and output may be the same buffer,
 * or disjoint.
 */
#pragma once

#include "lib/types.h"

#define AES_GCM_NONCE 12u
#define AES_GCM_TAG   16u

struct aes_gcm {
    uint8_t data[1024] __attribute__((aligned(16))); /* round keys, powers of the hash key */
    uint32_t key_bytes;
};

struct aes_gcm_op {
    const uint8_t *nonce; /* AES_GCM_NONCE bytes, never used twice with one key */
    const void *aad;
    size_t aad_size;
    const void *in;
    void *out;
    size_t size;
    uint8_t *tag; /* AES_GCM_TAG bytes: written by seal, compared by open */
};

void aes_gcm_init(struct aes_gcm *k, const uint8_t *key, size_t key_bytes); /* 16 or 32 */
void aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op);
/* -EBADMSG when the tag does not match; `out` is then zeroed. */
int aes_gcm_open(const struct aes_gcm *k, const struct aes_gcm_op *op) MUST_CHECK;

struct aes_xts {
    uint8_t enc[240], dec[240], tweak[240];
} __attribute__((aligned(16)));

#define AES_XTS_KEY 64u
struct aes_xts_op {
    const void *in;
    void *out;
    size_t size;     /* a multiple of `unit` */
    size_t unit;     /* sector size: a multiple of 16 */
    uint64_t sector; /* IV of the first unit, in 512-byte sectors ("plain64"): each next unit's
                      * is larger by unit / 512 */
};

/* The first half of the key is for the data, the second for the tweak. */
void aes_xts_init(struct aes_xts *k, const uint8_t key[AES_XTS_KEY]);
void aes_xts_encrypt(const struct aes_xts *k, const struct aes_xts_op *op);
void aes_xts_decrypt(const struct aes_xts *k, const struct aes_xts_op *op);

void aes128_cmac(const uint8_t key[16], const void *data, size_t size, uint8_t out[16]);
