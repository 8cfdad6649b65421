/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cryptography against OpenSSL: random sizes, in place and not, tampered data, on every code
 * path that this processor has. With an argument: speeds.
 * LINK: kernel/crypto/*.c kernel/lib/string.c kernel/lib/format.c
 * LIBS: -l:libIPSec_MB.a -lcrypto
 */
#include "crypto/crypto.h"

#include <cpuid.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "crypto/aes.h"
#include "crypto/internal.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "tests/unit/unit.h"

#define SIZE_MAX_TESTED 9000

static int depth, most_fences;

void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    abort();
}
void assert_failed(const char *e, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, e);
    abort();
}

static void begin(void)
{
    CHECK_EQ(depth++, 0);
    most_fences++;
}
static void end(void)
{
    CHECK_EQ(--depth, 0);
}

static uint8_t plain[SIZE_MAX_TESTED], sealed[SIZE_MAX_TESTED], want[SIZE_MAX_TESTED + 32];
static uint8_t opened[SIZE_MAX_TESTED];

static void randomise(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)unit_random();
}

static size_t some_size(void)
{
    unsigned long long r = unit_random();
    return (r >> 8) % (r % 3 ? 200 : SIZE_MAX_TESTED);
}

static void openssl_gcm(const uint8_t *key, size_t key_bytes, const struct aes_gcm_op *op,
                        uint8_t *out, uint8_t *tag)
{
    int n;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(c, key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), NULL, key,
                       op->nonce);
    EVP_EncryptUpdate(c, NULL, &n, op->aad, (int)op->aad_size);
    EVP_EncryptUpdate(c, out, &n, op->in, (int)op->size);
    EVP_EncryptFinal_ex(c, out, &n);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag);
    EVP_CIPHER_CTX_free(c);
}

static void check_gcm_refuses(const struct aes_gcm *k, struct aes_gcm_op *op, uint8_t *spot)
{
    *spot ^= 0x10;
    memset(opened, 0xee, sizeof(opened));
    CHECK_EQ(aes_gcm_open(k, op), -EBADMSG);
    for (size_t i = 0; i < op->size; i++)
        CHECK_EQ(opened[i], 0);
    CHECK_EQ(opened[op->size], 0xee);
    *spot ^= 0x10;
}

static void test_gcm_once(size_t key_bytes)
{
    uint8_t key[32], nonce[12], aad[100], tag[16], want_tag[16];
    uint8_t space[sizeof(struct aes_gcm) + 64] __attribute__((aligned(64)));
    struct aes_gcm *k =
        (void *)(space + (unit_random() & 0x30)); /* no more than 16-byte aligned */
    size_t n = some_size() % (SIZE_MAX_TESTED - 1);
    struct aes_gcm_op op = {.nonce = nonce,
                            .aad = aad,
                            .aad_size = unit_random() % 101,
                            .in = plain,
                            .out = sealed,
                            .size = n,
                            .tag = tag};
    randomise(key, sizeof(key));
    randomise(nonce, sizeof(nonce));
    randomise(aad, sizeof(aad));
    randomise(plain, n);
    memset(sealed, 0xaa, sizeof(sealed));
    aes_gcm_init(k, key, key_bytes);
    aes_gcm_seal(k, &op);
    openssl_gcm(key, key_bytes, &op, want, want_tag);
    CHECK(!memcmp(sealed, want, n) && !memcmp(tag, want_tag, 16));
    CHECK_EQ(sealed[n], 0xaa);
    op.in = sealed;
    op.out = opened;
    CHECK_EQ(aes_gcm_open(k, &op), 0);
    CHECK(!memcmp(opened, plain, n));
    check_gcm_refuses(k, &op, &tag[unit_random() % 16]);
    check_gcm_refuses(k, &op, &nonce[unit_random() % 12]);
    if (n)
        check_gcm_refuses(k, &op, &sealed[unit_random() % n]);
    if (op.aad_size)
        check_gcm_refuses(k, &op, &aad[unit_random() % op.aad_size]);
    op.out = sealed; /* in place */
    CHECK_EQ(aes_gcm_open(k, &op), 0);
    CHECK(!memcmp(sealed, plain, n));
    aes_gcm_seal(k, &op);
    CHECK(!memcmp(sealed, want, n) && !memcmp(tag, want_tag, 16));
}

