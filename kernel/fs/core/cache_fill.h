/* SPDX-License-Identifier: BSD-3-Clause */
/* Between cache.c, which keeps the pages, and cache_read.c, which brings them in. */
#pragma once

#include "fs/core/cache.h"

extern _Atomic uint64_t cache_filled; /* pages read, since the start */

/* Zeroed, of nobody yet, pinned once; NULL: no memory. */
struct cached_page *cache_page_new(struct page_cache *c, uint64_t index);
/* Pinned; NULL: it is not there. */
struct cached_page *cache_find(struct page_cache *c, uint64_t index);
/* As many as there are from `index` on without a gap, at most `max`, pinned. */
size_t cache_find_run(struct page_cache *c, uint64_t index, struct cached_page *out[],
                      size_t max);
/*
 * Puts a page into the map, which then has a pin of its own. The page that was already there
 * wins: it is returned pinned instead, and `p` is freed.
 */
struct cached_page *cache_insert(struct page_cache *c, struct cached_page *p);
/* The page, pinned, and some that follow, of which `want` in all are asked for, from the file
 * system; `most` of them at most. */
int cache_fill(struct page_cache *c, uint64_t index, size_t want, size_t most,
               struct cached_page **out) MUST_CHECK;
