/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of a union: the layers are asked from the top down until one says that nothing below
 * it shows: a file, a whiteout, an opaque directory. A redirect makes the search go on at
 * another path, from the root of the lower layers.
 */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

struct search {
    struct union_super *s;
    struct union_node *dir;
    const char *name;
    char *redirect; /* an absolute path, owned; NULL: by name */
    bool more;      /* lower layers may show something */
    struct union_stack *out;
};

void union_stack_put(struct union_stack *s)
{
    dentry_put(s->upper);
    for (uint32_t i = 0; i < s->count; i++)
        dentry_put(s->lower[i].dentry);
    s->upper = NULL;
    s->count = 0;
}

/* What a directory says about the layers below it. */
static int read_marks(struct search *w, struct inode *i)
{
    char *value = kmalloc(UNION_VALUE_MAX);
    if (!value)
        return -ENOMEM;
    ssize_t n = union_attr_get(w->s, i, "opaque", value, UNION_VALUE_MAX);
    if (n == 1 && value[0] == 'y')
        w->more = false;
    if (w->more) {
        n = union_attr_get(w->s, i, "redirect", value, UNION_VALUE_MAX);
        if (n > 1 && value[0] == '/') {
            kfree(w->redirect);
            w->redirect = kstrdup(value);
            n = w->redirect ? n : -ENOMEM;
        }
    }
    kfree(value);
    return n == -ENOMEM ? -ENOMEM : 0;
}

static int search_upper(struct search *w)
{
    struct dentry *upper = union_upper(w->dir), *d;
    if (!upper)
        return 0;
    int r = layer_lookup(upper, w->name, &d);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (union_whiteout(d->inode)) {
        w->more = false;
        dentry_put(d);
        return 0;
    }
    w->out->upper = d;
    if (!inode_is_dir(d->inode)) {
        w->more = false;
        return 0;
    }
    return w->more ? read_marks(w, d->inode) : 0;
}

/* A path in one layer, name by name. */
static int follow_path(struct dentry *root, const char *path, struct dentry **out)
{
    char *name = kmalloc(NAME_MAX + 1);
    struct dentry *at = dentry_get(root);
    int r = name ? 0 : -ENOMEM;
    while (r == 0 && *path) {
        size_t len = 0;
        while (path[len] && path[len] != '/')
            len++;
        r = len > NAME_MAX ? -ENOENT : 0;
        struct dentry *next = NULL;
        if (r == 0 && len) {
            memcpy(name, path, len);
            name[len] = 0;
            r = layer_lookup(at, name, &next);
            if (r == 0 && path[len] && !inode_is_dir(next->inode))
                r = -ENOENT;
            dentry_put(at);
            at = next;
        }
        path += path[len] ? len + 1 : len;
    }
    kfree(name);
    if (r == 0)
        *out = at;
    else
        dentry_put(at);
    return r;
}

/* What one lower layer has. */
static int search_lower(struct search *w, uint32_t layer, struct dentry *parent)
{
    struct union_stack *out = w->out;
    struct dentry *d = NULL;
    int r = w->redirect ? follow_path(w->s->lower[layer].root, w->redirect, &d)
                        : layer_lookup(parent, w->name, &d);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
    bool first = !out->upper && out->count == 0, dir = inode_is_dir(d->inode);
    if (union_whiteout(d->inode) || (!dir && !first)) {
        w->more = false;
        dentry_put(d);
        return 0;
    }
    out->lower[out->count++] = (struct union_ref){d, layer};
    w->more = w->more && dir;
    return w->more && layer + 1 < w->s->lower_count ? read_marks(w, d->inode) : 0;
}

static int search_lowers(struct search *w)
{
    int r = 0;
    uint32_t at = 0;
    if (w->redirect) { /* in all layers */
        for (uint32_t layer = 0; r == 0 && w->more && layer < w->s->lower_count; layer++)
            r = search_lower(w, layer, NULL);
        return r;
    }
    for (; r == 0 && w->more && at < w->dir->lower_count && !w->redirect; at++)
        r = search_lower(w, w->dir->lower[at].layer, w->dir->lower[at].dentry);
    if (w->redirect && at) { /* a lower layer's: for the layers below that one */
        uint32_t layer = w->dir->lower[at - 1].layer + 1;
        for (; r == 0 && w->more && layer < w->s->lower_count; layer++)
            r = search_lower(w, layer, NULL);
    }
    return r;
}

