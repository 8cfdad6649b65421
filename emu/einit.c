/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EINIT: SIGSTRUCT's fields, its RSA-3072 signature and its agreement with the SECS. Launch is
 * as with flexible launch control and a matching key hash: no EINITTOKEN.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <openssl/bn.h>
#include <sys/mman.h>
#include <string.h>

#include "emu/emu.h"

#define RSA_BYTES 384

static const uint8_t header[16] = {6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
static const uint8_t header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0};

static int all_zero(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint8_t any = 0;

    while (size--)
        any |= *p++;
    return !any;
}

static int fields_ok(const struct sgx_sigstruct *s)
{
    return !memcmp(s->header, header, 16) && !memcmp(s->header2, header2, 16) &&
           (s->vendor == 0 || s->vendor == 0x8086) && s->exponent == 3 &&
           all_zero(s->reserved1, sizeof(s->reserved1)) &&
           all_zero(s->reserved2, sizeof(s->reserved2)) &&
           all_zero(s->reserved3, sizeof(s->reserved3)) &&
           all_zero(s->reserved4, sizeof(s->reserved4));
}

/* The padded hash that an RSA signature of SIGSTRUCT must open to, big endian. */
static void padded_hash(const struct sgx_sigstruct *s, uint8_t out[RSA_BYTES])
{
    static const uint8_t info[19] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    const uint8_t *bytes = (const uint8_t *)s;
    SHA256_CTX h;

    memset(out, 0xff, RSA_BYTES);
    out[0] = 0;
    out[1] = 1;
    out[RSA_BYTES - 52] = 0;
    memcpy(out + RSA_BYTES - 51, info, sizeof(info));
    SHA256_Init(&h);
    SHA256_Update(&h, bytes, offsetof(struct sgx_sigstruct, modulus));
    SHA256_Update(&h, bytes + offsetof(struct sgx_sigstruct, miscselect), 128);
    SHA256_Final(out + RSA_BYTES - 32, &h);
}

/*
 * q1 = floor(s^2 / n), q2 = floor((s^2 - q1 n) s / n): with them the CPU needs no division, and
 * (s^2 - q1 n) s - q2 n is the padded hash.
 */
static int signature_equation(BIGNUM *v[8], BN_CTX *ctx, const struct sgx_sigstruct *sig)
{
    BIGNUM *n = v[0], *s = v[1], *q1 = v[2], *q2 = v[3], *r = v[4], *t = v[5], *m = v[6];
    uint8_t padded[RSA_BYTES];

    padded_hash(sig, padded);
    if (!BN_lebin2bn(sig->modulus, RSA_BYTES, n) ||
        !BN_lebin2bn(sig->signature, RSA_BYTES, s) || !BN_lebin2bn(sig->q1, RSA_BYTES, q1) ||
        !BN_lebin2bn(sig->q2, RSA_BYTES, q2) || !BN_bin2bn(padded, RSA_BYTES, m))
        return 0;
    if (BN_num_bits(n) != 3072 || BN_cmp(s, n) >= 0)
        return 0;
    if (!BN_sqr(r, s, ctx) || !BN_mul(t, q1, n, ctx) || !BN_sub(r, r, t) || BN_is_negative(r) ||
        BN_cmp(r, n) >= 0)
        return 0;
    if (!BN_mul(r, r, s, ctx) || !BN_mul(t, q2, n, ctx) || !BN_sub(r, r, t) ||
        BN_is_negative(r) || BN_cmp(r, n) >= 0)
        return 0;
    return BN_cmp(r, m) == 0;
}

static int signature_ok(const struct sgx_sigstruct *sig)
{
    BIGNUM *v[8];
    BN_CTX *ctx = BN_CTX_new();
    int ok = ctx != NULL;

    if (!ok)
        return 0;
    BN_CTX_start(ctx);
    for (int i = 0; i < 8; i++)
        ok = (v[i] = BN_CTX_get(ctx)) != NULL && ok;
    ok = ok && signature_equation(v, ctx, sig);
    BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    return ok;
}

