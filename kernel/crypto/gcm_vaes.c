/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM for processors that have VAES and VPCLMULQDQ but no AVX-512, which the
 * multi-buffer library does not serve: sixteen blocks at a time in eight registers, the hashing
 * of sixteen blocks put between the rounds of encrypting sixteen. Only called inside a fence.
 * Numbers of GF(2^128) are kept byte-reversed; the powers of the hash key carry the factor x
 * that a product of reflected numbers lacks.
 */
#include "crypto/aes.h"
#include "crypto/internal.h"
#include "lib/string.h"

typedef long long v256 __attribute__((vector_size(32), may_alias));
typedef long long v256u __attribute__((vector_size(32), may_alias, aligned(1)));
typedef char bytes256 __attribute__((vector_size(32), may_alias));
typedef unsigned words256 __attribute__((vector_size(32), may_alias));
typedef long long v128u __attribute__((vector_size(16), may_alias, aligned(1)));
#define VAES_CODE   __attribute__((target("avx2")))
#define VAES_INLINE static inline __attribute__((always_inline, target("avx2")))
#define VAES_APART  static __attribute__((noinline, target("avx2")))
#define LANES       8 /* registers, of two blocks each */
#define CHUNK       (LANES * 32u)
#define UNROLL      _Pragma("GCC unroll 8")

/* What lies in struct aes_gcm. */
struct vaes_key {
    uint8_t round[AES256_ROUNDS + 1][16];
    uint8_t unused[16];
    uint8_t power[2 * LANES][16]; /* the hash key to the 16th, ... 1st */
    uint8_t mixed[2 * LANES][16]; /* of each, the halves added up */
};
_Static_assert(sizeof(struct vaes_key) <= sizeof(((struct aes_gcm *)0)->data), "");

struct sums { /* of products: low, high, and what lies across both */
    v256 low, high, middle;
};

VAES_INLINE v256 load(const void *p)
{
    return *(const v256u *)p;
}
VAES_INLINE void store(void *p, v256 v)
{
    *(v256u *)p = v;
}
VAES_INLINE v256 reversed(v256 x)
{
    bytes256 b = (bytes256)x;
    return (v256)__builtin_shufflevector(b, b, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2,
                                         1, 0, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20,
                                         19, 18, 17, 16);
}
VAES_INLINE v256 halves_swapped(v256 x)
{
    words256 w = (words256)x;
    return (v256)__builtin_shufflevector(w, w, 2, 3, 0, 1, 6, 7, 4, 5);
}

/* The builtins of the following have other names in each compiler. What is volatile stays in
 * the order in which it is written, and in the few registers that there are. */
VAES_INLINE v256 twice(const void *p)
{
    v256 r;
    __asm__ volatile("vbroadcasti128 %1, %0" : "=x"(r) : "m"(*(const v128u *)p));
    return r;
}
VAES_INLINE v256 aes_round(v256 x, v256 k)
{
    __asm__ volatile("vaesenc %1, %0, %0" : "+x"(x) : "x"(k));
    return x;
}
VAES_INLINE v256 aes_last(v256 x, v256 k)
{
    __asm__ volatile("vaesenclast %1, %0, %0" : "+x"(x) : "x"(k));
    return x;
}
VAES_INLINE v256 times_low(v256 a, v256 b)
{
    v256 r;
    __asm__("vpclmulqdq $0x00, %2, %1, %0" : "=x"(r) : "x"(a), "x"(b));
    return r;
}
VAES_INLINE v256 times_high(v256 a, v256 b)
{
    v256 r;
    __asm__("vpclmulqdq $0x11, %2, %1, %0" : "=x"(r) : "x"(a), "x"(b));
    return r;
}

/* ---- the hash ---- */

/* Two blocks, each by its power. */
VAES_INLINE void add_product(struct sums *s, v256 x, const uint8_t *power, const uint8_t *mixed)
{
    v256 t;
    __asm__ volatile(
        "vpclmulqdq $0x00, %[power], %[x], %[t]\n"
        "vpxor %[t], %[low], %[low]\n"
        "vpclmulqdq $0x11, %[power], %[x], %[t]\n"
        "vpxor %[t], %[high], %[high]\n"
        "vpshufd $0x4e, %[x], %[t]\n"
        "vpxor %[x], %[t], %[t]\n"
        "vpclmulqdq $0x00, %[mixed], %[t], %[t]\n"
        "vpxor %[t], %[middle], %[middle]"
        : [low] "+x"(s->low), [high] "+x"(s->high), [middle] "+x"(s->middle), [t] "=&x"(t)
        : [x] "x"(x), [power] "m"(*(const v256u *)power), [mixed] "m"(*(const v256u *)mixed));
}

