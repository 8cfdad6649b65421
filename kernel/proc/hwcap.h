/* SPDX-License-Identifier: BSD-3-Clause */
/* AT_HWCAP: on x86 the EDX of cpuid leaf 1. */
#pragma once

#include "enclave/exception.h"

static inline uint32_t hwcap(void)
{
    uint32_t r[4];
    cpuid_emulate(1, 0, r);
    return r[3];
}
