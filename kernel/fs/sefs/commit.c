/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commits. Everything that changed is written to free places; then the root goes into the slot
 * that does not hold the last durable commit, and one flush covers both. If a crash leaves the
 * slot without what it refers to, opening notices, because the blocks of that commit, all under
 * its own salt, do not open, and takes the other slot. Large commits are flushed before the
 * slot is written, so that opening need not look at many blocks.
 */
#include "abi/errno.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define SETTLE_BLOCKS 512u /* more are flushed before the slot is written */
#define SPARE_BLOCKS  48u  /* for bitmaps and for giving space back when all is full */

/* ---- begin, flush, end ---- */

bool store_dirty(const struct store *s)
{
    return s->dirty;
}

static int write_all(struct store *s)
{
    int r = nodes_seal(s);
    if (r == 0)
        r = space_write(s, &s->root);
    if (r == 0)
        r = writer_flush(s);
    s->writer.count = 0;
    return r;
}

int store_commit_begin(struct store *s)
{
    if (s->broken)
        return -EIO;
    assert(!s->committing);
    int r = write_all(s);
    if (r < 0) {
        nodes_unseal(s);
        space_end(s, false);
        s->dirty = true;
        return r;
    }
    nodes_settle(s);
    s->root.generation++;
    bool settled = s->settle || s->undurable + s->written > SETTLE_BLOCKS;
    s->root.flags = settled ? SEFS_ROOT_SETTLED : 0;
    memcpy(s->root.salt, s->salt, SEFS_SALT);
    slot_seal(s, &s->root, s->slot);
    space_freeze(s);
    random_bytes(s->salt, SEFS_SALT);
    s->undurable += s->written;
    s->written = 0;
    s->committing = true;
    s->dirty = false;
    return 0;
}

int store_commit_flush(struct store *s)
{
    int r = 0;
    if (s->root.flags & SEFS_ROOT_SETTLED)
        r = s->dev->ops->flush(s->dev);
    if (r == 0)
        r = s->dev->ops->write(s->dev, SEFS_SLOT_BLOCK + (s->slot_index ^ 1), 1, s->slot);
    if (r < 0)
        return r;
    r = s->dev->ops->flush(s->dev);
    return r < 0 ? r : 1;
}

/* A flush that failed may have lost what was written before it, so no later one can be trusted;
 * a slot that could not be written leaves everything as it was. */
int store_commit_end(struct store *s, int flushed)
{
    s->committing = false;
    if (flushed < 0) {
        space_end(s, false);
        s->broken = s->dirty = true;
        log_always("sefs %s: the host does not keep what was written (error %d); "
                   "nothing more will be",
                   s->name, -flushed);
        return flushed == -ENOSPC ? -ENOSPC : -EIO;
    }
    space_end(s, true);
    s->settle = false;
    s->slot_index ^= 1;
    s->undurable = 0;
    sha256(s->slot, SEFS_BLOCK, s->root_id);
    return 0;
}

int store_commit(struct store *s)
{
    int r = store_commit_begin(s);
    return r < 0 ? r : store_commit_end(s, store_commit_flush(s));
}

void store_settle(struct store *s)
{
    if (s->dirty || !(s->root.flags & SEFS_ROOT_SETTLED))
        s->settle = s->dirty = true;
}

void store_root_id(const struct store *s, uint8_t out[32])
{
    memcpy(out, s->root_id, 32);
}

uint64_t store_counter(const struct store *s)
{
    return s->root.counter;
}

void store_set_counter(struct store *s, uint64_t value)
{
    s->root.counter = value;
    s->dirty = true;
}

/* ---- room ---- */

static uint64_t available(const struct store *s)
{
    uint64_t out =
        s->space.held + (uint64_t)MAX(s->promised, (int64_t)0) + s->root.reserved_blocks;
    return s->space.limit > out ? s->space.limit - out : 0;
}