static int attributes_ok(const struct emu *e, const struct sgx_sigstruct *s)
{
    struct sgx_attributes a = e->secs.attributes, m = s->attribute_mask;

    return (a.flags & m.flags) == (s->attributes.flags & m.flags) &&
           (a.xfrm & m.xfrm) == (s->attributes.xfrm & m.xfrm) &&
           (e->secs.miscselect & s->miscmask) == (s->miscselect & s->miscmask);
}

static void hex(char out[65], const uint8_t hash[32])
{
    for (int i = 0; i < 32; i++) {
        out[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    out[64] = 0;
}

static int measurement_check(struct emu *e, const struct sgx_sigstruct *sig,
                             struct host_error *err)
{
    char want[65], have[65];

    emu_measure_final(e);
    if (!memcmp(e->secs.mrenclave, sig->enclave_hash, 32))
        return 0;
    hex(want, sig->enclave_hash);
    hex(have, e->secs.mrenclave);
    return host_fail(err, -EPERM,
                     "EINIT: signed for enclave %s, but this is %s; build it again", want,
                     have);
}

/* Puts calls in place of the ENCLU instructions of the kernel, now that all is measured. */
static int patch_sites(struct emu *e, struct host_error *err);

int emu_init(struct dev *dev, const struct sgx_sigstruct *sig, struct host_error *err)
{
    struct emu *e = emu_of(dev);
    int rc;

    if (e->initialized)
        return host_fail(err, -EBUSY, "EINIT: the enclave is initialized already");
    if (!fields_ok(sig))
        return host_fail(err, -EPERM, "EINIT: SIGSTRUCT is malformed");
    if (!signature_ok(sig))
        return host_fail(err, -EPERM, "EINIT: SIGSTRUCT's signature does not verify");
    if (!attributes_ok(e, sig))
        return host_fail(err, -EPERM,
                         "EINIT: attributes 0x%lx, XFRM 0x%lx are not what was signed",
                         e->secs.attributes.flags, e->secs.attributes.xfrm);
    if (!(e->secs.attributes.flags & SGX_ATTR_KSS) &&
        !(all_zero(sig->isv_family_id, 16) && all_zero(sig->isv_ext_prod_id, 16)))
        return host_fail(err, -EPERM,
                         "EINIT: SIGSTRUCT has family or extended ids without KSS");
    if ((rc = measurement_check(e, sig, err)) || (rc = patch_sites(e, err)))
        return rc;
    emu_sha256(sig->modulus, RSA_BYTES, e->secs.mrsigner);
    e->secs.isv_prod_id = sig->isv_prod_id;
    e->secs.isv_svn = sig->isv_svn;
    memcpy(e->isv_family_id, sig->isv_family_id, 16);
    memcpy(e->isv_ext_prod_id, sig->isv_ext_prod_id, 16);
    e->secs.attributes.flags |= SGX_ATTR_INIT;
    e->initialized = 1;
    return 0;
}

static int patch_sites(struct emu *e, struct host_error *err)
{
    static const uint8_t site_bytes[6] = {0x0f, 0x01, 0xd7, 0x0f, 0x1f, 0x00};

    for (size_t i = 0; i < e->site_count && !emu_options.trap; i++) {
        uint8_t *site = (uint8_t *)(e->dev.base + e->sites[i]);
        uint8_t call[6] = {0xe8, 0, 0, 0, 0, 0x90};
        int64_t distance = (int64_t)((uint64_t)e->stub - ((uint64_t)site + 5));
        uint8_t *entry = emu_epcm_at(e, (uint64_t)site);

        if (!entry || emu_prot(*entry) == 0 || (uint64_t)site % SGX_PAGE > SGX_PAGE - 6 ||
            distance != (int32_t)distance || memcmp(site, site_bytes, 6))
            continue; /* stays an ENCLU, which traps */
        memcpy(call + 1, &(int32_t){(int32_t)distance}, 4);
        void *page = (void *)((uint64_t)site & -(uint64_t)SGX_PAGE);
        if (mprotect(page, SGX_PAGE, PROT_READ | PROT_WRITE))
            return host_fail(err, -errno, "mprotect: %s", strerror(errno));
        memcpy(site, call, 6);
        if (mprotect(page, SGX_PAGE, emu_prot(*entry)))
            return host_fail(err, -errno, "mprotect: %s", strerror(errno));
    }
    return 0;
}
