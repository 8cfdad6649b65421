/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store's format on the host's disk, as docs/sefs-format.md describes it. Little endian;
 * the file is an array of blocks of 4096 bytes. Everything here has been authenticated before
 * it is looked at, except the superblock and the salts of the two root slots.
 */
#pragma once

#include "lib/types.h"

#define SEFS_BLOCK   4096u
#define SEFS_VERSION 1u
#define SEFS_MAGIC   "OCLMSEFS"
#define SEFS_SALT    16u
#define SEFS_TAG     16u

/* Fixed places; everything from SEFS_FIRST on is allocated. */
#define SEFS_SUPER_BLOCK 0u
#define SEFS_SLOT_BLOCK  1u /* and 2 */
#define SEFS_FIRST       3u

/* Where the master key comes from (struct sefs_super.key_kind). */
#define SEFS_KEY_GIVEN     0u
#define SEFS_KEY_MRSIGNER  1u
#define SEFS_KEY_MRENCLAVE 2u

struct sefs_super {
    uint8_t magic[8];
    uint32_t version;
    uint32_t features; /* unknown bits: refuse */
    uint32_t block_size;
    uint32_t key_kind;
    uint8_t id[32];       /* random: the salt of all keys of this store */
    uint8_t key_info[64]; /* what EGETKEY needs: key id, CPU SVN, ISV SVN */
    uint8_t mac[32];      /* HMAC-SHA256 of all before */
};

/* Location and authenticator of one block. */
struct sefs_ptr {
    uint64_t block;
    uint8_t salt[SEFS_SALT];
    uint8_t tag[SEFS_TAG];
};

#define SEFS_INDEX_MAX  64u    /* index blocks of the free-space map */
#define SEFS_INDEX_PTRS 102u   /* bitmaps an index block points to */
#define SEFS_GROUP      32768u /* blocks a bitmap describes */
#define SEFS_GROUPS_MAX (SEFS_INDEX_MAX * SEFS_INDEX_PTRS)
#define SEFS_DELTA_MAX  144u

/* What was allocated (top bit) or freed since the bitmaps were written: count << 48 | block. */
#define SEFS_DELTA_USED  (1ull << 63)
#define SEFS_DELTA_COUNT 0x7fffu

/* All blocks of this commit were flushed before the slot was written. */
#define SEFS_ROOT_SETTLED 1u

struct sefs_root {
    uint64_t generation;
    uint64_t next_ino;
    uint64_t used_blocks;
    uint64_t inode_count;
    uint64_t counter; /* of the freshness service */
    uint64_t reserved_blocks;
    uint32_t flags;
    uint32_t height; /* levels of the tree, at least 1 */
    uint32_t group_count;
    uint32_t delta_count;
    uint8_t salt[SEFS_SALT]; /* of everything that this commit wrote */
    struct sefs_ptr tree;
    struct sefs_ptr index[SEFS_INDEX_MAX];
    uint64_t delta[SEFS_DELTA_MAX];
};

struct sefs_slot {
    uint8_t salt[32]; /* random, anew for each slot that is written */
    uint64_t generation;
    uint8_t tag[SEFS_TAG];
    uint8_t pad[8];
    uint8_t body[SEFS_BLOCK - 64]; /* struct sefs_root, sealed */
};
#define SEFS_SLOT_AAD 40u /* salt and generation */

_Static_assert(sizeof(struct sefs_slot) == SEFS_BLOCK, "a slot is a block");
_Static_assert(sizeof(struct sefs_root) <= SEFS_BLOCK - 64, "a root fits in a slot");

/* ---- the tree ---- */

struct sefs_key {
    uint64_t hi; /* inode << 8 | type */
    uint64_t lo;
};
#define SEFS_KEY(ino, type, off) ((struct sefs_key){(uint64_t)(ino) << 8 | (type), (off)})

enum sefs_item {
    SEFS_ITEM_INODE = 1,  /* lo 0: struct sefs_inode */
    SEFS_ITEM_XATTR = 2,  /* lo: hash of the name << 8 | piece */
    SEFS_ITEM_LINK = 3,   /* lo: piece of the target */
    SEFS_ITEM_NAME = 4,   /* lo: hash of the name: struct sefs_name, repeated */
    SEFS_ITEM_EXTENT = 5, /* lo: first block in the file: struct sefs_extent */
    SEFS_ITEM_ORPHAN = 9, /* inode 0, lo: an inode without a name: empty */
};

struct sefs_node {
    uint16_t level; /* 0: leaf */
    uint16_t count;
    uint16_t heap; /* leaf: lowest byte in use by values */
    uint16_t pad;
    uint64_t pad2;
};
#define SEFS_NODE_BYTES (SEFS_BLOCK - (uint32_t)sizeof(struct sefs_node))

/* A leaf's slots, sorted; values grow down from the block's end, each to a multiple of 8. */
struct sefs_slot_leaf {
    struct sefs_key key;
    uint16_t at, size;
    uint32_t pad;
};
struct sefs_slot_inner {
    struct sefs_key key; /* nothing below it is smaller; the first one's counts as 0 */
    struct sefs_ptr ptr;
};
#define SEFS_INNER_MAX (SEFS_NODE_BYTES / (uint32_t)sizeof(struct sefs_slot_inner))
#define SEFS_ITEM_MAX  1200u
#define SEFS_HEIGHT    10u

struct sefs_time {
    int64_t sec;
    uint32_t nsec;
} __attribute__((packed));

struct sefs_inode {
    uint32_t mode, uid, gid, nlink;
    uint64_t size;
    uint64_t blocks; /* of 4096 bytes, reserved ones too */
    uint64_t rdev;
    uint64_t parent; /* directories */
    struct sefs_time atime, mtime, ctime, btime;
    uint32_t flags, pad;
};

struct sefs_name {
    uint64_t ino;
    uint8_t type; /* S_IFMT >> 12 */
    uint8_t len;
    char name[];
} __attribute__((packed));

#define SEFS_EXTENT_BLOCKS   64u
#define SEFS_EXTENT_RESERVED 1u /* no place yet: reads as zeros, space is set aside */
struct sefs_extent {
    uint64_t block;
    uint32_t count;
    uint32_t flags;
    uint8_t salt[SEFS_SALT];
    uint8_t tags[][SEFS_TAG]; /* count of them; none if reserved */
};

#define SEFS_ROOT_INO 1u
#define SEFS_INO_MAX  ((1ull << 55) - 1)
