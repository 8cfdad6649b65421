/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page cache. A page leaves the map by eviction, truncation or invalidation; whoever has it
 * pinned then still reads the old bytes, as from a page that was read a moment earlier.
 * Locks: map (RANK_INODE_DATA), then the list of all reclaimable pages (RANK_CACHE_LRU).
 * Eviction starts at the list and therefore only tries the map's lock. Dirty pages are not on
 * that list. Not here: when they are written; each file system that has them does it.
 */
#include "fs/core/cache.h"

#include "abi/errno.h"
#include "fs/core/cache_fill.h"
#include "fs/core/inode.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define LIMIT_MIN_PAGES 4096u
#define RECLAIM_BATCH   64u
#define RECLAIM_MAX     1024u
#define WRITE_TRIES     8 /* what is read while others change the file may not be kept */

static struct {
    struct spinlock lock;
    struct list lru; /* oldest first */
    uint64_t pages;
    uint64_t limit;
    _Atomic uint64_t kept;
    _Atomic uint64_t dirty;
    uint64_t dropped;
} all = {.lock = SPINLOCK_INIT(RANK_CACHE_LRU), .lru = LIST_INIT(all.lru)};

void cache_init(struct page_cache *c, struct inode *inode)
{
    spin_init(&c->lock, RANK_INODE_DATA);
    radix_init(&c->pages);
    radix_init(&c->dirty);
    mutex_init(&c->fill, RANK_PAGE_CACHE);
    c->inode = inode;
}

static void page_free(struct cached_page *p)
{
    if (p->data)
        pages_free(p->data, 1);
    kfree(p);
}

void cache_put(struct cached_page *p)
{
    if (atomic_fetch_sub_explicit(&p->pins, 1, memory_order_acq_rel) == 1)
        page_free(p);
}

static void unqueue_locked(struct cached_page *p)
{
    p->queued = false;
    radix_remove(&p->cache->dirty, p->index);
    atomic_fetch_sub(p->cache->dirty_count, 1);
    atomic_fetch_sub(&all.dirty, 1);
}

/* A page leaves that is newer than what a read that is under way may bring. */
static void forget_changed_locked(const struct cached_page *p)
{
    if (p->changed)
        atomic_fetch_add(&p->cache->epoch, 1);
}

/* Takes the map's pin away; the map's lock is held, the caller puts the page afterwards. */
static void page_unlink_locked(struct cached_page *p)
{
    forget_changed_locked(p);
    radix_remove(&p->cache->pages, p->index);
    if (p->queued) {
        unqueue_locked(p);
        return;
    }
    if (p->cache->keep) {
        atomic_fetch_sub(&all.kept, 1);
        return;
    }
    spin_lock(&all.lock);
    list_remove(&p->lru);
    all.pages--;
    spin_unlock(&all.lock);
}

/* One step of the clock: a victim without its pin; NULL: the oldest gets another chance. */
static struct cached_page *reclaim_one(bool *any)
{
    struct cached_page *victim = NULL;
    spin_lock(&all.lock);
    *any = !list_empty(&all.lru);
    if (*any) {
        struct cached_page *p = list_entry(all.lru.next, struct cached_page, lru);
        struct page_cache *c = p->cache;
        bool chance = atomic_exchange_explicit(&p->used, false, memory_order_relaxed);
        if (!chance && spin_trylock(&c->lock)) {
            if (atomic_load(&p->pins) == 1) {
                forget_changed_locked(p);
                radix_remove(&c->pages, p->index);
                list_remove(&p->lru);
                all.pages--;
                all.dropped++;
                victim = p;
            }
            spin_unlock(&c->lock);
        }
        if (!victim) {
            list_remove(&p->lru);
            list_append(&all.lru, &p->lru);
        }
    }
    spin_unlock(&all.lock);
    return victim;
}

static void reclaim(unsigned count)
{
    bool any = true;
    for (unsigned i = 0; i < 4 * count && count && any; i++) {
        struct cached_page *victim = reclaim_one(&any);
        if (!victim)
            continue;
        cache_put(victim);
        count--;
    }
}

static uint64_t limit_pages(void)
{
    if (all.limit)
        return all.limit;
    struct heap_stats stats;
    heap_stats(&stats);
    uint64_t limit = stats.limit_bytes / PAGE_SIZE / 4;
    all.limit = MAX(limit, (uint64_t)LIMIT_MIN_PAGES);
    return all.limit;
}

void cache_balance(void)
{
    uint64_t limit = limit_pages(), pages = all.pages;
    if (pages > limit)
        reclaim((unsigned)MIN(pages - limit + RECLAIM_BATCH / 2, (uint64_t)RECLAIM_MAX));
}

