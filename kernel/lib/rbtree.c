/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Red-black tree. No red node has a red child, and every way down passes as many black nodes.
 * A missing child is black. Not here: comparing; the caller knows its keys.
 */
#include "lib/rbtree.h"

#include "lib/log.h"

static bool is_red(const struct rb_node *n)
{
    return n && n->red;
}

/* Makes the tree's link to `old` point to `new`. */
static void replace_child(struct rb_root *root, struct rb_node *old, struct rb_node *new)
{
    struct rb_node *parent = old->parent;
    if (!parent) {
        root->node = new;
    } else if (parent->left == old) {
        parent->left = new;
    } else {
        assert(parent->right == old);
        parent->right = new;
    }
    if (new)
        new->parent = parent;
}

/* `up`, a child of `down`, takes its place; `down` becomes its child on the other side. */
static void rotate(struct rb_root *root, struct rb_node *down, struct rb_node *up)
{
    replace_child(root, down, up);
    struct rb_node *moved;
    if (down->left == up) {
        moved = up->right;
        down->left = moved;
        up->right = down;
    } else {
        moved = up->left;
        down->right = moved;
        up->left = down;
    }
    if (moved)
        moved->parent = down;
    down->parent = up;
}

void rb_insert(struct rb_root *root, struct rb_node *parent, struct rb_node **link,
               struct rb_node *node)
{
    *node = (struct rb_node){.parent = parent, .red = true};
    *link = node;
    while (is_red(node->parent)) {
        parent = node->parent;
        struct rb_node *grand = parent->parent;
        struct rb_node *uncle = grand->left == parent ? grand->right : grand->left;
        if (is_red(uncle)) {
            parent->red = uncle->red = false;
            grand->red = true;
            node = grand;
            continue;
        }
        if ((grand->left == parent) != (parent->left == node)) {
            rotate(root, parent, node);
            parent = node;
        }
        rotate(root, grand, parent);
        parent->red = false;
        grand->red = true;
        break;
    }
    root->node->red = false;
}

/* The way through `node` (maybe NULL, below `parent`) has one black node too few. */
static void restore_black(struct rb_root *root, struct rb_node *parent, struct rb_node *node)
{
    while (parent && !is_red(node)) {
        bool left = parent->left == node;
        struct rb_node *sibling = left ? parent->right : parent->left;
        if (sibling->red) {
            rotate(root, parent, sibling);
            sibling->red = false;
            parent->red = true;
            sibling = left ? parent->right : parent->left;
        }
        struct rb_node *near = left ? sibling->left : sibling->right;
        struct rb_node *far = left ? sibling->right : sibling->left;
        if (!is_red(near) && !is_red(far)) {
            sibling->red = true;
            node = parent;
            parent = node->parent;
            continue;
        }
        if (!is_red(far)) {
            rotate(root, sibling, near);
            near->red = false;
            sibling->red = true;
            far = sibling;
            sibling = near;
        }
        rotate(root, parent, sibling);
        sibling->red = parent->red;
        parent->red = far->red = false;
        return;
    }
    if (node)
        node->red = false;
}

/* `next` is node's successor and has no left child: it takes node's place. */
static void remove_inner(struct rb_root *root, struct rb_node *node, struct rb_node *next)
{
    struct rb_node *child = next->right, *parent = next->parent;
    bool black = !next->red;
    if (parent == node) {
        parent = next;
    } else {
        replace_child(root, next, child);
        next->right = node->right;
        next->right->parent = next;
    }
    replace_child(root, node, next);
    next->left = node->left;
    next->left->parent = next;
    next->red = node->red;
    if (black)
        restore_black(root, parent, child);
}

void rb_remove(struct rb_root *root, struct rb_node *node)
{
    if (node->left && node->right) {
        remove_inner(root, node, rb_next(node));
    } else {
        struct rb_node *child = node->left ? node->left : node->right;
        struct rb_node *parent = node->parent;
        replace_child(root, node, child);
        if (!node->red)
            restore_black(root, parent, child);
    }
    *node = (struct rb_node){0};
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->left)
        n = n->left;
    return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n && n->right)
        n = n->right;
    return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    if (node->right) {
        const struct rb_root below = {node->right};
        return rb_first(&below);
    }
    struct rb_node *parent = node->parent;
    while (parent && parent->right == node) {
        node = parent;
        parent = node->parent;
    }
    return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    if (node->left) {
        const struct rb_root below = {node->left};
        return rb_last(&below);
    }
    struct rb_node *parent = node->parent;
    while (parent && parent->left == node) {
        node = parent;
        parent = node->parent;
    }
    return parent;
}
