/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one tree that holds everything: sorted items of at most SEFS_ITEM_MAX bytes. Changes make
 * the nodes on the way dirty from the root down; full nodes are split on the way down, small
 * ones joined with a neighbour on the way up. Whatever must be read is read before anything is
 * changed, and new nodes come from the spares: a change does not fail half-way.
 */
#include "abi/errno.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"

struct walk {
    struct bnode *node[SEFS_HEIGHT]; /* by level */
    uint32_t slot[SEFS_HEIGHT];
};

static size_t leaf_room(const struct bnode *n)
{
    return n->head->heap - sizeof(struct sefs_node) -
           n->head->count * sizeof(struct sefs_slot_leaf);
}

static size_t leaf_live(const struct bnode *n)
{
    size_t live = 0;
    for (uint32_t i = 0; i < n->head->count; i++)
        live += value_space(leaf_slots(n)[i].size) + sizeof(struct sefs_slot_leaf);
    return live;
}

/* The first slot at or after the key. */
static uint32_t leaf_find(const struct bnode *n, struct sefs_key key)
{
    uint32_t low = 0, high = n->head->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (key_compare(leaf_slots(n)[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The last slot not after the key, or the first. */
static uint32_t inner_find(const struct bnode *n, struct sefs_key key)
{
    uint32_t low = 1, high = n->head->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (key_compare(inner_slots(n)[mid].key, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

static int descend(struct store *s, struct sefs_key key, struct walk *w)
{
    const struct sefs_ptr *ptr = &s->root.tree;
    for (unsigned level = s->root.height; level-- > 0;) {
        int r = node_get(s, ptr, level, &w->node[level]);
        if (r < 0)
            return r;
        struct bnode *n = w->node[level];
        w->slot[level] = level ? inner_find(n, key) : leaf_find(n, key);
        if (level)
            ptr = &inner_slots(n)[w->slot[level]].ptr;
    }
    return 0;
}

/* Down to the first leaf of the next subtree, or the last of the one before. */
static int sidestep(struct store *s, struct walk *w, int by)
{
    unsigned level = 1;
    while (level < s->root.height &&
           (by > 0 ? w->slot[level] + 1 >= w->node[level]->head->count : w->slot[level] == 0))
        level++;
    if (level >= s->root.height)
        return -ENOENT;
    w->slot[level] += (uint32_t)by;
    while (level-- > 0) {
        const struct sefs_ptr *ptr = &inner_slots(w->node[level + 1])[w->slot[level + 1]].ptr;
        int r = node_get(s, ptr, level, &w->node[level]);
        if (r < 0)
            return r;
        w->slot[level] = by > 0 ? 0 : w->node[level]->head->count - 1u;
    }
    return 0;
}

static void item_at(const struct bnode *n, uint32_t slot, struct item *out)
{
    const struct sefs_slot_leaf *v = &leaf_slots(n)[slot];
    out->key = v->key;
    out->value = n->data + v->at;
    out->size = v->size;
}

int btree_next(struct store *s, struct sefs_key key, struct item *out)
{
    struct walk w;
    int r = descend(s, key, &w);
    while (r == 0 && w.slot[0] >= w.node[0]->head->count)
        r = sidestep(s, &w, 1);
    if (r == 0)
        item_at(w.node[0], w.slot[0], out);
    return r;
}

int btree_prev(struct store *s, struct sefs_key key, struct item *out)
{
    struct walk w;
    int r = descend(s, key, &w);
    if (r < 0)
        return r;
    struct bnode *n = w.node[0];
    bool exact =
        w.slot[0] < n->head->count && key_compare(leaf_slots(n)[w.slot[0]].key, key) == 0;
    if (!exact && w.slot[0] == 0) {
        do {
            r = sidestep(s, &w, -1);
        } while (r == 0 && w.node[0]->head->count == 0);
        if (r < 0)
            return r;
    } else if (!exact) {
        w.slot[0]--;
    }
    item_at(w.node[0], w.slot[0], out);
    return 0;
}

int btree_find(struct store *s, struct sefs_key key, struct item *out)
{
    struct walk w;
    int r = descend(s, key, &w);
    if (r < 0)
        return r;
    if (w.slot[0] >= w.node[0]->head->count ||
        key_compare(leaf_slots(w.node[0])[w.slot[0]].key, key) != 0)
        return -ENOENT;
    item_at(w.node[0], w.slot[0], out);
    return 0;
}

/* ---- changing nodes ---- */

static void inner_insert(struct bnode *n, uint32_t slot, struct sefs_key key, uint64_t id)
{
    struct sefs_slot_inner *v = inner_slots(n);
    assert(n->head->count < SEFS_INNER_MAX);
    memmove(v + slot + 1, v + slot, (n->head->count - slot) * sizeof(*v));
    memset(&v[slot], 0, sizeof(v[slot]));
    v[slot].key = key;
    v[slot].ptr.block = id;
    n->head->count++;
}

static void inner_delete(struct bnode *n, uint32_t slot)
{
    struct sefs_slot_inner *v = inner_slots(n);
    n->head->count--;
    memmove(v + slot, v + slot + 1, (n->head->count - slot) * sizeof(*v));
}

/* Values together at the end again. */
static void leaf_compact(struct store *s, struct bnode *n)
{
    struct sefs_slot_leaf *v = leaf_slots(n);
    uint32_t heap = SEFS_BLOCK;
    memcpy(s->scratch, n->data, SEFS_BLOCK);
    for (uint32_t i = 0; i < n->head->count; i++) {
        heap -= value_space(v[i].size);
        memcpy(n->data + heap, s->scratch + v[i].at, v[i].size);
        v[i].at = (uint16_t)heap;
    }
    n->head->heap = (uint16_t)heap;
}

static bool leaf_fits(const struct bnode *n, size_t size)
{
    return leaf_live(n) + value_space(size) + sizeof(struct sefs_slot_leaf) <= SEFS_NODE_BYTES;
}

static void leaf_insert(struct store *s, struct bnode *n, uint32_t slot, const struct item *it)
{
    struct sefs_slot_leaf *v = leaf_slots(n);
    uint32_t space = value_space(it->size);
    if (leaf_room(n) < space + sizeof(*v))
        leaf_compact(s, n);
    assert(leaf_room(n) >= space + sizeof(*v));
    memmove(v + slot + 1, v + slot, (n->head->count - slot) * sizeof(*v));
    n->head->heap -= (uint16_t)space;
    n->head->count++;
    v[slot] = (struct sefs_slot_leaf){
        .key = it->key, .at = n->head->heap, .size = (uint16_t)it->size};
    if (it->size)
        memcpy(n->data + n->head->heap, it->value, it->size);
}

static void leaf_delete(struct bnode *n, uint32_t slot)
{
    struct sefs_slot_leaf *v = leaf_slots(n);
    if (v[slot].at == n->head->heap)
        n->head->heap += (uint16_t)value_space(v[slot].size);
    n->head->count--;
    memmove(v + slot, v + slot + 1, (n->head->count - slot) * sizeof(*v));
    if (!n->head->count)
        n->head->heap = SEFS_BLOCK;
}

/* Moves the slots from `from` on into an empty node of the same level. */
static void move_slots(struct store *s, struct bnode *n, uint32_t from, struct bnode *to)
{
    uint32_t count = n->head->count - from;
    if (n->head->level) {
        memcpy(inner_slots(to) + to->head->count, inner_slots(n) + from,
               count * sizeof(struct sefs_slot_inner));
        to->head->count += (uint16_t)count;
        n->head->count = (uint16_t)from;
        return;
    }
    for (uint32_t i = from; i < from + count; i++) {
        struct item it;
        item_at(n, i, &it);
        leaf_insert(s, to, to->head->count, &it);
    }
    n->head->count = (uint16_t)from;
    leaf_compact(s, n);
}

/* Where to cut a leaf: at the end for what is appended, else in the middle by bytes. */
static uint32_t leaf_cut(const struct bnode *n, uint32_t slot)
{
    if (slot == n->head->count)
        return slot;
    size_t half = leaf_live(n) / 2, sum = 0;
    uint32_t i = 0;
    while (i + 1 < n->head->count) {
        sum += value_space(leaf_slots(n)[i].size) + sizeof(struct sefs_slot_leaf);
        if (sum > half)
            break;
        i++;
    }
    return MAX(i, 1u);
}

/* Splits the child in `slot` of a parent that has room. */
static void split(struct store *s, struct bnode *parent, uint32_t slot, struct bnode *n,
                  struct sefs_key key)
{
    struct bnode *right = node_new(s, n->head->level);
    uint32_t cut;
    if (n->head->level)
        cut = n->head->count / 2u;
    else
        cut = leaf_cut(n, leaf_find(n, key));
    struct sefs_key first = key;
    if (n->head->level)
        first = inner_slots(n)[cut].key;
    else if (cut < n->head->count)
        first = leaf_slots(n)[cut].key;
    move_slots(s, n, cut, right);
    inner_insert(parent, slot + 1, first, right->id);
}

static void grow_root(struct store *s)
{
    struct bnode *top = node_new(s, s->root.height);
    assert(s->root.height < SEFS_HEIGHT);
    inner_insert(top, 0, (struct sefs_key){0}, 0);
    inner_slots(top)[0].ptr = s->root.tree;
    memset(&s->root.tree, 0, sizeof(s->root.tree));
    s->root.tree.block = top->id;
    s->root.height++;
}

static bool needs_split(const struct bnode *n, size_t size)
{
    return n->head->level ? n->head->count + 2u > SEFS_INNER_MAX : !leaf_fits(n, size);
}

/* As descend(), all of it dirty. The nodes have been read: nothing fails. */
static void descend_dirty(struct store *s, struct sefs_key key, struct walk *w)
{
    struct sefs_ptr *ptr = &s->root.tree;
    for (unsigned level = s->root.height; level-- > 0;) {
        int r = node_get(s, ptr, level, &w->node[level]);
        assert(r == 0);
        struct bnode *n = w->node[level];
        node_make_dirty(s, n, ptr);
        w->slot[level] = level ? inner_find(n, key) : leaf_find(n, key);
        if (level)
            ptr = &inner_slots(n)[w->slot[level]].ptr;
    }
    s->dirty = true;
}

/* Makes room for an item on the way to its leaf; top first. */
static void make_room(struct store *s, struct sefs_key key, size_t size, struct walk *w)
{
    for (;;) {
        descend_dirty(s, key, w);
        unsigned level = s->root.height;
        while (level > 0 && !needs_split(w->node[level - 1], size))
            level--;
        if (level == 0)
            return;
        if (level == s->root.height) {
            grow_root(s);
            continue;
        }
        split(s, w->node[level], w->slot[level], w->node[level - 1], key);
    }
}

int btree_set(struct store *s, struct sefs_key key, const void *value, size_t size)
{
    struct walk w;
    struct item it = {.key = key, .value = (void *)(uintptr_t)value, .size = size};
    assert(size <= SEFS_ITEM_MAX);
    int r = descend(s, key, &w);
    if (r < 0)
        return r;
    descend_dirty(s, key, &w);
    struct bnode *n = w.node[0];
    struct sefs_slot_leaf *v = &leaf_slots(n)[w.slot[0]];
    if (w.slot[0] < n->head->count && key_compare(v->key, key) == 0) {
        if (v->size == size) {
            if (size)
                memcpy(n->data + v->at, value, size);
            return 0;
        }
        leaf_delete(n, w.slot[0]);
    }
    if (!leaf_fits(n, size))
        make_room(s, key, size, &w);
    leaf_insert(s, w.node[0], w.slot[0], &it);
    return 0;
}

/* ---- removing ---- */

static bool node_small(const struct bnode *n)
{
    return n->head->level ? n->head->count < SEFS_INNER_MAX / 4
                          : leaf_live(n) < SEFS_NODE_BYTES / 4;
}

static bool can_join(const struct bnode *a, const struct bnode *b)
{
    if (a->head->level)
        return a->head->count + b->head->count + 4u <= SEFS_INNER_MAX;
    return leaf_live(a) + leaf_live(b) <= SEFS_NODE_BYTES * 7 / 8;
}

/* Joins a small node with a neighbour where both fit in one; it is no matter if not. */
static void join(struct store *s, struct bnode *parent, uint32_t slot)
{
    struct bnode *a, *b;
    unsigned level = parent->head->level - 1u;
    if (parent->head->count < 2)
        return;
    uint32_t left = slot + 1 < parent->head->count ? slot : slot - 1;
    struct sefs_slot_inner *v = inner_slots(parent);
    if (node_get(s, &v[left].ptr, level, &a) < 0 ||
        node_get(s, &v[left + 1].ptr, level, &b) < 0 || a == b || !can_join(a, b))
        return; /* the same node twice: a damaged tree, which stays as it is */
    node_make_dirty(s, a, &v[left].ptr);
    node_make_dirty(s, b, &v[left + 1].ptr);
    if (b->head->level) {
        inner_slots(b)[0].key = v[left + 1].key; /* it counted as the least below b */
        move_slots(s, b, 0, a);
    } else {
        move_slots(s, b, 0, a);
    }
    inner_delete(parent, left + 1);
    node_free(s, b);
}

static void shrink_root(struct store *s)
{
    while (s->root.height > 1) {
        struct bnode *top;
        int r = node_get(s, &s->root.tree, s->root.height - 1u, &top);
        if (r < 0 || top->head->count != 1)
            return;
        struct sefs_ptr child = inner_slots(top)[0].ptr;
        node_make_dirty(s, top, &s->root.tree);
        node_free(s, top);
        s->root.tree = child;
        s->root.height--;
    }
}

int btree_remove(struct store *s, struct sefs_key key)
{
    struct walk w;
    struct item it;
    int r = btree_find(s, key, &it);
    if (r < 0)
        return r;
    descend_dirty(s, key, &w);
    leaf_delete(w.node[0], w.slot[0]);
    for (unsigned level = 0; level + 1 < s->root.height; level++) {
        struct bnode *n = w.node[level], *parent = w.node[level + 1];
        if (n->head->count == 0) {
            inner_delete(parent, w.slot[level + 1]);
            node_free(s, n);
        } else if (node_small(n)) {
            join(s, parent, w.slot[level + 1]);
        } else {
            break;
        }
    }
    shrink_root(s);
    return 0;
}
