/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES modes on top of the library's routines and aes_ni.c, each within one fence.
 * Not here: GCM with other nonce sizes, ciphertext stealing.
 */
#include "crypto/aes.h"

#include "abi/errno.h"
#include "crypto/internal.h"
#include "lib/log.h"
#include "lib/string.h"

void aes_gcm_init(struct aes_gcm *k, const uint8_t *key, size_t key_bytes)
{
    assert(key_bytes == 16 || key_bytes == 32);
    k->key_bytes = (uint32_t)key_bytes;
    fence_begin();
    if (key_bytes == 16) {
        aes_keyexp_128_enc_sse(key, k->data);
        aes_gcm_precomp_128_sse(k->data);
    } else {
        aes_keyexp_256_enc_sse(key, k->data);
        if (crypto_paths.vaes512)
            aes_gcm_precomp_256_vaes_avx512(k->data);
        else if (crypto_paths.vaes)
            gcm_vaes_precompute(k->data);
        else
            aes_gcm_precomp_256_sse(k->data);
    }
    fence_end();
}

static void gcm_run(const struct aes_gcm *k, const struct aes_gcm_op *op, bool seal,
                    uint8_t tag[AES_GCM_TAG])
{
    gcm_fn *run;
    if (k->key_bytes == 32 && crypto_paths.vaes && !crypto_paths.vaes512) {
        fence_begin();
        gcm_vaes_run(k->data, op, seal, tag);
        fence_end();
        return;
    }
    struct gcm_context context;
    if (k->key_bytes == 16)
        run = seal ? aes_gcm_enc_128_sse : aes_gcm_dec_128_sse;
    else if (crypto_paths.vaes512)
        run = seal ? aes_gcm_enc_256_vaes_avx512 : aes_gcm_dec_256_vaes_avx512;
    else
        run = seal ? aes_gcm_enc_256_sse : aes_gcm_dec_256_sse;
    /* The routines refuse NULL even for nothing. */
    const uint8_t *in = op->size ? op->in : k->data, *aad = op->aad_size ? op->aad : k->data;
    uint8_t *out = op->size ? op->out : tag;
    fence_begin();
    run(k->data, &context, out, in, op->size, op->nonce, aad, op->aad_size, tag, AES_GCM_TAG);
    fence_end();
    memzero_secret(&context, sizeof(context));
}

void aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op)
{
    gcm_run(k, op, true, op->tag);
}

int aes_gcm_open(const struct aes_gcm *k, const struct aes_gcm_op *op)
{
    uint8_t tag[AES_GCM_TAG];
    gcm_run(k, op, false, tag);
    bool right = mem_equal_secret(tag, op->tag, sizeof(tag));
    memzero_secret(tag, sizeof(tag));
    if (right)
        return 0;
    memset(op->out, 0, op->size);
    return -EBADMSG;
}

void aes_xts_init(struct aes_xts *k, const uint8_t key[AES_XTS_KEY])
{
    fence_begin();
    aes_keyexp_256_sse(key, k->enc, k->dec);
    aes_keyexp_256_enc_sse(key + 32, k->tweak);
    fence_end();
}

static void xts_run(const struct aes_xts *k, const struct aes_xts_op *op, bool encrypt)
{
    assert(op->unit && op->unit % 16 == 0 && op->size % op->unit == 0);
    const uint8_t *in = op->in;
    uint8_t *out = op->out;
    fence_begin();
    for (size_t at = 0; at < op->size; at += op->unit)
        aes_ni_xts(encrypt ? k->enc : k->dec, k->tweak, encrypt, op->sector + at / 512, in + at,
                   out + at, op->unit);
    fence_end();
}

void aes_xts_encrypt(const struct aes_xts *k, const struct aes_xts_op *op)
{
    xts_run(k, op, true);
}

void aes_xts_decrypt(const struct aes_xts *k, const struct aes_xts_op *op)
{
    xts_run(k, op, false);
}

void aes128_cmac(const uint8_t key[16], const void *data, size_t size, uint8_t out[16])
{
    uint8_t keys[11 * 16] __attribute__((aligned(16)));
    fence_begin();
    aes_keyexp_128_enc_sse(key, keys);
    aes_ni_cmac(keys, data, size, out);
    fence_end();
    memzero_secret(keys, sizeof(keys));
}
