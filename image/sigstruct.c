/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGSTRUCT (SDM 3D, 37.14): made, signed, written; read and verified.
 * The signature is RSA-3072 with exponent 3, PKCS#1 v1.5 with SHA-256, over the header and the
 * body; all numbers little endian. Q1 and Q2 are the quotients that spare EINIT long division.
 * The development key goes by plain arithmetic: it is no secret that needs blinding, and to
 * look for providers and decoders takes longer than to sign, at each start of `occlum try`.
 */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/file.h"
#include "image/image.h"

#define HEADER_BYTES 128u /* up to the modulus */
#define BODY_OFFSET  offsetof(struct sgx_sigstruct, miscselect)
#define BODY_BYTES   128u /* miscselect to isv_svn */
#define RSA_BYTES    384
#define DEVKEY_AT    26 /* in its PKCS #8 structure */

static const uint8_t header1[16] = {6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
static const uint8_t header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0};

/* An RSAPrivateKey's integers, in its order. */
enum { RSA_VERSION, RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_COUNT };

struct sign_key {
    EVP_PKEY *pkey;            /* NULL: the development key, */
    BIGNUM *number[RSA_COUNT]; /* as it is */
    BIGNUM *modulus;
};

/* The development key: everybody has it, so what it signs proves nothing. */
__asm__(".pushsection .rodata\n"
        "devkey_pem:\n"
        ".incbin \"image/devkey.pem\"\n"
        "devkey_pem_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char devkey_pem[] __attribute__((visibility("hidden")));
extern const char devkey_pem_end[] __attribute__((visibility("hidden")));

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? reason : "unknown reason";
}

/* ---- keys --------------------------------------------------------------- */

static struct err *check_key(EVP_PKEY *pkey, const char *name, BIGNUM **modulus)
{
    BIGNUM *e = NULL;
    struct err *err = NULL;

    if (!EVP_PKEY_is_a(pkey, "RSA") ||
        !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) ||
        !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, modulus))
        err = err_new("%s: not an RSA key", name);
    else if (EVP_PKEY_get_bits(pkey) != RSA_BYTES * 8 || !BN_is_word(e, 3))
        err = err_new("%s: an RSA key of %d bits; SGX wants 3072 bits and exponent 3", name,
                      EVP_PKEY_get_bits(pkey));
    BN_free(e);
    return err_hint(err, "make one with: openssl genrsa -3 -out key.pem 3072");
}

/* RSAPrivateKey (RFC 8017, A.1.2): a sequence of integers. */
static int read_integers(const uint8_t *at, const uint8_t *end, BIGNUM *number[RSA_COUNT])
{
    for (int i = -1; i < RSA_COUNT; i++) {
        size_t size, bytes;

        if (end - at < 4 || at[0] != (i < 0 ? 0x30 : 2))
            return 0;
        bytes = at[1] < 0x80 ? 0 : at[1] & 0x7f;
        size = bytes ? 0 : at[1];
        if (bytes > 2)
            return 0;
        for (at += 2; bytes--; at++)
            size = size << 8 | *at;
        if ((size_t)(end - at) < size)
            return 0;
        if (i < 0)
            continue;
        number[i] = BN_bin2bn(at, (int)size, NULL);
        if (!number[i])
            return 0;
        at += size;
    }
    return 1;
}

/* Its PEM is a PKCS #8 structure, in which the key is the last element. */
static struct err *load_development(struct sign_key *key)
{
    BIO *bio = BIO_new_mem_buf(devkey_pem, (int)(devkey_pem_end - devkey_pem));
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long size = 0;

    if (bio && PEM_read_bio(bio, &name, &header, &der, &size) && size > DEVKEY_AT &&
        read_integers(der + DEVKEY_AT, der + size, key->number))
        key->modulus = BN_dup(key->number[RSA_N]);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return key->modulus ? NULL : err_new("the development key is damaged");
}

static struct err *load_file(struct sign_key *key, const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    struct err *err;

    if (!bio) {
        err = err_sys(errno, "%s", path);
        ERR_clear_error();
        return err;
    }
    key->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!key->pkey)
        return err_new("%s: not a private key in PEM form: %s", path, openssl_reason());
    return check_key(key->pkey, path, &key->modulus);
}

struct err *sign_key_load(const char *path, struct sign_key **out)
{
    struct sign_key *key = calloc(1, sizeof(*key));

    *out = NULL;
    if (!key)
        return err_sys(ENOMEM, "loading a key");
    struct err *err = path ? load_file(key, path) : load_development(key);

    if (err)
        sign_key_free(key);
    else
        *out = key;
    return err;
}

void sign_key_free(struct sign_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    for (int i = 0; i < RSA_COUNT; i++)
        BN_free(key->number[i]);
    BN_free(key->modulus);
    free(key);
}

/* ---- arithmetic --------------------------------------------------------- */

