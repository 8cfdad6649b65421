/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's heap. Memory is zeroed on allocation where the name says so, and always scrubbed
 * when freed. All functions can fail with NULL; the program then sees ENOMEM.
 */
#pragma once

#include "lib/types.h"

void *kmalloc(size_t size) MUST_CHECK;
void *kzalloc(size_t size) MUST_CHECK;
/* count * size, checked for overflow; zeroed. */
void *kcalloc(size_t count, size_t size) MUST_CHECK;
/* Grows or shrinks; the old block stays valid on failure. */
void *krealloc(void *p, size_t size) MUST_CHECK;
void kfree(void *p); /* NULL is fine */
char *kstrdup(const char *s) MUST_CHECK;

/* Whole pages, zeroed, page aligned, with the kernel's heap as their source. */
void *pages_alloc(size_t count) MUST_CHECK;
void pages_free(void *p, size_t count);
/* What whoever has allocated a page by pages_alloc(1) notes about it; undefined at first. */
struct page_note {
    uint32_t users;
    uint32_t equal; /* how often it was found to be the same as another page */
};
struct page_note *page_note(const void *page);

struct heap_stats {
    uint64_t used_bytes;      /* handed out */
    uint64_t committed_bytes; /* backed by pages */
    uint64_t limit_bytes;
};
void heap_stats(struct heap_stats *out);
