/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The red-black tree and the radix map against plain arrays, with their invariants checked, and
 * with an allocator that fails.
 * LINK: kernel/lib/rbtree.c kernel/lib/radix.c
 */
#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "lib/radix.h"
#include "lib/rbtree.h"
#include "tests/unit/unit.h"

#define KEYS 512

static long blocks, fail_after = -1;

void *kzalloc(size_t size)
{
    if (fail_after == 0)
        return NULL;
    if (fail_after > 0)
        fail_after--;
    blocks++;
    return calloc(1, size);
}
void kfree(void *p)
{
    blocks -= p != NULL;
    free(p);
}
void assert_failed(const char *e, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, e);
    abort();
}

struct item {
    struct rb_node node;
    unsigned key;
    bool in;
};
static struct item items[KEYS];

static int black_height(const struct rb_node *n)
{
    if (!n)
        return 1;
    CHECK(!n->left || n->left->parent == n);
    CHECK(!n->right || n->right->parent == n);
    if (n->red)
        CHECK(!(n->left && n->left->red) && !(n->right && n->right->red));
    int left = black_height(n->left);
    CHECK_EQ(left, black_height(n->right));
    return left + !n->red;
}

static void insert(struct rb_root *root, struct item *it)
{
    struct rb_node **link = &root->node, *parent = NULL;
    while (*link) {
        parent = *link;
        link = it->key < container_of(parent, struct item, node)->key ? &parent->left
                                                                      : &parent->right;
    }
    rb_insert(root, parent, link, &it->node);
}

static void check_order(const struct rb_root *root)
{
    struct rb_node *n = rb_first(root), *last = NULL;
    for (unsigned k = 0; k < KEYS; k++) {
        if (!items[k].in)
            continue;
        CHECK(n == &items[k].node);
        CHECK(rb_prev(n) == last);
        last = n;
        n = rb_next(n);
    }
    CHECK(!n && rb_last(root) == last);
}

static void test_rbtree(void)
{
    struct rb_root root = {0};
    for (int round = 0; round < 20000; round++) {
        unsigned k = unit_random() % (round < 10000 ? KEYS : 40);
        items[k].key = k;
        if (items[k].in)
            rb_remove(&root, &items[k].node);
        else
            insert(&root, &items[k]);
        items[k].in = !items[k].in;
        CHECK(!root.node || (!root.node->red && !root.node->parent));
        black_height(root.node);
        if (round % 16 == 0)
            check_order(&root);
    }
    for (unsigned k = 0; k < KEYS; k++) {
        if (items[k].in)
            rb_remove(&root, &items[k].node);
        items[k].in = false;
        black_height(root.node);
    }
    check_order(&root);
}

static uint64_t keys[KEYS];
static void *values[KEYS];

static void make_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t r = unit_random();
        keys[i] = i % 4 == 0 ? i : i % 4 == 1 ? r >> (r % 64) : i % 4 == 2 ? UINT64_MAX - i : r;
    }
    keys[1] = 1ull << 63;
    keys[3] = 64 * 64 * 64;
    keys[5] = 64 * 64 * 64 - 1;
    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned j = 0; j < i; j++)
            if (keys[i] == keys[j])
                keys[i--] = unit_random(), j = i;
}

static void check_radix(const struct radix *r)
{
    uint64_t at = 0, seen = 0;
    bool wrapped = false;
    void *v;
    while (!wrapped && (v = radix_next(r, &at))) {
        unsigned i = 0;
        while (i < KEYS && keys[i] != at)
            i++;
        CHECK(i < KEYS && values[i] == v);
        seen++;
        wrapped = ++at == 0;
    }
    CHECK_EQ(seen, r->count);
}

static char values_of_run[150];

/* Runs of neighbours, across nodes and at the end of all keys. */
static void test_radix_run(void)
{
    static uint64_t starts[] = {0, 61, 64 * 64 - 3, 1ull << 40, UINT64_MAX - 9};
    void *out[200];
    struct radix r;

    radix_init(&r);
    CHECK_EQ(radix_run(&r, 0, out, 200), 0);
    for (unsigned s = 0; s < 5; s++) {
        uint64_t from = starts[s];
        for (unsigned i = 0; i < 150 && from + i >= from; i++)
            CHECK_EQ(radix_set(&r, from + i, &values_of_run[i]), 0);
        size_t left = MIN((size_t)150, (size_t)MIN(UINT64_MAX - from, (uint64_t)149) + 1);
        CHECK_EQ(radix_run(&r, from, out, 10), MIN(left, (size_t)10));
        CHECK_EQ(radix_run(&r, from + 3, out, 200), left - 3);
        for (unsigned i = 3; i < left; i++)
            CHECK(out[i - 3] == &values_of_run[i]);
        CHECK(radix_remove(&r, from + 5) == &values_of_run[5]);
        CHECK_EQ(radix_run(&r, from, out, 200), 5);
        CHECK_EQ(radix_run(&r, from + 5, out, 200), 0);
        for (unsigned i = 0; i < left; i++)
            (void)radix_remove(&r, from + i);
    }
    CHECK_EQ(blocks, 0);
}

static void test_radix(void)
{
    struct radix r;
    uint64_t live = 0;
    radix_init(&r);
    make_keys();
    for (int round = 0; round < 40000; round++) {
        unsigned i = unit_random() % KEYS;
        if (round % 3 == 0)
            fail_after = (long)(unit_random() % 6);
        CHECK(radix_get(&r, keys[i]) == values[i]);
        if (unit_random() % 2) {
            void *v = &values[unit_random() % KEYS];
            int err = radix_set(&r, keys[i], v);
            CHECK(err == 0 || (err == -ENOMEM && fail_after == 0));
            live += !err && !values[i];
            if (!err)
                values[i] = v;
        } else {
            CHECK(radix_remove(&r, keys[i]) == values[i]);
            live -= values[i] != NULL;
            values[i] = NULL;
        }
        fail_after = -1;
        CHECK_EQ(r.count, live);
        if (round % 64 == 0)
            check_radix(&r);
    }
    for (unsigned i = 0; i < KEYS; i++)
        CHECK(radix_remove(&r, keys[i]) == values[i]);
    CHECK_EQ(r.count, 0);
    CHECK_EQ(blocks, 0);
    uint64_t at = 5;
    CHECK(!radix_next(&r, &at) && !radix_get(&r, 0));
}

int main(void)
{
    test_rbtree();
    test_radix();
    test_radix_run();
    return 0;
}