struct numbers {
    BN_CTX *ctx;
    BIGNUM *s, *m, *q1, *q2, *t, *rest;
};

static void numbers_free(struct numbers *n)
{
    BN_free(n->s);
    BN_free(n->m);
    BN_free(n->q1);
    BN_free(n->q2);
    BN_free(n->t);
    BN_free(n->rest);
    BN_CTX_free(n->ctx);
}

/* Q1 = floor(S^2 / M); Q2 = floor((S^3 - Q1 S M) / M) = floor(S (S^2 mod M) / M). */
static int quotients(const struct sgx_sigstruct *sig, uint8_t q1[RSA_BYTES],
                     uint8_t q2[RSA_BYTES])
{
    struct numbers n = {
        .ctx = BN_CTX_new(), .q1 = BN_new(), .q2 = BN_new(), .t = BN_new(), .rest = BN_new()};
    int ok = 0;

    n.s = BN_lebin2bn(sig->signature, RSA_BYTES, NULL);
    n.m = BN_lebin2bn(sig->modulus, RSA_BYTES, NULL);
    if (n.ctx && n.q1 && n.q2 && n.t && n.rest && n.s && n.m && !BN_is_zero(n.m))
        ok = BN_sqr(n.t, n.s, n.ctx) && BN_div(n.q1, n.rest, n.t, n.m, n.ctx) &&
             BN_mul(n.t, n.s, n.rest, n.ctx) && BN_div(n.q2, NULL, n.t, n.m, n.ctx) &&
             BN_bn2lebinpad(n.q1, q1, RSA_BYTES) == RSA_BYTES &&
             BN_bn2lebinpad(n.q2, q2, RSA_BYTES) == RSA_BYTES;
    numbers_free(&n);
    if (!ok)
        ERR_clear_error();
    return ok;
}

/* Header and body, as they are signed. */
static void signed_bytes(const struct sgx_sigstruct *sig,
                         uint8_t out[HEADER_BYTES + BODY_BYTES])
{
    _Static_assert(offsetof(struct sgx_sigstruct, modulus) == HEADER_BYTES, "header");
    _Static_assert(offsetof(struct sgx_sigstruct, reserved4) == BODY_OFFSET + BODY_BYTES,
                   "body");
    memcpy(out, sig, HEADER_BYTES);
    memcpy(out + HEADER_BYTES, (const uint8_t *)sig + BODY_OFFSET, BODY_BYTES);
}

static void reverse(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        uint8_t swap = bytes[i];

        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = swap;
    }
}

/* What a signature opens to: PKCS#1 v1.5, of the bytes that are signed. */
static void encoded(const struct sgx_sigstruct *sig, uint8_t out[RSA_BYTES])
{
    static const uint8_t prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    uint8_t text[HEADER_BYTES + BODY_BYTES];

    signed_bytes(sig, text);
    memset(out, 0xff, RSA_BYTES);
    out[0] = 0;
    out[1] = 1;
    out[RSA_BYTES - 32 - sizeof(prefix) - 1] = 0;
    memcpy(out + RSA_BYTES - 32 - sizeof(prefix), prefix, sizeof(prefix));
    image_sha256(text, sizeof(text), out + RSA_BYTES - 32);
}

/* ---- making ------------------------------------------------------------- */

/* By the Chinese remainder theorem: qinv (m^dp - m^dq) mod p, times q, plus m^dq. */
static int sign_development(struct sgx_sigstruct *sig, BIGNUM *const key[RSA_COUNT])
{
    struct numbers n = {.ctx = BN_CTX_new(), .q1 = BN_new(), .q2 = BN_new(), .t = BN_new()};
    uint8_t text[RSA_BYTES];
    int ok = 0;

    encoded(sig, text);
    n.m = BN_bin2bn(text, RSA_BYTES, NULL);
    if (n.ctx && n.q1 && n.q2 && n.t && n.m)
        ok = BN_mod_exp(n.q1, n.m, key[RSA_DP], key[RSA_P], n.ctx) &&
             BN_mod_exp(n.q2, n.m, key[RSA_DQ], key[RSA_Q], n.ctx) &&
             BN_mod_sub(n.t, n.q1, n.q2, key[RSA_P], n.ctx) &&
             BN_mod_mul(n.t, n.t, key[RSA_QINV], key[RSA_P], n.ctx) &&
             BN_mul(n.t, n.t, key[RSA_Q], n.ctx) && BN_add(n.t, n.t, n.q2) &&
             BN_bn2binpad(n.t, sig->signature, RSA_BYTES) == RSA_BYTES;
    numbers_free(&n);
    return ok;
}