/* What the next commit writes besides data: nodes, and the bitmaps with their indices. */
static uint64_t overhead(const struct store *s)
{
    return 2ull * s->nodes.dirty_count + 2ull * MIN(s->space.count, 64u) + SPARE_BLOCKS;
}

int store_room(struct store *s, uint64_t blocks)
{
    uint64_t nodes = blocks / 32;
    return available(s) >= blocks + nodes + overhead(s) + SPARE_BLOCKS ? 0 : -ENOSPC;
}

bool store_reclaimable(const struct store *s)
{
    return s->space.held > s->space.used;
}

void store_promise(struct store *s, int64_t blocks)
{
    s->promised = blocks;
}

int store_op_begin(struct store *s, uint64_t blocks)
{
    if (s->broken)
        return -EIO;
    int r = store_room(s, blocks);
    return r < 0 ? r : nodes_prepare(s);
}

int store_op_free(struct store *s)
{
    if (s->broken)
        return -EIO;
    if (available(s) < overhead(s) / 2)
        return -ENOSPC;
    return nodes_prepare(s);
}

void store_trim(struct store *s)
{
    nodes_trim(s);
}

void store_set_limit(struct store *s, uint64_t blocks)
{
    s->space.limit = MIN(blocks, (uint64_t)SEFS_GROUPS_MAX * SEFS_GROUP);
}

void store_stats(const struct store *s, struct store_stats *out)
{
    uint64_t spare = overhead(s) + SPARE_BLOCKS, left = available(s);
    out->limit_blocks = s->space.limit;
    out->used_blocks = s->space.used;
    out->free_blocks = left > spare ? left - spare : 0;
    out->file_blocks = (uint64_t)s->space.count * SEFS_GROUP;
    out->inodes = s->root.inode_count;
    out->generation = s->root.generation;
    out->nodes = s->nodes.clean_count + s->nodes.dirty_count;
    out->dirty_nodes = s->nodes.dirty_count;
    out->height = s->root.height;
}

/* ---- opening ---- */

/* What of the commit is missing? Only blocks under its own salt can be. */
static int verify_extent(struct store *s, const struct sefs_extent *e)
{
    struct sefs_ptr ptr = {.block = e->block};
    memcpy(ptr.salt, e->salt, SEFS_SALT);
    for (uint32_t i = 0; i < e->count; i++) {
        memcpy(ptr.tag, e->tags[i], SEFS_TAG);
        int r = block_read(s, &ptr, s->bounce);
        if (r < 0)
            return r;
        ptr.block++;
    }
    return 0;
}

static bool extent_of_commit(struct store *s, const struct bnode *n, uint32_t slot)
{
    const struct sefs_slot_leaf *v = &leaf_slots(n)[slot];
    struct item it = {.key = v->key, .value = n->data + v->at, .size = v->size};
    const struct sefs_extent *e = it.value;
    return (v->key.hi & 0xff) == SEFS_ITEM_EXTENT && extent_valid(&it) &&
           !(e->flags & SEFS_EXTENT_RESERVED) && memcmp(e->salt, s->root.salt, SEFS_SALT) == 0;
}

static int verify_commit(struct store *s, const struct sefs_ptr *ptr, unsigned level)
{
    struct bnode *n;
    if (memcmp(ptr->salt, s->root.salt, SEFS_SALT) != 0)
        return 0;
    if (++s->written > 4 * SETTLE_BLOCKS) /* such a commit would have been settled */
        return -EIO;
    int r = node_get(s, ptr, level, &n);
    for (uint32_t i = 0; r == 0 && i < n->head->count; i++) {
        if (level)
            r = verify_commit(s, &inner_slots(n)[i].ptr, level - 1);
        else if (extent_of_commit(s, n, i))
            r = verify_extent(s, (const struct sefs_extent *)(n->data + leaf_slots(n)[i].at));
    }
    return r;
}

