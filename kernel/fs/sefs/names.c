/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes and names. A name is an item of its directory under the hash of the name; two names
 * with one hash share the item. Everything that could fail for want of a block is looked at
 * first, so that a change is whole or has not begun.
 */
#include "abi/errno.h"
#include "abi/stat.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"

#define LINK_PIECE 1000u

static struct sefs_key inode_key(uint64_t ino)
{
    return SEFS_KEY(ino, SEFS_ITEM_INODE, 0);
}

/* Brings the way to a key into memory; whether there is an item does not matter. */
static int touch(struct store *s, struct sefs_key key)
{
    struct item it;
    int r = btree_find(s, key, &it);
    return r == -ENOENT ? 0 : r;
}

int store_inode_get(struct store *s, uint64_t ino, struct sefs_inode *out)
{
    struct item it;
    int r = btree_find(s, inode_key(ino), &it);
    if (r < 0)
        return r == -ENOENT ? -EIO : r;
    if (it.size != sizeof(*out))
        return -EIO;
    memcpy(out, it.value, sizeof(*out));
    return 0;
}

static int inode_put(struct store *s, uint64_t ino, const struct sefs_inode *in)
{
    return btree_set(s, inode_key(ino), in, sizeof(*in));
}

int store_inode_set(struct store *s, uint64_t ino, const struct sefs_inode *in)
{
    struct sefs_inode now;
    int r = s->broken ? -EIO : nodes_prepare(s);
    if (r == 0)
        r = store_inode_get(s, ino, &now);
    if (r < 0)
        return r;
    struct sefs_inode out = *in;
    out.nlink = now.nlink;
    out.blocks = now.blocks;
    out.parent = now.parent;
    return inode_put(s, ino, &out);
}

int inode_add_blocks(struct store *s, uint64_t ino, int64_t blocks)
{
    struct sefs_inode i;
    int r = blocks ? store_inode_get(s, ino, &i) : 0;
    if (r < 0 || !blocks)
        return r;
    i.blocks += (uint64_t)blocks;
    return inode_put(s, ino, &i);
}

/* ---- names ---- */

static bool name_at(const uint8_t *bytes, size_t size, size_t at, const struct sefs_name **out)
{
    const struct sefs_name *n = (const struct sefs_name *)(bytes + at);
    if (at + sizeof(*n) > size || at + sizeof(*n) + n->len > size || n->len == 0)
        return false;
    *out = n;
    return true;
}

static struct sefs_key name_key(const struct store *s, uint64_t dir, const char *name)
{
    return SEFS_KEY(dir, SEFS_ITEM_NAME, name_hash(s, name, strlen(name)));
}

/* Where in the item the name is; -ENOENT. */
static ssize_t name_find(const void *bytes, size_t size, const char *name,
                         const struct sefs_name **out)
{
    size_t len = strlen(name);
    for (size_t at = 0; at < size;) {
        const struct sefs_name *n;
        if (!name_at(bytes, size, at, &n))
            return -EIO;
        if (n->len == len && memcmp(n->name, name, len) == 0) {
            *out = n;
            return (ssize_t)at;
        }
        at += sizeof(*n) + n->len;
    }
    return -ENOENT;
}

static int lookup(struct store *s, uint64_t dir, const char *name, struct sefs_name *out)
{
    struct item it;
    const struct sefs_name *n;
    int r = btree_find(s, name_key(s, dir, name), &it);
    ssize_t at = r < 0 ? r : name_find(it.value, it.size, name, &n);
    if (at < 0)
        return (int)at;
    memcpy(out, n, sizeof(*out));
    return 0;
}

int store_lookup(struct store *s, uint64_t dir, const char *name, uint64_t *ino)
{
    struct sefs_name n;
    nodes_trim(s);
    int r = lookup(s, dir, name, &n);
    if (r == 0)
        *ino = n.ino;
    return r;
}

/* Takes the item out of the tree's memory: the frame of the caller could not hold it. */
static int name_load(struct store *s, struct sefs_key key, uint8_t **bytes, size_t *size)
{
    struct item it = {0};
    int r = btree_find(s, key, &it);
    if (r < 0 && r != -ENOENT)
        return r;
    *bytes = s->bounce;
    *size = it.size;
    memcpy(s->bounce, it.value ? it.value : s->bounce, it.size);
    return 0;
}

