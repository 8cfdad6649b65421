/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool and the path arithmetic of copy_bom.
 */
#include "bom/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool_block {
    struct pool_block *next;
    char data[] __attribute__((aligned(16)));
};

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_block *block = calloc(1, sizeof(*block) + size);
    if (!block) {
        fputs("copy_bom: out of memory\n", stderr);
        abort();
    }
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

char *pool_copy(struct pool *pool, const char *text, size_t length)
{
    char *copy = pool_alloc(pool, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *pool_printf(struct pool *pool, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = pool_alloc(pool, length < 0 ? 1 : (size_t)length + 1);
    if (length > 0)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void pool_fini(struct pool *pool)
{
    while (pool->blocks) {
        struct pool_block *block = pool->blocks;
        pool->blocks = block->next;
        free(block);
    }
}

void *pool_more(struct pool *pool, void *array, size_t count, size_t element_size)
{
    if (array && count & (count - 1))
        return array;
    /* The room doubles whenever the count reaches a power of two. */
    void *larger = pool_alloc(pool, (count ? 2 * count : 1) * element_size);
    if (count)
        memcpy(larger, array, count * element_size);
    return larger;
}

char *path_join(struct pool *pool, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    while (length && folder[length - 1] == '/')
        length--;
    while (*name == '/')
        name++;
    return pool_printf(pool, "%.*s/%s", (int)length, folder, name);
}

char *path_clean(struct pool *pool, const char *path)
{
    char *clean = pool_alloc(pool, strlen(path) + 2);
    size_t length = 0;
    while (*path) {
        size_t span = strcspn(path, "/");
        if (span == 2 && !memcmp(path, "..", 2)) {
            while (length && clean[--length] != '/')
                ;
        } else if (span && !(span == 1 && *path == '.')) {
            clean[length++] = '/';
            memcpy(clean + length, path, span);
            length += span;
        }
        path += span + (path[span] == '/');
    }
    if (!length)
        clean[length++] = '/';
    clean[length] = 0;
    return clean;
}

char *path_dirname(struct pool *pool, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return pool_copy(pool, ".", 1);
    return pool_copy(pool, path, slash == path ? 1 : (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
