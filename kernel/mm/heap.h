/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the page allocator and the object allocator. The heap's range is taken in chunks of
 * 4 MiB, aligned to their size, whose first pages describe the others.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "mm/kmalloc.h"

#define CHUNK_BYTES (4ull << 20)
#define CHUNK_PAGES (CHUNK_BYTES / PAGE_SIZE)

enum page_kind { PAGE_FREE, PAGE_BODY, PAGE_BLOCK, PAGE_SLAB, PAGE_HEADER, PAGE_HUGE };

struct page_meta {
    uint8_t kind;  /* enum page_kind; PAGE_BODY: not the first of its block */
    uint8_t order; /* PAGE_FREE, PAGE_BLOCK, PAGE_SLAB: of the block */
    uint8_t class; /* PAGE_SLAB */
    uint8_t pad;
    uint16_t used;  /* PAGE_SLAB: objects handed out */
    uint16_t first; /* PAGE_BODY: index of the block's first page */
    union {
        void *free;            /* PAGE_SLAB: free objects, links scrambled */
        struct page_note note; /* PAGE_BLOCK */
    };
    struct list node;
};
_Static_assert(sizeof(struct page_meta) == 32, "the chunk header's size follows from it");

#define CHUNK_HEADER_PAGES (CHUNK_PAGES * sizeof(struct page_meta) / PAGE_SIZE)

static inline struct page_meta *page_meta(const void *p)
{
    uint64_t chunk = align_down((uint64_t)p, CHUNK_BYTES);
    return (struct page_meta *)chunk + ((uint64_t)p - chunk) / PAGE_SIZE;
}
static inline void *page_of_meta(const struct page_meta *m)
{
    uint64_t chunk = align_down((uint64_t)m, CHUNK_BYTES);
    return (void *)(chunk + (uint64_t)(m - (struct page_meta *)chunk) * PAGE_SIZE);
}

/* A block of 2^order pages, zeroed, or NULL. */
void *block_alloc(unsigned order, enum page_kind kind) MUST_CHECK;
/* Contents must be scrubbed already. */
void block_free(void *p);

void heap_init(void);
