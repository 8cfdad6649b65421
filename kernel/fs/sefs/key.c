/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys, sealed blocks, and their way to the device.
 *
 * All keys come from the master key and the store's random id by HMAC-SHA256. What one commit
 * writes is sealed under a key of its own, derived from a random salt; the nonce is the block's
 * number, and within a commit no block is written twice. So no pair of key and nonce comes
 * back, whatever the host does to the file: after a crash, or when an old copy is put in place,
 * the next salt is another one.
 */
#include "abi/errno.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"

#define GROW_BLOCKS 16u

static void expand(const uint8_t prk[32], const char *label, uint8_t out[32])
{
    uint8_t text[32] = {0};
    size_t n = strnlen(label, sizeof(text) - 1);
    memcpy(text, label, n);
    text[n] = 1; /* HKDF-Expand, first block */
    hmac_sha256(prk, 32, text, n + 1, out);
}

void keys_derive(struct store_keys *k, const struct store_params *p, const uint8_t id[32])
{
    uint8_t prk[32];
    hmac_sha256(id, 32, p->key, p->key_size, prk);
    expand(prk, "sefs super", k->super);
    expand(prk, "sefs root", k->root);
    expand(prk, "sefs block", k->block);
    expand(prk, "sefs name", k->name);
    memzero_secret(prk, sizeof(prk));
}

const struct aes_gcm *key_of_salt(struct store *s, const uint8_t salt[SEFS_SALT])
{
    struct block_key *k = &s->key_cache[salt[0] % KEY_CACHE];
    if (likely(k->valid && memcmp(k->salt, salt, SEFS_SALT) == 0))
        return &k->gcm;
    uint8_t key[32];
    hmac_sha256(s->keys.block, 32, salt, SEFS_SALT, key);
    aes_gcm_init(&k->gcm, key, sizeof(key));
    memzero_secret(key, sizeof(key));
    memcpy(k->salt, salt, SEFS_SALT);
    k->valid = true;
    return &k->gcm;
}

void block_nonce(uint8_t nonce[AES_GCM_NONCE], uint64_t block)
{
    memset(nonce, 0, AES_GCM_NONCE);
    memcpy(nonce, &block, sizeof(block));
}

void block_seal(struct store *s, uint64_t block, const void *in, void *out,
                struct sefs_ptr *ptr)
{
    uint8_t nonce[AES_GCM_NONCE];
    block_nonce(nonce, block);
    ptr->block = block;
    memcpy(ptr->salt, s->salt, SEFS_SALT);
    struct aes_gcm_op op = {
        .nonce = nonce, .in = in, .out = out, .size = SEFS_BLOCK, .tag = ptr->tag};
    aes_gcm_seal(key_of_salt(s, s->salt), &op);
}

int block_open(struct store *s, const struct sefs_ptr *ptr, const void *in, void *out)
{
    uint8_t nonce[AES_GCM_NONCE], tag[AES_GCM_TAG];
    block_nonce(nonce, ptr->block);
    memcpy(tag, ptr->tag, sizeof(tag));
    struct aes_gcm_op op = {
        .nonce = nonce, .in = in, .out = out, .size = SEFS_BLOCK, .tag = tag};
    if (likely(aes_gcm_open(key_of_salt(s, ptr->salt), &op) == 0))
        return 0;
    log_always("sefs %s: block %lu is not what was written there", s->name,
               (unsigned long)ptr->block);
    return -EIO;
}

int block_read(struct store *s, const struct sefs_ptr *ptr, void *out)
{
    int r = s->dev->ops->read(s->dev, ptr->block, 1, out);
    if (r < 0) {
        log_always("sefs %s: block %lu: error %d of the host", s->name,
                   (unsigned long)ptr->block, -r);
        return -EIO;
    }
    return block_open(s, ptr, out, out);
}

/* ---- root slots ---- */

static void slot_key(const struct store_keys *k, const struct sefs_slot *slot,
                     struct aes_gcm *out)
{
    uint8_t key[32];
    hmac_sha256(k->root, 32, slot->salt, sizeof(slot->salt), key);
    aes_gcm_init(out, key, sizeof(key));
    memzero_secret(key, sizeof(key));
}

