/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: inodes, names, contents and attributes in one encrypted file of the host. Plain C
 * over a block device and nothing else, so that the enclave, the host's tools and the tests run
 * the same code. The caller serialises all calls; none sleeps but for the device.
 *
 * Errors: -EIO (the device, or a block that is not what was written; a line in the log says
 * which), -ENOSPC, -ENOMEM. A call that fails has changed nothing, unless it says otherwise.
 */
#pragma once

#include "fs/sefs/format.h"
#include "lib/list.h"

/* Where the blocks are. All return 0 or negative errno; short transfers are errors. */
struct sefs_dev;
struct sefs_dev_ops {
    int (*read)(struct sefs_dev *d, uint64_t block, size_t count, void *out);
    int (*write)(struct sefs_dev *d, uint64_t block, size_t count, const void *in);
    int (*flush)(struct sefs_dev *d); /* all written before is durable */
    int (*punch)(struct sefs_dev *d, uint64_t block, uint64_t count); /* may do nothing */
};
struct sefs_dev {
    const struct sefs_dev_ops *ops;
};

struct store;

struct store_params {
    const uint8_t *key; /* master key */
    size_t key_size;    /* 16 or 32 */
    uint64_t limit_blocks;
    uint32_t cache_nodes; /* tree nodes kept in memory */
    uint32_t uid, gid;    /* format only: whose the root directory is */
    uint32_t key_kind;    /* format only */
    const uint8_t *key_info;
    const char *name; /* for messages */
};

/* Writes an empty store over what is there. */
int store_format(struct sefs_dev *d, const struct store_params *p) MUST_CHECK;
/* -EBADMSG: another key, or a damaged superblock; -EINVAL: no store; -EIO. */
int store_open(struct sefs_dev *d, const struct store_params *p, struct store **out) MUST_CHECK;
/* Without committing. */
void store_close(struct store *s);
/* The superblock without its proof; -EINVAL if there is none. */
int store_peek(struct sefs_dev *d, struct sefs_super *out) MUST_CHECK;

/*
 * Makes everything so far durable, in three steps so that the caller can let others work during
 * the flush: begin writes, flush waits for the device, end gives freed space back. When begin
 * or flush fails the store is as before, uncommitted; after a failed flush it stays broken
 * (-EIO).
 */
int store_commit_begin(struct store *s) MUST_CHECK;
int store_commit_flush(struct store *s) MUST_CHECK;
int store_commit_end(struct store *s, int flushed) MUST_CHECK;
int store_commit(struct store *s) MUST_CHECK;
/* The next commit flushes before it writes the root: for the last one before closing, so that a
 * block damaged later is noticed and not taken for a crash. */
void store_settle(struct store *s);
bool store_dirty(const struct store *s);
/* SHA-256 of the slot that was opened or written last. */
void store_root_id(const struct store *s, uint8_t out[32]);
uint64_t store_counter(const struct store *s);
void store_set_counter(struct store *s, uint64_t value);

struct store_stats {
    uint64_t limit_blocks, used_blocks, free_blocks, file_blocks, inodes, generation;
    uint32_t nodes, dirty_nodes, height;
};
void store_stats(const struct store *s, struct store_stats *out);
void store_set_limit(struct store *s, uint64_t blocks);
/* Can so many more blocks of data be written? -ENOSPC; a commit may help (store_reclaimable).
 */
int store_room(struct store *s, uint64_t blocks) MUST_CHECK;
bool store_reclaimable(const struct store *s);
/* So much room is kept for data that is not written yet. */
void store_promise(struct store *s, int64_t blocks);
/* Drops clean nodes above the limit; between calls only. */
void store_trim(struct store *s);

/* ---- inodes and names ---- */

struct store_new {
    uint32_t mode, uid, gid;
    uint64_t rdev;
    struct sefs_time now;
    const char *target;
};
int store_inode_get(struct store *s, uint64_t ino, struct sefs_inode *out) MUST_CHECK;
/* All but nlink, blocks and parent. */
int store_inode_set(struct store *s, uint64_t ino, const struct sefs_inode *in) MUST_CHECK;
int store_lookup(struct store *s, uint64_t dir, const char *name, uint64_t *ino) MUST_CHECK;
int store_create(struct store *s, uint64_t dir, const char *name, const struct store_new *n,
                 uint64_t *ino) MUST_CHECK;
