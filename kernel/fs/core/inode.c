/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes and super blocks: references, attributes, permissions, the locking of several inodes.
 * Attribute fields are read without the lock: each is a machine word that is right on its own.
 */
#include "fs/core/inode.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/core/file.h"
#include "fs/core/lock.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

void super_init(struct super *sb, const struct super_ops *ops, const char *type)
{
    sb->ops = ops;
    sb->type = type;
    sb->dev = device_number_new();
    atomic_store(&sb->refs, 1);
    atomic_store(&sb->next_ino, 1);
    mutex_init(&sb->rename_lock, RANK_FS_RENAME);
    spin_init(&sb->table_lock, RANK_INODE_DATA);
    radix_init(&sb->inodes);
}

struct super *super_get(struct super *sb)
{
    atomic_fetch_add(&sb->refs, 1);
    return sb;
}

void super_put(struct super *sb)
{
    if (atomic_fetch_sub(&sb->refs, 1) == 1)
        sb->ops->free(sb);
}

struct timespec64 fs_now(void)
{
    uint64_t ns = clock_realtime_ns();
    return (struct timespec64){(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u)};
}

void inode_init(struct inode *i, struct super *sb, const struct inode_ops *ops, uint32_t mode)
{
    i->ops = ops;
    i->sb = super_get(sb);
    i->type = mode & S_IFMT;
    i->mode = mode & 07777;
    i->nlink = 1;
    atomic_store(&i->refs, 1);
    mutex_init(&i->lock, i->type == S_IFDIR ? RANK_INODE_DIR : RANK_INODE);
    cache_init(&i->cache, i);
    list_init(&i->watch_list);
}