static void test_xts_once(void)
{
    uint8_t key[64];
    struct aes_xts k;
    static const size_t units[] = {16, 48, 128, 512, 1024, 4096};
    size_t unit = units[unit_random() % 6],
           n = unit * (unit_random() % (SIZE_MAX_TESTED / unit + 1));
    struct aes_xts_op op = {.in = plain,
                            .out = sealed,
                            .size = n,
                            .unit = unit,
                            .sector = unit_random() >> (unit_random() % 64)};
    randomise(key, sizeof(key));
    randomise(plain, n);
    aes_xts_init(&k, key);
    aes_xts_encrypt(&k, &op);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    for (size_t at = 0; at < n; at += unit) {
        uint64_t iv[2] = {op.sector + at / 512, 0};
        int got;
        CHECK(EVP_EncryptInit_ex(c, EVP_aes_256_xts(), NULL, key, (uint8_t *)iv) == 1);
        CHECK(EVP_EncryptUpdate(c, want + at, &got, plain + at, (int)unit) == 1);
    }
    EVP_CIPHER_CTX_free(c);
    CHECK(!memcmp(sealed, want, n));
    op.in = op.out = sealed;
    aes_xts_decrypt(&k, &op);
    CHECK(!memcmp(sealed, plain, n));
}

static void test_hash_once(void)
{
    uint8_t digest[40][32], right[32], key[100];
    const void *blocks[40];
    size_t n = some_size(), count = 1 + unit_random() % 40, key_size = unit_random() % 101;
    unsigned size = 0;
    randomise(plain, sizeof(plain));
    randomise(key, sizeof(key));
    sha256(plain, n, digest[0]);
    CHECK(!memcmp(SHA256(plain, n, NULL), digest[0], 32));

    struct sha256_state s;
    sha256_begin(&s);
    for (size_t at = 0; at < n;) {
        size_t step = MIN((size_t)(unit_random() % 150), n - at);
        sha256_update(&s, plain + at, step);
        at += step;
    }
    sha256_end(&s, right);
    CHECK(!memcmp(right, digest[0], 32));

    hmac_sha256(key, key_size, plain, n, right);
    CHECK(!memcmp(HMAC(EVP_sha256(), key, (int)key_size, plain, n, NULL, &size), right, 32));

    n %= 5000;
    if (unit_random() % 2)
        n &= ~63ull;
    for (size_t i = 0; i < count; i++)
        blocks[i] = plain + unit_random() % (SIZE_MAX_TESTED - n);
    sha256_many(blocks, n, count, digest);
    for (size_t i = 0; i < count; i++)
        CHECK(!memcmp(SHA256(blocks[i], n, NULL), digest[i], 32));
}

static void test_cmac_once(void)
{
    uint8_t key[16], mac[16], right[16];
    size_t n = some_size() % 300, got;
    randomise(key, sizeof(key));
    randomise(plain, n);
    aes128_cmac(key, plain, n, mac);
    CHECK(
        EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, 16, plain, n, right, 16, &got));
    CHECK(!memcmp(mac, right, 16));
}

static void test_random(void)
{
    uint8_t a[64] = {0}, b[64] = {0};
    unsigned ones = 0, seen[10] = {0};
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)));
    static uint8_t many[200000];
    memset(many, 0, sizeof(many));
    random_bytes(many + 1, sizeof(many) - 2);
    CHECK(many[0] == 0 && many[sizeof(many) - 1] == 0);
    for (size_t i = 0; i < sizeof(many); i++)
        ones += (unsigned)__builtin_popcount(many[i]);
    CHECK(ones > 797000 && ones < 803000); /* 800000, sigma 632 */
    for (int i = 0; i < 10000; i++)
        seen[random_below(10)]++;
    for (int i = 0; i < 10; i++)
        CHECK(seen[i] > 800 && seen[i] < 1200);
    CHECK_EQ(random_below(1), 0);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Best of several runs, in ns a call. */
#define TIME(text, bytes, body)                                                                \
    do {                                                                                       \
        double best_ = 1e18;                                                                   \
        for (int run_ = 0; run_ < 50; run_++) {                                                \
            uint64_t start_ = now_ns();                                                        \
            for (int i_ = 0; i_ < 100; i_++) {                                                 \
                body;                                                                          \
            }                                                                                  \
            double took_ = (double)(now_ns() - start_) / 100;                                  \
            best_ = took_ < best_ ? took_ : best_;                                             \
        }                                                                                      \
        printf("  %-28s %8.0f ns %7.2f GB/s\n", text, best_, (double)(bytes) / best_);         \
    } while (0)