/* *out is empty when nobody has the name. */
static int find(struct union_node *dir, const char *name, struct union_stack *out)
{
    struct search w = {union_super(&dir->inode), dir, name, NULL, true, out};
    out->upper = NULL;
    out->count = 0;
    w.more = dir->lower_count != 0;
    int r = search_upper(&w);
    if (r == 0 && w.more)
        r = search_lowers(&w);
    kfree(w.redirect);
    if (r < 0)
        union_stack_put(out);
    return r;
}

int union_lower_has(struct union_node *dir, const char *name, bool *out)
{
    struct union_stack found = {0};
    struct search w = {union_super(&dir->inode), dir, name, NULL, true, &found};
    int r = search_lowers(&w);
    *out = found.count != 0;
    kfree(w.redirect);
    union_stack_put(&found);
    return r;
}

/* ---- numbers ---- */

static uint64_t dev_prefix(struct union_super *s, uint64_t key)
{
    uint32_t k = 0;
    spin_lock(&s->devs_lock);
    while (k < s->dev_count && s->devs[k] != key)
        k++;
    if (k == s->dev_count && k < UNION_DEVS_MAX)
        s->devs[s->dev_count++] = key;
    spin_unlock(&s->devs_lock);
    return k;
}

/* The layer's device above its inode's number; numbers too large for that are mixed. */
uint64_t union_origin_ino(struct union_super *s, const struct union_origin *o)
{
    uint64_t ino = o->ino, prefix = dev_prefix(s, o->dev << 8 | o->layer);
    if (ino >> 57)
        ino = (ino ^ (ino >> 31) * 0x9e3779b97f4a7c15ull) >> 7;
    return prefix << 57 | ino;
}

uint64_t union_ino(struct union_super *s, uint32_t layer, const struct inode *i)
{
    struct union_origin o = union_origin_new(layer, i);
    return union_origin_ino(s, &o);
}

/* ---- nodes ---- */

int union_mirror(struct union_node *n)
{
    struct inode *i = &n->inode, *real = union_real(n)->inode;
    int r = real->ops->getattr ? real->ops->getattr(real) : 0;
    if (r < 0)
        return r;
    i->mode = real->mode;
    i->uid = real->uid;
    i->gid = real->gid;
    i->size = real->size;
    i->blocks = real->blocks;
    i->atime = real->atime;
    i->mtime = real->mtime;
    i->ctime = real->ctime;
    i->btime = real->btime;
    if (n->removed)
        i->nlink = 0;
    else if (inode_is_dir(i))
        i->nlink = n->lower_count + (union_upper(n) != NULL) > 1 ? 1 : real->nlink;
    else if (!n->indexed)
        i->nlink = real->nlink;
    return 0;
}

static const struct inode_ops *ops_of(uint32_t type)
{
    switch (type) {
    case S_IFDIR:
        return &union_dir_ops;
    case S_IFREG:
        return &union_file_inode_ops;
    default:
        return &union_other_ops;
    }
}

/* The number of links of an indexed file. */
static void read_nlink(struct union_super *s, struct union_node *n)
{
    char text[24];
    uint64_t value;
    ssize_t size = union_attr_get(s, union_upper(n)->inode, "nlink", text, sizeof(text));
    if (size > 0 && parse_u64(text, 10, &value) == 0)
        n->inode.nlink = (uint32_t)value;
}

static int node_new(struct union_super *s, struct union_node *parent, const char *name,
                    struct union_stack *stack, struct union_node **out)
{
    struct union_node *n = kzalloc(sizeof(*n) + stack->count * sizeof(n->lower[0]));
    if (!n)
        return -ENOMEM;
    n->name = kstrdup(name);
    if (!n->name) {
        kfree(n);
        return -ENOMEM;
    }
    struct inode *real = stack->upper ? stack->upper->inode : stack->lower[0].dentry->inode;
    struct inode *i = &n->inode;
    bool dir = inode_is_dir(real);
    inode_init(i, &s->sb, ops_of(real->type), real->type | real->mode);
    mutex_init(&i->lock, dir ? RANK_STACK_DIR : RANK_STACK_INODE);
    i->rdev = real->rdev;
    if (dir)
        i->file_ops = &union_dir_file_ops;
    else if (inode_is_reg(real))
        i->file_ops = &union_file_ops;
    if (parent) {
        inode_get(&parent->inode);
        n->parent = parent;
    }
    n->hard_links = !dir && stack->count && stack->lower[0].dentry->inode->nlink > 1;
    atomic_store(&n->upper, stack->upper);
    n->lower_count = stack->count;
    memcpy(n->lower, stack->lower, stack->count * sizeof(n->lower[0]));
    stack->upper = NULL;
    stack->count = 0;
    *out = n;
    return 0;
}