struct inode *inode_get(struct inode *i)
{
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

/* True: the reference was the last one, and nobody can find the inode any more. */
static bool drop_ref(struct inode *i)
{
    uint32_t n = atomic_load_explicit(&i->refs, memory_order_relaxed);
    while (n > 1) {
        if (atomic_compare_exchange_weak(&i->refs, &n, n - 1))
            return false;
    }
    if (!i->hashed)
        return atomic_fetch_sub(&i->refs, 1) == 1;
    spin_lock(&i->sb->table_lock);
    bool last = atomic_fetch_sub(&i->refs, 1) == 1;
    if (last)
        radix_remove(&i->sb->inodes, i->ino);
    spin_unlock(&i->sb->table_lock);
    return last;
}

void inode_put(struct inode *i)
{
    if (!i || !drop_ref(i))
        return;
    struct super *sb = i->sb;
    cache_empty(&i->cache);
    vm_object_free(atomic_load(&i->mapped));
    file_locks_free(i);
    if (i->type == S_IFIFO && i->ipc && fs_hooks.fifo_free)
        fs_hooks.fifo_free(i);
    i->ops->free(i);
    super_put(sb);
}

int inode_hash(struct inode *i)
{
    int r = -EEXIST;
    spin_lock(&i->sb->table_lock);
    if (!radix_get(&i->sb->inodes, i->ino))
        r = radix_set(&i->sb->inodes, i->ino, i);
    if (r == 0)
        i->hashed = true;
    spin_unlock(&i->sb->table_lock);
    return r;
}

struct inode *inode_find(struct super *sb, uint64_t ino)
{
    spin_lock(&sb->table_lock);
    struct inode *i = radix_get(&sb->inodes, ino);
    if (i)
        inode_get(i);
    spin_unlock(&sb->table_lock);
    return i;
}

int inode_permission(const struct inode *i, const struct cred *c, int access)
{
    uint32_t mode = i->mode;
    bool runnable = i->type == S_IFDIR || (mode & 0111);
    if (cred_can(c, CAP_DAC_OVERRIDE) && (runnable || !(access & X_OK)))
        return 0;
    uint32_t bits = mode;
    if (c->fsuid == i->uid)
        bits = mode >> 6;
    else if (cred_in_group(c, i->gid))
        bits = mode >> 3;
    if (likely(!((uint32_t)access & ~bits & 7)))
        return 0;
    if (cred_can(c, CAP_DAC_READ_SEARCH) && !(access & W_OK) &&
        (i->type == S_IFDIR || !(access & X_OK)))
        return 0;
    return i->ops->permission ? i->ops->permission(i, c, access) : -EACCES;
}

bool inode_owner_or_root(const struct inode *i, const struct cred *c)
{
    return cred_can(c, CAP_FOWNER) || c->fsuid == i->uid;
}

int inode_may_remove(const struct inode *dir, const struct inode *victim, const struct cred *c)
{
    if (!(dir->mode & S_ISVTX) || cred_can(c, CAP_FOWNER) || c->fsuid == dir->uid ||
        c->fsuid == victim->uid)
        return 0;
    return -EPERM;
}

static struct abi_timespec abi_time(struct timespec64 t)
{
    return (struct abi_timespec){t.sec, t.nsec};
}

int inode_stat(struct inode *i, struct abi_stat *out)
{
    int r = i->ops->getattr ? i->ops->getattr(i) : 0;
    if (r < 0)
        return r;
    memset(out, 0, sizeof(*out));
    out->st_dev = i->dev ? i->dev : i->sb->dev;
    out->st_ino = i->ino;
    out->st_nlink = i->nlink;
    out->st_mode = i->type | i->mode;
    out->st_uid = i->uid;
    out->st_gid = i->gid;
    out->st_rdev = i->rdev;
    out->st_size = (int64_t)i->size;
    out->st_blksize = PAGE_SIZE;
    out->st_blocks = (int64_t)i->blocks;
    out->st_atim = abi_time(i->atime);
    out->st_mtim = abi_time(i->mtime);
    out->st_ctim = abi_time(i->ctime);
    return 0;
}

void inode_apply_attr(struct inode *i, const struct attr_change *change)
{
    uint32_t mask = change->mask;
    if (mask & ATTR_MODE)
        i->mode = change->mode & 07777;
    if (mask & ATTR_UID)
        i->uid = change->uid;
    if (mask & ATTR_GID)
        i->gid = change->gid;
    if (mask & ATTR_ATIME)
        i->atime = change->atime;
    if (mask & ATTR_MTIME)
        i->mtime = change->mtime;
    i->ctime = mask & ATTR_CTIME ? change->ctime : fs_now();
}

int inode_setattr(struct inode *i, const struct attr_change *change)
{
    if (!i->ops->setattr)
        return -EPERM;
    mutex_lock(&i->lock);
    int r = i->ops->setattr(i, change);
    mutex_unlock(&i->lock);
    return r;
}

uint32_t inode_suid_bits(const struct inode *i, const struct cred *c)
{
    uint32_t kill = i->mode & S_ISUID;
    if ((i->mode & S_ISGID) &&
        ((i->mode & 010) || (!cred_can(c, CAP_FSETID) && !cred_in_group(c, i->gid))))
        kill |= S_ISGID;
    return kill;
}

void inode_kill_suid(struct inode *i, const struct cred *c)
{
    uint32_t kill = inode_suid_bits(i, c);
    if (!kill || cred_can(c, CAP_FSETID) || !i->ops->setattr)
        return;
    struct attr_change change = {.mask = ATTR_MODE, .mode = i->mode & ~kill};
    (void)!i->ops->setattr(i, &change);
}

void inode_touch_modified(struct inode *i)
{
    i->mtime = i->ctime = fs_now();
}

static bool time_before(struct timespec64 a, struct timespec64 b)
{
    return a.sec < b.sec || (a.sec == b.sec && a.nsec <= b.nsec);
}

void inode_touch_accessed(struct inode *i)
{
    static const int64_t day = 24 * 60 * 60;
    struct timespec64 now = fs_now();
    if (time_before(i->atime, i->mtime) || time_before(i->atime, i->ctime) ||
        now.sec - i->atime.sec >= day)
        i->atime = now;
}

static bool seen_before(struct inode *const v[], size_t index)
{
    if (!v[index])
        return true;
    for (size_t k = 0; k < index; k++) {
        if (v[k] == v[index])
            return true;
    }
    return false;
}

/* Waits for one lock, then tries the others; on a miss starts over with the one that was taken:
 * no order is needed, and no two tasks can wait for each other. */
void inode_lock_many(struct inode *const v[], size_t count) UNCHECKED_LOCKING
{
    size_t first = count;
    for (;;) {
        size_t missed = count;
        if (first < count)
            mutex_lock(&v[first]->lock);
        for (size_t i = 0; i < count; i++) {
            if (i == first || seen_before(v, i) || (first < count && v[i] == v[first]))
                continue;
            if (!mutex_trylock(&v[i]->lock)) {
                missed = i;
                break;
            }
        }
        if (missed == count)
            return;
        for (size_t i = 0; i < missed; i++) {
            if (i != first && !seen_before(v, i) && !(first < count && v[i] == v[first]))
                mutex_unlock(&v[i]->lock);
        }
        if (first < count)
            mutex_unlock(&v[first]->lock);
        first = missed;
    }
}

void inode_unlock_many(struct inode *const v[], size_t count) UNCHECKED_LOCKING
{
    for (size_t i = 0; i < count; i++) {
        if (!seen_before(v, i))
            mutex_unlock(&v[i]->lock);
    }
}
