/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the files of this folder: the chosen paths, the fence, and the assembly routines
 * taken from the multi-buffer library (libIPSec_MB), whose binary interface is checked by the
 * self-test.
 */
#pragma once

#include "lib/types.h"

struct crypto_paths {
    bool vaes512; /* AES-GCM with VAES and AVX-512 */
    bool vaes;    /* AES-256-GCM with VAES in AVX registers */
    bool sha512x; /* SHA-256, 16 lanes of AVX-512 */
    bool avx2;    /* SHA-256, 8 lanes */
    bool sha_ni;
    bool rdseed;
};
extern struct crypto_paths crypto_paths;

void fence_begin(void);
void fence_end(void);
unsigned crypto_cpu(void);

/* Panics unless all is right. */
void crypto_self_test(void);

/* 48 bytes from the processor. */
void random_seed(uint64_t seed[6]);
/* Known answers: a generator seeded so, its second output. */
void random_test_vector(const uint8_t seed[48], uint8_t *out, size_t size);

/* ---- aes_ni.c: inside a fence ---- */
#define AES256_ROUNDS 14
void aes_ni_xts(const uint8_t *keys, const uint8_t *tweak_keys, bool encrypt, uint64_t sector,
                const void *in, void *out, size_t size);
void aes_ni_cmac(const uint8_t *keys, const void *data, size_t size, uint8_t out[16]);
/* `blocks` blocks of AES-256 over ++counter (big endian). */
void aes_ni_counter(const uint8_t *keys, uint8_t counter[16], void *out, size_t blocks);

/* ---- gcm_vaes.c: inside a fence ---- */
struct aes_gcm_op;
void gcm_vaes_precompute(void *key); /* after the round keys */
void gcm_vaes_run(const void *key, const struct aes_gcm_op *op, bool seal, uint8_t tag[16]);

/* ---- libIPSec_MB ---- */
void aes_keyexp_128_enc_sse(const void *key, void *enc);
void aes_keyexp_256_enc_sse(const void *key, void *enc);
void aes_keyexp_256_sse(const void *key, void *enc, void *dec);

struct gcm_context {
    uint8_t space[96];
};
typedef void gcm_fn(const void *key, struct gcm_context *c, uint8_t *out, const uint8_t *in,
                    uint64_t size, const uint8_t *iv, const uint8_t *aad, uint64_t aad_size,
                    uint8_t *tag, uint64_t tag_size);
gcm_fn aes_gcm_enc_128_sse, aes_gcm_dec_128_sse, aes_gcm_enc_256_sse, aes_gcm_dec_256_sse;
gcm_fn aes_gcm_enc_256_vaes_avx512, aes_gcm_dec_256_vaes_avx512;
void aes_gcm_precomp_128_sse(void *key);
void aes_gcm_precomp_256_sse(void *key);
void aes_gcm_precomp_256_vaes_avx512(void *key);

#define SHA_LANES 16u
struct sha256_args {
    uint32_t digest[8 * SHA_LANES]; /* [word][lane]; with SHA-NI [lane][word] */
    const uint8_t *data[SHA_LANES];
} __attribute__((aligned(64)));
void call_sha256_ni_x1_sse_from_c(struct sha256_args *args, uint64_t blocks, uint64_t lane);
void call_sha256_ni_x2_sse_from_c(struct sha256_args *args, uint64_t blocks);
void call_sha_256_mult_sse_from_c(struct sha256_args *args, uint64_t blocks);
void call_sha256_oct_avx2_from_c(struct sha256_args *args, uint64_t blocks);
void call_sha256_x16_avx512_from_c(struct sha256_args *args, uint64_t blocks);
void sha256_block_sse(const void *data, uint32_t digest[8]);
