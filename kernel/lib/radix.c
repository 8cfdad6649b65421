/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Radix tree over 64-bit keys, 64 slots a node. The tree is as high as its largest key needs; a
 * node without entries is freed at once, so an empty map owns no memory.
 * Not here: locks.
 */
#include "lib/radix.h"

#include "abi/errno.h"
#include "lib/alloc.h"
#include "lib/log.h"

#define BITS       6
#define SLOTS      (1u << BITS)
#define MAX_HEIGHT 11 /* 11 * 6 >= 64 */

struct radix_node {
    uint32_t used;
    void *slots[SLOTS]; /* nodes; values in the lowest level */
};

void radix_init(struct radix *r)
{
    *r = (struct radix){0};
}

/* Which slot `key` goes through in a node of that level; level 0 holds values. */
static unsigned slot_at(uint64_t key, uint32_t level)
{
    return (unsigned)(key >> (level * BITS)) & (SLOTS - 1);
}

static bool reaches(const struct radix *r, uint64_t key)
{
    return r->height >= MAX_HEIGHT || key >> (r->height * BITS) == 0;
}

void *radix_get(const struct radix *r, uint64_t key)
{
    if (!r->root || !reaches(r, key))
        return NULL;
    const struct radix_node *n = r->root;
    for (uint32_t level = r->height - 1; level && n; level--)
        n = n->slots[slot_at(key, level)];
    return n ? n->slots[slot_at(key, 0)] : NULL;
}

size_t radix_run(const struct radix *r, uint64_t key, void *out[], size_t max)
{
    size_t n = 0;
    while (n < max && r->root && reaches(r, key + n)) {
        const struct radix_node *leaf = r->root;
        for (uint32_t level = r->height - 1; level && leaf; level--)
            leaf = leaf->slots[slot_at(key + n, level)];
        for (unsigned i = slot_at(key + n, 0); leaf && i < SLOTS && n < max; i++) {
            if (!leaf->slots[i])
                return n;
            out[n++] = leaf->slots[i];
        }
        if (!leaf || key + n == 0)
            return n;
    }
    return n;
}

static int grow(struct radix *r, uint64_t key)
{
    while (!r->root || !reaches(r, key)) {
        struct radix_node *n = kzalloc(sizeof(*n));
        if (!n)
            return -ENOMEM;
        if (r->root) {
            n->slots[0] = r->root;
            n->used = 1;
        }
        bool first = !r->root;
        r->root = n;
        r->height++;
        while (first && !reaches(r, key)) /* the only node may stand at any height */
            r->height++;
    }
    return 0;
}

/* Frees the empty nodes on the way to `key`, and levels of which only the first slot is used.
 */
static void shrink(struct radix *r, uint64_t key)
{
    struct radix_node *path[MAX_HEIGHT], *n = r->root;
    uint32_t depth = 0;
    for (; n && depth < r->height; depth++) {
        path[depth] = n;
        n = n->slots[slot_at(key, r->height - 1 - depth)];
    }
    while (depth-- > 0 && path[depth]->used == 0) {
        kfree(path[depth]);
        if (depth == 0) {
            *r = (struct radix){0};
            return;
        }
        path[depth - 1]->slots[slot_at(key, r->height - depth)] = NULL;
        path[depth - 1]->used--;
    }
    while (r->height > 1 && r->root->used == 1 && r->root->slots[0]) {
        n = r->root;
        r->root = n->slots[0];
        r->height--;
        kfree(n);
    }
}

int radix_set(struct radix *r, uint64_t key, void *value)
{
    assert(value);
    if (grow(r, key)) {
        if (r->root)
            shrink(r, 0);
        return -ENOMEM;
    }
    struct radix_node *n = r->root;
    for (uint32_t level = r->height - 1; level; level--) {
        void **slot = &n->slots[slot_at(key, level)];
        if (!*slot) {
            *slot = kzalloc(sizeof(*n));
            if (!*slot) {
                shrink(r, key);
                return -ENOMEM;
            }
            n->used++;
        }
        n = *slot;
    }
    void **slot = &n->slots[slot_at(key, 0)];
    if (!*slot) {
        n->used++;
        r->count++;
    }
    *slot = value;
    return 0;
}

void *radix_remove(struct radix *r, uint64_t key)
{
    if (!r->root || !reaches(r, key))
        return NULL;
    struct radix_node *n = r->root;
    for (uint32_t level = r->height - 1; level && n; level--)
        n = n->slots[slot_at(key, level)];
    void **slot = n ? &n->slots[slot_at(key, 0)] : NULL;
    if (!slot || !*slot)
        return NULL;
    void *value = *slot;
    *slot = NULL;
    n->used--;
    r->count--;
    shrink(r, key);
    return value;
}

/* Moves *key to the start of the next slot of that level; false: it wrapped round. */
static bool skip(uint64_t *key, uint32_t level)
{
    uint64_t step = 1ull << (level * BITS);
    return !add_overflows(*key & ~(step - 1), step, key);
}

void *radix_next(const struct radix *r, uint64_t *key)
{
    uint64_t at = *key;
    while (r->root && reaches(r, at)) {
        const struct radix_node *n = r->root;
        uint32_t level = r->height - 1;
        for (; level && n->slots[slot_at(at, level)]; level--)
            n = n->slots[slot_at(at, level)];
        void *value = n->slots[slot_at(at, level)];
        if (value) {
            *key = at;
            return value;
        }
        if (!skip(&at, level))
            break;
    }
    return NULL;
}
