/* SPDX-License-Identifier: BSD-3-Clause */
/* The seal key: bound to the processor, and to who signed the enclave or to its measurement. */
#pragma once

#include "boundary/sgx.h"
#include "lib/types.h"

/* What must be kept to get the same key again. No secret. */
struct seal_info {
    uint8_t keyid[32];
    uint8_t cpusvn[16];
    uint16_t isv_svn;
    uint8_t reserved[14];
};
_Static_assert(sizeof(struct seal_info) == 64, "fits where it is kept");

/* For a new key: this processor's and this enclave's versions, a random id. */
void seal_info_new(struct seal_info *out);
/* policy: KEYPOLICY_MRSIGNER or KEYPOLICY_MRENCLAVE. -EACCES: the versions asked for are newer
 * than ours. */
int enclave_seal_key(uint16_t policy, const struct seal_info *info, uint8_t key[16]) MUST_CHECK;
