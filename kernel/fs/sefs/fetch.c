/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading contents without the store's lock: where the blocks lie, and the keys that open them,
 * are taken along. What is done to the file meanwhile can make a block another one's; then it
 * does not open, and whoever asked reads again under the lock, which decides and complains.
 */
#include "abi/errno.h"
#include "fs/sefs/internal.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define KEYS 2u /* that neighbours were written with; the rest waits for the next time */

struct place {
    uint64_t block; /* 0: a hole */
    uint32_t key;
    uint8_t tag[SEFS_TAG];
};

struct store_fetch {
    struct sefs_dev *dev;
    uint32_t count, keys;
    struct place places[STORE_FETCH_MAX];
    uint8_t salts[KEYS][SEFS_SALT];
    struct aes_gcm gcm[KEYS];
    uint8_t *bounce;
};

struct store_fetch *store_fetch_new(void)
{
    struct store_fetch *f = kzalloc(sizeof(*f));
    uint8_t *bounce = f ? kmalloc(STORE_FETCH_MAX * SEFS_BLOCK) : NULL;
    if (bounce) {
        f->bounce = bounce;
        return f;
    }
    kfree(f);
    return NULL;
}

void store_fetch_free(struct store_fetch *f)
{
    if (!f)
        return;
    memzero_secret(f->gcm, sizeof(f->gcm));
    memzero_secret(f->bounce, STORE_FETCH_MAX * SEFS_BLOCK);
    kfree(f->bounce);
    kfree(f);
}

/* Which of the keys is the salt's; KEYS: there is no room for one more. */
static uint32_t key_for(struct store *s, struct store_fetch *f, const uint8_t salt[SEFS_SALT])
{
    uint32_t k = 0;
    while (k < f->keys && memcmp(f->salts[k], salt, SEFS_SALT) != 0)
        k++;
    if (k == f->keys && k < KEYS) {
        memcpy(f->salts[k], salt, SEFS_SALT);
        f->gcm[k] = *key_of_salt(s, salt);
        f->keys++;
    }
    return k;
}

int store_locate(struct store *s, uint64_t ino, uint64_t first, size_t count,
                 struct store_fetch *f)
{
    uint64_t end = first + MIN(count, (size_t)STORE_FETCH_MAX), at = first;
    struct extent e;
    int r = 0;
    f->dev = s->dev;
    f->keys = 0;
    memset(f->places, 0, sizeof(f->places));
    nodes_trim(s);
    while (at < end && (r = extent_find(s, ino, at, &e)) == 0 && e.first < end) {
        at = MAX(at, e.first);
        uint64_t stop = MIN(e.end, end);
        uint32_t k = 0;
        bool hole = e.disk->flags & SEFS_EXTENT_RESERVED;
        if (!hole && (k = key_for(s, f, e.disk->salt)) == KEYS)
            break;
        for (; at < stop; at++) {
            struct place *p = &f->places[at - first];
            if (hole)
                continue;
            *p = (struct place){.block = e.disk->block + (at - e.first), .key = k};
            memcpy(p->tag, e.disk->tags[at - e.first], SEFS_TAG);
        }
    }
    if (r < 0 && r != -ENOENT)
        return r;
    bool more = r == 0 && at < end && e.first < end;
    f->count = (uint32_t)((more ? at : end) - first);
    return (int)f->count;
}

static int open_place(struct store_fetch *f, struct place *p, const void *in, void *out)
{
    uint8_t nonce[AES_GCM_NONCE];
    block_nonce(nonce, p->block);
    struct aes_gcm_op op = {
        .nonce = nonce, .in = in, .out = out, .size = SEFS_BLOCK, .tag = p->tag};
    return aes_gcm_open(&f->gcm[p->key], &op);
}

/* Blocks side by side, from the `i`th on: how many. */
static uint32_t run_at(const struct store_fetch *f, uint32_t i)
{
    uint32_t n = 1;
    while (i + n < f->count && f->places[i + n].block == f->places[i].block + n)
        n++;
    return n;
}

int store_fetch(struct store_fetch *f, void *const out[])
{
    for (uint32_t i = 0, n; i < f->count; i += n) {
        struct place *p = &f->places[i];
        n = p->block ? run_at(f, i) : 1;
        if (!p->block)
            continue;
        uint8_t *raw = n == 1 ? out[i] : f->bounce;
        if (f->dev->ops->read(f->dev, p->block, n, raw) < 0)
            return -EAGAIN;
        for (uint32_t k = 0; k < n; k++) {
            if (open_place(f, p + k, raw + k * SEFS_BLOCK, out[i + k]) < 0)
                return -EAGAIN;
        }
    }
    return 0;
}
