/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An encrypted image: dm-crypt's aes-xts-plain64 over sectors of 512 bytes, with the hash tree
 * above the ciphertext; so nothing is decrypted that has not been verified. The XTS key comes
 * from the image key by HMAC-SHA256, see docs/image.md.
 */
#include "abi/errno.h"
#include "crypto/aes.h"
#include "crypto/sha256.h"
#include "fs/core/image_key.h"
#include "fs/erofs/erofs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define SECTOR 512u

struct crypt {
    struct block_source source;
    struct block_source *below;
    struct aes_xts key;
};

static int crypt_read(struct block_source *s, uint64_t block, void *const pages[], size_t count)
{
    struct crypt *c = container_of(s, struct crypt, source);
    int r = c->below->read(c->below, block, pages, count);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct aes_xts_op op = {.in = pages[i],
                                .out = pages[i],
                                .size = EROFS_BLOCK,
                                .unit = SECTOR,
                                .sector = (block + i) * (EROFS_BLOCK / SECTOR)};
        aes_xts_decrypt(&c->key, &op);
    }
    return r;
}

static void crypt_free(struct block_source *s)
{
    struct crypt *c = container_of(s, struct crypt, source);
    c->below->free(c->below);
    memzero_secret(&c->key, sizeof(c->key));
    kfree(c);
}

/* In the measured configuration, which then is the image key for all; or given otherwise. */
static int find_key(const char *options, uint8_t key[IMAGE_KEY_MAX])
{
    if (!options || !str_starts(options, "key="))
        return image_key_get(key);
    int n = key_parse(options + 4, key, IMAGE_KEY_MAX);
    if (n != 16 && n != 32)
        return -EINVAL;
    image_key_set(key, (size_t)n);
    return n;
}

int crypt_open(const char *options, struct block_source *below, struct block_source **out)
{
    uint8_t key[IMAGE_KEY_MAX], xts[AES_XTS_KEY];
    int n = find_key(options, key);
    struct crypt *c = n > 0 ? kzalloc(sizeof(*c)) : NULL;
    if (!c) {
        log_always("the image is encrypted: %s",
                   n == -ENOKEY ? "run it with --image-key FILE" : "the key makes no sense");
        return n < 0 ? n : -ENOMEM;
    }
    hmac_sha256(key, (size_t)n, "occlum image 1", 14, xts);
    hmac_sha256(key, (size_t)n, "occlum image 2", 14, xts + 32);
    aes_xts_init(&c->key, xts);
    memzero_secret(key, sizeof(key));
    memzero_secret(xts, sizeof(xts));
    c->source = (struct block_source){below->blocks, crypt_read, crypt_free};
    c->below = below;
    *out = &c->source;
    return 0;
}
