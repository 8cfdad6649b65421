/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA-256 over the library's block routines: padding, lanes and HMAC are ours.
 * Not here: other hashes.
 */
#include "crypto/sha256.h"

#include "crypto/internal.h"
#include "lib/string.h"

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static void put_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static void put_digest(uint8_t out[SHA256_BYTES], const uint32_t h[8])
{
    for (int i = 0; i < 8; i++)
        put_be32(out + 4 * i, h[i]);
}

/* The end of a message: its last partial block, the mark, the length. Returns 1 or 2 blocks. */
static size_t pad(uint8_t tail[2 * SHA256_BLOCK], const uint8_t *rest, uint64_t size)
{
    size_t n = size % SHA256_BLOCK;
    size_t blocks = n < SHA256_BLOCK - 8 ? 1 : 2;
    memcpy(tail, rest, n);
    memset(tail + n, 0, blocks * SHA256_BLOCK - n);
    tail[n] = 0x80;
    uint64_t bits = __builtin_bswap64(size * 8);
    memcpy(tail + blocks * SHA256_BLOCK - 8, &bits, 8);
    return blocks;
}

/* Inside a fence. */
static void run_blocks(uint32_t h[8], const uint8_t *data, size_t blocks)
{
    if (crypto_paths.sha_ni) {
        struct sha256_args args;
        memcpy(args.digest, h, 32);
        args.data[0] = data;
        if (blocks)
            call_sha256_ni_x1_sse_from_c(&args, blocks, 0);
        memcpy(h, args.digest, 32);
        return;
    }
    for (; blocks; blocks--, data += SHA256_BLOCK)
        sha256_block_sse(data, h);
}

void sha256(const void *data, size_t size, uint8_t out[SHA256_BYTES])
{
    uint8_t tail[2 * SHA256_BLOCK];
    uint32_t h[8];
    const uint8_t *p = data;
    size_t whole = size / SHA256_BLOCK;
    size_t last = pad(tail, p + whole * SHA256_BLOCK, size);
    memcpy(h, initial, sizeof(h));
    fence_begin();
    run_blocks(h, p, whole);
    run_blocks(h, tail, last);
    fence_end();
    put_digest(out, h);
    memzero_secret(tail, sizeof(tail));
}

/* ---- many at once ---- */

typedef void lanes_fn(struct sha256_args *args, uint64_t blocks);
struct lanes {
    lanes_fn *run;
    size_t count; /* messages side by side */
    bool by_lane; /* digest[lane][word] */
};

/* The cheapest way for `left` messages: idle lanes cost as much as busy ones. */
static struct lanes choose_lanes(size_t left)
{
    if (crypto_paths.sha512x && left >= (crypto_paths.sha_ni ? 12 : 9))
        return (struct lanes){call_sha256_x16_avx512_from_c, 16, false};
    if (crypto_paths.sha_ni)
        return (struct lanes){call_sha256_ni_x2_sse_from_c, 2, true};
    if (crypto_paths.avx2 && left >= 5)
        return (struct lanes){call_sha256_oct_avx2_from_c, 8, false};
    return (struct lanes){call_sha_256_mult_sse_from_c, 4, false};
}

/* All messages end on a block, so that they share their padding. */
static void run_lanes(const struct lanes *l, const void *const blocks[], size_t size,
                      size_t count, uint8_t (*out)[SHA256_BYTES])
{
    struct sha256_args args;
    uint8_t tail[2 * SHA256_BLOCK];
    for (size_t i = 0; i < l->count; i++) {
        args.data[i] = blocks[i < count ? i : 0];
        for (size_t w = 0; w < 8; w++)
            args.digest[l->by_lane ? i * 8 + w : w * SHA_LANES + i] = initial[w];
    }
    if (size)
        l->run(&args, size / SHA256_BLOCK);
    pad(tail, tail, size);
    for (size_t i = 0; i < l->count; i++)
        args.data[i] = tail;
    l->run(&args, 1);
    for (size_t i = 0; i < l->count && i < count; i++)
        for (size_t w = 0; w < 8; w++)
            put_be32(out[i] + 4 * w, args.digest[l->by_lane ? i * 8 + w : w * SHA_LANES + i]);
}

void sha256_many(const void *const blocks[], size_t size, size_t count,
                 uint8_t (*out)[SHA256_BYTES])
{
    while (count) {
        if (count == 1 || size % SHA256_BLOCK) {
            sha256(*blocks++, size, *out++);
            count--;
            continue;
        }
        struct lanes l = choose_lanes(count);
        size_t n = MIN(l.count, count);
        fence_begin();
        run_lanes(&l, blocks, size, n, out);
        fence_end();
        blocks += n;
        out += n;
        count -= n;
    }
}

/* ---- piece by piece ---- */

void sha256_begin(struct sha256_state *s)
{
    memcpy(s->h, initial, sizeof(s->h));
    s->bytes = 0;
}

void sha256_update(struct sha256_state *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t have = s->bytes % SHA256_BLOCK;
    s->bytes += size;
    if (have) {
        size_t n = MIN(size, SHA256_BLOCK - have);
        memcpy(s->partial + have, p, n);
        p += n;
        size -= n;
        if (have + n < SHA256_BLOCK)
            return;
    }
    fence_begin();
    if (have)
        run_blocks(s->h, s->partial, 1);
    run_blocks(s->h, p, size / SHA256_BLOCK);
    fence_end();
    memcpy(s->partial, p + size / SHA256_BLOCK * SHA256_BLOCK, size % SHA256_BLOCK);
}

void sha256_end(struct sha256_state *s, uint8_t out[SHA256_BYTES])
{
    uint8_t tail[2 * SHA256_BLOCK];
    size_t blocks = pad(tail, s->partial, s->bytes);
    fence_begin();
    run_blocks(s->h, tail, blocks);
    fence_end();
    put_digest(out, s->h);
    memzero_secret(tail, sizeof(tail));
    memzero_secret(s, sizeof(*s));
}

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_BYTES])
{
    uint8_t block[SHA256_BLOCK] = {0}, inner[SHA256_BYTES];
    struct sha256_state s;
    if (key_size > SHA256_BLOCK)
        sha256(key, key_size, block);
    else
        memcpy(block, key, key_size);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36;
    sha256_begin(&s);
    sha256_update(&s, block, sizeof(block));
    sha256_update(&s, data, size);
    sha256_end(&s, inner);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36 ^ 0x5c;
    sha256_begin(&s);
    sha256_update(&s, block, sizeof(block));
    sha256_update(&s, inner, sizeof(inner));
    sha256_end(&s, out);
    memzero_secret(block, sizeof(block));
    memzero_secret(inner, sizeof(inner));
}
