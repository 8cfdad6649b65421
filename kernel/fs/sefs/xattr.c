/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes: each in pieces of 1000 bytes under the hash of its name. The first piece
 * begins with the name and the whole length. Two names with one hash do not get along: the
 * second is refused as if space were short, which with 50 bits happens to nobody.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/sefs/internal.h"
#include "lib/string.h"

#define PIECE     1000u
#define PIECES    256u
#define VALUE_MAX 65536u

struct xattr_head {
    uint32_t size; /* of the value */
    uint8_t len;   /* of the name */
    char name[];
} __attribute__((packed));

static struct sefs_key piece_key(struct store *s, uint64_t ino, const char *name,
                                 uint32_t piece)
{
    uint64_t h = name_hash(s, name, strlen(name)) & ((1ull << 50) - 1);
    return SEFS_KEY(ino, SEFS_ITEM_XATTR, h << 8 | piece);
}

static bool head_valid(const struct item *it)
{
    const struct xattr_head *h = it->value;
    return it->size >= sizeof(*h) && it->size >= sizeof(*h) + h->len && h->size <= VALUE_MAX;
}

/* The first piece; -ENODATA. */
static int find_head(struct store *s, uint64_t ino, const char *name, struct item *out)
{
    size_t len = strlen(name);
    int r = btree_find(s, piece_key(s, ino, name, 0), out);
    if (r < 0)
        return r == -ENOENT ? -ENODATA : r;
    const struct xattr_head *h = out->value;
    if (!head_valid(out))
        return -EIO;
    return h->len == len && memcmp(h->name, name, len) == 0 ? 0 : -ENOSPC;
}

ssize_t store_xattr_get(struct store *s, uint64_t ino, const char *name, void *out, size_t size)
{
    struct item it;
    nodes_trim(s);
    int r = find_head(s, ino, name, &it);
    if (r < 0)
        return r == -ENOSPC ? -ENODATA : r;
    const struct xattr_head *h = it.value;
    size_t whole = h->size, skip = sizeof(*h) + h->len;
    if (size == 0)
        return (ssize_t)whole;
    if (size < whole)
        return -ERANGE;
    for (size_t done = 0, piece = 0; r == 0;) {
        size_t n = it.size - skip;
        if (n > whole - done)
            return -EIO;
        memcpy((uint8_t *)out + done, (uint8_t *)it.value + skip, n);
        done += n;
        skip = 0;
        if (done == whole)
            break;
        r = btree_find(s, piece_key(s, ino, name, (uint32_t)++piece), &it);
        if (r == 0 && it.size == 0)
            r = -EIO;
    }
    return r < 0 ? (r == -ENOENT ? -EIO : r) : (ssize_t)whole;
}

static int remove_pieces(struct store *s, uint64_t ino, const char *name)
{
    for (uint32_t piece = 0; piece < PIECES; piece++) {
        int r = nodes_prepare(s);
        if (r == 0)
            r = btree_remove(s, piece_key(s, ino, name, piece));
        if (r < 0)
            return r == -ENOENT && piece ? 0 : r;
    }
    return 0;
}

static int put_pieces(struct store *s, uint64_t ino, const struct store_xattr *x)
{
    struct xattr_head *h = (struct xattr_head *)s->item;
    size_t head = sizeof(*h) + strlen(x->name), done = 0;
    h->size = (uint32_t)x->size;
    h->len = (uint8_t)strlen(x->name);
    memcpy(h->name, x->name, h->len);
    for (uint32_t piece = 0; piece == 0 || done < x->size; piece++) {
        size_t n = MIN(x->size - done, (size_t)PIECE - head);
        memcpy(s->item + head, (const uint8_t *)x->value + done, n);
        int r = nodes_prepare(s);
        if (r == 0)
            r = btree_set(s, piece_key(s, ino, x->name, piece), s->item, head + n);
        if (r < 0)
            return r;
        done += n;
        head = 0;
    }
    return 0;
}

int store_xattr_set(struct store *s, uint64_t ino, const struct store_xattr *x)
{
    struct item it;
    if (x->size > VALUE_MAX || strlen(x->name) > 255)
        return -ERANGE;
    int r = x->value ? store_op_begin(s, x->size / SEFS_BLOCK + 1) : store_op_free(s);
    if (r < 0)
        return r;
    r = find_head(s, ino, x->name, &it);
    bool there = r == 0;
    if (r < 0 && r != -ENODATA)
        return r;
    if (there && (x->flags & XATTR_CREATE))
        return -EEXIST;
    if (!there && (!x->value || (x->flags & XATTR_REPLACE)))
        return -ENODATA;
    r = there ? remove_pieces(s, ino, x->name) : 0;
    return r == 0 && x->value ? put_pieces(s, ino, x) : r;
}

ssize_t store_xattr_list(struct store *s, uint64_t ino, char *out, size_t size)
{
    struct item it;
    size_t used = 0;
    uint64_t hi = SEFS_KEY(ino, SEFS_ITEM_XATTR, 0).hi, at = 0;
    nodes_trim(s);
    for (;;) {
        int r = btree_next(s, (struct sefs_key){hi, at}, &it);
        if (r == -ENOENT || (r == 0 && it.key.hi != hi))
            break;
        if (r < 0)
            return r;
        const struct xattr_head *h = it.value;
        if (!head_valid(&it) || (it.key.lo & 0xff))
            return -EIO;
        if (size && used + h->len + 1 > size)
            return -ERANGE;
        if (size) {
            memcpy(out + used, h->name, h->len);
            out[used + h->len] = 0;
        }
        used += h->len + 1u;
        at = (it.key.lo | 0xff) + 1;
    }
    return (ssize_t)used;
}
