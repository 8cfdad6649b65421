/* SPDX-License-Identifier: BSD-3-Clause */
/* EGETKEY for sealing (SDM 40.4). Debug enclaves get other keys than production ones. */
#include "enclave/keys.h"

#include "abi/errno.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/alloc.h"
#include "lib/string.h"

/* All attribute bits but those which depend on the machine's extensions. */
#define SEAL_ATTRIBUTES 0xff0000000000000bull
#define SEAL_MISC       0xf0000000u

void seal_info_new(struct seal_info *out)
{
    memset(out, 0, sizeof(*out));
    random_bytes(out->keyid, sizeof(out->keyid));
    memcpy(out->cpusvn, enclave.cpusvn, sizeof(out->cpusvn));
    out->isv_svn = enclave.isv_svn;
}

/* The request is too large for a stack frame; key and request are aligned as EGETKEY wants. */
struct seal_call {
    struct sgx_keyrequest request;
    uint8_t key[16] __attribute__((aligned(16)));
};

int enclave_seal_key(uint16_t policy, const struct seal_info *info, uint8_t key[16])
{
    size_t size = sizeof(struct seal_call) + sizeof(struct sgx_keyrequest);
    uint8_t *place = kzalloc(size);
    if (!place)
        return -ENOMEM;
    uint64_t at = align_up((uint64_t)(uintptr_t)place, sizeof(struct sgx_keyrequest));
    struct seal_call *c = (struct seal_call *)(uintptr_t)at;
    c->request.keyname = KEY_SEAL;
    c->request.keypolicy = policy;
    c->request.isv_svn = info->isv_svn;
    memcpy(c->request.cpusvn, info->cpusvn, sizeof(c->request.cpusvn));
    memcpy(c->request.keyid, info->keyid, sizeof(c->request.keyid));
    c->request.attribute_mask.flags = SEAL_ATTRIBUTES;
    c->request.miscmask = SEAL_MISC;
    uint64_t error = enclu(ENCLU_EGETKEY, &c->request, c->key, NULL);
    memcpy(key, c->key, sizeof(c->key));
    memzero_secret(c->key, sizeof(c->key));
    kfree(place);
    return error ? -EACCES : 0;
}
