/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel pages: a buddy allocator over chunks of the heap's range, which come from the host
 * (EAUG) when needed and are zero then; freed pages are scrubbed, so that all free pages are
 * zero. Blocks above BLOCK_ORDER_MAX take whole chunks of their own. Chunks are not given back.
 * The first chunk comes piece by piece: a small program needs no more, and starts sooner.
 */
#include "boundary/layout.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/san.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmalloc.h"
#include "sched/lock.h"

#define BLOCK_ORDER_MAX 9u
#define PIECE_ORDER     6u
#define PIECE_PAGES     (1u << PIECE_ORDER)

struct huge_block {
    struct huge_block *next;
    uint64_t bytes;
};

static struct spinlock page_lock = SPINLOCK_INIT(RANK_PAGES);
static struct list free_blocks[BLOCK_ORDER_MAX + 1];
static struct huge_block *free_huge;
static uint64_t next_chunk, first_chunk;
static unsigned first_used; /* pages of the first chunk that are there, or on their way */
static uint64_t used_pages, committed_pages, limit_pages;

void heap_init(void)
{
    for (unsigned i = 0; i <= BLOCK_ORDER_MAX; i++)
        list_init(&free_blocks[i]);
    first_chunk = align_up(enclave.heap_start, CHUNK_BYTES);
    next_chunk = first_chunk + CHUNK_BYTES;
    uint64_t limit = enclave.config->kernel_heap_max;
    if (!limit)
        limit = MAX(boot_info->memory_bytes / 2, 64ull << 20);
    limit_pages = MIN(limit, enclave.heap_end - first_chunk) / PAGE_SIZE;
}

static void put_free(struct page_meta *m, unsigned order) HELD(page_lock)
{
    m->kind = PAGE_FREE;
    m->order = (uint8_t)order;
    list_push(&free_blocks[order], &m->node);
}

/* `bytes` of fresh range, committed; 0 when the limit or the host says no. */
static uint64_t grow(uint64_t bytes)
{
    spin_lock(&page_lock);
    uint64_t at = next_chunk;
    bool ok = committed_pages + bytes / PAGE_SIZE <= limit_pages;
    if (ok) {
        next_chunk += bytes;
        committed_pages += bytes / PAGE_SIZE;
    }
    spin_unlock(&page_lock);
    if (!ok || lock_add_pages(at, bytes / PAGE_SIZE))
        return 0;
    return at;
}

/* With its buddies, as far as they are free. */
static void put_merged(struct page_meta *chunk, uint64_t index, unsigned order) HELD(page_lock)
{
    while (order < BLOCK_ORDER_MAX) {
        uint64_t buddy = index ^ (1ull << order);
        struct page_meta *b = chunk + buddy;
        if (b->kind != PAGE_FREE || b->order != order)
            break;
        list_remove(&b->node);
        b->kind = PAGE_BODY;
        index &= ~(1ull << order);
        order++;
    }
    put_free(chunk + index, order);
}

/* New pages [from,to) of a chunk: naturally aligned blocks of up to 2^order. */
static void put_new(uint64_t chunk, uint64_t from, uint64_t to, unsigned order)
{
    struct page_meta *meta = (struct page_meta *)chunk;

    for (; from < CHUNK_HEADER_PAGES; from++)
        meta[from].kind = PAGE_HEADER;
    spin_lock(&page_lock);
    while (from < to) {
        unsigned o = MIN((unsigned)__builtin_ctzll(from), order);
        put_merged(meta, from, o);
        from += 1ull << o;
    }
    spin_unlock(&page_lock);
}

static bool add_chunk(void)
{
    uint64_t at = grow(CHUNK_BYTES);

    if (at)
        put_new(at, 0, CHUNK_PAGES, BLOCK_ORDER_MAX);
    return at != 0;
}

/* False: there is none left, or none to be had. The very first, with the chunk's header, is
 * taken while one vCPU runs. */
static bool add_piece(void)
{
    spin_lock(&page_lock);
    unsigned at = first_used;
    bool ok = at < CHUNK_PAGES && committed_pages + PIECE_PAGES <= limit_pages;
    if (ok) {
        first_used += PIECE_PAGES;
        committed_pages += PIECE_PAGES;
    }
    spin_unlock(&page_lock);
    if (!ok || lock_add_pages(first_chunk + at * PAGE_SIZE, PIECE_PAGES))
        return false;
    put_new(first_chunk, at, at + PIECE_PAGES, PIECE_ORDER);
    return true;
}