/* Modulo the field's polynomial; the result is in both halves. */
VAES_INLINE v256 reduce(struct sums s)
{
    const long long p = (long long)0xc200000000000000ull;
    const v256 poly = {p, p, p, p}, none = {0};
    v256 across = s.middle ^ s.low ^ s.high;
    v256 low = s.low ^ __builtin_shufflevector(none, across, 0, 4, 2, 6);
    v256 high = s.high ^ __builtin_shufflevector(across, none, 1, 4, 3, 6);
    low ^= __builtin_shufflevector(low, low, 2, 3, 0, 1);
    high ^= __builtin_shufflevector(high, high, 2, 3, 0, 1);
    low = halves_swapped(low) ^ times_low(low, poly);
    low = halves_swapped(low) ^ times_low(low, poly);
    return low ^ high;
}

VAES_INLINE v256 first_half(v256 x)
{
    return x & (v256){-1, -1, 0, 0};
}

/* Of the first halves. */
VAES_INLINE v256 product(v256 a, v256 b)
{
    a = first_half(a);
    struct sums s = {times_low(a, b), times_high(a, b),
                     times_low(a ^ halves_swapped(a), b ^ halves_swapped(b))};
    return reduce(s);
}

/* The n-th two blocks of a chunk; the hash so far goes into the first. */
VAES_INLINE void hash_two(const struct vaes_key *k, struct sums *s, const uint8_t *from, int n,
                          v256 hash)
{
    v256 x = reversed(load(from + 32 * n));
    if (n == 0)
        x ^= first_half(hash);
    add_product(s, x, k->power[2 * n], k->mixed[2 * n]);
}

VAES_INLINE v256 hash_chunk(const struct vaes_key *k, v256 hash, const uint8_t *from)
{
    struct sums s = {0};
    UNROLL
    for (int n = 0; n < LANES; n++)
        hash_two(k, &s, from, n, hash);
    return reduce(s);
}

/* Any number of bytes, filled up with zeros to whole blocks: they stand at the end of a chunk,
 * where their powers are. */
VAES_APART v256 hash_bytes(const struct vaes_key *k, v256 hash, const uint8_t *from,
                           size_t size)
{
    uint8_t chunk[CHUNK] __attribute__((aligned(32)));
    for (; size >= CHUNK; from += CHUNK, size -= CHUNK)
        hash = hash_chunk(k, hash, from);
    if (!size)
        return hash;
    size_t start = CHUNK - align_up(size, 16);
    struct sums s = {0};
    memset(chunk + start / 32 * 32, 0, CHUNK - start / 32 * 32);
    memcpy(chunk + start, from, size);
    v128u *first = (v128u *)(chunk + start);
    v256 h = reversed(hash);
    *first ^= __builtin_shufflevector(h, h, 0, 1);
    for (size_t n = start / 32; n < LANES; n++)
        add_product(&s, reversed(load(chunk + 32 * n)), k->power[2 * n], k->mixed[2 * n]);
    return reduce(s);
}

/* ---- counter mode ---- */

/* The next sixteen counters encrypted, `in` added; meanwhile `hashed` (NULL: nothing), another
 * chunk or `in` itself, goes into the hash. `in` NULL: the stream itself. */
VAES_INLINE v256 crypt_chunk(const struct vaes_key *k, v256 *counter, const uint8_t *in,
                             uint8_t *out, const uint8_t *hashed, v256 hash)
{
    const words256 two = {2, 0, 0, 0, 2, 0, 0, 0};
    struct sums s = {0};
    v256 x[LANES], key = twice(k->round[0]);
    UNROLL
    for (int i = 0; i < LANES; i++) {
        x[i] = reversed(*counter) ^ key;
        *counter = (v256)((words256)*counter + two);
    }
    UNROLL
    for (int r = 1; r <= LANES; r++) {
        key = twice(k->round[r]);
        UNROLL
        for (int i = 0; i < LANES; i++)
            x[i] = aes_round(x[i], key);
        if (hashed)
            hash_two(k, &s, hashed, r - 1, hash);
    }
    UNROLL
    for (int r = LANES + 1; r < AES256_ROUNDS; r++) {
        key = twice(k->round[r]);
        UNROLL
        for (int i = 0; i < LANES; i++)
            x[i] = aes_round(x[i], key);
    }
    key = twice(k->round[AES256_ROUNDS]);
    UNROLL
    for (int i = 0; i < LANES; i++) {
        x[i] = aes_last(x[i], key);
        if (in)
            x[i] ^= load(in + 32 * i);
        store(out + 32 * i, x[i]);
    }
    return hashed ? reduce(s) : hash;
}