static int name_add(struct store *s, uint64_t dir, const char *name,
                    const struct sefs_name *what)
{
    struct sefs_key key = name_key(s, dir, name);
    size_t len = strlen(name), size;
    uint8_t *bytes;
    int r = name_load(s, key, &bytes, &size);
    if (r < 0)
        return r;
    if (size + sizeof(*what) + len > SEFS_ITEM_MAX)
        return -ENOSPC;
    struct sefs_name *n = (struct sefs_name *)(bytes + size);
    n->ino = what->ino;
    n->type = what->type;
    n->len = (uint8_t)len;
    memcpy(n->name, name, len);
    return btree_set(s, key, bytes, size + sizeof(*n) + len);
}

static int name_remove(struct store *s, uint64_t dir, const char *name)
{
    struct sefs_key key = name_key(s, dir, name);
    const struct sefs_name *n;
    uint8_t *bytes;
    size_t size;
    int r = name_load(s, key, &bytes, &size);
    ssize_t at = r < 0 ? r : name_find(bytes, size, name, &n);
    if (at < 0)
        return (int)at;
    size_t gone = sizeof(*n) + n->len;
    memmove(bytes + at, bytes + at + gone, size - (size_t)at - gone);
    return size == gone ? btree_remove(s, key) : btree_set(s, key, bytes, size - gone);
}

int store_readdir(struct store *s, uint64_t dir, uint64_t cookie, struct store_entry *out)
{
    struct item it;
    const struct sefs_name *n;
    nodes_trim(s);
    int r = btree_next(s, SEFS_KEY(dir, SEFS_ITEM_NAME, cookie / 4), &it);
    if (r < 0 || it.key.hi != SEFS_KEY(dir, SEFS_ITEM_NAME, 0).hi)
        return r == -ENOENT || r == 0 ? 0 : r;
    /* Names with one hash are told apart by the two lowest bits. */
    size_t at = 0, skip = it.key.lo == cookie / 4 ? cookie % 4 : 0, seen = 0;
    for (; seen <= skip; seen++) {
        if (at >= it.size)
            return store_readdir(s, dir, (it.key.lo + 1) * 4, out);
        if (!name_at(it.value, it.size, at, &n))
            return -EIO;
        at += sizeof(*n) + n->len;
    }
    bool more = at < it.size && seen < 4;
    out->ino = n->ino;
    out->type = n->type;
    out->len = n->len;
    memcpy(out->name, n->name, n->len);
    out->name[n->len] = 0;
    out->cookie = more ? it.key.lo * 4 + seen : (it.key.lo + 1) * 4;
    return 1;
}

bool store_dir_empty(struct store *s, uint64_t dir, int *error)
{
    struct item it;
    int r = btree_next(s, SEFS_KEY(dir, SEFS_ITEM_NAME, 0), &it);
    *error = r == -ENOENT ? 0 : r;
    return r < 0 || it.key.hi != SEFS_KEY(dir, SEFS_ITEM_NAME, 0).hi;
}

/* ---- making ---- */

static int put_target(struct store *s, uint64_t ino, const char *target)
{
    size_t len = strlen(target);
    int r = 0;
    for (size_t at = 0; at < len && r == 0; at += LINK_PIECE)
        r = btree_set(s, SEFS_KEY(ino, SEFS_ITEM_LINK, at / LINK_PIECE), target + at,
                      MIN(len - at, (size_t)LINK_PIECE));
    return r;
}

static int make_inode(struct store *s, const struct store_new *n, uint64_t parent,
                      uint64_t *ino)
{
    bool dir = (n->mode & S_IFMT) == S_IFDIR;
    struct sefs_inode i = {
        .mode = n->mode,
        .uid = n->uid,
        .gid = n->gid,
        .nlink = dir ? 2 : 1,
        .size = n->target ? strlen(n->target) : 0,
        .rdev = n->rdev,
        .parent = dir ? parent : 0,
        .atime = n->now,
        .mtime = n->now,
        .ctime = n->now,
        .btime = n->now,
    };
    if (s->root.next_ino > SEFS_INO_MAX)
        return -ENOSPC;
    int r = touch(s, inode_key(s->root.next_ino));
    if (r < 0)
        return r;
    *ino = s->root.next_ino++;
    r = inode_put(s, *ino, &i);
    if (r == 0)
        s->root.inode_count++;
    return r == 0 && n->target ? put_target(s, *ino, n->target) : r;
}

static int add_links(struct store *s, uint64_t ino, int by)
{
    struct sefs_inode i;
    int r = by ? store_inode_get(s, ino, &i) : 0;
    if (r < 0 || !by)
        return r;
    i.nlink += (uint32_t)by;
    return inode_put(s, ino, &i);
}