/* Does a node that has this number show these layers? */
static bool same_node(struct union_node *n, const struct union_stack *stack)
{
    struct dentry *upper = union_upper(n);
    struct inode *real = stack->upper ? stack->upper->inode : stack->lower[0].dentry->inode;
    if (real->type != n->inode.type)
        return false;
    if (upper && stack->upper)
        return upper->inode == stack->upper->inode;
    if (upper || stack->upper) /* it is being copied up just now */
        return n->lower_count != 0;
    return n->lower_count && n->lower[0].dentry->inode == stack->lower[0].dentry->inode;
}

/* The upper file that a lower one with several names became. */
static int find_indexed(struct union_super *s, struct union_stack *stack,
                        const struct union_origin *o)
{
    char name[UNION_TEMP_MAX * 2];
    union_index_name(o, name);
    int r = layer_lookup(s->index, name, &stack->upper);
    return r == -ENOENT ? 0 : r;
}

/* Where the topmost layer's file was first; tells the index, too. */
static int origin_of_stack(struct union_super *s, struct union_stack *stack,
                           struct union_origin *o, bool *indexed)
{
    struct inode *lower = stack->count ? stack->lower[0].dentry->inode : NULL;
    int r = 0;
    *indexed = false;
    if (lower) {
        *o = union_origin_new(stack->lower[0].layer, lower);
        if (!inode_is_dir(lower) && lower->nlink > 1 && s->index) {
            r = find_indexed(s, stack, o);
            *indexed = stack->upper != NULL;
        }
        return r;
    }
    struct inode *upper = stack->upper->inode;
    if (union_origin_get(s, upper, o) < 0)
        *o = union_origin_new(UNION_UPPER, upper);
    else if (!inode_is_dir(upper) && upper->nlink > 1)
        *indexed = union_attr_get(s, upper, "nlink", NULL, 0) > 0;
    return 0;
}

int union_node_get(struct union_super *s, struct union_node *parent, const char *name,
                   struct union_stack *stack, struct inode **out)
{
    struct union_origin o;
    struct union_node *n;
    bool indexed;
    int r = origin_of_stack(s, stack, &o, &indexed);
    if (r < 0)
        goto put;
    uint64_t ino = union_origin_ino(s, &o);
    struct inode *known = inode_find(&s->sb, ino);
    if (known && same_node(union_node(known), stack)) {
        union_stack_put(stack);
        *out = known;
        return union_mirror(union_node(known));
    }
    inode_put(known);
    r = node_new(s, parent, name, stack, &n);
    if (r < 0)
        goto put;
    n->inode.ino = ino;
    n->indexed = indexed;
    if (indexed)
        read_nlink(s, n);
    r = union_mirror(n);
    if (r < 0) {
        inode_put(&n->inode);
        return r;
    }
    (void)!inode_hash(&n->inode); /* a number seen twice: the second node stands alone */
    *out = &n->inode;
    return 0;
put:
    union_stack_put(stack);
    return r;
}

int union_lookup(struct inode *dir, const char *name, struct inode **out)
{
    struct union_stack stack;
    int r = find(union_node(dir), name, &stack);
    if (r < 0)
        return r;
    if (!stack.upper && !stack.count)
        return -ENOENT;
    return union_node_get(union_super(dir), union_node(dir), name, &stack, out);
}

bool union_revalidate(struct inode *dir, const char *name, struct inode *inode)
{
    struct union_stack stack;
    if (find(union_node(dir), name, &stack) < 0)
        return false;
    bool nothing = !stack.upper && !stack.count, same = !inode && nothing;
    if (inode && !nothing) {
        struct union_node *n = union_node(inode);
        same = same_node(n, &stack) && n->lower_count >= stack.count;
        for (uint32_t i = 0; same && i < stack.count; i++)
            same = n->lower[i].dentry->inode == stack.lower[i].dentry->inode;
        same = same && union_mirror(n) == 0;
    }
    union_stack_put(&stack);
    return same;
}
