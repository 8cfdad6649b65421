/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CTR_DRBG with AES-256, no derivation function (SP 800-90A 10.2.1): key and counter are
 * replaced after every request, so that a stolen state tells nothing of earlier output. Each
 * vCPU has its state and the kernel is not preempted: no lock. Seeds are RDSEED xor RDRAND; a
 * processor that gives none, or gives the same twice, stops the kernel.
 * Not here: exception handlers must not ask, they might interrupt a request.
 */
#include "crypto/random.h"

#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "lib/log.h"
#include "lib/string.h"

#define SEED_WORDS   6 /* 48 bytes: key and counter */
#define REQUEST_MAX  65536u
#define RESEED_AFTER (1u << 16) /* requests; far below the standard's 2^48 */
#define RDRAND_TRIES 1000
#define KEYS_BYTES   (16 * (AES256_ROUNDS + 1))

struct drbg {
    uint8_t key[32], counter[16];
    uint64_t requests; /* since the seed; 0: none yet */
} __attribute__((aligned(64)));

static struct drbg drbgs[CRYPTO_CPUS];

static uint64_t hardware_random(bool seed)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        uint64_t v;
        bool ok;
        if (seed)
            __asm__ volatile("rdseed %0" : "=r"(v), "=@ccc"(ok));
        else
            __asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
        if (ok)
            return v;
        __asm__ volatile("pause");
    }
    if (seed) /* shared with all other users of the machine, so it may run dry */
        return hardware_random(false);
    panic("the processor gives no random numbers");
}

void random_seed(uint64_t seed[SEED_WORDS])
{
    uint64_t last = hardware_random(false);
    for (int i = 0; i < SEED_WORDS; i++) {
        uint64_t v = hardware_random(false);
        if (v == last)
            panic("the processor's random numbers repeat");
        last = v;
        seed[i] = v ^ (crypto_paths.rdseed ? hardware_random(true) : hardware_random(false));
    }
}

/* The standard's update function; `data` is 48 bytes, or NULL for zeros. Inside a fence. */
static void drbg_update(struct drbg *d, uint8_t keys[KEYS_BYTES], const uint8_t *data)
{
    uint8_t next[48];
    aes_ni_counter(keys, d->counter, next, 3);
    for (size_t i = 0; data && i < sizeof(next); i++)
        next[i] ^= data[i];
    memcpy(d->key, next, 32);
    memcpy(d->counter, next + 32, 16);
    memzero_secret(next, sizeof(next));
}

static void drbg_seed(struct drbg *d, uint8_t keys[KEYS_BYTES], const uint64_t seed[SEED_WORDS])
{
    aes_keyexp_256_enc_sse(d->key, keys);
    drbg_update(d, keys, (const uint8_t *)seed);
    d->requests = 1;
}

static void drbg_generate(struct drbg *d, uint8_t keys[KEYS_BYTES], uint8_t *out, size_t size)
{
    uint8_t last[16];
    aes_keyexp_256_enc_sse(d->key, keys);
    aes_ni_counter(keys, d->counter, out, size / 16);
    if (size % 16) {
        aes_ni_counter(keys, d->counter, last, 1);
        memcpy(out + size / 16 * 16, last, size % 16);
        memzero_secret(last, sizeof(last));
    }
    drbg_update(d, keys, NULL);
    d->requests++;
}

void random_bytes(void *out, size_t size)
{
    uint8_t keys[KEYS_BYTES] __attribute__((aligned(16)));
    uint8_t *to = out;
    while (size) {
        size_t n = MIN(size, (size_t)REQUEST_MAX);
        fence_begin();
        struct drbg *d = &drbgs[crypto_cpu()];
        if (d->requests == 0 || d->requests > RESEED_AFTER) {
            uint64_t seed[SEED_WORDS];
            random_seed(seed);
            drbg_seed(d, keys, seed);
            memzero_secret(seed, sizeof(seed));
        }
        drbg_generate(d, keys, to, n);
        fence_end();
        to += n;
        size -= n;
    }
    memzero_secret(keys, sizeof(keys));
}

uint64_t random_below(uint64_t bound)
{
    assert(bound);
    uint64_t reject = (0 - bound) % bound; /* 2^64 mod bound values are too many */
    uint64_t v;
    do
        v = random_u64();
    while (v < reject);
    return v % bound;
}

void random_test_vector(const uint8_t seed[48], uint8_t *out, size_t size)
{
    struct drbg d = {0};
    uint8_t keys[KEYS_BYTES] __attribute__((aligned(16)));
    uint64_t words[SEED_WORDS];
    memcpy(words, seed, sizeof(words));
    fence_begin();
    drbg_seed(&d, keys, words);
    drbg_generate(&d, keys, out, size);
    drbg_generate(&d, keys, out, size);
    fence_end();
    memzero_secret(&d, sizeof(d));
    memzero_secret(keys, sizeof(keys));
}
