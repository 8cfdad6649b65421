/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing names in a union: creating, linking, removing. Renames are in rename.c. */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

int union_upper_entry(struct union_node *dir, const char *name, struct dentry **out)
{
    struct dentry *upper = union_upper(dir);
    *out = NULL;
    int r = upper ? layer_lookup(upper, name, out) : 0;
    return r == -ENOENT ? 0 : r;
}

/* Puts what the work directory has at `temp` over a whiteout. */
static int replace_whiteout(struct union_node *dir, const char *name, const char *temp,
                            bool is_dir)
{
    struct union_super *s = union_super(&dir->inode);
    struct dentry *upper = union_upper(dir);
    if (!is_dir)
        return layer_rename(s->work, temp, upper, name, 0);
    int r = layer_rename(s->work, temp, upper, name, RENAME_EXCHANGE);
    return r < 0 ? r : layer_unlink(s->work, temp);
}

/* Where a whiteout stood: made beside, marked, exchanged. */
static int create_over(struct union_node *dir, const char *name, const struct inode_init *init,
                       struct dentry **out)
{
    struct union_super *s = union_super(&dir->inode);
    bool is_dir = (init->mode & S_IFMT) == S_IFDIR;
    char temp[UNION_TEMP_MAX];
    union_temp_name(s, temp);
    int r = layer_create(s->work, temp, init, out);
    if (r < 0)
        return r;
    if (is_dir)
        r = union_attr_set(s, (*out)->inode, "opaque", "y");
    if (r == 0)
        r = replace_whiteout(dir, name, temp, is_dir);
    if (r < 0) {
        (void)!layer_unlink(s->work, temp);
        dentry_put(*out);
    }
    return r;
}

static int create_locked(struct union_node *dir, const char *name,
                         const struct inode_init *init, struct inode **out)
{
    struct union_super *s = union_super(&dir->inode);
    struct union_stack stack = {0};
    struct dentry *there = NULL;
    int r = union_copy_up_locked(dir, 0);
    if (r == 0)
        r = union_upper_entry(dir, name, &there);
    if (r < 0)
        return r;
    if (there && !union_whiteout(there->inode))
        r = -EEXIST;
    else if (there)
        r = create_over(dir, name, init, &stack.upper);
    else
        r = layer_create(union_upper(dir), name, init, &stack.upper);
    dentry_put(there);
    if (r == 0)
        r = union_node_get(s, dir, name, &stack, out);
    return r < 0 ? r : union_mirror(dir);
}

int union_create(struct inode *dir, const char *name, const struct inode_init *init,
                 struct inode **out)
{
    struct union_super *s = union_super(dir);
    if ((init->mode & S_IFMT) == S_IFCHR && init->rdev == 0)
        return -EPERM; /* it would be a whiteout */
    mutex_lock(&s->change);
    int r = create_locked(union_node(dir), name, init, out);
    mutex_unlock(&s->change);
    return r;
}

/* A file of the work directory that loses its name at once. */
int union_tmpfile(struct inode *dir, const struct inode_init *init, struct inode **out)
{
    struct union_super *s = union_super(dir);
    struct union_stack stack = {0};
    char temp[UNION_TEMP_MAX];
    if (!s->upper.mount)
        return -EROFS;
    mutex_lock(&s->change);
    union_temp_name(s, temp);
    int r = layer_create(s->work, temp, init, &stack.upper);
    if (r == 0)
        r = layer_unlink(s->work, temp);
    if (r == 0)
        r = union_node_get(s, NULL, "", &stack, out);
    mutex_unlock(&s->change);
    return r;
}

/* An indexed file counts its names itself; without any its index entry goes. */
void union_count_link(struct union_node *n, int change)
{
    struct union_super *s = union_super(&n->inode);
    char text[UNION_TEMP_MAX * 2];
    struct union_origin o;
    if (!n->indexed)
        return;
    struct inode *upper = union_upper(n)->inode;
    n->inode.nlink += (uint32_t)change;
    format_string(text, sizeof(text), "%u", n->inode.nlink);
    (void)!union_attr_set(s, upper, "nlink", text);
    if (n->inode.nlink == 0 && union_origin_get(s, upper, &o) == 0) {
        union_index_name(&o, text);
        (void)!layer_unlink(s->index, text);
    }
}

static int link_locked(struct union_node *dir, const char *name, struct union_node *target)
{
    struct union_super *s = union_super(&dir->inode);
    struct dentry *there = NULL;
    int r = union_copy_up_locked(target, UINT64_MAX);
    if (r == 0)
        r = union_copy_up_locked(dir, 0);
    if (r == 0)
        r = union_upper_entry(dir, name, &there);
    if (r < 0)
        return r;
    struct inode *inode = union_upper(target)->inode;
    if (there && !union_whiteout(there->inode)) {
        r = -EEXIST;
    } else if (there) {
        char temp[UNION_TEMP_MAX];
        union_temp_name(s, temp);
        r = layer_link(s->work, temp, inode);
        if (r == 0)
            r = replace_whiteout(dir, name, temp, false);
    } else {
        r = layer_link(union_upper(dir), name, inode);
    }
    dentry_put(there);
    if (r < 0)
        return r;
    union_count_link(target, 1);
    r = union_mirror(target);
    return r < 0 ? r : union_mirror(dir);
}

