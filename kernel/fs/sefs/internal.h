/* SPDX-License-Identifier: BSD-3-Clause */
/* The store from the inside: keys, space, tree, commits. */
#pragma once

#include "crypto/aes.h"
#include "fs/sefs/store.h"

/* ---- keys and sealed blocks: key.c ---- */

struct block_key {
    uint8_t salt[SEFS_SALT];
    bool valid;
    struct aes_gcm gcm;
};
#define KEY_CACHE 64u

struct store_keys {
    uint8_t super[32], root[32], block[32], name[32];
};
void keys_derive(struct store_keys *k, const struct store_params *p, const uint8_t id[32]);
/* The key of all blocks written under a salt. */
const struct aes_gcm *key_of_salt(struct store *s, const uint8_t salt[SEFS_SALT]);
void block_nonce(uint8_t nonce[AES_GCM_NONCE], uint64_t block);
void block_seal(struct store *s, uint64_t block, const void *in, void *out,
                struct sefs_ptr *ptr);
/* -EIO with a line in the log. */
int block_open(struct store *s, const struct sefs_ptr *ptr, const void *in,
               void *out) MUST_CHECK;
int block_read(struct store *s, const struct sefs_ptr *ptr, void *out) MUST_CHECK;
void slot_seal(struct store *s, const struct sefs_root *root, struct sefs_slot *out);
/* Decrypts in place. */
int slot_open(struct store *s, struct sefs_slot *slot, struct sefs_root *out) MUST_CHECK;
void super_mac(const struct store_keys *k, const struct sefs_super *s, uint8_t out[32]);
uint64_t name_hash(const struct store *s, const char *name, size_t len);

/* Blocks on their way to the device, contiguous ones together. */
#define WRITER_BLOCKS 64u
struct writer {
    uint8_t *buffer;
    uint64_t start;
    size_t count;
    uint64_t end; /* no block from here on has been written, or has been and is free */
};
/* Seals a block and takes it over; may write. */
int writer_put(struct store *s, uint64_t block, const void *data,
               struct sefs_ptr *ptr) MUST_CHECK;
int writer_flush(struct store *s) MUST_CHECK;

/* ---- space: space.c ---- */

struct group {
    uint64_t used[SEFS_GROUP / 64];
    uint64_t held[SEFS_GROUP / 64]; /* used, or still needed by the last commit */
    uint64_t pend[SEFS_GROUP / 64]; /* free once the commit under way is durable */
    uint32_t free;                  /* not held */
    uint32_t longest;               /* no run of free blocks is longer */
    bool dirty, flushing, placed, touched, pending;
    struct sefs_ptr map;
};

struct space {
    struct group **groups; /* SEFS_GROUPS_MAX */
    uint32_t count;
    uint64_t used, held;
    uint64_t limit;
    uint64_t follow; /* behind the data that was placed last, if nodes fit there; or 0 */
    uint32_t delta_count;
    bool delta_full;
    uint64_t delta[SEFS_DELTA_MAX];
    struct sefs_ptr index[SEFS_INDEX_MAX];
    bool index_placed[SEFS_INDEX_MAX];
};
int space_load(struct store *s, const struct sefs_root *root) MUST_CHECK;
void space_drop(struct store *s);
/* A run of up to `want` blocks, marked used; 0: none left, else its length. */
uint32_t space_alloc(struct store *s, uint32_t want, uint64_t *start);
/* As that: for contents, and for the nodes that are written behind them. */
uint32_t space_alloc_data(struct store *s, uint32_t want, uint64_t *start);
uint32_t space_alloc_nodes(struct store *s, uint32_t want, uint64_t *start);
/* Not to be used again before the commit that no longer refers to it is durable. */
void space_free(struct store *s, uint64_t start, uint64_t count);
bool space_is_used(const struct store *s, uint64_t block);
/* Writes bitmaps if the changes do not fit into the root. */
int space_write(struct store *s, struct sefs_root *root) MUST_CHECK;
void space_freeze(struct store *s);
void space_end(struct store *s, bool durable);
/* Sets bits while loading; -EIO if they make no sense. */
int space_claim(struct store *s, uint64_t start, uint64_t count, bool used) MUST_CHECK;

/* ---- nodes: node.c ---- */

#define NODE_MEMORY                                                                            \
    (1ull << 63) /* an id that is not a place: a node changed since the commit */

struct bnode {
    struct bnode *chain;
    uint64_t id;
    struct list list;      /* clean: by use; dirty; sealed; spare */
    struct sefs_ptr *back; /* while sealed: where the parent names it */
    union {
        uint8_t *data;
        struct sefs_node *head;
    };
};
#define NODE_BUCKETS 4096u

