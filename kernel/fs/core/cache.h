/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page cache: pages of plaintext, one map per inode, shared by reads and mappings. Clean
 * pages of files that can be read again are dropped when there are too many; pages of ramfs
 * stay, and dirty pages do until their file system has written them.
 *
 * A page in the map is complete; it is never shown before it has been filled and verified.
 * Readers pin a page under the map's spinlock, copy without locks, and unpin.
 */
#pragma once

#include <stdatomic.h>

#include "lib/radix.h"
#include "mm/iter.h"
#include "sched/lock.h"

struct inode;
struct super;

struct cached_page {
    uint8_t *data;
    uint64_t index;
    struct page_cache *cache;
    struct list lru;       /* empty: not reclaimable */
    bool queued;           /* in `dirty`, under the map's lock */
    bool changed;          /* was ever dirty; under the map's lock */
    _Atomic bool dirty;    /* changed since it was last given out to be written */
    _Atomic uint32_t pins; /* the map holds one */
    _Atomic bool used;     /* second chance */
};

struct page_cache {
    struct spinlock lock;
    struct radix pages;           /* under lock */
    struct radix dirty;           /* under lock: pages to be written back */
    _Atomic int64_t *dirty_count; /* the file system's, or NULL: it has no dirty pages */
    struct mutex fill;            /* one fill at a time */
    struct inode *inode;
    bool keep;                 /* pages are the only copy: never reclaimed */
    uint64_t next_index;       /* under fill: where what was read last ends */
    uint32_t window;           /* under fill: pages of the last fill */
    _Atomic uint32_t ahead_count; /* a window that is being read, or waits for that; 0: none */
    uint32_t ahead_taken;      /* of its pages, by whoever reads them */
    uint64_t ahead_index;      /* changed by who has no window yet, under fill */
    struct list ahead_node;
    bool ahead_running;
    _Atomic uint64_t filled;   /* pages read, since the start */
    _Atomic uint64_t epoch;    /* counts invalidations; a fill that overlaps one is not kept */
    _Atomic uint64_t identity; /* of the contents; 0: not asked for since they changed */
};

#define CACHE_BATCH_MAX 32u /* pages that a file system is asked for at once */

void cache_init(struct page_cache *c, struct inode *inode);
void cache_empty(struct page_cache *c); /* drops all; nobody else uses it */

/* The page, filled if need be, pinned; for `keep` caches a hole gives *out = NULL unless
 * `make`. */
int cache_get(struct page_cache *c, uint64_t index, bool make,
              struct cached_page **out) MUST_CHECK;
void cache_put(struct cached_page *p);
/* How many of the pages from `index` on it gave: at least one, at most `max`, each as
 * cache_get() does. What is missing is read with some that follow, `most` in all at most. */
ssize_t cache_get_run(struct page_cache *c, uint64_t index, struct cached_page *out[],
                      size_t max, size_t most) MUST_CHECK;

/* Copies file data, at most up to `size` (the file's). Bytes, or negative errno if none. */
ssize_t cache_read(struct page_cache *c, struct iter *to, uint64_t pos,
                   uint64_t size) MUST_CHECK;
/* keep caches: writes into pages, making them. Bytes, or negative errno if none. */
ssize_t cache_write(struct page_cache *c, struct iter *from, uint64_t pos) MUST_CHECK;

/*
 * Writing back. cache_write_back() copies into pages and marks them dirty: `size` is the
 * file's, behind which nothing need be read. Whoever writes them takes some, in order, writes
 * what they hold then, and gives them back; what changed meanwhile stays dirty.
 */
ssize_t cache_write_back(struct page_cache *c, struct iter *from, uint64_t pos,
                         uint64_t size) MUST_CHECK;
/* Up to `max` dirty pages from *index on, pinned; *index then is behind the last. */
size_t cache_take_dirty(struct page_cache *c, uint64_t *index, struct cached_page *out[],
                        size_t max);
void cache_give_back(struct cached_page *p, bool written);
void cache_mark_dirty(struct cached_page *p);
uint64_t cache_dirty_pages(void);
/* Overwrites cached pages after a write-through with the same bytes. */
void cache_update(struct page_cache *c, const void *data, size_t size, uint64_t pos);
/* Drops pages from byte `pos` on and zeroes the rest of the page that holds it. */
void cache_truncate(struct page_cache *c, uint64_t pos);
/* Drops or zeroes [pos, pos+size). */
void cache_punch(struct page_cache *c, uint64_t pos, uint64_t size);
void cache_invalidate(struct page_cache *c);
/* Drops pages wholly inside that are clean, in no use, and can be read again. */
void cache_forget(struct page_cache *c, uint64_t pos, uint64_t size);
/* A program has these pages in its memory. Likely nobody else wants them, and they go; those of
 * a file that had to be read again stay. */
void cache_copied(struct page_cache *c, uint64_t pos, uint64_t size);
/* Drops some pages if there are too many. */
void cache_balance(void);
/* Nothing reads ahead in the file system's files any more, of which none is open; may sleep. */
void cache_settle(const struct super *sb);
uint64_t cache_page_count(struct page_cache *c);
/* A number that no other contents ever have: two equal answers mean equal bytes. Not 0. */
uint64_t cache_identity(struct page_cache *c);
/* First page at or after *index; false: none. For SEEK_DATA in keep caches. */
bool cache_next_page(struct page_cache *c, uint64_t *index);

struct cache_stats {
    uint64_t pages, limit_pages, kept_pages;
    uint64_t filled, dropped; /* since the start */
};
void cache_stats(struct cache_stats *out);
