/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EREPORT and EGETKEY (SDM 40.4): keys are AES-CMACs of the key dependencies under emulated
 * fuses. The fuses are a public development constant, or 32 bytes in the file that
 * OCCLUM_EMU_FUSES names: sealed data and reports mean something on this emulated machine
 * alone.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <openssl/aes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/emu.h"

#define VECTOR_GP 13
#define VECTOR_PF 14

static struct {
    uint8_t root[16], seal[16];
} fuses = {
    .root = "occlum emulator",
    .seal = "not for secrets",
};
static const uint8_t cpu_svn[16] = {1, 1};
static const uint8_t report_keyid[32] = {0x65, 0x6d, 0x75};

struct key_dependencies {
    uint16_t keyname;
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t isv_family_id[16], isv_ext_prod_id[16];
    uint8_t owner_epoch[16];
    struct sgx_attributes attributes, attribute_mask;
    uint8_t mrenclave[32], mrsigner[32];
    uint8_t keyid[32];
    uint8_t seal_fuses[16];
    uint8_t cpusvn[16];
    uint32_t miscselect, miscmask;
    uint32_t keypolicy, pad;
    uint8_t configid[64];
    uint8_t padding[8];
};
_Static_assert(sizeof(struct key_dependencies) % 16 == 0, "whole blocks");

int emu_fuses_load(struct host_error *err)
{
    const char *path = getenv("OCCLUM_EMU_FUSES");
    uint8_t bytes[32];

    if (!path || !*path)
        return 0;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return host_fail(err, -errno, "OCCLUM_EMU_FUSES: %s: %s", path, strerror(errno));
    size_t got = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    if (got != sizeof(bytes))
        return host_fail(err, -EINVAL, "OCCLUM_EMU_FUSES: %s holds fewer than 32 bytes", path);
    memcpy(fuses.root, bytes, 16);
    memcpy(fuses.seal, bytes + 16, 16);
    return 0;
}

static void shift(uint8_t block[16])
{
    uint8_t carry = block[0] >> 7;

    for (int i = 0; i < 15; i++)
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    block[15] = (uint8_t)(block[15] << 1 ^ (carry ? 0x87 : 0));
}

/* RFC 4493, for a length that is a positive multiple of 16. */
static void cmac(const uint8_t key[16], const void *data, size_t bytes, uint8_t out[16])
{
    const uint8_t *p = data;
    uint8_t subkey[16] = {0}, x[16] = {0};
    AES_KEY k;

    AES_set_encrypt_key(key, 128, &k);
    AES_encrypt(subkey, subkey, &k);
    shift(subkey);
    for (; bytes; bytes -= 16, p += 16) {
        for (int i = 0; i < 16; i++)
            x[i] ^= (uint8_t)(p[i] ^ (bytes == 16 ? subkey[i] : 0));
        AES_encrypt(x, x, &k);
    }
    memcpy(out, x, 16);
    OPENSSL_cleanse(&k, sizeof(k));
}

static void derive(const struct key_dependencies *d, uint8_t out[16])
{
    cmac(fuses.root, d, sizeof(*d), out);
}

/* Whether `bytes` at `address` are enclave memory with these rights; 0 or a vector. */
static int operand(struct emu *e, uint64_t address, uint64_t bytes, uint64_t align,
                   uint8_t rights)
{
    if (address % align || !emu_in_range(e, address) || !emu_in_range(e, address + bytes - 1))
        return VECTOR_GP;
    uint8_t entry = *emu_epcm_at(e, address); /* aligned: within one page */
    uint8_t mask = EPCM_TYPE | EPCM_PENDING | EPCM_MODIFIED | rights;
    return (entry & mask) == (EPCM_REG | rights) ? 0 : VECTOR_PF;
}

static void report_key(const struct sgx_targetinfo *target, uint8_t key[16])
{
    struct key_dependencies d = {
        .keyname = KEY_REPORT,
        .attributes = target->attributes,
        .miscselect = target->miscselect,
        .config_svn = target->config_svn,
    };

    memcpy(d.mrenclave, target->measurement, 32);
    memcpy(d.configid, target->configid, 64);
    memcpy(d.keyid, report_keyid, 32);
    memcpy(d.cpusvn, cpu_svn, 16);
    derive(&d, key);
}

static int all_zero(const uint8_t *p, size_t size)
{
    uint8_t any = 0;

    while (size--)
        any |= *p++;
    return !any;
}

int emu_ereport(struct emu *e, struct emu_regs *r)
{
    struct sgx_targetinfo target;
    uint8_t key[16];
    int rc;

    if ((rc = operand(e, r->rbx, sizeof(target), 512, EPCM_R)) ||
        (rc = operand(e, r->rcx, 64, 128, EPCM_R)) ||
        (rc = operand(e, r->rdx, sizeof(struct sgx_report), 512, EPCM_R | EPCM_W)))
        return rc;
    memcpy(&target, (const void *)r->rbx, sizeof(target));
    if (!all_zero(target.reserved1, sizeof(target.reserved1)) ||
        !all_zero(target.reserved2, sizeof(target.reserved2)) ||
        !all_zero(target.reserved3, sizeof(target.reserved3)))
        return VECTOR_GP;
    struct sgx_report out = {
        .miscselect = e->secs.miscselect,
        .attributes = e->secs.attributes,
        .isv_prod_id = e->secs.isv_prod_id,
        .isv_svn = e->secs.isv_svn,
        .config_svn = e->secs.config_svn,
    };
    memcpy(out.cpusvn, cpu_svn, 16);
    memcpy(out.isv_ext_prod_id, e->isv_ext_prod_id, 16);
    memcpy(out.isv_family_id, e->isv_family_id, 16);
    memcpy(out.mrenclave, e->secs.mrenclave, 32);
    memcpy(out.mrsigner, e->secs.mrsigner, 32);
    memcpy(out.configid, e->secs.configid, 64);
    memcpy(out.reportdata, (const void *)r->rcx, 64);
    memcpy(out.keyid, report_keyid, 32);
    report_key(&target, key);
    cmac(key, &out, offsetof(struct sgx_report, keyid), out.mac);
    memcpy((void *)r->rdx, &out, sizeof(out));
    OPENSSL_cleanse(key, sizeof(key));
    return 0;
}

