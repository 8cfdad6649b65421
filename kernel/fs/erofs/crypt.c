/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An encrypted image: dm-crypt's aes-xts-plain64 over sectors of 512 bytes, with the hash tree
 * above the ciphertext; so nothing is decrypted that has not been verified. The XTS key comes
 * from the image key by HMAC-SHA256, see docs/image.md.
 */
#include "abi/errno.h"
#include "crypto/aes.h"
#include "crypto/sha256.h"
#include "enclave/boot.h"
#include "fs/erofs/erofs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define SECTOR  512u
#define KEY_MAX 32u

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

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* XX-XX-...: 16 or 32 bytes; how many, or -EINVAL. */
static int parse_key(const char *text, uint8_t key[KEY_MAX])
{
    size_t n = 0;
    for (; *text; text += text[2] == '-' ? 3 : 2) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0 || n == KEY_MAX)
            return -EINVAL;
        key[n++] = (uint8_t)(high << 4 | low);
    }
    return n == 16 || n == 32 ? (int)n : -EINVAL;
}

/* In the measured configuration, or handed over by whoever starts us. */
static const char *find_key(const char *options)
{
    if (options && str_starts(options, "key="))
        return options + 4;
    for (char **e = boot_args.envp; e && *e; e++) {
        if (str_starts(*e, "OCCLUM_IMAGE_KEY="))
            return *e + 17;
    }
    return NULL;
}

int crypt_open(const char *options, struct block_source *below, struct block_source **out)
{
    uint8_t key[KEY_MAX], xts[AES_XTS_KEY];
    const char *text = find_key(options);
    int n = text ? parse_key(text, key) : -ENOKEY;
    struct crypt *c = n > 0 ? kzalloc(sizeof(*c)) : NULL;
    if (!c) {
        log_always("the image is encrypted: %s",
                   text ? "the key makes no sense" : "run it with --image-key FILE");
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
