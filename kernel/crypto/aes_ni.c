/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AES modes that the multi-buffer library lacks, eight blocks at a time. Compiled with
 * vector registers: only called inside a fence. Trusts its callers for sizes.
 */
#include "crypto/internal.h"
#include "lib/string.h"

typedef long long v128 __attribute__((vector_size(16), may_alias));
typedef long long v128u __attribute__((vector_size(16), may_alias, aligned(1)));
#define AES_CODE   __attribute__((target("aes,sse4.1")))
#define AES_INLINE static inline __attribute__((always_inline, target("aes,sse4.1")))
#define LANES      8
/* So that the lanes live in registers. */
#define UNROLL _Pragma("GCC unroll 8")

AES_INLINE v128 load(const void *p)
{
    return *(const v128u *)p;
}
AES_INLINE void store(void *p, v128 v)
{
    *(v128u *)p = v;
}

AES_INLINE v128 encrypt_one(const uint8_t *keys, int rounds, v128 x)
{
    x ^= load(keys);
    for (int r = 1; r < rounds; r++)
        x = __builtin_ia32_aesenc128(x, load(keys + 16 * r));
    return __builtin_ia32_aesenclast128(x, load(keys + 16 * rounds));
}

/* `decrypt` is a constant where this is used, and decided by the compiler. */
AES_INLINE void crypt_lanes(const uint8_t *keys, v128 x[LANES], bool decrypt)
{
    v128 k = load(keys);
    UNROLL
    for (int i = 0; i < LANES; i++)
        x[i] ^= k;
    for (int r = 1; r < AES256_ROUNDS; r++) {
        k = load(keys + 16 * r);
        UNROLL
        for (int i = 0; i < LANES; i++)
            x[i] = decrypt ? __builtin_ia32_aesdec128(x[i], k)
                           : __builtin_ia32_aesenc128(x[i], k);
    }
    k = load(keys + 16 * AES256_ROUNDS);
    UNROLL
    for (int i = 0; i < LANES; i++)
        x[i] = decrypt ? __builtin_ia32_aesdeclast128(x[i], k)
                       : __builtin_ia32_aesenclast128(x[i], k);
}

/* Times alpha in GF(2^128): a shift left with the field's polynomial 0x87 folded in. */
AES_INLINE v128 times_alpha(v128 t)
{
    uint64_t low = (uint64_t)t[0], high = (uint64_t)t[1];
    uint64_t fold = high >> 63 ? 0x87 : 0;
    return (v128){(long long)(low << 1 ^ fold), (long long)(high << 1 | low >> 63)};
}

/* Up to LANES blocks; moves *tweak on. */
AES_INLINE void xts_lanes(const uint8_t *keys, bool encrypt, v128 *tweak, const uint8_t *in,
                          uint8_t *out, size_t blocks)
{
    v128 x[LANES], t[LANES];
    UNROLL
    for (size_t i = 0; i < LANES; i++) {
        t[i] = *tweak;
        x[i] = t[i];
        if (i >= blocks)
            continue;
        x[i] ^= load(in + 16 * i);
        *tweak = times_alpha(*tweak);
    }
    if (encrypt)
        crypt_lanes(keys, x, false);
    else
        crypt_lanes(keys, x, true);
    UNROLL
    for (size_t i = 0; i < LANES && i < blocks; i++)
        store(out + 16 * i, x[i] ^ t[i]);
}

AES_CODE void aes_ni_xts(const uint8_t *keys, const uint8_t *tweak_keys, bool encrypt,
                         uint64_t sector, const void *in, void *out, size_t size)
{
    v128 tweak = encrypt_one(tweak_keys, AES256_ROUNDS, (v128){(long long)sector, 0});
    const uint8_t *from = in;
    uint8_t *to = out;
    size_t blocks = size / 16;
    for (; blocks >= LANES; blocks -= LANES, from += 16 * LANES, to += 16 * LANES) {
        if (encrypt)
            xts_lanes(keys, true, &tweak, from, to, LANES);
        else
            xts_lanes(keys, false, &tweak, from, to, LANES);
    }
    if (blocks)
        xts_lanes(keys, encrypt, &tweak, from, to, blocks);
}

/* The subkeys double in big-endian order, unlike XTS's tweak. */
AES_INLINE v128 cmac_double(v128 v)
{
    uint64_t high = __builtin_bswap64((uint64_t)v[0]), low = __builtin_bswap64((uint64_t)v[1]);
    uint64_t fold = high >> 63 ? 0x87 : 0;
    high = high << 1 | low >> 63;
    low = low << 1 ^ fold;
    return (v128){(long long)__builtin_bswap64(high), (long long)__builtin_bswap64(low)};
}

AES_CODE void aes_ni_cmac(const uint8_t *keys, const void *data, size_t size, uint8_t out[16])
{
    const uint8_t *p = data;
    v128 mac = {0, 0};
    v128 subkey = cmac_double(encrypt_one(keys, 10, mac));
    for (; size > 16; size -= 16, p += 16)
        mac = encrypt_one(keys, 10, mac ^ load(p));
    uint8_t last[16] = {0};
    memcpy(last, p, size);
    if (size < 16) {
        last[size] = 0x80;
        subkey = cmac_double(subkey);
    }
    store(out, encrypt_one(keys, 10, mac ^ load(last) ^ subkey));
}

AES_CODE void aes_ni_counter(const uint8_t *keys, uint8_t counter[16], void *out, size_t blocks)
{
    uint64_t high, low;
    uint8_t *to = out;
    memcpy(&high, counter, 8);
    memcpy(&low, counter + 8, 8);
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
    while (blocks) {
        v128 x[LANES];
        size_t n = blocks < LANES ? blocks : LANES;
        UNROLL
        for (size_t i = 0; i < LANES; i++) {
            if (i < n)
                high += ++low == 0;
            x[i] =
                (v128){(long long)__builtin_bswap64(high), (long long)__builtin_bswap64(low)};
        }
        crypt_lanes(keys, x, false);
        UNROLL
        for (size_t i = 0; i < LANES && i < n; i++)
            store(to + 16 * i, x[i]);
        to += 16 * n;
        blocks -= n;
    }
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
    memcpy(counter, &high, 8);
    memcpy(counter + 8, &low, 8);
}