static void measure(void)
{
    struct aes_gcm k;
    struct aes_xts x;
    uint8_t tag[16], nonce[12] = {0}, key[64] = {1}, digest[32][32];
    const void *blocks[32];
    for (int i = 0; i < 32; i++)
        blocks[i] = plain + 128 * i;
    struct aes_gcm_op op = {
        .nonce = nonce, .in = plain, .out = sealed, .size = 4096, .tag = tag};
    struct aes_xts_op xop = {.in = plain, .out = sealed, .size = 4096, .unit = 512};
    printf("%s\n", crypto_describe());
    TIME("aes-256-gcm init", 0, aes_gcm_init(&k, key, 32));
    TIME("aes-256-gcm seal 4 KiB", 4096, aes_gcm_seal(&k, &op));
    op.in = sealed;
    TIME("aes-256-gcm open 4 KiB", 4096, (void)!aes_gcm_open(&k, &op));
    op.size = 64;
    TIME("aes-256-gcm seal 64 B", 64, aes_gcm_seal(&k, &op));
    aes_xts_init(&x, key);
    TIME("aes-256-xts decrypt 8 x 512 B", 4096, aes_xts_decrypt(&x, &xop));
    xop.unit = 4096;
    TIME("aes-256-xts decrypt 4 KiB", 4096, aes_xts_decrypt(&x, &xop));
    TIME("sha256 4 KiB", 4096, sha256(plain, 4096, digest[0]));
    TIME("sha256 2 x 4 KiB", 8192, sha256_many(blocks, 4096, 2, digest));
    TIME("sha256 8 x 4 KiB", 32768, sha256_many(blocks, 4096, 8, digest));
    TIME("sha256 16 x 4 KiB", 65536, sha256_many(blocks, 4096, 16, digest));
    TIME("sha256 32 x 4 KiB", 131072, sha256_many(blocks, 4096, 32, digest));
    TIME("aes-128-cmac 384 B", 384, aes128_cmac(key, plain, 384, tag));
    TIME("random 16 B", 16, random_bytes(tag, 16));
    TIME("random 4 KiB", 4096, random_bytes(sealed, 4096));
}

static void run(uint64_t xfrm, uint32_t ebx, uint32_t ecx, bool speed)
{
    struct crypto_env env = {.xfrm = xfrm, .cpuid7_ebx = ebx, .cpuid7_ecx = ecx};
    uint64_t start = now_ns();
    crypto_init(&env);
    uint64_t took = now_ns() - start;
    if (speed) {
        printf("init and self-test %llu us\n", (unsigned long long)took / 1000);
        measure();
        return;
    }
    crypto_set_fence(begin, end);
    for (int i = 0; i < 400; i++) {
        test_gcm_once(i % 2 ? 16 : 32);
        test_xts_once();
        test_hash_once();
        test_cmac_once();
    }
    test_random();
    CHECK(most_fences > 4000 && depth == 0);
}

int main(int argc, char **argv)
{
    uint32_t eax, ebx = 0, ecx = 0, edx, low, high;
    __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t xfrm = low;
    run(xfrm, ebx, ecx, argc > 1);
    CHECK(crypto_paths.vaes512 ==
          ((xfrm & 0xe6) == 0xe6 && (ebx >> 16 & 1) && (ecx >> 9 & 3) == 3));
    run(xfrm & 7, ebx & ~(1u << 29), ecx, argc > 1); /* AVX2 */
    CHECK(!crypto_paths.vaes512 && !crypto_paths.sha512x && !crypto_paths.sha_ni);
    CHECK(crypto_paths.vaes == ((xfrm & 6) == 6 && (ebx >> 5 & 1) && (ecx >> 9 & 3) == 3));
    run(xfrm & 7, ebx, ecx & ~(3u << 9), argc > 1); /* SHA-NI without AVX-512 */
    CHECK(!crypto_paths.vaes);
    run(3, 0, 0, argc > 1);            /* what every SGX processor has */
    CHECK(!crypto_paths.avx2 && !crypto_paths.rdseed);
    return 0;
}
