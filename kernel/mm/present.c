/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One byte for each page of the user range, in leaves of 2 MiB's worth: what is present and
 * with which permissions, as the EPCM has it. A page's byte is changed by the mm that owns the
 * page's range, under its lock. Leaves come when needed, and go when no range reaches into what
 * they are for: nobody looks at them then (ranges.c).
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

#define LEAF_PAGES  512ull
#define LEAF_BYTES  (LEAF_PAGES * PAGE_SIZE)
#define NODE_LEAVES 512ull
#define NODE_BYTES  (LEAF_BYTES * NODE_LEAVES)
#define TREE_NODES  512ull
#define TREE_BYTES  (NODE_BYTES * TREE_NODES)
#define TREES       128ull /* sixty-four tebibytes, the largest enclave */

struct leaf {
    uint8_t state[LEAF_PAGES];
};
struct node {
    struct leaf *_Atomic leaf[NODE_LEAVES];
};
/* Trees stay: there are few. */
struct tree {
    struct node *_Atomic node[TREE_NODES];
};

static struct tree *_Atomic trees[TREES];

/* Where the node of that address is noted; NULL where there is no tree. */
static struct node *_Atomic *node_slot(uaddr_t address)
{
    uint64_t n = (address - enclave.base) / NODE_BYTES;
    struct tree *tree = n / TREE_NODES < TREES ? atomic_load(&trees[n / TREE_NODES]) : NULL;

    return tree ? &tree->node[n % TREE_NODES] : NULL;
}

static struct node *node_of(uaddr_t address)
{
    struct node *_Atomic *slot = node_slot(address);
    return slot ? atomic_load(slot) : NULL;
}

static struct leaf *leaf_of(uaddr_t address)
{
    struct node *node = node_of(address);

    return node ? atomic_load(&node->leaf[(address - enclave.base) / LEAF_BYTES % NODE_LEAVES])
                : NULL;
}

static uint64_t slot_of(uaddr_t address)
{
    return (address - enclave.base) / PAGE_SIZE % LEAF_PAGES;
}

uint8_t present_get(uaddr_t address)
{
    struct leaf *l = leaf_of(address);
    return l ? l->state[slot_of(address)] : 0;
}

static int tree_make(uaddr_t address)
{
    uint64_t n = (address - enclave.base) / TREE_BYTES;
    struct tree *none = NULL, *fresh;

    if (n >= TREES)
        return -ENOMEM;
    if (atomic_load(&trees[n]))
        return 0;
    fresh = kzalloc(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    if (!atomic_compare_exchange_strong(&trees[n], &none, fresh))
        kfree(fresh);
    return 0;
}

static int leaf_make(uaddr_t address)
{
    int e = tree_make(address);

    if (e)
        return e;
    struct node *_Atomic *slot = node_slot(address);
    struct node *node = atomic_load(slot);
    if (!node) {
        struct node *fresh = kzalloc(sizeof(*fresh));
        if (!fresh)
            return -ENOMEM;
        if (atomic_compare_exchange_strong(slot, &node, fresh))
            node = fresh;
        else
            kfree(fresh);
    }
    struct leaf *_Atomic *at = &node->leaf[(address - enclave.base) / LEAF_BYTES % NODE_LEAVES];
    struct leaf *none = NULL, *fresh;
    if (atomic_load(at))
        return 0;
    fresh = kzalloc(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    if (!atomic_compare_exchange_strong(at, &none, fresh))
        kfree(fresh);
    return 0;
}

int present_reserve(uaddr_t start, uaddr_t end)
{
    for (uaddr_t a = align_down(start, LEAF_BYTES); a < end; a += LEAF_BYTES) {
        if (leaf_of(MAX(a, start)))
            continue;
        int e = leaf_make(MAX(a, start));
        if (e)
            return e;
    }
    return 0;
}

static bool all_zero(const void *bytes, size_t size)
{
    const uint64_t *word = bytes;
    for (size_t i = 0; i < size / sizeof(*word); i++) {
        if (word[i])
            return false;
    }
    return true;
}

void present_forget(uaddr_t start, uaddr_t end, bool (*unused)(uaddr_t start, uaddr_t end))
{
    for (uaddr_t a = start; a < end;) {
        uaddr_t node_start = enclave.base + align_down(a - enclave.base, NODE_BYTES);
        uaddr_t stop = MIN(end, node_start + NODE_BYTES);
        struct node *node = node_of(a);
        for (uaddr_t leaf = node_start + align_down(a - node_start, LEAF_BYTES);
             node && leaf < stop; leaf += LEAF_BYTES) {
            struct leaf *_Atomic *at = &node->leaf[(leaf - node_start) / LEAF_BYTES];
            struct leaf *l = atomic_load(at);
            if (!l || !unused(leaf, leaf + LEAF_BYTES) || !all_zero(l, sizeof(*l)))
                continue;
            atomic_store(at, NULL);
            kfree(l);
        }
        if (node && unused(node_start, node_start + NODE_BYTES) &&
            all_zero(node, sizeof(*node))) {
            atomic_store(node_slot(a), NULL);
            kfree(node);
        }
        a = stop;
    }
}

/* The end of the part of `address` that is `bytes` large. */
static uaddr_t part_end(uaddr_t address, uint64_t bytes)
{
    return enclave.base + align_down(address - enclave.base, bytes) + bytes;
}

void present_set(uaddr_t start, uaddr_t end, uint8_t state)
{
    while (start < end) {
        uaddr_t stop = MIN(end, part_end(start, LEAF_BYTES));
        struct leaf *l = leaf_of(start);
        assert(l || !state);
        if (l)
            memset(&l->state[slot_of(start)], state, (stop - start) / PAGE_SIZE);
        start = stop;
    }
}

static uint64_t count_same(const uint8_t *bytes, uint64_t count, uint8_t value)
{
    uint64_t n = 0, all = value * 0x0101010101010101ull, word;

    for (; n + sizeof(word) <= count; n += sizeof(word)) {
        memcpy(&word, bytes + n, sizeof(word));
        if (word != all)
            return n + (uint64_t)__builtin_ctzll(word ^ all) / 8;
    }
    while (n < count && bytes[n] == value)
        n++;
    return n;
}

uaddr_t present_run(uaddr_t start, uaddr_t end, uint8_t *state)
{
    *state = present_get(start);
    while (start < end) {
        struct leaf *l = leaf_of(start);
        uaddr_t stop = MIN(end, part_end(start, LEAF_BYTES));
        if (!l) {
            if (*state)
                return start;
            /* What was only reserved can be terabytes: by gibibytes then. */
            start = node_of(start) ? stop : MIN(end, part_end(start, NODE_BYTES));
            continue;
        }
        uint64_t pages = (stop - start + PAGE_SIZE - 1) / PAGE_SIZE;
        uint64_t same = count_same(&l->state[slot_of(start)], pages, *state);
        start += same * PAGE_SIZE;
        if (same < pages)
            return start;
    }
    return end;
}