static struct page_meta *take_free(unsigned order) HELD(page_lock)
{
    for (unsigned o = order; o <= BLOCK_ORDER_MAX; o++) {
        struct list *n = list_pop(&free_blocks[o]);
        if (!n)
            continue;
        struct page_meta *m = list_entry(n, struct page_meta, node);
        while (o > order) {
            o--;
            put_free(m + (1ull << o), o);
        }
        return m;
    }
    return NULL;
}

void *block_alloc(unsigned order, enum page_kind kind)
{
    assert(order <= BLOCK_ORDER_MAX);
    for (;;) {
        spin_lock(&page_lock);
        struct page_meta *m = take_free(order);
        if (m) {
            uint64_t index = ((uint64_t)m & (CHUNK_BYTES - 1)) / sizeof(*m);
            m->kind = kind;
            m->order = (uint8_t)order;
            for (uint64_t i = 1; i < 1ull << order; i++) {
                m[i].kind = PAGE_BODY;
                m[i].first = (uint16_t)index;
            }
            used_pages += 1ull << order;
        }
        spin_unlock(&page_lock);
        if (m) {
            san_unpoison(page_of_meta(m), PAGE_SIZE << order);
            return page_of_meta(m);
        }
        if (!(order <= PIECE_ORDER && add_piece()) && !add_chunk())
            return NULL;
    }
}

void block_free(void *p)
{
    struct page_meta *m = page_meta(p);
    uint64_t chunk = align_down((uint64_t)p, CHUNK_BYTES);
    unsigned order = m->order;

    san_poison(p, PAGE_SIZE << order);
    spin_lock(&page_lock);
    assert(m->kind == PAGE_BLOCK || m->kind == PAGE_SLAB);
    used_pages -= 1ull << order;
    uint64_t index = (uint64_t)(m - (struct page_meta *)chunk);
    put_merged((struct page_meta *)chunk, index, order);
    spin_unlock(&page_lock);
}

static void *huge_alloc(uint64_t bytes)
{
    bytes = align_up(bytes, CHUNK_BYTES);
    spin_lock(&page_lock);
    for (struct huge_block **link = &free_huge; *link; link = &(*link)->next) {
        struct huge_block *b = *link;
        if (b->bytes != bytes)
            continue;
        *link = b->next;
        used_pages += bytes / PAGE_SIZE;
        spin_unlock(&page_lock);
        memset(b, 0, sizeof(*b));
        return b;
    }
    spin_unlock(&page_lock);
    uint64_t at = grow(bytes);
    if (at)
        __atomic_fetch_add(&used_pages, bytes / PAGE_SIZE, __ATOMIC_RELAXED);
    return (void *)at;
}

static void huge_free(void *p, uint64_t bytes)
{
    struct huge_block *b = p;

    bytes = align_up(bytes, CHUNK_BYTES);
    spin_lock(&page_lock);
    b->bytes = bytes;
    b->next = free_huge;
    free_huge = b;
    used_pages -= bytes / PAGE_SIZE;
    spin_unlock(&page_lock);
}

static unsigned order_for(size_t count)
{
    return count <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(count - 1);
}

void *pages_alloc(size_t count)
{
    unsigned order = order_for(count);

    if (count > SIZE_MAX / PAGE_SIZE / 2)
        return NULL;
    if (order > BLOCK_ORDER_MAX)
        return huge_alloc(count * PAGE_SIZE);
    return block_alloc(order, PAGE_BLOCK);
}

void pages_free(void *p, size_t count)
{
    if (!p)
        return;
    memset(p, 0, count * PAGE_SIZE);
    if (order_for(count) > BLOCK_ORDER_MAX)
        huge_free(p, count * PAGE_SIZE);
    else
        block_free(p);
}

struct page_note *page_note(const void *page)
{
    return &page_meta(page)->note;
}

void heap_stats(struct heap_stats *out)
{
    spin_lock(&page_lock);
    *out = (struct heap_stats){.used_bytes = used_pages * PAGE_SIZE,
                               .committed_bytes = committed_pages * PAGE_SIZE,
                               .limit_bytes = limit_pages * PAGE_SIZE};
    spin_unlock(&page_lock);
}
