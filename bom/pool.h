/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is released all at once. copy_bom runs briefly and keeps all it has read until it
 * ends; running out of memory ends it.
 */
#pragma once

#include <stddef.h>

struct pool {
    struct pool_block *blocks;
};

void *pool_alloc(struct pool *pool, size_t size); /* zeroed */
char *pool_copy(struct pool *pool, const char *text, size_t length);
char *pool_printf(struct pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void pool_fini(struct pool *pool);

/* Room for one more element behind `count`; gives the array's place, which may be new. */
void *pool_more(struct pool *pool, void *array, size_t count, size_t element_size);

/* "a/b", without doubled slashes where the two meet. */
char *path_join(struct pool *pool, const char *folder, const char *name);

/* Absolute, without ".", ".." and empty components; what links point to is not asked. */
char *path_clean(struct pool *pool, const char *path);

char *path_dirname(struct pool *pool, const char *path);
const char *path_basename(const char *path);