static int load(struct store *s)
{
    int r = space_load(s, &s->root);
    if (r < 0)
        log_always("sefs %s: the map of free space is not right", s->name);
    if (r == 0 && !(s->root.flags & SEFS_ROOT_SETTLED))
        r = verify_commit(s, &s->root.tree, s->root.height - 1u);
    s->written = 0;
    if (r < 0) {
        space_drop(s);
        nodes_drop(s);
    }
    return r;
}

/* Takes a slot's root if it is whole; -EBADMSG: the slot itself is not. */
static int try_slot(struct store *s, uint32_t index)
{
    int r = s->dev->ops->read(s->dev, SEFS_SLOT_BLOCK + index, 1, s->slot);
    if (r < 0)
        return -EIO;
    sha256(s->slot, SEFS_BLOCK, s->root_id);
    r = slot_open(s, s->slot, &s->root);
    if (r < 0)
        return -EBADMSG;
    s->slot_index = index;
    return load(s);
}

static int newest_slot(struct store *s, uint32_t *out)
{
    uint64_t generation[2] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        if (s->dev->ops->read(s->dev, SEFS_SLOT_BLOCK + i, 1, s->slot) == 0 &&
            slot_open(s, s->slot, &s->root) == 0)
            generation[i] = s->root.generation;
    }
    *out = generation[1] > generation[0];
    return generation[*out] ? 0 : -EIO;
}

static int open_root(struct store *s)
{
    uint32_t first;
    int r = newest_slot(s, &first);
    if (r == 0)
        r = try_slot(s, first);
    if (r == 0 || r == -ENOMEM || (s->root.flags & SEFS_ROOT_SETTLED))
        goto done;
    uint64_t unfinished = s->root.generation;
    r = try_slot(s, first ^ 1);
    if (r == 0 && s->root.generation + 1 != unfinished)
        r = -EIO;
    if (r == 0)
        log_always("sefs %s: the last commit was not finished; this is the state before it",
                   s->name);
done:
    if (r < 0 && r != -ENOMEM)
        log_always("sefs %s: no root that is whole", s->name);
    return r == -EBADMSG ? -EIO : r;
}

int store_peek(struct sefs_dev *d, struct sefs_super *out)
{
    uint8_t *block = kmalloc(SEFS_BLOCK);
    if (!block)
        return -ENOMEM;
    int r = d->ops->read(d, SEFS_SUPER_BLOCK, 1, block);
    memcpy(out, block, sizeof(*out));
    kfree(block);
    if (r < 0)
        return r;
    return memcmp(out->magic, SEFS_MAGIC, sizeof(out->magic)) == 0 ? 0 : -EINVAL;
}

static int check_super(struct store *s, const struct store_params *p)
{
    uint8_t mac[32];
    int r = store_peek(s->dev, &s->super);
    if (r < 0) {
        log_always("sefs %s: %s", s->name, r == -EINVAL ? "no store" : "cannot be read");
        return r;
    }
    if (s->super.version != SEFS_VERSION || s->super.features ||
        s->super.block_size != SEFS_BLOCK) {
        log_always("sefs %s: a store of version %u, features %x: this is version %u", s->name,
                   s->super.version, s->super.features, SEFS_VERSION);
        return -EINVAL;
    }
    keys_derive(&s->keys, p, s->super.id);
    super_mac(&s->keys, &s->super, mac);
    if (mem_equal_secret(mac, s->super.mac, sizeof(mac)))
        return 0;
    log_always("sefs %s: another key, or a damaged superblock", s->name);
    return -EBADMSG;
}

