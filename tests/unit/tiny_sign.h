/* SPDX-License-Identifier: BSD-3-Clause */
/* Signs the plans of tests with a key made on the spot; the measurement is image/'s. */
#pragma once

#include "boundary/sgx.h"
#include "image/plan.h"

void tiny_sign(const struct page_plan *plan, struct sgx_sigstruct *sig);
void tiny_cmac(const uint8_t key[16], const void *data, size_t bytes, uint8_t out[16]);
