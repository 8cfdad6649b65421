/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copying up: a file gets its place in the upper layer before it is changed. The copy is made
 * in the work directory and moved when it is complete; parents come first.
 */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define CHUNK 65536u

void union_temp_name(struct union_super *s, char name[UNION_TEMP_MAX])
{
    format_string(name, UNION_TEMP_MAX, "t%llx", (unsigned long long)s->temp_number++);
}

static int copy_range(struct file *in, struct file *out, uint64_t from, uint64_t to,
                      void *buffer)
{
    while (from < to) {
        size_t size = (size_t)MIN(to - from, (uint64_t)CHUNK);
        ssize_t n = file_read_kernel(in, buffer, size, from);
        if (n <= 0)
            return (int)n; /* it became shorter */
        ssize_t put = file_write_kernel(out, buffer, (size_t)n, from);
        if (put != n)
            return put < 0 ? (int)put : -EIO;
        from += (uint64_t)n;
    }
    return 0;
}

/* Data, with the holes between. */
static int copy_contents(struct file *in, struct file *out, uint64_t size)
{
    void *buffer = kmalloc(CHUNK);
    int64_t at = 0;
    int r = buffer ? 0 : -ENOMEM;
    while (r == 0 && (uint64_t)at < size) {
        int64_t data = in->ops->seek ? in->ops->seek(in, at, SEEK_DATA) : at;
        if (data < 0)
            break;
        int64_t hole = in->ops->seek ? in->ops->seek(in, data, SEEK_HOLE) : (int64_t)size;
        if (hole <= data || (uint64_t)hole > size)
            hole = (int64_t)size;
        r = copy_range(in, out, (uint64_t)data, (uint64_t)hole, buffer);
        at = hole;
    }
    kfree(buffer);
    return r;
}

static int copy_file(struct union_node *n, struct dentry *to, uint64_t size)
{
    struct union_super *s = union_super(&n->inode);
    const struct union_ref *from = &n->lower[0];
    struct file *in, *out;
    int r = layer_open(s->lower[from->layer].mount, from->dentry, O_RDONLY, &in);
    if (r < 0)
        return r;
    r = layer_open(s->upper.mount, to, O_WRONLY, &out);
    if (r == 0) {
        uint64_t whole = from->dentry->inode->size;
        size = MIN(size, whole);
        r = copy_contents(in, out, size);
        file_put(out);
        struct attr_change change = {.mask = ATTR_SIZE, .size = size};
        if (r == 0 && to->inode->size != size)
            r = inode_setattr(to->inode, &change);
    }
    file_put(in);
    return r;
}

static int copy_attribute(struct inode *from, struct inode *to, const char *name, char *value)
{
    ssize_t n = from->ops->getxattr(from, name, value, XATTR_SIZE_MAX);
    if (n < 0)
        return 0; /* it went away */
    mutex_lock(&to->lock);
    int r = to->ops->setxattr(to, name, value, (size_t)n, 0);
    mutex_unlock(&to->lock);
    return r == -EOPNOTSUPP || r == -EPERM ? 0 : r;
}

/* LIMIT: what the upper layer cannot keep is lost. */
static int copy_attributes(struct union_super *s, struct inode *from, struct inode *to)
{
    if (!from->ops->listxattr || !from->ops->getxattr || !to->ops->setxattr)
        return 0;
    ssize_t n = from->ops->listxattr(from, NULL, 0);
    if (n <= 0)
        return 0;
    char *names = kzalloc((size_t)n + 1), *value = kmalloc(XATTR_SIZE_MAX);
    int r = names && value ? 0 : -ENOMEM;
    if (r == 0)
        n = from->ops->listxattr(from, names, (size_t)n);
    for (ssize_t at = 0; r == 0 && at < n; at += (ssize_t)strlen(names + at) + 1) {
        if (!str_starts(names + at, s->prefix))
            r = copy_attribute(from, to, names + at, value);
    }
    kfree(names);
    kfree(value);
    return r;
}

static void mark_origin(struct union_node *n, struct inode *to)
{
    char text[UNION_TEMP_MAX * 2];
    struct union_origin o;
    union_origin_of(n, &o);
    union_index_name(&o, text);
    /* LIMIT: without it the inode number changes when the file is looked up next. */
    (void)!union_attr_set(union_super(&n->inode), to, "origin", text);
}