struct cached_page *cache_page_new(struct page_cache *c, uint64_t index)
{
    struct cached_page *p = kzalloc(sizeof(*p));
    if (!p)
        return NULL;
    p->data = pages_alloc(1);
    if (!p->data) {
        reclaim(RECLAIM_BATCH);
        p->data = pages_alloc(1);
    }
    if (!p->data) {
        kfree(p);
        return NULL;
    }
    p->index = index;
    p->cache = c;
    list_init(&p->lru);
    atomic_store_explicit(&p->pins, 1, memory_order_relaxed);
    return p;
}

struct cached_page *cache_find(struct page_cache *c, uint64_t index)
{
    spin_lock(&c->lock);
    struct cached_page *p = radix_get(&c->pages, index);
    if (p)
        atomic_fetch_add_explicit(&p->pins, 1, memory_order_relaxed);
    spin_unlock(&c->lock);
    if (p && !atomic_load_explicit(&p->used, memory_order_relaxed))
        atomic_store_explicit(&p->used, true, memory_order_relaxed);
    return p;
}

size_t cache_find_run(struct page_cache *c, uint64_t index, struct cached_page *out[],
                      size_t max)
{
    spin_lock(&c->lock);
    size_t n = radix_run(&c->pages, index, (void **)out, max);
    for (size_t i = 0; i < n; i++)
        atomic_fetch_add_explicit(&out[i]->pins, 1, memory_order_relaxed);
    spin_unlock(&c->lock);
    for (size_t i = 0; i < n; i++) {
        if (!atomic_load_explicit(&out[i]->used, memory_order_relaxed))
            atomic_store_explicit(&out[i]->used, true, memory_order_relaxed);
    }
    return n;
}

struct cached_page *cache_insert(struct page_cache *c, struct cached_page *p)
{
    spin_lock(&c->lock);
    struct cached_page *old = radix_get(&c->pages, p->index);
    if (old) {
        atomic_fetch_add(&old->pins, 1);
        spin_unlock(&c->lock);
        cache_put(p);
        return old;
    }
    if (radix_set(&c->pages, p->index, p) < 0) {
        spin_unlock(&c->lock);
        return p; /* not kept, but good to read */
    }
    atomic_fetch_add(&p->pins, 1);
    if (c->keep) {
        atomic_fetch_add(&all.kept, 1);
    } else {
        spin_lock(&all.lock);
        list_append(&all.lru, &p->lru);
        all.pages++;
        spin_unlock(&all.lock);
    }
    spin_unlock(&c->lock);
    return p;
}

uint64_t cache_identity(struct page_cache *c)
{
    static _Atomic uint64_t last;
    uint64_t id = atomic_load(&c->identity), fresh;
    if (id)
        return id;
    fresh = atomic_fetch_add(&last, 1) + 1;
    return atomic_compare_exchange_strong(&c->identity, &id, fresh) ? fresh : id;
}

/* After the change: whoever asked while it was going on has a number that is void now. */
static void contents_changed(struct page_cache *c)
{
    atomic_store(&c->identity, 0);
}