/* Without a name: an orphan. */
int store_create_orphan(struct store *s, const struct store_new *n, uint64_t *ino) MUST_CHECK;
int store_link(struct store *s, uint64_t dir, const char *name, uint64_t ino) MUST_CHECK;
/* The inode stays as an orphan until store_remove(); directories must be empty. */
int store_unlink(struct store *s, uint64_t dir, const char *name) MUST_CHECK;
struct store_rename {
    uint64_t old_dir, new_dir;
    const char *old_name, *new_name;
    bool exchange;
};
int store_rename(struct store *s, const struct store_rename *r) MUST_CHECK;
/* Frees an orphan's contents and the inode. */
int store_remove(struct store *s, uint64_t ino) MUST_CHECK;
/* Frees all orphans: after opening. */
int store_remove_orphans(struct store *s) MUST_CHECK;
bool store_dir_empty(struct store *s, uint64_t dir, int *error);

struct store_entry {
    uint64_t ino, cookie; /* cookie of the next */
    uint32_t type, len;
    char name[256];
};
/* The first entry at or after a cookie; 1: there it is, 0: the end. */
int store_readdir(struct store *s, uint64_t dir, uint64_t cookie,
                  struct store_entry *out) MUST_CHECK;
ssize_t store_readlink(struct store *s, uint64_t ino, char *out, size_t size) MUST_CHECK;

/* ---- contents, in blocks ---- */

/* Fills `count` blocks; holes are left as they are (the caller has zeroed them). */
int store_read(struct store *s, uint64_t ino, uint64_t first, void *const out[],
               size_t count) MUST_CHECK;
/*
 * The same in two steps, the second of which does not need the store, only its device:
 * store_locate() says for how many blocks (at most STORE_FETCH_MAX) it knows what is needed, or
 * negative errno; store_fetch() reads them. -EAGAIN: store_read() tells, after `out` is zeroed.
 */
#define STORE_FETCH_MAX 32u
struct store_fetch;
struct store_fetch *store_fetch_new(void) MUST_CHECK;
void store_fetch_free(struct store_fetch *f);
int store_locate(struct store *s, uint64_t ino, uint64_t first, size_t count,
                 struct store_fetch *f) MUST_CHECK;
int store_fetch(struct store_fetch *f, void *const out[]) MUST_CHECK;
/* Pages of any files, at most STORE_WRITE_MAX, those of one file in order: they go to the
 * device side by side. How many of them, from the first on, were written; or negative errno if
 * none. */
#define STORE_WRITE_MAX 64u
struct store_page {
    uint64_t ino, index;
    const void *data;
};
ssize_t store_write(struct store *s, const struct store_page *pages, size_t count) MUST_CHECK;
/* Frees the blocks [first, end). */
int store_punch(struct store *s, uint64_t ino, uint64_t first, uint64_t end) MUST_CHECK;
/* Sets space aside where there is none. */
int store_reserve(struct store *s, uint64_t ino, uint64_t first, uint64_t end) MUST_CHECK;
/* The first written block at or after `from`, and where that run ends. 1, 0: none. */
int store_next_data(struct store *s, uint64_t ino, uint64_t from, uint64_t *start,
                    uint64_t *end) MUST_CHECK;
/* Shifts all extents from `from` on by `by` blocks, towards the start if negative; the blocks
 * that it would overwrite have been punched. */
int store_shift(struct store *s, uint64_t ino, uint64_t from, int64_t by) MUST_CHECK;

/* ---- extended attributes ---- */

ssize_t store_xattr_get(struct store *s, uint64_t ino, const char *name, void *out,
                        size_t size) MUST_CHECK;
/* value NULL: removes. XATTR_CREATE, XATTR_REPLACE. */
struct store_xattr {
    const char *name;
    const void *value;
    size_t size;
    int flags;
};
int store_xattr_set(struct store *s, uint64_t ino, const struct store_xattr *x) MUST_CHECK;
ssize_t store_xattr_list(struct store *s, uint64_t ino, char *out, size_t size) MUST_CHECK;

/* ---- checking ---- */

/* Reads and verifies everything; calls `problem` for each thing that is wrong. The number of
 * problems, or negative errno. */
struct store_check {
    void (*problem)(struct store_check *c, const char *text);
    void (*progress)(struct store_check *c, uint64_t done, uint64_t total); /* or NULL */
    uint64_t blocks, inodes;
};
bool store_block_used(const struct store *s, uint64_t block);
int64_t store_check(struct store *s, struct store_check *c) MUST_CHECK;
