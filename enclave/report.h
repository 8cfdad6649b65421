/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports: the processor's word on this enclave for another one on the same machine. */
#pragma once

#include "boundary/sgx.h"
#include "lib/types.h"

/* What another enclave must know to make a report that we can verify. -ENOMEM. */
int enclave_target_info(struct sgx_targetinfo *out) MUST_CHECK;
/* A report on us with this data, for `target`. -EINVAL: no target information; -ENOMEM. */
int enclave_report(const struct sgx_targetinfo *target, const uint8_t data[64],
                   struct sgx_report *out) MUST_CHECK;
/* Was that report made on this machine, for us? -EACCES: no. */
int enclave_report_verify(const struct sgx_report *report) MUST_CHECK;
