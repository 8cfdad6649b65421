/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes of a union: the topmost layer's, and our own marks, which nobody else sees. */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define MARK_MAX 48u

static int mark_name(struct union_super *s, const char *name, char full[MARK_MAX])
{
    int n = format_string(full, MARK_MAX, "%s%s", s->prefix, name);
    return n < (int)MARK_MAX ? 0 : -ENAMETOOLONG;
}

ssize_t union_attr_get(struct union_super *s, struct inode *i, const char *name, char *value,
                       size_t size)
{
    char full[MARK_MAX];
    if (!i->ops->getxattr)
        return -EOPNOTSUPP;
    int r = mark_name(s, name, full);
    if (r < 0)
        return r;
    ssize_t n = i->ops->getxattr(i, full, value, size ? size - 1 : 0);
    if (n >= 0 && size)
        value[MIN((size_t)n, size - 1)] = 0;
    return n;
}

int union_attr_set(struct union_super *s, struct inode *i, const char *name, const char *value)
{
    char full[MARK_MAX];
    if (!i->ops->setxattr)
        return -EOPNOTSUPP;
    int r = mark_name(s, name, full);
    if (r < 0)
        return r;
    mutex_lock(&i->lock);
    r = i->ops->setxattr(i, full, value, strlen(value), 0);
    mutex_unlock(&i->lock);
    return r;
}

/* One hexadecimal number and what stands behind it. */
static const char *take_number(const char *text, uint64_t *out)
{
    char digits[20];
    size_t n = 0;
    while (text[n] && text[n] != '-' && n < sizeof(digits) - 1) {
        digits[n] = text[n];
        n++;
    }
    digits[n] = 0;
    if (parse_u64(digits, 16, out) < 0)
        return NULL;
    return text[n] == '-' ? text + n + 1 : text + n;
}

int union_origin_get(struct union_super *s, struct inode *i, struct union_origin *out)
{
    char text[UNION_TEMP_MAX * 2];
    uint64_t layer;
    ssize_t n = union_attr_get(s, i, "origin", text, sizeof(text));
    if (n <= 0)
        return n < 0 ? (int)n : -ENODATA;
    const char *at = take_number(text, &layer);
    if (at)
        at = take_number(at, &out->dev);
    if (at)
        at = take_number(at, &out->ino);
    out->layer = (uint32_t)layer;
    return at && *at == 0 && layer < s->lower_count ? 0 : -EIO;
}

/* Kept origins must mean the same at the next boot, and nothing when the layer has changed. */
struct union_origin union_origin_new(uint32_t layer, const struct inode *i)
{
    return (struct union_origin){layer, i->sb->id ? i->sb->id : i->dev, i->ino};
}

void union_origin_of(const struct union_node *n, struct union_origin *out)
{
    *out = union_origin_new(n->lower[0].layer, n->lower[0].dentry->inode);
}

void union_index_name(const struct union_origin *o, char name[UNION_TEMP_MAX * 2])
{
    format_string(name, UNION_TEMP_MAX * 2, "%x-%llx-%llx", o->layer,
                  (unsigned long long)o->dev, (unsigned long long)o->ino);
}

int union_getattr(struct inode *i)
{
    return union_mirror(union_node(i));
}

/* The inode is locked. */
int union_setattr(struct inode *i, const struct attr_change *change)
{
    struct union_node *n = union_node(i);
    int r = union_copy_up(n, change->mask & ATTR_SIZE ? change->size : UINT64_MAX);
    if (r < 0)
        return r;
    r = inode_setattr(union_upper(n)->inode, change);
    return r < 0 ? r : union_mirror(n);
}

ssize_t union_readlink(struct inode *i, char *buffer, size_t size)
{
    struct inode *real = union_real(union_node(i))->inode;
    return real->ops->readlink ? real->ops->readlink(real, buffer, size) : -EINVAL;
}

static bool hidden(struct union_super *s, const char *name)
{
    return str_starts(name, s->prefix);
}

ssize_t union_getxattr(struct inode *i, const char *name, void *buffer, size_t size)
{
    struct inode *real = union_real(union_node(i))->inode;
    if (hidden(union_super(i), name))
        return -ENODATA;
    return real->ops->getxattr ? real->ops->getxattr(real, name, buffer, size) : -EOPNOTSUPP;
}

int union_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
    struct union_node *n = union_node(i);
    if (hidden(union_super(i), name))
        return -EOPNOTSUPP;
    int r = union_copy_up(n, UINT64_MAX);
    if (r < 0)
        return r;
    struct inode *upper = union_upper(n)->inode;
    if (!upper->ops->setxattr)
        return -EOPNOTSUPP;
    mutex_lock(&upper->lock);
    r = upper->ops->setxattr(upper, name, value, size, flags);
    mutex_unlock(&upper->lock);
    return r < 0 ? r : union_mirror(n);
}

/* All of the layer's, then without ours. */
ssize_t union_listxattr(struct inode *i, char *buffer, size_t size)
{
    struct inode *real = union_real(union_node(i))->inode;
    if (!real->ops->listxattr)
        return 0;
    char *all = kmalloc(XATTR_LIST_MAX);
    if (!all)
        return -ENOMEM;
    ssize_t n = real->ops->listxattr(real, all, XATTR_LIST_MAX), used = 0;
    for (ssize_t at = 0; at < n;) {
        size_t len = strlen(all + at) + 1;
        bool ours = hidden(union_super(i), all + at);
        if (!ours && size && (size_t)used + len > size) {
            n = -ERANGE;
            break;
        }
        if (!ours && size)
            memcpy(buffer + used, all + at, len);
        if (!ours)
            used += (ssize_t)len;
        at += (ssize_t)len;
    }
    kfree(all);
    return n < 0 ? n : used;
}
