/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contents: extents of up to 64 blocks that lie side by side on the device and were written by
 * one commit, each with its authenticators. Writing always takes new places.
 */
#include "abi/errno.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"

#define RESERVE_MAX (1u << 30)

bool extent_valid(const struct item *it)
{
    const struct sefs_extent *e = it->value;
    if (it->size < sizeof(*e) || e->count == 0 || e->count > INT32_MAX)
        return false;
    if (e->flags & SEFS_EXTENT_RESERVED)
        return it->size == sizeof(*e);
    return e->count <= SEFS_EXTENT_BLOCKS &&
           it->size == sizeof(*e) + (size_t)e->count * SEFS_TAG && !(e->block & NODE_MEMORY);
}

static int extent_of(struct store *s, uint64_t ino, const struct item *it, struct extent *out)
{
    if (it->key.hi != SEFS_KEY(ino, SEFS_ITEM_EXTENT, 0).hi)
        return -ENOENT;
    if (!extent_valid(it)) {
        log_always("sefs %s: inode %lu has an extent that makes no sense", s->name,
                   (unsigned long)ino);
        return -EIO;
    }
    out->first = it->key.lo;
    out->disk = it->value;
    return add_overflows(out->first, (uint64_t)out->disk->count, &out->end) ? -EIO : 0;
}

int extent_find(struct store *s, uint64_t ino, uint64_t block, struct extent *out)
{
    struct item it;
    struct sefs_key key = SEFS_KEY(ino, SEFS_ITEM_EXTENT, block);
    int r = btree_prev(s, key, &it);
    if (r == 0)
        r = extent_of(s, ino, &it, out);
    if (r == 0 && out->end > block)
        return 0;
    if (r < 0 && r != -ENOENT)
        return r;
    r = btree_next(s, key, &it);
    return r < 0 ? r : extent_of(s, ino, &it, out);
}

/* ---- reading ---- */

/* Blocks of one extent, from its `skip`th on. */
static int read_run(struct store *s, const struct sefs_extent *e, uint32_t skip,
                    void *const out[], size_t count)
{
    struct sefs_ptr ptr = {.block = e->block + skip};
    void *raw = count == 1 ? out[0] : s->bounce;
    int r = s->dev->ops->read(s->dev, ptr.block, count, raw);
    if (r < 0) {
        log_always("sefs %s: block %lu: error %d of the host", s->name,
                   (unsigned long)ptr.block, -r);
        memset(out[0], 0, SEFS_BLOCK);
        return -EIO;
    }
    memcpy(ptr.salt, e->salt, SEFS_SALT);
    for (size_t i = 0; i < count && r == 0; i++, ptr.block++) {
        memcpy(ptr.tag, e->tags[skip + i], SEFS_TAG);
        r = block_open(s, &ptr, (uint8_t *)raw + i * SEFS_BLOCK, out[i]);
    }
    return r;
}

int store_read(struct store *s, uint64_t ino, uint64_t first, void *const out[], size_t count)
{
    uint64_t at = first, end = first + count;
    nodes_trim(s);
    while (at < end) {
        struct extent e;
        int r = extent_find(s, ino, at, &e);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        at = MAX(at, e.first);
        if (at >= end)
            return 0;
        uint64_t stop = MIN(e.end, end);
        size_t n = (size_t)MIN(stop - at, (uint64_t)WRITER_BLOCKS);
        if (!(e.disk->flags & SEFS_EXTENT_RESERVED))
            r = read_run(s, e.disk, (uint32_t)(at - e.first), out + (at - first), n);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

int store_next_data(struct store *s, uint64_t ino, uint64_t from, uint64_t *start,
                    uint64_t *end)
{
    bool any = false;
    nodes_trim(s);
    for (uint64_t at = from;;) {
        struct extent e;
        int r = extent_find(s, ino, at, &e);
        if (r < 0)
            return r == -ENOENT ? any : r;
        if (any && e.first != *end)
            return 1;
        bool data = !(e.disk->flags & SEFS_EXTENT_RESERVED);
        if (any && !data)
            return 1;
        if (data && !any)
            *start = MAX(from, e.first);
        any |= data;
        at = *end = e.end;
    }
}

/* ---- removing ---- */

/* A part of an extent as an item of its own, put together in s->item. */
static size_t build_part(struct store *s, const struct sefs_extent *e, uint32_t skip,
                         uint32_t count)
{
    struct sefs_extent *to = (struct sefs_extent *)s->item;
    *to = *e;
    to->count = count;
    if (e->flags & SEFS_EXTENT_RESERVED)
        return sizeof(*to);
    to->block += skip;
    memcpy(to->tags, e->tags[skip], (size_t)count * SEFS_TAG);
    return sizeof(*to) + (size_t)count * SEFS_TAG;
}

/* Cuts [from, to) out of an extent; what remains at either side becomes its own item. Reads
 * nothing that extent_find() and the caller's look at `to` have not read. */
static int cut(struct store *s, uint64_t ino, const struct extent *e, uint64_t from,
               uint64_t to)
{
    struct sefs_extent *copy = (struct sefs_extent *)s->bounce;
    size_t size = sizeof(*copy);
    if (!(e->disk->flags & SEFS_EXTENT_RESERVED))
        size += (size_t)e->disk->count * SEFS_TAG;
    memcpy(copy, e->disk, size);
    struct extent old = {e->first, e->end, copy};
    int r;
    if (from > old.first) {
        size = build_part(s, copy, 0, (uint32_t)(from - old.first));
        r = btree_set(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, old.first), s->item, size);
    } else {
        r = btree_remove(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, old.first));
    }
    if (r == 0 && to < old.end) {
        size = build_part(s, copy, (uint32_t)(to - old.first), (uint32_t)(old.end - to));
        r = btree_set(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, to), s->item, size);
    }
    if (r < 0 || from == to)
        return r;
    if (copy->flags & SEFS_EXTENT_RESERVED)
        s->root.reserved_blocks -= MIN(s->root.reserved_blocks, to - from);
    else
        space_free(s, copy->block + (from - old.first), to - from);
    return 0;
}

