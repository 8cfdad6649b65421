/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Renaming in a union. What moves is copied up first; a directory takes its lower layers along
 * by a redirect. LIMIT: the whiteout at the old name follows in a second step; a crash between
 * the two leaves the file under both names.
 */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

/* Where the directory's lower layers are, for those that look for them under its new name. */
static int set_redirect(struct union_node *n)
{
    struct union_super *s = union_super(&n->inode);
    const struct union_layer *layer = &s->lower[n->lower[0].layer];
    struct path root = {layer->mount, layer->root}, p = {layer->mount, n->lower[0].dentry};
    uint32_t flags;
    char *text = kmalloc(PATH_MAX);
    if (!text)
        return -ENOMEM;
    ssize_t len = path_text_from(&p, &root, text, PATH_MAX, &flags);
    int r = len < 0 || (flags & PATH_TEXT_UNREACHABLE) ? -EXDEV : 0;
    if (r == 0)
        r = union_attr_set(s, union_upper(n)->inode, "redirect", text);
    kfree(text);
    return r == -EOPNOTSUPP ? -EXDEV : r;
}

/* Before a directory moves to a name where a lower layer may have another one. */
static int mark_moved(struct union_node *n, bool covers)
{
    if (!inode_is_dir(&n->inode))
        return 0;
    if (n->lower_count)
        return set_redirect(n);
    struct union_super *s = union_super(&n->inode);
    return covers ? union_attr_set(s, union_upper(n)->inode, "opaque", "y") : 0;
}

/* An indexed file may have a name in a lower layer only: gives it one in the upper layer. */
static int materialize(struct union_node *dir, const char *name, struct union_node *n)
{
    struct dentry *there;
    int r = union_upper_entry(dir, name, &there);
    if (r == 0 && !there)
        r = layer_link(union_upper(dir), name, union_upper(n)->inode);
    dentry_put(there);
    return r;
}

static int prepare(const struct rename_args *a, struct union_node *replaced)
{
    struct union_node *n = union_node(a->inode), *from = union_node(a->old_dir),
                      *to = union_node(a->new_dir);
    bool exchange = a->flags & RENAME_EXCHANGE;
    int r = union_copy_up_locked(n, UINT64_MAX);
    if (r == 0)
        r = union_copy_up_locked(from, 0);
    if (r == 0)
        r = union_copy_up_locked(to, 0);
    if (r == 0 && replaced && (exchange || replaced->hard_links))
        r = union_copy_up_locked(replaced, UINT64_MAX);
    if (r == 0)
        r = materialize(from, a->old_name, n);
    if (r == 0 && exchange)
        r = materialize(to, a->new_name, replaced);
    if (r == 0 && replaced && !exchange && inode_is_dir(&replaced->inode))
        r = union_dir_empty(replaced);
    return r;
}

/* A directory cannot replace a whiteout or a directory of whiteouts: they change places, and
 * what is at the old name then goes. */
static int move_dir_over(const struct rename_args *a, bool whiteout, bool below_old)
{
    struct union_node *from = union_node(a->old_dir);
    struct dentry *old_dir = union_upper(from);
    int r = layer_rename(old_dir, a->old_name, union_upper(union_node(a->new_dir)), a->new_name,
                         RENAME_EXCHANGE);
    if (r < 0)
        return r;
    if (whiteout)
        return below_old ? 0 : layer_unlink(old_dir, a->old_name);
    return below_old ? union_cover(from, a->old_name)
                     : union_remove_dir(union_super(a->old_dir), old_dir, a->old_name);
}

static int move(const struct rename_args *a, bool below_old)
{
    struct union_node *from = union_node(a->old_dir), *to = union_node(a->new_dir);
    struct dentry *there;
    if (a->flags & RENAME_EXCHANGE)
        return layer_rename(union_upper(from), a->old_name, union_upper(to), a->new_name,
                            RENAME_EXCHANGE);
    int r = union_upper_entry(to, a->new_name, &there);
    if (r < 0)
        return r;
    if (there && inode_is_dir(a->inode)) {
        r = move_dir_over(a, union_whiteout(there->inode), below_old);
    } else {
        r = layer_rename(union_upper(from), a->old_name, union_upper(to), a->new_name, 0);
        if (r == 0 && below_old)
            r = union_cover(from, a->old_name);
    }
    dentry_put(there);
    return r;
}

/* The node's name from now on. Without memory it keeps the old one, which copying up what is
 * inside does not use: the node itself is up. */
static void set_name(struct union_node *n, struct union_node *dir, const char *name)
{
    char *copy = kstrdup(name);
    if (copy) {
        kfree(n->name);
        n->name = copy;
    }
    struct union_node *old = n->parent;
    inode_get(&dir->inode);
    n->parent = dir;
    if (old)
        inode_put(&old->inode);
}

static int rename_locked(const struct rename_args *a)
{
    struct union_node *n = union_node(a->inode), *from = union_node(a->old_dir),
                      *to = union_node(a->new_dir);
    struct union_node *replaced = a->replaced ? union_node(a->replaced) : NULL;
    bool exchange = a->flags & RENAME_EXCHANGE, below_old, below_new;
    int r = prepare(a, replaced);
    if (r == 0)
        r = union_lower_has(from, a->old_name, &below_old);
    if (r == 0)
        r = union_lower_has(to, a->new_name, &below_new);
    if (r == 0)
        r = mark_moved(n, below_new);
    if (r == 0 && exchange)
        r = mark_moved(replaced, below_old);
    if (r == 0)
        r = move(a, below_old);
    if (r < 0)
        return r;
    set_name(n, to, a->new_name);
    if (exchange)
        set_name(replaced, from, a->old_name);
    else if (replaced)
        union_unlinked(replaced);
    (void)!union_mirror(n);
    if (exchange)
        (void)!union_mirror(replaced);
    (void)!union_mirror(from);
    (void)!union_mirror(to);
    return 0;
}

int union_rename(const struct rename_args *args)
{
    struct union_super *s = union_super(args->old_dir);
    if (args->flags & ~RENAME_EXCHANGE)
        return -EINVAL;
    mutex_lock(&s->change);
    int r = rename_locked(args);
    mutex_unlock(&s->change);
    return r;
}