int union_link(struct inode *dir, const char *name, struct inode *target)
{
    struct union_super *s = union_super(dir);
    mutex_lock(&s->change);
    int r = link_locked(union_node(dir), name, union_node(target));
    mutex_unlock(&s->change);
    return r;
}

/* ---- removing ---- */

struct names {
    struct dir_sink sink;
    char *text; /* each with its NUL */
    size_t used, size;
    bool failed;
};

static bool collect(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                    uint32_t type, uint64_t next)
{
    struct names *n = container_of(sink, struct names, sink);
    (void)ino;
    (void)type;
    (void)next;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    if (n->used + len + 1 > n->size) {
        size_t size = MAX(n->size * 2, n->used + len + 1);
        char *text = krealloc(n->text, size);
        n->failed = !text;
        if (!text)
            return false;
        n->text = text;
        n->size = size;
    }
    memcpy(n->text + n->used, name, len);
    n->text[n->used + len] = 0;
    n->used += len + 1;
    return true;
}

int union_remove_dir(struct union_super *s, struct dentry *parent, const char *name)
{
    struct names all = {.sink = {collect}};
    struct dentry *d;
    int r = layer_lookup(parent, name, &d);
    if (r < 0)
        return r;
    r = layer_list(s->upper.mount, d, &all.sink);
    if (r == 0 && all.failed)
        r = -ENOMEM;
    for (size_t at = 0; r == 0 && at < all.used; at += strlen(all.text + at) + 1)
        r = layer_unlink(d, all.text + at);
    kfree(all.text);
    dentry_put(d);
    return r < 0 ? r : layer_unlink(parent, name);
}

int union_cover(struct union_node *dir, const char *name)
{
    static const struct inode_init whiteout = {.mode = S_IFCHR};
    struct union_super *s = union_super(&dir->inode);
    struct dentry *made, *there;
    char temp[UNION_TEMP_MAX];
    int r = union_upper_entry(dir, name, &there);
    if (r < 0)
        return r;
    bool is_dir = there && inode_is_dir(there->inode);
    union_temp_name(s, temp);
    r = layer_create(s->work, temp, &whiteout, &made);
    if (r == 0) {
        dentry_put(made);
        r = layer_rename(s->work, temp, union_upper(dir), name, is_dir ? RENAME_EXCHANGE : 0);
        if (r < 0)
            (void)!layer_unlink(s->work, temp);
        else if (is_dir)
            r = union_remove_dir(s, s->work, temp);
    }
    dentry_put(there);
    return r;
}

/* A name is gone; the last one leaves a file that only descriptors know. */
void union_unlinked(struct union_node *n)
{
    union_count_link(n, -1);
    (void)!union_mirror(n);
    bool last = inode_is_dir(&n->inode) || !union_upper(n) || n->inode.nlink == 0;
    if (last && n->parent) {
        inode_put(&n->parent->inode);
        n->parent = NULL;
    }
    n->removed = last;
    if (last)
        n->inode.nlink = 0;
}

static int unlink_locked(struct union_node *dir, const char *name, struct union_node *victim)
{
    struct union_super *s = union_super(&dir->inode);
    bool below, is_dir = inode_is_dir(&victim->inode);
    struct dentry *there = NULL;
    int r = is_dir ? union_dir_empty(victim) : 0;
    if (r == 0)
        r = union_lower_has(dir, name, &below);
    if (r == 0)
        r = union_copy_up_locked(dir, 0);
    if (r == 0 && victim->hard_links) /* its other names shall know */
        r = union_copy_up_locked(victim, UINT64_MAX);
    if (r < 0)
        return r;
    if (below) {
        r = union_cover(dir, name);
    } else if (is_dir) {
        r = union_remove_dir(s, union_upper(dir), name);
    } else {
        r = union_upper_entry(dir, name, &there);
        if (r == 0)
            r = there ? layer_unlink(union_upper(dir), name) : -ENOENT;
        dentry_put(there);
    }
    if (r < 0)
        return r;
    union_unlinked(victim);
    return union_mirror(dir);
}

int union_unlink(struct inode *dir, const char *name, struct inode *victim)
{
    struct union_super *s = union_super(dir);
    mutex_lock(&s->change);
    int r = unlink_locked(union_node(dir), name, union_node(victim));
    mutex_unlock(&s->change);
    return r;
}