static int touch(struct store *s, uint64_t ino, uint64_t block)
{
    struct item it;
    int r = btree_find(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, block), &it);
    return r == -ENOENT ? 0 : r;
}

/* Blocks that the map of free space does not know as used cannot be given back. */
static bool blocks_used(struct store *s, const struct extent *e)
{
    if (e->disk->flags & SEFS_EXTENT_RESERVED)
        return true;
    for (uint32_t i = 0; i < e->disk->count; i++) {
        if (!space_is_used(s, e->disk->block + i))
            return false;
    }
    return true;
}

int extents_remove(struct store *s, uint64_t ino, uint64_t first, uint64_t end, uint64_t *freed)
{
    struct extent e;
    *freed = 0;
    for (;;) {
        int r = nodes_prepare(s);
        if (r == 0)
            r = extent_find(s, ino, first, &e);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        if (e.first >= end)
            return 0;
        uint64_t from = MAX(first, e.first), to = MIN(end, e.end);
        r = touch(s, ino, to);
        if (r == 0)
            r = extent_find(s, ino, first, &e);
        if (r == 0 && !blocks_used(s, &e))
            r = -EIO;
        if (r == 0)
            r = cut(s, ino, &e, from, to);
        if (r < 0)
            return r;
        *freed += to - from;
        first = to;
    }
}

int store_punch(struct store *s, uint64_t ino, uint64_t first, uint64_t end)
{
    uint64_t freed = 0;
    struct sefs_inode i;
    int r = store_op_free(s);
    if (r == 0)
        r = store_inode_get(s, ino, &i);
    if (r < 0)
        return r;
    r = extents_remove(s, ino, first, end, &freed);
    int e = inode_add_blocks(s, ino, -(int64_t)freed);
    return r < 0 ? r : e;
}

/* ---- writing ---- */

/* Lengthens the extent before, if the new blocks continue it on the device, too. */
static bool extend_before(struct store *s, const struct store_page *p, uint64_t block,
                          size_t count, size_t *size, uint64_t *first)
{
    struct item it;
    struct extent e;
    struct sefs_extent *to = (struct sefs_extent *)s->item;
    if (p->index == 0 ||
        btree_prev(s, SEFS_KEY(p->ino, SEFS_ITEM_EXTENT, p->index - 1), &it) < 0 ||
        extent_of(s, p->ino, &it, &e) < 0)
        return false;
    if ((e.disk->flags & SEFS_EXTENT_RESERVED) || e.end != p->index ||
        e.disk->block + e.disk->count != block || e.disk->count + count > SEFS_EXTENT_BLOCKS ||
        memcmp(e.disk->salt, s->salt, SEFS_SALT) != 0)
        return false;
    memcpy(to, it.value, it.size);
    to->count += (uint32_t)count;
    *size = it.size;
    *first = e.first;
    return true;
}

/* Enters blocks that have been written into the file's map. */
static int map_run(struct store *s, const struct store_page *p, uint64_t block, size_t count,
                   uint8_t (*tags)[SEFS_TAG])
{
    uint64_t freed, first = p->index;
    struct sefs_inode i;
    struct sefs_extent *e = (struct sefs_extent *)s->item;
    int r = nodes_prepare(s);
    if (r == 0)
        r = store_inode_get(s, p->ino, &i);
    if (r == 0)
        r = extents_remove(s, p->ino, p->index, p->index + count, &freed);
    if (r == 0)
        r = nodes_prepare(s);
    if (r < 0)
        return r;
    size_t size = sizeof(*e);
    if (!extend_before(s, p, block, count, &size, &first)) {
        *e = (struct sefs_extent){.block = block, .count = (uint32_t)count};
        memcpy(e->salt, s->salt, SEFS_SALT);
    }
    memcpy(s->item + size, tags, count * SEFS_TAG);
    r = btree_set(s, SEFS_KEY(p->ino, SEFS_ITEM_EXTENT, first), e, size + count * SEFS_TAG);
    return r < 0 ? r : inode_add_blocks(s, p->ino, (int64_t)count - (int64_t)freed);
}

