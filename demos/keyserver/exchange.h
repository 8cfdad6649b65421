/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What server and client say to each other, over TCP:
 *   server: its TARGETINFO
 *   client: a REPORT for it, whose data is the SHA-256 of the public key that follows
 *   server: a struct answer
 * Both sides use X25519 with a key for this once; the image key is under AES-256-GCM.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SELF_TARGET   0x82007303ul
#define CREATE_REPORT 0xc0187304ul
#define VERIFY_REPORT 0x41b07305ul
#define REPORT        432
#define REPORT_FLAGS  48 /* attributes; bit 1: debug */
#define REPORT_ENCL   64
#define REPORT_DATA   320

struct answer {
    uint8_t refused; /* 1: nothing else counts */
    uint8_t public[32], nonce[12], key[16], tag[16];
};

static inline int sgx(unsigned long request, void *arg)
{
    int fd = open("/dev/sgx", O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -1 : ioctl(fd, request, arg);

    if (fd >= 0)
        close(fd);
    return r;
}

static inline int all(ssize_t (*move)(int, void *, size_t), int fd, void *p, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = move(fd, (char *)p + done, size - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static inline ssize_t send_some(int fd, void *p, size_t n)
{
    return write(fd, p, n);
}

static inline int get(int fd, void *p, size_t size)
{
    return all(read, fd, p, size);
}

static inline int put(int fd, void *p, size_t size)
{
    return all(send_some, fd, p, size);
}

static inline EVP_PKEY *new_key(uint8_t public[32])
{
    size_t size = 32;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

    if (key)
        EVP_PKEY_get_raw_public_key(key, public, &size);
    return key;
}

static inline void digest(const void *p, size_t size, uint8_t out[32])
{
    unsigned n = 32;

    EVP_Digest(p, size, out, &n, EVP_sha256(), NULL);
}

/* The key of this exchange: the same on both sides. */
static inline int agree(EVP_PKEY *mine, const uint8_t theirs[32], const uint8_t client[32],
                        const uint8_t server[32], uint8_t out[32])
{
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, 32);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    uint8_t text[96];
    size_t size = 32;
    int good = peer && ctx && EVP_PKEY_derive_init(ctx) > 0 &&
               EVP_PKEY_derive_set_peer(ctx, peer) > 0 && EVP_PKEY_derive(ctx, text, &size) > 0;

    memcpy(text + 32, client, 32);
    memcpy(text + 64, server, 32);
    digest(text, sizeof(text), out);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    return good ? 0 : -1;
}

/* The image key goes in or out of the answer. */
static inline int crypt_key(int seal, const uint8_t session[32], struct answer *a,
                            uint8_t key[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, good;

    good = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, session, a->nonce, seal) > 0 &&
           EVP_CipherUpdate(c, seal ? a->key : key, &n, seal ? key : a->key, 16) > 0;
    if (good && !seal)
        good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, a->tag) > 0;
    good = good && EVP_CipherFinal_ex(c, a->tag, &n) > 0;
    if (good && seal)
        good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, a->tag) > 0;
    EVP_CIPHER_CTX_free(c);
    return good ? 0 : -1;
}
