/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache of directory entries. Entries without users stay on the LRU list; a lookup that
 * finds one leaves it there, and whoever shrinks the list skips those in use. Inodes and
 * parents are let go after the spinlock, because that may sleep.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/core/notify.h"
#include "fs/core/path.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define BUCKETS    8192u
#define UNUSED_MAX 32768u

static struct spinlock dcache_lock = SPINLOCK_INIT(RANK_DCACHE);
static struct list buckets[BUCKETS];
static struct list unused = LIST_INIT(unused);
static size_t unused_count;

static uint32_t name_hash(const struct dentry *parent, const char *name, size_t len)
{
    uint64_t h = (uint64_t)(uintptr_t)parent >> 5;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32);
}

static struct list *bucket_of(uint32_t hash)
{
    struct list *b = &buckets[hash % BUCKETS];
    if (unlikely(!b->next))
        list_init(b);
    return b;
}

static struct dentry *dentry_alloc(const char *name, size_t len)
{
    struct dentry *d = kzalloc(sizeof(*d));
    if (!d)
        return NULL;
    char *text = d->short_name;
    if (len >= sizeof(d->short_name))
        text = kmalloc(len + 1);
    if (!text) {
        kfree(d);
        return NULL;
    }
    memcpy(text, name, len);
    text[len] = 0;
    d->name = text;
    d->name_len = (uint32_t)len;
    atomic_store(&d->refs, 1);
    list_init(&d->bucket);
    list_init(&d->lru);
    return d;
}

static void dentry_free(struct dentry *d)
{
    if (d->name != d->short_name)
        kfree((char *)(uintptr_t)d->name);
    kfree(d);
}

struct dentry *dentry_new_root(struct inode *inode, const char *name)
{
    struct dentry *d = dentry_alloc(name, strlen(name));
    if (!d)
        return NULL;
    d->parent = d;
    d->inode = inode;
    d->sb = inode->sb;
    return d;
}

