/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree's nodes in memory. A node is named by its block, or, once it has been changed, by a
 * number of its own with the top bit set; the parent's pointer holds that name, so a changed
 * node has changed parents up to the root. A commit gives every changed node a place, children
 * first, and seals it; if it fails, all that is taken back.
 */
#include "abi/errno.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define SPARE_NODES 40u /* what one operation can need */

static struct bnode **bucket(struct store *s, uint64_t id)
{
    return &s->nodes.buckets[(id * 0x9e3779b97f4a7c15ull) >> 52];
}

static void enter(struct store *s, struct bnode *n, uint64_t id)
{
    struct bnode **b = bucket(s, id);
    n->id = id;
    n->chain = *b;
    *b = n;
}

static void leave(struct store *s, struct bnode *n)
{
    struct bnode **at = bucket(s, n->id);
    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
}

static struct bnode *find(struct store *s, uint64_t id)
{
    struct bnode *n = *bucket(s, id);
    while (n && n->id != id)
        n = n->chain;
    return n;
}

static bool leaf_valid(const struct sefs_node *n)
{
    const struct sefs_slot_leaf *v = (const struct sefs_slot_leaf *)(n + 1);
    uint32_t end = (uint32_t)sizeof(*n) + n->count * (uint32_t)sizeof(*v), live = 0;
    if (end > SEFS_BLOCK || n->heap < end || n->heap > SEFS_BLOCK)
        return false;
    for (uint32_t i = 0; i < n->count; i++) {
        if (v[i].at < n->heap || v[i].at % 8 || v[i].size > SEFS_ITEM_MAX ||
            v[i].at + v[i].size > SEFS_BLOCK)
            return false;
        if (i && key_compare(v[i - 1].key, v[i].key) >= 0)
            return false;
        live += value_space(v[i].size);
    }
    return end + live <= SEFS_BLOCK;
}

bool node_valid(const struct sefs_node *n, unsigned level)
{
    if (n->level != level)
        return false;
    if (level == 0)
        return leaf_valid(n);
    const struct sefs_slot_inner *v = (const struct sefs_slot_inner *)(n + 1);
    if (n->count == 0 || n->count > SEFS_INNER_MAX)
        return false;
    for (uint32_t i = 0; i < n->count; i++) {
        /* The first key counts as the least, whatever is left there from before. */
        bool falls = i > 1 && key_compare(v[i - 1].key, v[i].key) >= 0;
        if (falls || v[i].ptr.block & NODE_MEMORY)
            return false;
    }
    return true;
}

static struct bnode *node_alloc(void)
{
    struct bnode *n = kzalloc(sizeof(*n));
    if (!n)
        return NULL;
    n->data = kmalloc(SEFS_BLOCK);
    if (!n->data) {
        kfree(n);
        return NULL;
    }
    list_init(&n->list);
    return n;
}

static void node_destroy(struct bnode *n)
{
    kfree(n->data);
    kfree(n);
}

static struct bnode *take_spare(struct store *s)
{
    struct list *l = list_pop(&s->nodes.spare);
    if (!l)
        return NULL;
    s->nodes.spare_count--;
    return list_entry(l, struct bnode, list);
}

static int node_read(struct store *s, const struct sefs_ptr *ptr, unsigned level,
                     struct bnode **out)
{
    if (!space_is_used(s, ptr->block)) {
        log_always("sefs %s: block %lu cannot be a node: it counts as free", s->name,
                   (unsigned long)ptr->block);
        return -EIO;
    }
    struct bnode *n = node_alloc();
    if (!n)
        return -ENOMEM;
    int r = block_read(s, ptr, n->data);
    if (r == 0 && !node_valid(n->head, level)) {
        log_always("sefs %s: block %lu is no node of level %u", s->name,
                   (unsigned long)ptr->block, level);
        r = -EIO;
    }
    if (r < 0) {
        node_destroy(n);
        return r;
    }
    enter(s, n, ptr->block);
    list_append(&s->nodes.clean, &n->list);
    s->nodes.clean_count++;
    *out = n;
    return 0;
}

int node_get(struct store *s, const struct sefs_ptr *ptr, unsigned level, struct bnode **out)
{
    struct bnode *n = find(s, ptr->block);
    if (unlikely(!n))
        return ptr->block & NODE_MEMORY ? -EIO : node_read(s, ptr, level, out);
    if (n->head->level != level)
        return -EIO;
    if (!(n->id & NODE_MEMORY)) {
        list_remove(&n->list);
        list_append(&s->nodes.clean, &n->list);
    }
    *out = n;
    return 0;
}

