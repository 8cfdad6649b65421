/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which code runs. XFRM decides which registers may be touched; the host's CPUID only says what
 * is worth trying, and the self-test runs whatever was chosen. Also: what the library expects
 * to find.
 */
#include "crypto/crypto.h"

#include "crypto/internal.h"
#include "lib/log.h"
#include "lib/string.h"

#define XFRM_AVX    0x06ull
#define XFRM_AVX512 0xe6ull

/* CPUID.7.0 */
#define EBX_AVX2   (1u << 5)
#define EBX_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define EBX_RDSEED (1u << 18)
#define EBX_SHA    (1u << 29)
#define ECX_VAES   (1u << 9 | 1u << 10) /* VAES, VPCLMULQDQ */

struct crypto_paths crypto_paths;
static struct crypto_env environment;

/* The library's error report; our callers never make errors. */
extern uint32_t imb_errno;
extern const uint32_t imb_errno_types[64];
uint32_t imb_errno;
const uint32_t imb_errno_types[64] = {1};

/* SHA-256's round constants, where the library looks for them. */
extern const uint32_t K256[64];
const uint32_t K256[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

void fence_begin(void)
{
    if (environment.vector_begin)
        environment.vector_begin();
}

void fence_end(void)
{
    if (environment.vector_end)
        environment.vector_end();
}

unsigned crypto_cpu(void)
{
    unsigned cpu = environment.cpu ? environment.cpu() : 0;
    assert(cpu < CRYPTO_CPUS);
    return cpu;
}

void crypto_set_fence(void (*vector_begin)(void), void (*vector_end)(void))
{
    environment.vector_begin = vector_begin;
    environment.vector_end = vector_end;
}

void crypto_init(const struct crypto_env *env)
{
    environment = *env;
    bool avx = (env->xfrm & XFRM_AVX) == XFRM_AVX;
    bool avx512 = (env->xfrm & XFRM_AVX512) == XFRM_AVX512 &&
                  (env->cpuid7_ebx & EBX_AVX512) == EBX_AVX512;
    crypto_paths = (struct crypto_paths){
        .vaes512 = avx512 && (env->cpuid7_ecx & ECX_VAES) == ECX_VAES,
        .vaes = avx && (env->cpuid7_ebx & EBX_AVX2) && (env->cpuid7_ecx & ECX_VAES) == ECX_VAES,
        .sha512x = avx512,
        .avx2 = avx && (env->cpuid7_ebx & EBX_AVX2),
        .sha_ni = env->cpuid7_ebx & EBX_SHA,
        .rdseed = env->cpuid7_ebx & EBX_RDSEED,
    };
    crypto_self_test();
}

const char *crypto_describe(void)
{
    static char text[64];
    format_string(text, sizeof(text), "gcm: %s, sha256: %s%s",
                  crypto_paths.vaes512 ? "vaes-avx512"
                  : crypto_paths.vaes  ? "vaes"
                                       : "aes-ni",
                  crypto_paths.sha_ni ? "sha-ni" : "sse",
                  crypto_paths.sha512x ? " and avx512"
                  : crypto_paths.avx2  ? " and avx2"
                                       : "");
    return text;
}
