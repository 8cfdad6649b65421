/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a store, with cryptography that believes everything: opened, walked, read,
 * checked, changed, committed and opened again. Errors are fine; a crash, a loop without end, a
 * leak of memory is not.
 *
 * LINK: image/sefs/port.c kernel/fs/sefs/[!v]*.c kernel/lib/radix.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "fs/sefs/store.h"
#include "image/sefs/port.h"
#include "lib/log.h"

#define BLOCKS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- cryptography that hides and proves nothing ---- */

void crypto_init(const struct crypto_env *env)
{
    (void)env;
}

void aes_gcm_init(struct aes_gcm *k, const uint8_t *key, size_t key_bytes)
{
    (void)k;
    (void)key;
    (void)key_bytes;
}

void aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op)
{
    (void)k;
    memmove(op->out, op->in, op->size);
    memset(op->tag, 0, AES_GCM_TAG);
}

int aes_gcm_open(const struct aes_gcm *k, const struct aes_gcm_op *op)
{
    (void)k;
    memmove(op->out, op->in, op->size);
    return 0;
}

/* Names are still told apart. */
void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_BYTES])
{
    (void)key;
    memset(out, 0, SHA256_BYTES);
    for (size_t i = 0; i < size && key_size == 32; i++)
        out[i % 7] ^= ((const uint8_t *)data)[i];
}

void sha256(const void *data, size_t size, uint8_t out[SHA256_BYTES])
{
    hmac_sha256(NULL, 32, data, size, out);
}

void random_bytes(void *out, size_t size)
{
    static uint64_t n;
    memset(out, 0, size);
    n++;
    memcpy(out, &n, size < 8 ? size : 8);
}

/* ---- the device ---- */

static uint8_t bytes[BLOCKS * SEFS_BLOCK];

static int fuzz_read(struct sefs_dev *d, uint64_t block, size_t count, void *out)
{
    (void)d;
    if (block >= BLOCKS || count > BLOCKS - block)
        return -EIO;
    memcpy(out, bytes + block * SEFS_BLOCK, count * SEFS_BLOCK);
    return 0;
}

static int fuzz_write(struct sefs_dev *d, uint64_t block, size_t count, const void *in)
{
    (void)d;
    if (block >= BLOCKS || count > BLOCKS - block)
        return -ENOSPC;
    memcpy(bytes + block * SEFS_BLOCK, in, count * SEFS_BLOCK);
    return 0;
}

static int fuzz_flush(struct sefs_dev *d)
{
    (void)d;
    return 0;
}

static int fuzz_punch(struct sefs_dev *d, uint64_t block, uint64_t count)
{
    (void)d;
    (void)block;
    (void)count;
    return 0;
}

static const struct sefs_dev_ops ops = {fuzz_read, fuzz_write, fuzz_flush, fuzz_punch};

/* ---- what is done with it ---- */

static void fetch(struct store *s, uint64_t ino)
{
    static uint8_t pages[STORE_FETCH_MAX][SEFS_BLOCK];
    void *out[STORE_FETCH_MAX];
    struct store_fetch *f = store_fetch_new();
    for (size_t i = 0; i < STORE_FETCH_MAX; i++)
        out[i] = pages[i];
    int n = f ? store_locate(s, ino, 0, STORE_FETCH_MAX, f) : 0;
    if (n > (int)STORE_FETCH_MAX)
        abort();
    if (n > 0)
        (void)!store_fetch(f, out);
    store_fetch_free(f);
}

static void visit(struct store *s, uint64_t ino)
{
    static uint8_t page[SEFS_BLOCK];
    static char text[70000];
    void *out[1] = {page};
    uint64_t start = 0, end = 0;
    struct sefs_inode i;
    (void)!store_inode_get(s, ino, &i);
    (void)!store_readlink(s, ino, text, 4096);
    ssize_t n = store_xattr_list(s, ino, text, sizeof(text));
    if (n > 0)
        (void)!store_xattr_get(s, ino, "user.a", text, sizeof(text));
    for (int k = 0; k < 10 && store_next_data(s, ino, end, &start, &end) == 1; k++)
        (void)!store_read(s, ino, start, out, 1);
    fetch(s, ino);
}

static void change(struct store *s)
{
    static uint8_t page[SEFS_BLOCK];
    struct store_new n = {.mode = 0100600};
    struct store_rename mv = {1, 1, "new", "a", false};
    uint64_t ino;
    struct store_xattr x = {.name = "user.a", .value = page, .size = 3000};
    if (store_create(s, 1, "new", &n, &ino) == 0) {
        struct store_page p[2] = {{ino, 0, page}, {ino, 9, page}};
        (void)!store_write(s, p, 2);
        (void)!store_xattr_set(s, ino, &x);
        (void)!store_rename(s, &mv);
    }
    if (store_lookup(s, 1, "b", &ino) == 0) {
        (void)!store_punch(s, ino, 1, 3);
        (void)!store_reserve(s, ino, 0, 20);
        (void)!store_shift(s, ino, 1, 1);
        (void)!store_unlink(s, 1, "b");
    }
    (void)!store_remove_orphans(s);
}

static const uint8_t key[32];

static void use(bool write)
{
    struct sefs_dev dev = {&ops};
    struct store_params p = {
        .key = key, .key_size = 32, .limit_blocks = BLOCKS, .cache_nodes = 64, .name = "fuzz"};
    struct store_check c = {0};
    struct store_entry e = {0};
    struct store *s;
    if (store_open(&dev, &p, &s) < 0)
        return;
    for (int k = 0; k < 100 && store_readdir(s, SEFS_ROOT_INO, e.cookie, &e) == 1; k++)
        visit(s, e.ino);
    (void)!store_check(s, &c);
    if (write) {
        change(s);
        (void)!store_commit(s);
    }
    store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    port_log_quiet = true;
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
    use(true);
    use(false);
    if (port_live != 0)
        abort();
    return 0;
}