static int seal_run(struct store *s, const struct store_page *pages, size_t count,
                    uint64_t block)
{
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        struct sefs_ptr ptr;
        r = writer_put(s, block + i, pages[i].data, &ptr);
        memcpy(s->tags[i], ptr.tag, SEFS_TAG);
    }
    if (r == 0)
        r = writer_flush(s);
    s->writer.count = 0;
    return r;
}

ssize_t store_write(struct store *s, const struct store_page *pages, size_t count)
{
    size_t done = 0;
    int r = store_op_begin(s, count);
    while (done < count && r == 0) {
        uint64_t block;
        uint32_t n = space_alloc_data(s, (uint32_t)(count - done), &block), mapped = 0;
        r = n ? seal_run(s, pages + done, n, block) : -ENOSPC;
        while (r == 0 && mapped < n) {
            const struct store_page *p = &pages[done + mapped];
            uint32_t len = 1;
            while (mapped + len < n && p[len].ino == p->ino && p[len].index == p->index + len)
                len++;
            r = map_run(s, p, block + mapped, len, s->tags + mapped);
            mapped += r == 0 ? len : 0;
        }
        if (mapped < n)
            space_free(s, block + mapped, n - mapped);
        done += mapped;
    }
    return done ? (ssize_t)done : r;
}

/* ---- space set aside ---- */

static int reserve_gap(struct store *s, uint64_t ino, uint64_t first, uint64_t end)
{
    struct sefs_extent e = {.flags = SEFS_EXTENT_RESERVED, .count = (uint32_t)(end - first)};
    int r = store_op_begin(s, end - first);
    if (r == 0)
        r = touch(s, ino, first);
    if (r == 0)
        r = btree_set(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, first), &e, sizeof(e));
    if (r < 0)
        return r;
    s->root.reserved_blocks += e.count;
    return inode_add_blocks(s, ino, e.count);
}

int store_reserve(struct store *s, uint64_t ino, uint64_t first, uint64_t end)
{
    while (first < end) {
        struct extent e;
        int r = extent_find(s, ino, first, &e);
        if (r < 0 && r != -ENOENT)
            return r;
        uint64_t stop = r == 0 ? MIN(e.first, end) : end;
        if (r == 0 && e.first <= first) {
            first = e.end;
            continue;
        }
        stop = MIN(stop, first + RESERVE_MAX);
        r = reserve_gap(s, ino, first, stop);
        if (r < 0)
            return r;
        first = stop;
    }
    return 0;
}

/* ---- shifting ---- */

static int split_at(struct store *s, uint64_t ino, uint64_t block)
{
    struct extent e = {0};
    int r = nodes_prepare(s);
    if (r == 0)
        r = touch(s, ino, block);
    if (r == 0)
        r = extent_find(s, ino, block, &e);
    if (r < 0 || e.first >= block)
        return r == -ENOENT ? 0 : r;
    return cut(s, ino, &e, block, block);
}

static int shift_one(struct store *s, uint64_t ino, const struct item *it, uint64_t to)
{
    struct sefs_key key = it->key;
    size_t size = it->size;
    memcpy(s->item, it->value, size);
    int r = touch(s, ino, to);
    if (r == 0)
        r = btree_remove(s, key);
    return r < 0 ? r : btree_set(s, SEFS_KEY(ino, SEFS_ITEM_EXTENT, to), s->item, size);
}

int store_shift(struct store *s, uint64_t ino, uint64_t from, int64_t by)
{
    struct item it;
    uint64_t hi = SEFS_KEY(ino, SEFS_ITEM_EXTENT, 0).hi, at = by < 0 ? from : UINT64_MAX;
    int r = store_op_begin(s, 0);
    if (r == 0)
        r = split_at(s, ino, from);
    while (r == 0) {
        struct sefs_key key = {hi, at};
        r = nodes_prepare(s);
        if (r == 0)
            r = by < 0 ? btree_next(s, key, &it) : btree_prev(s, key, &it);
        if (r < 0 || it.key.hi != hi || it.key.lo < from)
            return r == -ENOENT ? 0 : r;
        uint64_t old = it.key.lo;
        r = shift_one(s, ino, &it, old + (uint64_t)by);
        if (by > 0 && old == 0)
            return r;
        at = by < 0 ? old + 1 : old - 1;
    }
    return r;
}