/* The cache's first entry lends its place: a GCM key is too large for the stack. */
void slot_seal(struct store *s, const struct sefs_root *root, struct sefs_slot *out)
{
    static const uint8_t nonce[AES_GCM_NONCE];
    struct block_key *place = &s->key_cache[0];
    memset(out, 0, sizeof(*out));
    random_bytes(out->salt, sizeof(out->salt));
    out->generation = root->generation;
    memcpy(out->body, root, sizeof(*root));
    place->valid = false;
    slot_key(&s->keys, out, &place->gcm);
    struct aes_gcm_op op = {.nonce = nonce,
                            .aad = out,
                            .aad_size = SEFS_SLOT_AAD,
                            .in = out->body,
                            .out = out->body,
                            .size = sizeof(out->body),
                            .tag = out->tag};
    aes_gcm_seal(&place->gcm, &op);
}

static int slot_decrypt(struct store *s, struct sefs_slot *slot)
{
    static const uint8_t nonce[AES_GCM_NONCE];
    struct block_key *place = &s->key_cache[0];
    place->valid = false;
    slot_key(&s->keys, slot, &place->gcm);
    struct aes_gcm_op op = {.nonce = nonce,
                            .aad = slot,
                            .aad_size = SEFS_SLOT_AAD,
                            .in = slot->body,
                            .out = slot->body,
                            .size = sizeof(slot->body),
                            .tag = slot->tag};
    return aes_gcm_open(&place->gcm, &op);
}

int slot_open(struct store *s, struct sefs_slot *slot, struct sefs_root *out)
{
    int r = slot_decrypt(s, slot);
    if (r < 0)
        return r;
    memcpy(out, slot->body, sizeof(*out));
    bool sane = out->generation == slot->generation && out->height >= 1 &&
                out->height <= SEFS_HEIGHT && out->group_count <= SEFS_GROUPS_MAX &&
                out->delta_count <= SEFS_DELTA_MAX && out->next_ino <= SEFS_INO_MAX;
    return sane ? 0 : -EIO;
}

void super_mac(const struct store_keys *k, const struct sefs_super *s, uint8_t out[32])
{
    hmac_sha256(k->super, 32, s, offsetof(struct sefs_super, mac), out);
}

/* Positions in directories are made of hashes: 60 bits, not 0. */
uint64_t name_hash(const struct store *s, const char *name, size_t len)
{
    uint8_t out[32];
    uint64_t h;
    hmac_sha256(s->keys.name, 32, name, len, out);
    memcpy(&h, out, sizeof(h));
    h &= (1ull << 60) - 1;
    return h ? h : 1;
}

/* ---- the writer ---- */

/* A file of the host that grows has to be committed there, too, when it is flushed. A short
 * write at its end takes free blocks along, so that the next ones find them given. */
static size_t lengthened(struct store *s)
{
    struct writer *w = &s->writer;
    uint64_t end = w->start + w->count, to = align_up(end, GROW_BLOCKS);
    if (end <= w->end)
        return w->count;
    w->end = end;
    if (w->count >= GROW_BLOCKS || to > s->space.limit)
        return w->count;
    memset(w->buffer + w->count * SEFS_BLOCK, 0, (to - end) * SEFS_BLOCK);
    w->end = to;
    return w->count + (to - end);
}

int writer_flush(struct store *s)
{
    struct writer *w = &s->writer;
    if (!w->count)
        return 0;
    int r = s->dev->ops->write(s->dev, w->start, lengthened(s), w->buffer);
    w->count = 0;
    return r;
}

int writer_put(struct store *s, uint64_t block, const void *data, struct sefs_ptr *ptr)
{
    struct writer *w = &s->writer;
    if (w->count && (w->count == WRITER_BLOCKS || block != w->start + w->count)) {
        int r = writer_flush(s);
        if (r < 0)
            return r;
    }
    if (!w->count)
        w->start = block;
    block_seal(s, block, data, w->buffer + w->count * SEFS_BLOCK, ptr);
    w->count++;
    s->written++;
    return 0;
}
