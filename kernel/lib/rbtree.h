/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive red-black tree. The caller descends to insert; see rb_insert(). */
#pragma once

#include "lib/types.h"

struct rb_node {
    struct rb_node *parent, *left, *right;
    bool red;
};

struct rb_root {
    struct rb_node *node;
};

/* Links `node` as the child *link of `parent` (NULL: root), then rebalances. */
void rb_insert(struct rb_root *root, struct rb_node *parent, struct rb_node **link,
               struct rb_node *node);
void rb_remove(struct rb_root *root, struct rb_node *node);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