static int sign_private(struct sgx_sigstruct *sig, EVP_PKEY *key)
{
    uint8_t text[HEADER_BYTES + BODY_BYTES];
    size_t length = RSA_BYTES;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    signed_bytes(sig, text);
    int ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
             EVP_DigestSign(ctx, sig->signature, &length, text, sizeof(text)) > 0 &&
             length == RSA_BYTES;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static struct err *sign(struct sgx_sigstruct *sig, const struct sign_key *key)
{
    if (!(key->pkey ? sign_private(sig, key->pkey) : sign_development(sig, key->number)))
        return err_new("signing the enclave: %s", openssl_reason());
    reverse(sig->signature, RSA_BYTES);
    return NULL;
}

struct err *sigstruct_make(const struct sigstruct_input *input, const struct sign_key *key,
                           struct sgx_sigstruct *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->header, header1, sizeof(header1));
    memcpy(out->header2, header2, sizeof(header2));
    out->date = input->date;
    out->exponent = 3;
    out->miscselect = input->miscselect;
    out->miscmask = input->miscmask;
    memcpy(out->isv_family_id, input->family_id, sizeof(out->isv_family_id));
    out->attributes = input->attributes;
    out->attribute_mask = input->attribute_mask;
    memcpy(out->enclave_hash, input->mrenclave, sizeof(out->enclave_hash));
    memcpy(out->isv_ext_prod_id, input->ext_product_id, sizeof(out->isv_ext_prod_id));
    out->isv_prod_id = input->product_id;
    out->isv_svn = input->security_version;
    if (BN_bn2lebinpad(key->modulus, out->modulus, RSA_BYTES) != RSA_BYTES)
        return err_new("signing the enclave: the key's modulus is not 3072 bits");
    struct err *err = sign(out, key);

    if (err)
        return err;
    if (!quotients(out, out->q1, out->q2))
        return err_new("signing the enclave: Q1 and Q2 cannot be computed");
    return NULL;
}

/* ---- verifying ---------------------------------------------------------- */

/* S^3 mod M must be the PKCS#1 v1.5 encoding of the digest. */
static int signature_ok(const struct sgx_sigstruct *sig)
{
    uint8_t expected[RSA_BYTES], found[RSA_BYTES];
    struct numbers n = {.ctx = BN_CTX_new(), .t = BN_new(), .rest = BN_new()};
    int ok = 0;

    encoded(sig, expected);
    n.s = BN_lebin2bn(sig->signature, RSA_BYTES, NULL);
    n.m = BN_lebin2bn(sig->modulus, RSA_BYTES, NULL);
    if (n.ctx && n.t && n.rest && n.s && n.m && BN_num_bits(n.m) == RSA_BYTES * 8 &&
        BN_cmp(n.s, n.m) < 0)
        ok = BN_mod_sqr(n.t, n.s, n.m, n.ctx) && BN_mod_mul(n.rest, n.t, n.s, n.m, n.ctx) &&
             BN_bn2binpad(n.rest, found, RSA_BYTES) == RSA_BYTES &&
             !memcmp(found, expected, RSA_BYTES);
    numbers_free(&n);
    if (!ok)
        ERR_clear_error();
    return ok;
}

static int all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return 0;
    return 1;
}

struct err *sigstruct_verify(const struct sgx_sigstruct *sig, const char *name)
{
    uint8_t q1[RSA_BYTES], q2[RSA_BYTES];

    if (memcmp(sig->header, header1, sizeof(header1)) ||
        memcmp(sig->header2, header2, sizeof(header2)) || sig->exponent != 3 ||
        !all_zero(sig->reserved1, sizeof(sig->reserved1)) ||
        !all_zero(sig->reserved2, sizeof(sig->reserved2)) ||
        !all_zero(sig->reserved3, sizeof(sig->reserved3)) ||
        !all_zero(sig->reserved4, sizeof(sig->reserved4)))
        return err_new("%s: not a SIGSTRUCT", name);
    if (!signature_ok(sig))
        return err_new("%s: the signature does not match", name);
    if (!quotients(sig, q1, q2) || memcmp(q1, sig->q1, RSA_BYTES) ||
        memcmp(q2, sig->q2, RSA_BYTES))
        return err_new("%s: Q1 or Q2 does not match the signature", name);
    return NULL;
}

void sigstruct_mrsigner(const struct sgx_sigstruct *sig, uint8_t mrsigner[32])
{
    image_sha256(sig->modulus, sizeof(sig->modulus), mrsigner);
}

struct err *sigstruct_write(const struct sgx_sigstruct *sig, const char *path)
{
    return file_put(path, sig, sizeof(*sig));
}

struct err *sigstruct_read(const char *path, struct sgx_sigstruct *sig)
{
    struct file_map map;
    struct err *err = file_map(path, &map);

    if (err)
        return err;
    if (map.size != sizeof(*sig))
        err = err_new("%s: %zu bytes long; a SIGSTRUCT has %zu", path, map.size, sizeof(*sig));
    else
        memcpy(sig, map.bytes, sizeof(*sig));
    file_unmap(&map);
    return err ? err : sigstruct_verify(sig, path);
}
