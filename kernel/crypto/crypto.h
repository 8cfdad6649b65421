/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets up the cryptography: which code paths this enclave may use, and how vector registers are
 * borrowed from the program. Until crypto_init() nothing here may be called.
 */
#pragma once

#include "lib/types.h"

struct crypto_env {
    /* SECS.ATTRIBUTES.XFRM from EREPORT: the states this enclave may touch. */
    uint64_t xfrm;
    /* CPUID.7.0 as the host claims it: it can slow us down or make us fault, nothing else. */
    uint32_t cpuid7_ebx, cpuid7_ecx;
    /* Around every use of vector registers; no sleep in between. NULL: nothing to be saved. */
    void (*vector_begin)(void);
    void (*vector_end)(void);
    /* The vCPU we run on, below CRYPTO_CPUS; the same from begin to end. NULL: 0. */
    unsigned (*cpu)(void);
};
#define CRYPTO_CPUS 64u

/* Chooses, then checks every chosen path against known answers: panics when one is wrong. */
void crypto_init(const struct crypto_env *env);
/* For the boot log: "vaes-avx512, sha-avx512x16". */
const char *crypto_describe(void);
/* May be set later than the rest, when there is a scheduler to save registers. */
void crypto_set_fence(void (*vector_begin)(void), void (*vector_end)(void));