struct dentry *dentry_get(struct dentry *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

static void unhash_locked(struct dentry *d)
{
    if (!d->hashed)
        return;
    d->hashed = false;
    list_remove(&d->bucket);
}

static void leave_lru_locked(struct dentry *d)
{
    if (list_empty(&d->lru))
        return;
    list_remove(&d->lru);
    unused_count--;
}

/* An entry whose name another one gets: if nobody uses it, the caller puts what comes back. */
static struct dentry *displace_locked(struct dentry *d)
{
    unhash_locked(d);
    if (atomic_load(&d->refs) != 0)
        return NULL;
    leave_lru_locked(d);
    atomic_store(&d->refs, 1);
    return d;
}

/* Takes one reference; true: it was the last, and the entry is nobody's any more. */
static bool drop_ref(struct dentry *d)
{
    uint32_t n = atomic_load_explicit(&d->refs, memory_order_relaxed);
    while (n > 1) {
        if (atomic_compare_exchange_weak(&d->refs, &n, n - 1))
            return false;
    }
    spin_lock(&dcache_lock);
    bool last = atomic_fetch_sub(&d->refs, 1) == 1;
    if (last && d->hashed) {
        if (list_empty(&d->lru)) {
            list_append(&unused, &d->lru);
            unused_count++;
        }
        last = false;
    } else if (last) {
        leave_lru_locked(d);
    }
    spin_unlock(&dcache_lock);
    return last;
}

void dentry_put(struct dentry *d)
{
    while (d && drop_ref(d)) {
        struct dentry *parent = d->parent == d ? NULL : d->parent;
        if (d->inode && unlikely(atomic_load(&d->inode->watches)) && d->inode->nlink == 0)
            notify_gone(d->inode, IN_DELETE_SELF);
        inode_put(d->inode);
        dentry_free(d);
        d = parent;
    }
    if (unlikely(unused_count > UNUSED_MAX))
        dentry_shrink(256);
}

/* An unused entry of `sb` (NULL: any), unhashed and with one reference to be put. */
static struct dentry *take_unused(struct super *sb)
{
    struct dentry *found = NULL;
    spin_lock(&dcache_lock);
    struct dentry *d, *next;
    list_for_each_safe (d, next, &unused, lru) {
        if (sb && d->sb != sb)
            continue;
        leave_lru_locked(d);
        if (atomic_load(&d->refs) != 0)
            continue;
        unhash_locked(d);
        atomic_store(&d->refs, 1);
        found = d;
        break;
    }
    spin_unlock(&dcache_lock);
    return found;
}

void dentry_shrink(size_t count)
{
    while (count--) {
        struct dentry *d = take_unused(NULL);
        if (!d)
            return;
        dentry_put(d);
    }
}

bool dentry_forget_super(struct super *sb)
{
    struct dentry *d;
    while ((d = take_unused(sb)) != NULL)
        dentry_put(d);
    return sb->root && atomic_load(&sb->root->refs) <= 1;
}

void dentry_drop(struct dentry *d)
{
    spin_lock(&dcache_lock);
    unhash_locked(d);
    spin_unlock(&dcache_lock);
}

static struct dentry *find_locked(struct dentry *dir, const char *name, size_t len,
                                  uint32_t hash)
{
    struct dentry *d;
    list_for_each (d, bucket_of(hash), bucket) {
        if (d->hash == hash && d->parent == dir && d->name_len == len &&
            memcmp(d->name, name, len) == 0)
            return d;
    }
    return NULL;
}

/* A referenced entry that may be out of date, or NULL. */
static struct dentry *find(struct dentry *dir, const char *name, size_t len)
{
    uint32_t hash = name_hash(dir, name, len);
    spin_lock(&dcache_lock);
    struct dentry *d = find_locked(dir, name, len, hash);
    if (d)
        dentry_get(d);
    spin_unlock(&dcache_lock);
    return d;
}

static void set_expiry(struct dentry *d)
{
    uint64_t ttl = d->inode ? d->sb->entry_ttl_ns : d->sb->negative_ttl_ns;
    d->expires_ns = ttl ? clock_monotonic_ns() + ttl : 0;
}

/* Enters a new child; if the name is there already, that one wins. Takes over d. */
static struct dentry *enter(struct dentry *dir, struct dentry *d)
{
    struct dentry *old;
    d->hash = name_hash(dir, d->name, d->name_len);
    d->parent = dentry_get(dir);
    d->sb = dir->sb;
    bool forget = (dir->sb->flags & SUPER_PSEUDO) ||
                  (!d->inode && dir->sb->negative_ttl_ns == UINT64_MAX);
    if (forget)
        return d;
    set_expiry(d);
    spin_lock(&dcache_lock);
    old = find_locked(dir, d->name, d->name_len, d->hash);
    bool same = old && old->inode == d->inode;
    if (same) {
        dentry_get(old);
    } else {
        old = old ? displace_locked(old) : NULL;
        d->hashed = true;
        list_push(bucket_of(d->hash), &d->bucket);
    }
    spin_unlock(&dcache_lock);
    dentry_put(same ? d : old);
    return same ? old : d;
}

/* True while the entry can be believed. */
static bool still_true(struct dentry *dir, struct dentry *d)
{
    if (likely(d->expires_ns == 0) || clock_monotonic_ns() < d->expires_ns)
        return true;
    struct inode *i = dir->inode;
    if (i->ops->revalidate && !i->ops->revalidate(i, d->name, d->inode))
        return false;
    set_expiry(d);
    return true;
}

static struct dentry *find_valid(struct dentry *dir, const char *name, size_t len)
{
    struct dentry *d = find(dir, name, len);
    if (!d || still_true(dir, d))
        return d;
    dentry_drop(d);
    dentry_put(d);
    return NULL;
}

static int lookup_slow(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
    struct inode *i = dir->inode, *found = NULL;
    if (!i->ops->lookup)
        return -ENOTDIR;
    struct dentry *d = dentry_alloc(name, len);
    if (!d)
        return -ENOMEM;
    int r = i->dead ? -ENOENT : i->ops->lookup(i, d->name, &found);
    if (r < 0 && r != -ENOENT) {
        dentry_free(d);
        return r;
    }
    d->inode = r < 0 ? NULL : found;
    *out = enter(dir, d);
    return 0;
}

/* `name` need not be terminated. */
static int lookup_len(struct dentry *dir, const char *name, size_t len, bool locked,
                      struct dentry **out) UNCHECKED_LOCKING
{
    *out = find_valid(dir, name, len);
    if (likely(*out != NULL))
        return 0;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (!locked)
        mutex_lock(&dir->inode->lock);
    int r = 0;
    *out = find_valid(dir, name, len);
    if (!*out)
        r = lookup_slow(dir, name, len, out);
    if (!locked)
        mutex_unlock(&dir->inode->lock);
    return r;
}

int path_lookup(struct dentry *dir, const char *name, bool locked, struct dentry **out)
{
    return lookup_len(dir, name, strlen(name), locked, out);
}

struct dentry *path_known(struct dentry *dir, const char *name)
{
    return find_valid(dir, name, strlen(name));
}

int path_lookup_part(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
    return lookup_len(dir, name, len, false, out);
}

struct dentry *dentry_new_child(const char *name)
{
    return dentry_alloc(name, strlen(name));
}

struct dentry *dentry_instantiate(struct dentry *dir, struct dentry *d, struct inode *inode)
{
    d->inode = inode;
    return enter(dir, d);
}

void dentry_discard(struct dentry *d)
{
    dentry_free(d);
}

void dentry_move(struct dentry *d, struct dentry *new_parent, const char *name)
{
    size_t len = strlen(name);
    char *text = len < sizeof(d->short_name) ? NULL : kmalloc(len + 1);
    if (len >= sizeof(d->short_name) && !text) {
        dentry_drop(d);
        return;
    }
    spin_lock(&dcache_lock);
    unhash_locked(d);
    char *old_name = d->name != d->short_name ? (char *)(uintptr_t)d->name : NULL;
    char *place = text ? text : d->short_name;
    memcpy(place, name, len + 1);
    d->name = place;
    d->name_len = (uint32_t)len;
    struct dentry *old_parent = d->parent;
    d->parent = dentry_get(new_parent);
    d->hash = name_hash(new_parent, name, len);
    struct dentry *stale = find_locked(new_parent, name, len, d->hash);
    if (stale)
        stale = displace_locked(stale);
    d->hashed = true;
    list_push(bucket_of(d->hash), &d->bucket);
    spin_unlock(&dcache_lock);
    kfree(old_name);
    dentry_put(stale);
    dentry_put(old_parent);
}

static void rehash_locked(struct dentry *d)
{
    d->hash = name_hash(d->parent, d->name, d->name_len);
    d->hashed = true;
    list_push(bucket_of(d->hash), &d->bucket);
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
    char text[sizeof(a->short_name)];
    spin_lock(&dcache_lock);
    unhash_locked(a);
    unhash_locked(b);
    const char *name_a = b->name == b->short_name ? a->short_name : b->name;
    const char *name_b = a->name == a->short_name ? b->short_name : a->name;
    memcpy(text, a->short_name, sizeof(text));
    memcpy(a->short_name, b->short_name, sizeof(text));
    memcpy(b->short_name, text, sizeof(text));
    a->name = name_a;
    b->name = name_b;
    uint32_t len = a->name_len;
    a->name_len = b->name_len;
    b->name_len = len;
    struct dentry *parent = a->parent;
    a->parent = b->parent;
    b->parent = parent;
    rehash_locked(a);
    rehash_locked(b);
    spin_unlock(&dcache_lock);
}

void dcache_lock_names(void) UNCHECKED_LOCKING
{
    spin_lock(&dcache_lock);
}

void dcache_unlock_names(void) UNCHECKED_LOCKING
{
    spin_unlock(&dcache_lock);
}

struct dentry *dentry_parent(struct dentry *d)
{
    spin_lock(&dcache_lock);
    struct dentry *p = dentry_get(d->parent);
    spin_unlock(&dcache_lock);
    return p;
}