int store_create(struct store *s, uint64_t dir, const char *name, const struct store_new *n,
                 uint64_t *ino)
{
    struct sefs_name what = {.type = (uint8_t)(n->mode >> 12 & 15)};
    struct sefs_inode parent;
    int r = store_op_begin(s, 0);
    if (r == 0)
        r = store_inode_get(s, dir, &parent);
    if (r == 0)
        r = lookup(s, dir, name, &what);
    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    what.type = (uint8_t)(n->mode >> 12 & 15);
    r = make_inode(s, n, dir, ino);
    if (r < 0)
        return r;
    what.ino = *ino;
    r = name_add(s, dir, name, &what);
    if (r < 0) { /* a full item of one hash: never by chance */
        (void)!store_remove(s, *ino);
        return r;
    }
    return add_links(s, dir, what.type == S_IFDIR >> 12);
}

static int add_orphan(struct store *s, uint64_t ino)
{
    return btree_set(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, ino), NULL, 0);
}

int store_create_orphan(struct store *s, const struct store_new *n, uint64_t *ino)
{
    int r = store_op_begin(s, 0);
    if (r == 0)
        r = touch(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, s->root.next_ino));
    if (r == 0)
        r = make_inode(s, n, 0, ino);
    if (r == 0)
        r = add_links(s, *ino, -1);
    return r < 0 ? r : add_orphan(s, *ino);
}

int store_link(struct store *s, uint64_t dir, const char *name, uint64_t ino)
{
    struct sefs_inode i;
    struct sefs_name n;
    int r = store_op_begin(s, 0);
    if (r == 0)
        r = store_inode_get(s, ino, &i);
    if (r == 0)
        r = touch(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, ino));
    if (r < 0)
        return r;
    r = lookup(s, dir, name, &n);
    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    n = (struct sefs_name){.ino = ino, .type = (uint8_t)(i.mode >> 12 & 15)};
    r = name_add(s, dir, name, &n);
    if (r < 0)
        return r;
    if (i.nlink == 0)
        r = btree_remove(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, ino));
    return r < 0 ? r : add_links(s, ino, 1);
}

/* ---- taking away ---- */

/* A name of the inode is gone; the last one makes it an orphan. */
static int drop_link(struct store *s, uint64_t dir, uint64_t ino)
{
    struct sefs_inode i;
    int r = store_inode_get(s, ino, &i);
    if (r < 0)
        return r;
    bool is_dir = (i.mode & S_IFMT) == S_IFDIR;
    i.nlink = is_dir || !i.nlink ? 0 : i.nlink - 1;
    r = inode_put(s, ino, &i);
    if (r == 0 && is_dir)
        r = add_links(s, dir, -1);
    return r == 0 && i.nlink == 0 ? add_orphan(s, ino) : r;
}

/* All that unlinking touches, read; -ENOTEMPTY. */
static int before_unlink(struct store *s, uint64_t dir, const struct sefs_name *n)
{
    struct sefs_inode i;
    int error = 0;
    int r = store_inode_get(s, dir, &i);
    if (r == 0)
        r = store_inode_get(s, n->ino, &i);
    if (r == 0 && n->type == S_IFDIR >> 12 && !store_dir_empty(s, n->ino, &error))
        r = -ENOTEMPTY;
    if (r == 0)
        r = error;
    return r < 0 ? r : touch(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, n->ino));
}

int store_unlink(struct store *s, uint64_t dir, const char *name)
{
    struct sefs_name n;
    int r = store_op_free(s);
    if (r == 0)
        r = lookup(s, dir, name, &n);
    if (r == 0)
        r = before_unlink(s, dir, &n);
    if (r == 0)
        r = name_remove(s, dir, name);
    return r < 0 ? r : drop_link(s, dir, n.ino);
}

static int set_parent(struct store *s, const struct sefs_name *n, uint64_t dir)
{
    struct sefs_inode i;
    int r = n->type == S_IFDIR >> 12 ? store_inode_get(s, n->ino, &i) : -ENOTDIR;
    if (r < 0)
        return r == -ENOTDIR ? 0 : r;
    i.parent = dir;
    return inode_put(s, n->ino, &i);
}

/* The entry now leads to another inode; it stays where it is in the directory. */
static int name_change(struct store *s, uint64_t dir, const char *name,
                       const struct sefs_name *to)
{
    int r = name_remove(s, dir, name);
    return r < 0 ? r : name_add(s, dir, name, to);
}