static ssize_t write_pages(struct page_cache *c, struct iter *from, uint64_t pos)
{
    size_t done = 0;
    while (from->remaining) {
        size_t offset = pos & (PAGE_SIZE - 1);
        size_t n = MIN(from->remaining, (size_t)(PAGE_SIZE - offset));
        struct cached_page *p;
        int r = cache_get(c, pos >> PAGE_SHIFT, true, &p);
        if (r < 0)
            return done ? (ssize_t)done : r;
        size_t copied = iter_copy_from(from, p->data + offset, n);
        cache_put(p);
        done += copied;
        pos += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

ssize_t cache_write(struct page_cache *c, struct iter *from, uint64_t pos)
{
    ssize_t done = write_pages(c, from, pos);
    contents_changed(c);
    return done;
}

void cache_update(struct page_cache *c, const void *data, size_t size, uint64_t pos)
{
    const uint8_t *from = data;
    atomic_fetch_add(&c->epoch, 1);
    while (size) {
        size_t offset = pos & (PAGE_SIZE - 1);
        size_t n = MIN(size, (size_t)(PAGE_SIZE - offset));
        struct cached_page *p = cache_find(c, pos >> PAGE_SHIFT);
        if (p) {
            memcpy(p->data + offset, from, n);
            cache_put(p);
        }
        from += n;
        pos += n;
        size -= n;
    }
    contents_changed(c);
}

/* ---- writing back ---- */

uint64_t cache_dirty_pages(void)
{
    return atomic_load_explicit(&all.dirty, memory_order_relaxed);
}

/* The page is in the map and pinned. False: no memory to remember it. */
static bool mark_dirty_locked(struct page_cache *c, struct cached_page *p)
{
    if (!p->queued && radix_get(&c->pages, p->index) == p) {
        if (radix_set(&c->dirty, p->index, p) < 0)
            return false;
        p->queued = p->changed = true;
        atomic_fetch_add(c->dirty_count, 1);
        atomic_fetch_add(&all.dirty, 1);
        spin_lock(&all.lock);
        list_remove(&p->lru);
        all.pages--;
        spin_unlock(&all.lock);
    }
    atomic_store(&p->dirty, true);
    return true;
}

void cache_mark_dirty(struct cached_page *p)
{
    struct page_cache *c = p->cache;
    spin_lock(&c->lock);
    (void)mark_dirty_locked(c, p);
    spin_unlock(&c->lock);
}

/* Marks before the copy, so that the page is neither evicted nor lost; and after it, in case it
 * was given out to be written meanwhile. */
static ssize_t write_into(struct page_cache *c, struct cached_page *p, struct iter *from,
                          uint64_t pos, size_t n)
{
    spin_lock(&c->lock);
    bool kept = radix_get(&c->pages, p->index) == p && mark_dirty_locked(c, p);
    spin_unlock(&c->lock);
    if (!kept)
        return -ENOMEM;
    size_t copied = iter_copy_from(from, p->data + (pos & (PAGE_SIZE - 1)), n);
    cache_mark_dirty(p);
    return copied ? (ssize_t)copied : -EFAULT;
}

/* A page of which nothing remains needs no reading; it is shown when it is complete. */
static ssize_t write_new(struct page_cache *c, struct iter *from, uint64_t pos, size_t n)
{
    struct iter saved = *from;
    struct cached_page *p = cache_page_new(c, pos >> PAGE_SHIFT);
    if (!p)
        return -ENOMEM;
    ssize_t r = (ssize_t)iter_copy_from(from, p->data + (pos & (PAGE_SIZE - 1)), n);
    if ((size_t)r < n) {
        iter_revert(from, &saved);
        cache_put(p);
        return -EFAULT;
    }
    struct cached_page *there = cache_insert(c, p);
    if (there != p) {
        iter_revert(from, &saved);
        r = write_into(c, there, from, pos, n);
    } else {
        spin_lock(&c->lock);
        bool kept = radix_get(&c->pages, p->index) == p && mark_dirty_locked(c, p);
        spin_unlock(&c->lock);
        r = kept ? r : -ENOMEM;
    }
    cache_put(there);
    return r;
}

static ssize_t write_page(struct page_cache *c, struct iter *from, uint64_t pos, uint64_t size)
{
    size_t offset = pos & (PAGE_SIZE - 1),
           n = MIN(from->remaining, (size_t)(PAGE_SIZE - offset));
    uint64_t start = pos - offset;
    bool whole = n == PAGE_SIZE || start >= size || (offset == 0 && pos + n >= size);
    ssize_t r = -ENOMEM;
    for (int tries = 0; tries < WRITE_TRIES && r == -ENOMEM; tries++) {
        struct cached_page *p = cache_find(c, pos >> PAGE_SHIFT);
        if (!p && whole)
            return write_new(c, from, pos, n);
        r = p ? 0 : cache_fill(c, pos >> PAGE_SHIFT, 1, SIZE_MAX, &p);
        if (r < 0)
            return r;
        r = write_into(c, p, from, pos, n);
        cache_put(p);
    }
    return r;
}

ssize_t cache_write_back(struct page_cache *c, struct iter *from, uint64_t pos, uint64_t size)
{
    size_t done = 0;
    while (from->remaining) {
        size_t want = MIN(from->remaining, (size_t)(PAGE_SIZE - (pos & (PAGE_SIZE - 1))));
        ssize_t n = write_page(c, from, pos, size);
        if (n < 0)
            return done ? (ssize_t)done : n;
        done += (size_t)n;
        pos += (size_t)n;
        if ((size_t)n < want)
            break;
    }
    cache_balance();
    return (ssize_t)done;
}

size_t cache_take_dirty(struct page_cache *c, uint64_t *index, struct cached_page *out[],
                        size_t max)
{
    size_t n = 0;
    spin_lock(&c->lock);
    while (n < max) {
        struct cached_page *p = radix_next(&c->dirty, index);
        if (!p)
            break;
        atomic_fetch_add(&p->pins, 1);
        atomic_store(&p->dirty, false);
        out[n++] = p;
        (*index)++;
    }
    spin_unlock(&c->lock);
    return n;
}

void cache_give_back(struct cached_page *p, bool written)
{
    struct page_cache *c = p->cache;
    spin_lock(&c->lock);
    if (!written)
        atomic_store(&p->dirty, true);
    if (p->queued && !atomic_load(&p->dirty)) {
        unqueue_locked(p);
        spin_lock(&all.lock);
        list_append(&all.lru, &p->lru);
        all.pages++;
        spin_unlock(&all.lock);
    }
    spin_unlock(&c->lock);
    cache_put(p);
}

/* Takes the first page at or after *index out of the map; NULL: there is none up to `last`. */
static struct cached_page *take_next(struct page_cache *c, uint64_t *index, uint64_t last)
{
    spin_lock(&c->lock);
    struct cached_page *p = radix_next(&c->pages, index);
    if (p && *index <= last)
        page_unlink_locked(p);
    else
        p = NULL;
    spin_unlock(&c->lock);
    return p;
}

static void drop_range(struct page_cache *c, uint64_t first, uint64_t last)
{
    struct cached_page *p;
    uint64_t index = first;
    atomic_fetch_add(&c->epoch, 1);
    while ((p = take_next(c, &index, last)) != NULL)
        cache_put(p);
}

static void zero_part(struct page_cache *c, uint64_t pos, size_t size)
{
    struct cached_page *p = cache_find(c, pos >> PAGE_SHIFT);
    if (!p)
        return;
    memset(p->data + (pos & (PAGE_SIZE - 1)), 0, size);
    cache_put(p);
}

void cache_truncate(struct page_cache *c, uint64_t pos)
{
    size_t offset = pos & (PAGE_SIZE - 1);
    if (offset)
        zero_part(c, pos, PAGE_SIZE - offset);
    drop_range(c, (pos + PAGE_SIZE - 1) >> PAGE_SHIFT, UINT64_MAX);
    contents_changed(c);
}

static void punch(struct page_cache *c, uint64_t pos, uint64_t size)
{
    uint64_t end = pos + size;
    uint64_t first = align_up(pos, PAGE_SIZE), last = align_down(end, PAGE_SIZE);
    if (first > last) {
        zero_part(c, pos, size);
        return;
    }
    if (pos < first)
        zero_part(c, pos, first - pos);
    if (last < end)
        zero_part(c, last, end - last);
    if (first < last)
        drop_range(c, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
}

void cache_punch(struct page_cache *c, uint64_t pos, uint64_t size)
{
    punch(c, pos, size);
    contents_changed(c);
}

/* The first page at or after *index; *victim is that page if it could be taken out. */
static bool forget_next(struct page_cache *c, uint64_t *index, uint64_t end,
                        struct cached_page **victim)
{
    *victim = NULL;
    spin_lock(&c->lock);
    struct cached_page *p = radix_next(&c->pages, index);
    bool any = p && *index < end;
    if (any && !p->queued && !atomic_load(&p->dirty) && atomic_load(&p->pins) == 1) {
        page_unlink_locked(p);
        *victim = p;
    }
    spin_unlock(&c->lock);
    return any;
}

void cache_forget(struct page_cache *c, uint64_t pos, uint64_t size)
{
    struct cached_page *victim;
    uint64_t index = (pos + PAGE_SIZE - 1) >> PAGE_SHIFT, end = (pos + size) >> PAGE_SHIFT;
    for (; !c->keep && forget_next(c, &index, end, &victim); index++) {
        if (victim)
            cache_put(victim);
    }
}

void cache_copied(struct page_cache *c, uint64_t pos, uint64_t size)
{
    uint64_t pages = c->inode->size >> PAGE_SHIFT;
    if (atomic_load_explicit(&c->filled, memory_order_relaxed) <= pages + pages / 4)
        cache_forget(c, pos, size);
}

void cache_invalidate(struct page_cache *c)
{
    if (c->pages.count)
        drop_range(c, 0, UINT64_MAX);
    else
        atomic_fetch_add(&c->epoch, 1);
    contents_changed(c);
}

void cache_empty(struct page_cache *c)
{
    drop_range(c, 0, UINT64_MAX);
}

uint64_t cache_page_count(struct page_cache *c)
{
    return c->pages.count;
}

bool cache_next_page(struct page_cache *c, uint64_t *index)
{
    spin_lock(&c->lock);
    bool found = radix_next(&c->pages, index) != NULL;
    spin_unlock(&c->lock);
    return found;
}

void cache_stats(struct cache_stats *out)
{
    out->pages = all.pages;
    out->limit_pages = limit_pages();
    out->kept_pages = atomic_load(&all.kept);
    out->filled = atomic_load(&cache_filled);
    out->dropped = all.dropped;
}