static int store_new(struct sefs_dev *d, const struct store_params *p, struct store **out)
{
    struct store *s = kzalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    *out = s;
    s->dev = d;
    s->name = p->name ? p->name : "?";
    list_init(&s->nodes.clean);
    list_init(&s->nodes.dirty);
    list_init(&s->nodes.sealed);
    list_init(&s->nodes.spare);
    s->nodes.limit = MAX(p->cache_nodes, 64u);
    s->key_cache = kcalloc(KEY_CACHE, sizeof(*s->key_cache));
    s->space.groups = kcalloc(SEFS_GROUPS_MAX, sizeof(*s->space.groups));
    s->slot = kmalloc(SEFS_BLOCK);
    s->scratch = kmalloc(SEFS_BLOCK);
    s->item = kmalloc(SEFS_ITEM_MAX);
    s->tags = kmalloc(WRITER_BLOCKS * sizeof(*s->tags));
    s->bounce = kmalloc(WRITER_BLOCKS * SEFS_BLOCK);
    s->writer.buffer = kmalloc(WRITER_BLOCKS * SEFS_BLOCK);
    store_set_limit(s, p->limit_blocks);
    random_bytes(s->salt, SEFS_SALT);
    bool ok = s->key_cache && s->space.groups && s->slot && s->scratch && s->bounce &&
              s->writer.buffer && s->item && s->tags;
    return ok ? 0 : -ENOMEM;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    space_drop(s);
    nodes_drop(s);
    if (s->key_cache)
        memzero_secret(s->key_cache, KEY_CACHE * sizeof(*s->key_cache));
    kfree(s->key_cache);
    kfree(s->space.groups);
    kfree(s->slot);
    kfree(s->scratch);
    kfree(s->item);
    kfree(s->tags);
    kfree(s->bounce);
    kfree(s->writer.buffer);
    memzero_secret(&s->keys, sizeof(s->keys));
    kfree(s);
}

int store_open(struct sefs_dev *d, const struct store_params *p, struct store **out)
{
    struct store *s = NULL;
    int r = store_new(d, p, &s);
    if (r == 0)
        r = check_super(s, p);
    if (r == 0)
        r = open_root(s);
    if (r < 0) {
        store_close(s);
        return r;
    }
    *out = s;
    return 0;
}

/* ---- making one ---- */

static int format_root(struct store *s, const struct store_params *p)
{
    struct sefs_inode root = {.mode = 040755,
                              .uid = p->uid,
                              .gid = p->gid,
                              .nlink = 2,
                              .parent = SEFS_ROOT_INO};
    int r = nodes_prepare(s);
    if (r < 0)
        return r;
    s->root.height = 1;
    s->root.next_ino = SEFS_ROOT_INO + 1;
    s->root.inode_count = 1;
    s->root.tree.block = node_new(s, 0)->id;
    s->slot_index = 1; /* the first commit goes into slot 0 */
    r = btree_set(s, SEFS_KEY(SEFS_ROOT_INO, SEFS_ITEM_INODE, 0), &root, sizeof(root));
    if (r == 0)
        s->settle = true;
    return r < 0 ? r : store_commit(s);
}

static int format_super(struct store *s, const struct store_params *p)
{
    struct sefs_super *sb = &s->super;
    memcpy(sb->magic, SEFS_MAGIC, sizeof(sb->magic));
    sb->version = SEFS_VERSION;
    sb->block_size = SEFS_BLOCK;
    sb->key_kind = p->key_kind;
    if (p->key_info)
        memcpy(sb->key_info, p->key_info, sizeof(sb->key_info));
    random_bytes(sb->id, sizeof(sb->id));
    keys_derive(&s->keys, p, sb->id);
    super_mac(&s->keys, sb, sb->mac);
    memset(s->bounce, 0, SEFS_FIRST * SEFS_BLOCK);
    memcpy(s->bounce, sb, sizeof(*sb));
    return s->dev->ops->write(s->dev, 0, SEFS_FIRST, s->bounce);
}

int store_format(struct sefs_dev *d, const struct store_params *p)
{
    struct store *s = NULL;
    int r = store_new(d, p, &s);
    if (r == 0)
        r = format_super(s, p);
    if (r == 0)
        r = format_root(s, p);
    store_close(s);
    return r;
}