static int exchange(struct store *s, const struct store_rename *r, const struct sefs_name *a,
                    const struct sefs_name *b)
{
    int by = (b->type == S_IFDIR >> 12) - (a->type == S_IFDIR >> 12);
    int e = name_change(s, r->old_dir, r->old_name, b);
    if (e == 0)
        e = name_change(s, r->new_dir, r->new_name, a);
    if (e == 0)
        e = set_parent(s, a, r->new_dir);
    if (e == 0)
        e = set_parent(s, b, r->old_dir);
    if (e == 0 && r->old_dir != r->new_dir)
        e = add_links(s, r->old_dir, by);
    if (e == 0 && r->old_dir != r->new_dir)
        e = add_links(s, r->new_dir, -by);
    return e;
}

static int move(struct store *s, const struct store_rename *r, const struct sefs_name *what,
                const struct sefs_name *replaced)
{
    int dir = what->type == S_IFDIR >> 12;
    int e = replaced ? name_remove(s, r->new_dir, r->new_name) : 0;
    if (e == 0)
        e = name_add(s, r->new_dir, r->new_name, what);
    if (e == 0)
        e = name_remove(s, r->old_dir, r->old_name);
    if (e == 0 && replaced)
        e = drop_link(s, r->new_dir, replaced->ino);
    if (e == 0)
        e = set_parent(s, what, r->new_dir);
    if (e == 0 && r->old_dir != r->new_dir)
        e = add_links(s, r->old_dir, -dir);
    if (e == 0 && r->old_dir != r->new_dir)
        e = add_links(s, r->new_dir, dir);
    return e;
}

int store_rename(struct store *s, const struct store_rename *r)
{
    struct sefs_name a, b;
    struct sefs_inode i;
    int e = store_op_begin(s, 0);
    if (e == 0)
        e = lookup(s, r->old_dir, r->old_name, &a);
    if (e == 0)
        e = store_inode_get(s, a.ino, &i);
    if (e == 0)
        e = store_inode_get(s, r->old_dir, &i);
    if (e == 0)
        e = store_inode_get(s, r->new_dir, &i);
    if (e < 0)
        return e;
    e = lookup(s, r->new_dir, r->new_name, &b);
    bool there = e == 0;
    if (e < 0 && (e != -ENOENT || r->exchange))
        return e;
    if (there && a.ino == b.ino)
        return 0;
    if (r->exchange) {
        e = store_inode_get(s, b.ino, &i);
        return e < 0 ? e : exchange(s, r, &a, &b);
    }
    if (there)
        e = before_unlink(s, r->new_dir, &b);
    else
        e = 0;
    return e < 0 ? e : move(s, r, &a, there ? &b : NULL);
}

/* Removes all items of one kind. */
static int remove_items(struct store *s, uint64_t ino, enum sefs_item type)
{
    struct item it;
    for (;;) {
        int r = nodes_prepare(s);
        if (r == 0)
            r = btree_next(s, SEFS_KEY(ino, type, 0), &it);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        if (it.key.hi != SEFS_KEY(ino, type, 0).hi)
            return 0;
        r = btree_remove(s, it.key);
        if (r < 0)
            return r;
    }
}

int store_remove(struct store *s, uint64_t ino)
{
    uint64_t freed;
    int r = store_op_free(s);
    if (r == 0)
        r = extents_remove(s, ino, 0, UINT64_MAX, &freed);
    if (r == 0)
        r = remove_items(s, ino, SEFS_ITEM_XATTR);
    if (r == 0)
        r = remove_items(s, ino, SEFS_ITEM_LINK);
    if (r == 0)
        r = nodes_prepare(s);
    if (r == 0)
        r = touch(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, ino));
    if (r == 0)
        r = btree_remove(s, inode_key(ino));
    if (r < 0)
        return r;
    s->root.inode_count--;
    r = btree_remove(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, ino));
    return r == -ENOENT ? 0 : r;
}

int store_remove_orphans(struct store *s)
{
    struct item it;
    uint64_t from = 0;
    for (;;) {
        int r = btree_next(s, SEFS_KEY(0, SEFS_ITEM_ORPHAN, from), &it);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        if (it.key.hi != SEFS_KEY(0, SEFS_ITEM_ORPHAN, 0).hi)
            return 0;
        from = it.key.lo + 1;
        r = store_remove(s, from - 1);
        if (r < 0)
            return r;
    }
}

ssize_t store_readlink(struct store *s, uint64_t ino, char *out, size_t size)
{
    struct item it;
    size_t done = 0;
    nodes_trim(s);
    for (uint64_t piece = 0; done < size; piece++) {
        int r = btree_find(s, SEFS_KEY(ino, SEFS_ITEM_LINK, piece), &it);
        if (r == -ENOENT)
            break;
        if (r < 0)
            return r;
        size_t n = MIN(it.size, size - done);
        memcpy(out + done, it.value, n);
        done += n;
    }
    return (ssize_t)done;
}
