/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Known answers, at every boot, for the paths that were chosen: a wrong binary interface or
 * broken hardware ends here and not in somebody's data. Takes some microseconds.
 */
#include "crypto/aes.h"
#include "crypto/internal.h"
#include "crypto/sha256.h"
#include "lib/log.h"
#include "lib/string.h"

#define MESSAGE 333

static const uint8_t gcm_tags[2][16] = {
    {0x23, 0xba, 0x3e, 0x71, 0x5a, 0x0f, 0xda, 0x8f, 0x8f, 0xee, 0x82, 0x0c, 0x08, 0xb8, 0xf1,
     0x4d},
    {0xf8, 0xb3, 0xda, 0x26, 0xa3, 0x51, 0x18, 0x50, 0xb6, 0x4c, 0x70, 0x9b, 0x81, 0x78, 0x03,
     0xd0},
};
static const uint8_t xts_digest[32] = {0x72, 0x6e, 0xa7, 0x45, 0x2f, 0x94, 0xa6, 0x6e,
                                       0xff, 0xea, 0xc7, 0xf8, 0x54, 0x18, 0xb2, 0x4d,
                                       0x48, 0x44, 0x77, 0xf3, 0x6c, 0xa4, 0x3d, 0xda,
                                       0x13, 0x6c, 0x74, 0xe3, 0x9f, 0xe4, 0x30, 0xe6};
static const uint8_t digest_333[32] = {0xaf, 0x87, 0x16, 0x09, 0x86, 0x43, 0xf5, 0xe1,
                                       0xc9, 0x37, 0xde, 0x3b, 0x89, 0x17, 0x37, 0xb4,
                                       0x62, 0x81, 0x31, 0x29, 0xcb, 0xf6, 0x7c, 0x6e,
                                       0x83, 0xb8, 0x1c, 0xf4, 0x39, 0x66, 0x56, 0x0c};
static const uint8_t digest_128[32] = {0x54, 0xc9, 0xeb, 0x04, 0x1b, 0xad, 0xfd, 0x70,
                                       0x64, 0x64, 0x50, 0x67, 0xb1, 0x07, 0x66, 0x1f,
                                       0xed, 0x61, 0x13, 0x19, 0x7c, 0xe2, 0xdd, 0x06,
                                       0x6b, 0xa6, 0x96, 0x18, 0xab, 0xd3, 0x73, 0x2f};
static const uint8_t mac[16] = {0x49, 0xdd, 0xe2, 0x23, 0x98, 0xfd, 0x87, 0x79,
                                0x36, 0x43, 0x0a, 0x2d, 0xe9, 0x01, 0xe1, 0x4d};
static const uint8_t drbg_output[40] = {
    0xef, 0x16, 0xc9, 0xde, 0xb1, 0x16, 0xd3, 0x6c, 0x17, 0x33, 0xb5, 0x7e, 0x09, 0xdc,
    0x98, 0x1f, 0x96, 0xf6, 0xe3, 0xbc, 0xb4, 0xf6, 0xac, 0xa0, 0x3d, 0xf4, 0x90, 0xbf,
    0xa7, 0xd8, 0xcf, 0xa6, 0x14, 0x69, 0xca, 0xb2, 0x31, 0x19, 0x8f, 0x07};

static struct {
    uint8_t key[AES_XTS_KEY], message[MESSAGE], out[MESSAGE];
    struct aes_gcm gcm;
    struct aes_xts xts;
} area;

static void require(bool right, const char *what)
{
    if (!right)
        panic("self-test of %s failed", what);
}

static void test_gcm(size_t key_bytes)
{
    uint8_t tag[AES_GCM_TAG];
    const uint8_t *want = gcm_tags[key_bytes == 32];
    struct aes_gcm_op op = {.nonce = area.key + 32,
                            .aad = area.key,
                            .aad_size = 20,
                            .in = area.message,
                            .out = area.out,
                            .size = MESSAGE,
                            .tag = tag};
    aes_gcm_init(&area.gcm, area.key, key_bytes);
    aes_gcm_seal(&area.gcm, &op);
    require(!memcmp(tag, want, sizeof(tag)), "AES-GCM");
    op.in = area.out;
    require(aes_gcm_open(&area.gcm, &op) == 0 && !memcmp(area.out, area.message, MESSAGE),
            "AES-GCM decryption");
    tag[3] ^= 1;
    require(aes_gcm_open(&area.gcm, &op) != 0, "AES-GCM authentication");
}

static void test_xts(void)
{
    uint8_t digest[SHA256_BYTES];
    struct aes_xts_op op = {
        .in = area.message, .out = area.out, .size = 208, .unit = 208, .sector = 5};
    aes_xts_init(&area.xts, area.key);
    aes_xts_encrypt(&area.xts, &op);
    sha256(area.out, 208, digest);
    require(!memcmp(digest, xts_digest, sizeof(digest)), "AES-XTS");
    op.in = area.out;
    aes_xts_decrypt(&area.xts, &op);
    require(!memcmp(area.out, area.message, 208), "AES-XTS decryption");
}

static void test_sha256(size_t count)
{
    uint8_t digest[SHA_LANES][SHA256_BYTES];
    const void *blocks[SHA_LANES] = {NULL};
    for (size_t i = 0; i < count; i++)
        blocks[i] = area.message;
    sha256_many(blocks, 128, count, digest);
    for (size_t i = 0; i < count; i++)
        require(!memcmp(digest[i], digest_128, sizeof(digest_128)), "SHA-256 in lanes");
}

void crypto_self_test(void)
{
    uint8_t out[40];
    for (size_t i = 0; i < sizeof(area.key); i++)
        area.key[i] = (uint8_t)i;
    for (size_t i = 0; i < MESSAGE; i++)
        area.message[i] = (uint8_t)(i * 7);
    sha256(area.message, MESSAGE, out);
    require(!memcmp(out, digest_333, sizeof(digest_333)), "SHA-256");
    test_sha256(1);
    test_sha256(3);
    test_sha256(8);
    test_sha256(SHA_LANES);
    test_gcm(16);
    test_gcm(32);
    test_xts();
    aes128_cmac(area.key, area.message, MESSAGE, out);
    require(!memcmp(out, mac, sizeof(mac)), "AES-CMAC");
    random_test_vector(area.message, out, sizeof(out));
    require(!memcmp(out, drbg_output, sizeof(out)), "the random generator");
    memset(&area, 0, sizeof(area));
}