/* Owner, mode and times, as far as the upper layer has them. */
static int copy_state(struct inode *from, struct inode *to)
{
    struct attr_change owner = {
        .mask = ATTR_UID | ATTR_GID, .uid = from->uid, .gid = from->gid};
    struct attr_change mode = {.mask = ATTR_MODE, .mode = from->mode};
    struct attr_change times = {
        .mask = ATTR_ATIME | ATTR_MTIME, .atime = from->atime, .mtime = from->mtime};
    int r = 0;
    if (to->uid != from->uid || to->gid != from->gid)
        (void)!inode_setattr(to, &owner); /* LIMIT: hostfs as somebody unprivileged */
    if (!inode_is_link(to) && to->mode != from->mode)
        r = inode_setattr(to, &mode);
    return r < 0 ? r : inode_setattr(to, &times);
}

/* A copy in the work directory. */
static int make_copy(struct union_node *n, const char *temp, uint64_t size, struct dentry **out)
{
    struct union_super *s = union_super(&n->inode);
    struct inode *from = n->lower[0].dentry->inode;
    struct inode_init init = {from->type | from->mode, from->uid, from->gid, from->rdev, NULL};
    char *target = NULL;
    int r = 0;
    if (inode_is_link(from)) {
        target = kzalloc(PATH_MAX);
        ssize_t len = target ? from->ops->readlink(from, target, PATH_MAX - 1) : -ENOMEM;
        init.target = target;
        r = len < 0 ? (int)len : 0;
    }
    if (r == 0)
        r = layer_create(s->work, temp, &init, out);
    kfree(target);
    if (r < 0)
        return r;
    if (inode_is_reg(from) && size)
        r = copy_file(n, *out, size);
    if (r == 0)
        r = copy_attributes(s, from, (*out)->inode);
    if (r == 0) {
        mark_origin(n, (*out)->inode);
        r = copy_state(from, (*out)->inode);
    }
    if (r < 0) {
        (void)!layer_unlink(s->work, temp);
        dentry_put(*out);
    }
    return r;
}

/* Into its place; its directory has changed only for us, so its times stay. */
static int move_into_place(struct union_node *n, const char *temp)
{
    struct union_super *s = union_super(&n->inode);
    struct dentry *dir = union_upper(n->parent);
    struct inode *i = dir->inode;
    struct attr_change times = {
        ATTR_ATIME | ATTR_MTIME | ATTR_CTIME, 0, 0, 0, 0, i->atime, i->mtime, i->ctime};
    int r = layer_rename(s->work, temp, dir, n->name, 0);
    if (r == 0)
        (void)!inode_setattr(i, &times);
    return r;
}

static int move_into_index(struct union_node *n, const char *temp, struct inode *copy)
{
    struct union_super *s = union_super(&n->inode);
    struct union_origin o;
    char name[UNION_TEMP_MAX * 2], links[24];
    union_origin_of(n, &o);
    union_index_name(&o, name);
    format_string(links, sizeof(links), "%u", n->inode.nlink);
    int r = union_attr_set(s, copy, "nlink", links);
    if (r == 0)
        r = layer_rename(s->work, temp, s->index, name, 0);
    n->indexed = n->indexed || r == 0;
    return r;
}

static int copy_one(struct union_node *n, uint64_t size)
{
    struct union_super *s = union_super(&n->inode);
    char temp[UNION_TEMP_MAX];
    struct dentry *copy;
    union_temp_name(s, temp);
    int r = make_copy(n, temp, size, &copy);
    if (r < 0)
        return r;
    if (n->hard_links)
        r = move_into_index(n, temp, copy->inode);
    else if (n->parent)
        r = move_into_place(n, temp);
    else
        r = layer_unlink(s->work, temp); /* removed, but open */
    if (r < 0) {
        (void)!layer_unlink(s->work, temp);
        dentry_put(copy);
        return r;
    }
    atomic_store_explicit(&n->upper, copy, memory_order_release);
    return union_mirror(n);
}

int union_copy_up_locked(struct union_node *n, uint64_t size)
{
    if (union_upper(n))
        return 0;
    if (!union_super(&n->inode)->upper.mount)
        return -EROFS;
    for (;;) {
        struct union_node *p = n;
        while (!p->hard_links && p->parent && !union_upper(p->parent))
            p = p->parent;
        int r = copy_one(p, p == n ? size : 0);
        if (r < 0 || p == n)
            return r;
    }
}

int union_copy_up(struct union_node *n, uint64_t size)
{
    struct union_super *s = union_super(&n->inode);
    if (union_upper(n))
        return 0;
    mutex_lock(&s->change);
    int r = union_copy_up_locked(n, size);
    mutex_unlock(&s->change);
    return r;
}
