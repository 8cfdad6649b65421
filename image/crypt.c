/* SPDX-License-Identifier: BSD-3-Clause */
/* Encrypts an image as dm-crypt does with aes-xts-plain64: sectors of 512 bytes, numbered. */
#include "image/crypt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define SECTOR 512u

int crypt_key(const uint8_t *key, size_t size, uint8_t xts[CRYPT_KEY])
{
    unsigned n;
    return HMAC(EVP_sha256(), key, (int)size, (const uint8_t *)"occlum image 1", 14, xts, &n) &&
           HMAC(EVP_sha256(), key, (int)size, (const uint8_t *)"occlum image 2", 14, xts + 32,
                &n);
}

int crypt_blocks(const uint8_t xts[CRYPT_KEY], uint64_t first, uint8_t *data, uint64_t blocks)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int ok = c != NULL;

    for (uint64_t i = 0; ok && i < blocks * (IMAGE_BLOCK / SECTOR); i++) {
        uint64_t sector = first * (IMAGE_BLOCK / SECTOR) + i;
        uint8_t iv[16] = {0}, *at = data + i * SECTOR;
        int n;

        memcpy(iv, &sector, sizeof(sector));
        ok = EVP_EncryptInit_ex(c, i ? NULL : EVP_aes_256_xts(), NULL, i ? NULL : xts, iv) &&
             EVP_EncryptUpdate(c, at, &n, at, SECTOR) && n == SECTOR;
    }
    EVP_CIPHER_CTX_free(c);
    return ok;
}