void node_make_dirty(struct store *s, struct bnode *n, struct sefs_ptr *ptr)
{
    if (n->id & NODE_MEMORY)
        return;
    space_free(s, n->id, 1);
    leave(s, n);
    enter(s, n, NODE_MEMORY | s->nodes.next_id++);
    list_remove(&n->list);
    list_append(&s->nodes.dirty, &n->list);
    s->nodes.clean_count--;
    s->nodes.dirty_count++;
    memset(ptr, 0, sizeof(*ptr));
    ptr->block = n->id;
}

struct bnode *node_new(struct store *s, unsigned level)
{
    struct bnode *n = take_spare(s);
    assert(n);
    memset(n->data, 0, SEFS_BLOCK);
    n->head->level = (uint16_t)level;
    n->head->heap = SEFS_BLOCK;
    enter(s, n, NODE_MEMORY | s->nodes.next_id++);
    list_append(&s->nodes.dirty, &n->list);
    s->nodes.dirty_count++;
    s->dirty = true;
    return n;
}

/* A node without items; it is dirty, as all that were changed. */
void node_free(struct store *s, struct bnode *n)
{
    assert(n->id & NODE_MEMORY);
    leave(s, n);
    list_remove(&n->list);
    s->nodes.dirty_count--;
    list_append(&s->nodes.spare, &n->list);
    s->nodes.spare_count++;
}

int nodes_prepare(struct store *s)
{
    nodes_trim(s);
    while (s->nodes.spare_count < SPARE_NODES) {
        struct bnode *n = node_alloc();
        if (!n)
            return -ENOMEM;
        list_append(&s->nodes.spare, &n->list);
        s->nodes.spare_count++;
    }
    return 0;
}

void nodes_trim(struct store *s)
{
    while (s->nodes.clean_count > s->nodes.limit) {
        struct bnode *n = list_entry(list_pop(&s->nodes.clean), struct bnode, list);
        leave(s, n);
        s->nodes.clean_count--;
        node_destroy(n);
    }
    while (s->nodes.spare_count > 4 * SPARE_NODES)
        node_destroy(take_spare(s));
}

static void drop_list(struct list *l)
{
    struct list *n;
    while ((n = list_pop(l)) != NULL)
        node_destroy(list_entry(n, struct bnode, list));
}

void nodes_drop(struct store *s)
{
    drop_list(&s->nodes.clean);
    drop_list(&s->nodes.dirty);
    drop_list(&s->nodes.sealed);
    drop_list(&s->nodes.spare);
    memset(s->nodes.buckets, 0, sizeof(s->nodes.buckets));
    s->nodes.clean_count = s->nodes.dirty_count = s->nodes.spare_count = 0;
}

/* ---- commits ---- */

struct run {
    uint64_t next;
    uint32_t left;
};

static int seal_one(struct store *s, struct bnode *n, struct sefs_ptr *ptr, struct run *run)
{
    if (!run->left)
        run->left = space_alloc_nodes(s, MIN(s->nodes.dirty_count, WRITER_BLOCKS), &run->next);
    if (!run->left)
        return -ENOSPC;
    uint64_t block = run->next++;
    run->left--;
    leave(s, n);
    enter(s, n, block);
    list_remove(&n->list);
    list_append(&s->nodes.sealed, &n->list);
    s->nodes.dirty_count--;
    n->back = ptr;
    return writer_put(s, block, n->data, ptr);
}

/* Depth is bounded by the tree's height, which is bounded by SEFS_HEIGHT. */
static int seal_below(struct store *s, struct sefs_ptr *ptr, struct run *run)
{
    if (!(ptr->block & NODE_MEMORY))
        return 0;
    struct bnode *n = find(s, ptr->block);
    if (!n)
        return -EIO; /* in two places of a damaged tree */
    struct sefs_slot_inner *v = inner_slots(n);
    for (uint32_t i = 0; n->head->level && i < n->head->count; i++) {
        int r = seal_below(s, &v[i].ptr, run);
        if (r < 0)
            return r;
    }
    return seal_one(s, n, ptr, run);
}

int nodes_seal(struct store *s)
{
    struct run run = {0};
    int r = seal_below(s, &s->root.tree, &run);
    if (run.left)
        space_free(s, run.next, run.left);
    return r;
}

/* The nodes keep their contents; only their places are given back. */
void nodes_unseal(struct store *s)
{
    struct list *l;
    while ((l = list_pop(&s->nodes.sealed)) != NULL) {
        struct bnode *n = list_entry(l, struct bnode, list);
        space_free(s, n->id, 1);
        leave(s, n);
        enter(s, n, NODE_MEMORY | s->nodes.next_id++);
        memset(n->back, 0, sizeof(*n->back));
        n->back->block = n->id;
        list_append(&s->nodes.dirty, &n->list);
        s->nodes.dirty_count++;
    }
}

void nodes_settle(struct store *s)
{
    struct list *l;
    while ((l = list_pop(&s->nodes.sealed)) != NULL) {
        list_append(&s->nodes.clean, l);
        s->nodes.clean_count++;
    }
}