VAES_APART void crypt_tail(const struct vaes_key *k, v256 *counter, const uint8_t *in,
                           uint8_t *out, size_t size)
{
    uint8_t stream[CHUNK] __attribute__((aligned(32)));
    v256 none = {0};
    (void)crypt_chunk(k, counter, NULL, stream, NULL, none);
    for (size_t i = 0; i < size; i++)
        out[i] = in[i] ^ stream[i];
    memzero_secret(stream, sizeof(stream));
}

VAES_INLINE v256 seal_all(const struct vaes_key *k, v256 *counter, const struct aes_gcm_op *op,
                          v256 hash)
{
    size_t whole = align_down(op->size, CHUNK), tail = op->size - whole;
    const uint8_t *in = op->in;
    uint8_t *out = op->out;
    if (whole)
        (void)crypt_chunk(k, counter, in, out, NULL, hash);
    for (size_t at = CHUNK; at < whole; at += CHUNK)
        hash = crypt_chunk(k, counter, in + at, out + at, out + at - CHUNK, hash);
    if (whole)
        hash = hash_chunk(k, hash, out + whole - CHUNK);
    if (tail)
        crypt_tail(k, counter, in + whole, out + whole, tail);
    return hash_bytes(k, hash, out + whole, tail);
}

VAES_INLINE v256 open_all(const struct vaes_key *k, v256 *counter, const struct aes_gcm_op *op,
                          v256 hash)
{
    size_t whole = align_down(op->size, CHUNK), tail = op->size - whole;
    const uint8_t *in = op->in;
    uint8_t *out = op->out;
    for (size_t at = 0; at < whole; at += CHUNK)
        hash = crypt_chunk(k, counter, in + at, out + at, in + at, hash);
    hash = hash_bytes(k, hash, in + whole, tail);
    if (tail)
        crypt_tail(k, counter, in + whole, out + whole, tail);
    return hash;
}

VAES_INLINE v256 encrypt_one(const struct vaes_key *k, v256 x)
{
    x ^= twice(k->round[0]);
    for (int r = 1; r < AES256_ROUNDS; r++)
        x = aes_round(x, twice(k->round[r]));
    return aes_last(x, twice(k->round[AES256_ROUNDS]));
}

VAES_CODE void gcm_vaes_run(const void *key, const struct aes_gcm_op *op, bool seal,
                            uint8_t tag[AES_GCM_TAG])
{
    const struct vaes_key *k = key;
    const words256 onward = {1, 0, 0, 0, 2, 0, 0, 0};
    uint64_t bits[2] = {__builtin_bswap64(op->aad_size * 8), __builtin_bswap64(op->size * 8)};
    uint8_t first[16] = {[15] = 1};
    memcpy(first, op->nonce, AES_GCM_NONCE);
    v256 start = twice(first), hash = {0};
    v256 counter = (v256)((words256)reversed(start) + onward);
    hash = hash_bytes(k, hash, op->aad, op->aad_size);
    if (op->size)
        hash = seal ? seal_all(k, &counter, op, hash) : open_all(k, &counter, op, hash);
    hash = hash_bytes(k, hash, (const uint8_t *)bits, sizeof(bits));
    v256 whole = reversed(hash) ^ encrypt_one(k, start);
    *(v128u *)tag = __builtin_shufflevector(whole, whole, 0, 1);
}

/* The round keys are there. */
VAES_CODE void gcm_vaes_precompute(void *key)
{
    struct vaes_key *k = key;
    v256 none = {0}, h = reversed(encrypt_one(k, none));
    uint64_t low = (uint64_t)h[0], high = (uint64_t)h[1];
    uint64_t fold = high >> 63 ? ~0ull : 0;
    high = (high << 1 | low >> 63) ^ (fold & 0xc200000000000000ull);
    low = low << 1 ^ (fold & 1);
    v256 one = {(long long)low, (long long)high, 0, 0}, power = one;
    for (int n = 2 * LANES - 1; n >= 0; n--) {
        v256 mixed = power ^ halves_swapped(power);
        *(v128u *)k->power[n] = __builtin_shufflevector(power, power, 0, 1);
        *(v128u *)k->mixed[n] = __builtin_shufflevector(mixed, mixed, 0, 1);
        power = product(one, power);
    }
}