struct nodes {
    struct bnode *buckets[NODE_BUCKETS];
    struct list clean, dirty, sealed, spare;
    uint32_t clean_count, dirty_count, spare_count, limit;
    uint64_t next_id;
};
int node_get(struct store *s, const struct sefs_ptr *ptr, unsigned level,
             struct bnode **out) MUST_CHECK;
/* Moves it to memory if it is not there; *ptr, in the parent, follows. */
void node_make_dirty(struct store *s, struct bnode *n, struct sefs_ptr *ptr);
/* Empty and dirty, from the spares; never fails after nodes_prepare(). */
struct bnode *node_new(struct store *s, unsigned level);
void node_free(struct store *s, struct bnode *n);
int nodes_prepare(struct store *s) MUST_CHECK;
void nodes_trim(struct store *s);
void nodes_drop(struct store *s);
int nodes_seal(struct store *s) MUST_CHECK;
void nodes_unseal(struct store *s);
void nodes_settle(struct store *s);
bool node_valid(const struct sefs_node *n, unsigned level);

static inline struct sefs_slot_leaf *leaf_slots(const struct bnode *n)
{
    return (struct sefs_slot_leaf *)(n->data + sizeof(struct sefs_node));
}
static inline struct sefs_slot_inner *inner_slots(const struct bnode *n)
{
    return (struct sefs_slot_inner *)(n->data + sizeof(struct sefs_node));
}
/* What an item takes of a leaf. */
static inline uint32_t value_space(size_t size)
{
    return (uint32_t)align_up(size, 8);
}
static inline int key_compare(struct sefs_key a, struct sefs_key b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

/* ---- the tree: btree.c ---- */

struct item {
    struct sefs_key key;
    void *value; /* in a node: valid until the next call */
    size_t size;
};
/* -ENOENT. */
int btree_find(struct store *s, struct sefs_key key, struct item *out) MUST_CHECK;
/* The first item at or after `key`; -ENOENT: none. */
int btree_next(struct store *s, struct sefs_key key, struct item *out) MUST_CHECK;
/* The last item at or before `key`; -ENOENT: none. */
int btree_prev(struct store *s, struct sefs_key key, struct item *out) MUST_CHECK;
/* Puts it there, or replaces it. */
int btree_set(struct store *s, struct sefs_key key, const void *value, size_t size) MUST_CHECK;
int btree_remove(struct store *s, struct sefs_key key) MUST_CHECK;

/* ---- all of it ---- */

struct store {
    struct sefs_dev *dev;
    const char *name;
    struct store_keys keys;
    struct block_key *key_cache; /* KEY_CACHE */
    uint8_t salt[SEFS_SALT];     /* of what is written now */
    struct sefs_super super;
    struct sefs_root root;  /* as it will be committed next */
    uint64_t root_height;   /* of the tree now */
    struct sefs_slot *slot; /* the commit under way */
    uint32_t slot_index;    /* holding the last durable commit */
    uint8_t root_id[32];
    bool dirty, broken, settle, committing;
    uint64_t written;   /* blocks since the last commit began */
    uint64_t undurable; /* of these, not known to be flushed */
    int64_t promised;
    struct space space;
    struct nodes nodes;
    struct writer writer;
    uint8_t *bounce;           /* WRITER_BLOCKS, for reading */
    uint8_t *scratch;          /* one block, for nodes */
    uint8_t *item;             /* SEFS_ITEM_MAX, where items are put together */
    uint8_t (*tags)[SEFS_TAG]; /* WRITER_BLOCKS */
};

/* Before each change: memory and space for it. `blocks` of data. */
int store_op_begin(struct store *s, uint64_t blocks) MUST_CHECK;
/* As that, for what gives space back. */
int store_op_free(struct store *s) MUST_CHECK;

/* extent.c */
struct extent {
    uint64_t first; /* in the file */
    uint64_t end;
    const struct sefs_extent *disk; /* in a node: valid until the next change */
};
/* The extent that holds the block or is the next one; -ENOENT. */
int extent_find(struct store *s, uint64_t ino, uint64_t block, struct extent *out) MUST_CHECK;
int extents_remove(struct store *s, uint64_t ino, uint64_t first, uint64_t end,
                   uint64_t *freed) MUST_CHECK;
/* An item's value as an extent; false: it cannot be one. */
bool extent_valid(const struct item *it);
/* Adds to the count of blocks in the inode's record. */
int inode_add_blocks(struct store *s, uint64_t ino, int64_t blocks) MUST_CHECK;
