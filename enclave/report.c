/* SPDX-License-Identifier: BSD-3-Clause */
/* EREPORT, and EGETKEY for the key that verifies what others made for us (SDM 40.4). */
#include "enclave/report.h"

#include "abi/errno.h"
#include "crypto/aes.h"
#include "enclave/pages.h"
#include "lib/alloc.h"
#include "lib/string.h"

/* The operands, aligned as the instructions want them. */
struct place {
    struct sgx_targetinfo target;
    uint8_t data[64] __attribute__((aligned(128)));
    struct sgx_report report __attribute__((aligned(512)));
    struct sgx_keyrequest request __attribute__((aligned(512)));
    uint8_t key[16] __attribute__((aligned(16)));
} __attribute__((aligned(512)));

static struct place *place_new(void **raw)
{
    *raw = kzalloc(sizeof(struct place) + 512);
    return *raw ? (struct place *)align_up((uint64_t)(uintptr_t)*raw, 512) : NULL;
}

static void place_free(struct place *p, void *raw)
{
    memzero_secret(p, sizeof(*p));
    kfree(raw);
}

static bool zero(const uint8_t *p, size_t size)
{
    uint8_t any = 0;

    while (size--)
        any |= *p++;
    return !any;
}

int enclave_report(const struct sgx_targetinfo *target, const uint8_t data[64],
                   struct sgx_report *out)
{
    void *raw;

    /* The instruction would fault. */
    if (!zero(target->reserved1, sizeof(target->reserved1)) ||
        !zero(target->reserved2, sizeof(target->reserved2)) ||
        !zero(target->reserved3, sizeof(target->reserved3)))
        return -EINVAL;
    struct place *p = place_new(&raw);
    if (!p)
        return -ENOMEM;
    memcpy(&p->target, target, sizeof(p->target));
    memcpy(p->data, data, sizeof(p->data));
    enclu(ENCLU_EREPORT, &p->target, p->data, &p->report);
    memcpy(out, &p->report, sizeof(*out));
    place_free(p, raw);
    return 0;
}

int enclave_target_info(struct sgx_targetinfo *out)
{
    static const uint8_t none[64];
    struct sgx_report own;

    memset(out, 0, sizeof(*out));
    int r = enclave_report(out, none, &own);
    if (r)
        return r;
    memcpy(out->measurement, own.mrenclave, sizeof(out->measurement));
    out->attributes = own.attributes;
    out->config_svn = own.config_svn;
    out->miscselect = own.miscselect;
    memcpy(out->configid, own.configid, sizeof(out->configid));
    return 0;
}

int enclave_report_verify(const struct sgx_report *report)
{
    uint8_t mac[16];
    void *raw;
    struct place *p = place_new(&raw);

    if (!p)
        return -ENOMEM;
    p->request.keyname = KEY_REPORT;
    memcpy(p->request.keyid, report->keyid, sizeof(p->request.keyid));
    uint64_t error = enclu(ENCLU_EGETKEY, &p->request, p->key, NULL);
    aes128_cmac(p->key, report, offsetof(struct sgx_report, keyid), mac);
    bool good = !error && mem_equal_secret(mac, report->mac, sizeof(mac));
    place_free(p, raw);
    return good ? 0 : -EACCES;
}
