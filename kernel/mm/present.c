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
#define NODES       1024ull /* a tebibyte; larger ranges are not used */

struct leaf {
    uint8_t state[LEAF_PAGES];
};
struct node {
    struct leaf *_Atomic leaf[NODE_LEAVES];
};

static struct node *_Atomic nodes[NODES];

static struct leaf *leaf_of(uaddr_t address)
{
    uint64_t n = (address - enclave.base) / NODE_BYTES;
    struct node *node = n < NODES ? atomic_load(&nodes[n]) : NULL;

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

static int leaf_make(uaddr_t address)
{
    uint64_t n = (address - enclave.base) / NODE_BYTES;

    if (n >= NODES)
        return -ENOMEM;
    struct node *node = atomic_load(&nodes[n]);
    if (!node) {
        struct node *fresh = kzalloc(sizeof(*fresh));
        if (!fresh)
            return -ENOMEM;
        if (atomic_compare_exchange_strong(&nodes[n], &node, fresh))
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
        uint64_t n = (a - enclave.base) / NODE_BYTES;
        uaddr_t node_start = enclave.base + n * NODE_BYTES;
        uaddr_t stop = MIN(end, node_start + NODE_BYTES);
        struct node *node = n < NODES ? atomic_load(&nodes[n]) : NULL;
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
            atomic_store(&nodes[n], NULL);
            kfree(node);
        }
        a = stop;
    }
}

void present_set(uaddr_t start, uaddr_t end, uint8_t state)
{
    while (start < end) {
        uaddr_t stop =
            MIN(end, align_down(start - enclave.base, LEAF_BYTES) + enclave.base + LEAF_BYTES);
        struct leaf *l = leaf_of(start);
        assert(l || !state);
        if (l)
            memset(&l->state[slot_of(start)], state, (stop - start) / PAGE_SIZE);
        start = stop;
    }
}

uaddr_t present_run(uaddr_t start, uaddr_t end, uint8_t *state)
{
    *state = present_get(start);
    while (start < end) {
        struct leaf *l = leaf_of(start);
        uaddr_t stop =
            MIN(end, align_down(start - enclave.base, LEAF_BYTES) + enclave.base + LEAF_BYTES);
        if (!l) {
            if (*state)
                return start;
            start = stop;
            continue;
        }
        for (; start < stop; start += PAGE_SIZE) {
            if (l->state[slot_of(start)] != *state)
                return start;
        }
    }
    return end;
}