/* The seal key and the two provisioning keys; an SGX error. */
static int software_key(const struct emu *e, const struct sgx_keyrequest *q,
                        struct key_dependencies *d)
{
    int seal = q->keyname == KEY_SEAL;

    if (memcmp(q->cpusvn, cpu_svn, 16) > 0)
        return SGX_INVALID_CPUSVN;
    if (q->isv_svn > e->secs.isv_svn)
        return SGX_INVALID_ISVSVN;
    if (q->config_svn > e->secs.config_svn)
        return SGX_INVALID_ISVSVN;
    if (!seal && !(e->secs.attributes.flags & SGX_ATTR_PROVISIONKEY))
        return SGX_INVALID_ATTRIBUTE;
    uint16_t policy = seal ? q->keypolicy : KEYPOLICY_MRSIGNER;
    d->isv_svn = q->isv_svn;
    memcpy(d->cpusvn, q->cpusvn, 16);
    d->attribute_mask.flags = q->attribute_mask.flags | SGX_ATTR_INIT | SGX_ATTR_DEBUG;
    d->attribute_mask.xfrm = q->attribute_mask.xfrm;
    d->attributes.flags = e->secs.attributes.flags & d->attribute_mask.flags;
    d->attributes.xfrm = e->secs.attributes.xfrm & d->attribute_mask.xfrm;
    d->miscmask = q->miscmask;
    d->miscselect = e->secs.miscselect & q->miscmask;
    d->keypolicy = policy;
    if (seal) {
        memcpy(d->keyid, q->keyid, 32);
        memcpy(d->seal_fuses, fuses.seal, 16);
    } else if (q->keyname == KEY_PROVISION_SEAL) {
        memcpy(d->seal_fuses, fuses.seal, 16);
    }
    if (policy & KEYPOLICY_MRENCLAVE)
        memcpy(d->mrenclave, e->secs.mrenclave, 32);
    if (policy & KEYPOLICY_MRSIGNER)
        memcpy(d->mrsigner, e->secs.mrsigner, 32);
    if (!(policy & KEYPOLICY_NOISVPRODID))
        d->isv_prod_id = e->secs.isv_prod_id;
    if (policy & KEYPOLICY_CONFIGID) {
        memcpy(d->configid, e->secs.configid, 64);
        d->config_svn = q->config_svn;
    }
    if (policy & KEYPOLICY_ISVFAMILYID)
        memcpy(d->isv_family_id, e->isv_family_id, 16);
    if (policy & KEYPOLICY_ISVEXTPRODID)
        memcpy(d->isv_ext_prod_id, e->isv_ext_prod_id, 16);
    return 0;
}

static int derive_requested(const struct emu *e, const struct sgx_keyrequest *q,
                            uint8_t key[16])
{
    struct key_dependencies d = {.keyname = q->keyname};
    int rc = 0;

    switch (q->keyname) {
    case KEY_SEAL:
    case KEY_PROVISION:
    case KEY_PROVISION_SEAL:
        rc = software_key(e, q, &d);
        break;
    case KEY_REPORT:
        d.attributes = e->secs.attributes;
        d.miscselect = e->secs.miscselect;
        d.config_svn = e->secs.config_svn;
        memcpy(d.mrenclave, e->secs.mrenclave, 32);
        memcpy(d.configid, e->secs.configid, 64);
        memcpy(d.keyid, q->keyid, 32);
        memcpy(d.cpusvn, cpu_svn, 16);
        break;
    default: /* LIMIT: no EINITTOKEN key: there is no launch enclave here */
        return SGX_INVALID_KEYNAME;
    }
    if (!rc)
        derive(&d, key);
    OPENSSL_cleanse(&d, sizeof(d));
    return rc;
}

int emu_egetkey(struct emu *e, struct emu_regs *r)
{
    struct sgx_keyrequest q;
    uint8_t key[16];
    int rc, kss = (e->secs.attributes.flags & SGX_ATTR_KSS) != 0;

    if ((rc = operand(e, r->rbx, sizeof(q), 512, EPCM_R)) ||
        (rc = operand(e, r->rcx, 16, 16, EPCM_R | EPCM_W)))
        return rc;
    memcpy(&q, (const void *)r->rbx, sizeof(q));
    if (q.reserved1 || !all_zero(q.reserved2, sizeof(q.reserved2)) ||
        q.keypolicy & (kss ? ~0x3fu : ~3u) || (q.config_svn && !kss))
        return VECTOR_GP;
    rc = derive_requested(e, &q, key);
    r->rax = (uint64_t)rc;
    r->rflags = 2 | (rc ? 0x40 : 0);
    if (!rc)
        memcpy((void *)r->rcx, key, 16);
    OPENSSL_cleanse(key, sizeof(key));
    return 0;
}
