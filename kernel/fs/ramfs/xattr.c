/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes of ramfs: user.* for files and directories, others for uid 0. */
#include "abi/errno.h"
#include "fs/ramfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

static struct ram_xattr *find(struct ram_node *n, const char *name)
{
    struct ram_xattr *x;
    list_for_each (x, &n->xattrs, node) {
        if (strcmp(x->name, name) == 0)
            return x;
    }
    return NULL;
}

ssize_t ram_getxattr(struct inode *i, const char *name, void *buffer, size_t size)
{
    mutex_lock(&i->lock);
    struct ram_xattr *x = find(ram_node(i), name);
    ssize_t r = x ? (ssize_t)x->size : -ENODATA;
    if (r >= 0 && size && size < x->size)
        r = -ERANGE;
    else if (r > 0 && size)
        memcpy(buffer, x->value, x->size);
    mutex_unlock(&i->lock);
    return r;
}

static void drop(struct ram_xattr *x)
{
    list_remove(&x->node);
    kfree(x->value);
    kfree(x);
}

int ram_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
    struct ram_node *n = ram_node(i);
    struct ram_xattr *old = find(n, name);
    if (!str_starts(name, "user.") && !str_starts(name, "trusted.") &&
        !str_starts(name, "security."))
        return -EOPNOTSUPP;
    if (old && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!old && (!value || (flags & XATTR_REPLACE)))
        return -ENODATA;
    if (value) {
        size_t len = strlen(name) + 1;
        struct ram_xattr *x = kzalloc(sizeof(*x) + len);
        if (!x)
            return -ENOSPC;
        x->value = kmalloc(MAX(size, (size_t)1));
        if (!x->value) {
            kfree(x);
            return -ENOSPC;
        }
        memcpy(x->name, name, len);
        memcpy(x->value, value, size);
        x->size = size;
        list_append(&n->xattrs, &x->node);
    }
    if (old)
        drop(old);
    i->ctime = fs_now();
    return 0;
}

ssize_t ram_listxattr(struct inode *i, char *buffer, size_t size)
{
    struct ram_node *n = ram_node(i);
    size_t used = 0;
    bool fits = true;
    mutex_lock(&i->lock);
    struct ram_xattr *x;
    list_for_each (x, &n->xattrs, node) {
        size_t len = strlen(x->name) + 1;
        if (size && used + len > size)
            fits = false;
        else if (size)
            memcpy(buffer + used, x->name, len);
        used += len;
    }
    mutex_unlock(&i->lock);
    return fits ? (ssize_t)used : -ERANGE;
}

void ram_xattr_free(struct ram_node *n)
{
    while (!list_empty(&n->xattrs))
        drop(list_entry(n->xattrs.next, struct ram_xattr, node));
}
