/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty inodes, and how they become durable. Pages are taken out of many files at once, so that
 * small files lie side by side in one write of the host. Taking, writing and giving back happen
 * under the store's lock, which truncation holds, too: no inode needs to be locked, and so this
 * can be done wherever the store is not locked.
 *
 * A commit is a picture of the whole file system: all pages that were dirty when it was asked
 * for are written first, then the attributes. A file that is being extended keeps the size that
 * its written pages have. Those who ask while a commit is under way share the next one.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/sefs/vfs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define COMMIT_NS       (5ull * 1000000000)
#define DIRTY_PAGES_MAX 65536u /* writers help; a sixteenth of that: the flusher begins */
#define HELP_BATCHES    8u     /* more than what one write brings */

void vs_lock(struct vsuper *v)
{
    mutex_lock(&v->lock);
    store_promise(v->store, atomic_load(&v->promised));
}

void vs_unlock(struct vsuper *v)
{
    struct store_stats st;
    store_promise(v->store, 0);
    store_stats(v->store, &st);
    atomic_store(&v->room, (int64_t)(st.free_blocks - st.free_blocks / 32));
    mutex_unlock(&v->lock);
}

/* Nor more than a quarter of the kernel's memory. */
static int64_t dirty_max(void)
{
    struct heap_stats heap;
    heap_stats(&heap);
    return (int64_t)MIN((uint64_t)DIRTY_PAGES_MAX, heap.limit_bytes / PAGE_SIZE / 4);
}

/* ---- the lists ---- */

void vnode_dirty(struct vnode *n, enum vnode_dirt dirt)
{
    struct vsuper *v = vsuper_of(&n->inode);
    spin_lock(&v->list_lock);
    bool was = n->dirt != VNODE_CLEAN;
    if (n->dirt < dirt) {
        if (was)
            list_remove(&n->dirty_node);
        else
            inode_get(&n->inode);
        list_append(dirt == VNODE_PAGES ? &v->with_pages : &v->with_attr, &n->dirty_node);
        n->dirt = dirt;
    }
    spin_unlock(&v->list_lock);
    bool many = atomic_load(&v->promised) > v->dirty_max / 16;
    if (many && !atomic_load(&v->urgent)) {
        atomic_store(&v->urgent, true);
        wait_wake_all(&v->wake);
    } else if (atomic_load(&v->idle)) {
        atomic_store(&v->idle, false);
        wait_wake_all(&v->wake);
    }
}

/* Off its list; true: the list's reference is the caller's now. */
static bool take_off(struct vsuper *v, struct vnode *n)
{
    spin_lock(&v->list_lock);
    bool was = n->dirt != VNODE_CLEAN;
    if (was)
        list_remove(&n->dirty_node);
    n->dirt = VNODE_CLEAN;
    spin_unlock(&v->list_lock);
    return was;
}

void vnode_forget(struct vnode *n)
{
    struct vsuper *v = vsuper_of(&n->inode);
    vs_lock(v);
    cache_truncate(&n->inode.cache, 0);
    vs_unlock(v);
    if (take_off(v, n))
        inode_put(&n->inode);
}

/* A node of the list with a reference of its own, or NULL. */
static struct vnode *first_of(struct vsuper *v, struct list *l)
{
    struct vnode *n = NULL;
    spin_lock(&v->list_lock);
    if (!list_empty(l)) {
        n = list_entry(l->next, struct vnode, dirty_node);
        inode_get(&n->inode);
    }
    spin_unlock(&v->list_lock);
    return n;
}

/* All its pages have been taken: only its attributes are left to be written. */
static void pages_taken(struct vsuper *v, struct vnode *n)
{
    spin_lock(&v->list_lock);
    if (n->dirt == VNODE_PAGES) {
        list_remove(&n->dirty_node);
        list_append(&v->with_attr, &n->dirty_node);
        n->dirt = VNODE_ATTR;
    }
    spin_unlock(&v->list_lock);
}

/* ---- pages ---- */

/* Fills the batch; what was taken is pinned, and its inodes are referenced. */
static void batch_take(struct vsuper *v)
{
    struct vnode *n;
    v->batch->count = 0;
    while (v->batch->count < STORE_WRITE_MAX && (n = first_of(v, &v->with_pages)) != NULL) {
        size_t from = v->batch->count;
        uint64_t index = 0;
        n->flush_size = n->inode.size; /* what is sealed from now on is at least this long */
        size_t got = cache_take_dirty(&n->inode.cache, &index, v->batch->held + from,
                                      STORE_WRITE_MAX - from);
        for (size_t i = from; i < from + got; i++) {
            struct cached_page *p = v->batch->held[i];
            v->batch->pages[i] = (struct store_page){n->inode.ino, p->index, p->data};
            v->batch->nodes[i] = vnode_of(inode_get(&n->inode));
        }
        v->batch->count += got;
        if (v->batch->count < STORE_WRITE_MAX)
            pages_taken(v, n);
        inode_put(&n->inode);
    }
}

static void update_blocks(struct vsuper *v, struct vnode *n)
{
    struct sefs_inode rec;
    if (store_inode_get(v->store, n->inode.ino, &rec) == 0)
        n->blocks = rec.blocks;
}

/* Gives the pages back; inodes of pages that could not be written go back to their list. */
static void batch_give(struct vsuper *v, size_t written)
{
    for (size_t i = 0; i < v->batch->count; i++) {
        struct vnode *n = v->batch->nodes[i];
        cache_give_back(v->batch->held[i], i < written);
        uint64_t end = (v->batch->pages[i].index + 1) << PAGE_SHIFT;
        if (i < written)
            n->disk_size = MAX(n->disk_size, MIN(n->flush_size, end));
        if (i + 1 == v->batch->count || v->batch->nodes[i + 1] != n)
            update_blocks(v, n);
        if (n->inode.cache.dirty.count)
            vnode_dirty(n, VNODE_PAGES);
        inode_put(&n->inode);
    }
}

/* One batch. The number of pages that were written, or negative errno. */
static ssize_t flush_some(struct vsuper *v)
{
    vs_lock(v);
    batch_take(v);
    size_t count = v->batch->count;
    store_promise(v->store, atomic_load(&v->promised) - (int64_t)count);
    ssize_t r = count ? store_write(v->store, v->batch->pages, count) : 0;
    batch_give(v, r > 0 ? (size_t)r : 0);
    vs_unlock(v);
    cache_balance();
    return r;
}

static int commit_now(struct vsuper *v);

int vs_flush(struct vsuper *v)
{
    bool helped = false;
    for (int64_t left = atomic_load(&v->promised) + 1; left > 0;) {
        ssize_t r = flush_some(v);
        if (r == -ENOSPC && !helped) {
            helped = true;
            int e = commit_now(v);
            if (e < 0)
                return e;
            continue;
        }
        if (r <= 0)
            return (int)r;
        left -= r;
    }
    return 0;
}

/* ---- commits ---- */

static struct sefs_time disk_time(struct timespec64 t)
{
    return (struct sefs_time){t.sec, (uint32_t)t.nsec};
}

static int put_record(struct vsuper *v, struct vnode *n)
{
    struct inode *i = &n->inode;
    uint64_t size =
        i->size; /* before looking for dirty pages: they are marked before it grows */
    if (i->cache.dirty.count == 0)
        n->disk_size = size;
    struct sefs_inode rec = {
        .mode = i->type | i->mode,
        .uid = i->uid,
        .gid = i->gid,
        .size = n->disk_size,
        .rdev = i->rdev,
        .atime = disk_time(i->atime),
        .mtime = disk_time(i->mtime),
        .ctime = disk_time(i->ctime),
        .btime = disk_time(i->btime),
    };
    return store_inode_set(v->store, i->ino, &rec);
}

static size_t list_count(struct vsuper *v, struct list *l)
{
    size_t count = 0;
    spin_lock(&v->list_lock);
    for (struct list *at = l->next; at != l; at = at->next)
        count++;
    spin_unlock(&v->list_lock);
    return count;
}

static void rotate(struct vsuper *v, struct vnode *n)
{
    spin_lock(&v->list_lock);
    if (n->dirt == VNODE_PAGES) {
        list_remove(&n->dirty_node);
        list_append(&v->with_pages, &n->dirty_node);
    }
    spin_unlock(&v->list_lock);
}

/* The records of all that are dirty; who has dirty pages stays on its list. */
static int put_records(struct vsuper *v)
{
    struct vnode *n;
    int r = 0;
    while (r == 0 && (n = first_of(v, &v->with_attr)) != NULL) {
        bool listed = take_off(v, n);
        r = put_record(v, n);
        if (r < 0)
            vnode_dirty(n, VNODE_ATTR);
        if (listed)
            inode_put(&n->inode);
        inode_put(&n->inode);
    }
    size_t count = list_count(v, &v->with_pages);
    while (r == 0 && count-- && (n = first_of(v, &v->with_pages)) != NULL) {
        rotate(v, n);
        r = put_record(v, n);
        inode_put(&n->inode);
    }
    return r;
}

/* commit_lock is held. */
static int commit_locked(struct vsuper *v, bool settle)
{
    vs_lock(v);
    int r = put_records(v);
    if (settle)
        store_settle(v->store);
    bool dirty = store_dirty(v->store);
    if (r == 0 && dirty) {
        vs_counter_begin(v);
        r = store_commit_begin(v->store);
    }
    vs_unlock(v);
    if (r < 0 || !dirty)
        return r;
    r = store_commit_flush(v->store);
    vs_lock(v);
    r = store_commit_end(v->store, r);
    vs_unlock(v);
    return r < 0 ? r : vs_counter_end(v);
}

static int commit_now(struct vsuper *v)
{
    mutex_lock(&v->commit_lock);
    atomic_fetch_add(&v->begun, 1);
    v->result = commit_locked(v, false);
    v->done = v->begun;
    mutex_unlock(&v->commit_lock);
    return v->result;
}

int vs_sync(struct vsuper *v, bool settle)
{
    int flushed = vs_flush(v);
    uint64_t ticket = atomic_load(&v->begun) + 1;
    mutex_lock(&v->commit_lock);
    if (settle || v->done < ticket) { /* else somebody's commit has begun and ended meanwhile */
        atomic_fetch_add(&v->begun, 1);
        v->result = commit_locked(v, settle);
        v->done = v->begun;
    }
    int r = v->result;
    mutex_unlock(&v->commit_lock);
    return flushed < 0 ? flushed : r;
}

int vs_reserve(struct vsuper *v, uint64_t pages)
{
    for (int tries = 0; tries < 2; tries++) {
        if (atomic_load(&v->promised) + (int64_t)pages <= atomic_load(&v->room))
            return 0;
        int r = vs_flush(v);
        if (r == 0)
            r = commit_now(v);
        if (r < 0)
            return r;
    }
    return atomic_load(&v->promised) + (int64_t)pages <= atomic_load(&v->room) ? 0 : -ENOSPC;
}

void vs_throttle(struct vsuper *v)
{
    for (unsigned i = 0; i < HELP_BATCHES; i++) {
        if (atomic_load(&v->promised) <= v->dirty_max || flush_some(v) <= 0)
            break;
    }
}

/* ---- the flusher ---- */

static bool all_clean(struct vsuper *v)
{
    spin_lock(&v->list_lock);
    bool clean = list_empty(&v->with_pages) && list_empty(&v->with_attr);
    spin_unlock(&v->list_lock);
    return clean;
}

static void wait_for_work(struct vsuper *v)
{
    atomic_store(&v->idle, true);
    if (!all_clean(v))
        atomic_store(&v->idle, false);
    (void)!wait_event(&v->wake, !atomic_load(&v->idle) || atomic_load(&v->stop), NO_DEADLINE);
}

/* What it writes may be all that still holds a file system that nobody can reach any more; then
 * it ends with this. */
static void flush_or_sync(struct vsuper *v, bool sync)
{
    super_get(&v->sb);
    int r = sync ? vs_sync(v, false) : vs_flush(v);
    if (r < 0)
        log_warn("sefs %s: what was changed could not be written: error %d", v->name, -r);
    super_put(&v->sb);
}

static void flusher(void *arg)
{
    struct vsuper *v = arg;
    uint64_t due = 0;
    v->flusher = current;
    while (!atomic_load(&v->stop)) {
        if (all_clean(v)) {
            wait_for_work(v);
            due = clock_monotonic_ns() + COMMIT_NS;
        }
        (void)!wait_event(&v->wake, atomic_load(&v->stop) || atomic_load(&v->urgent), due);
        if (atomic_load(&v->stop))
            break;
        if (atomic_exchange(&v->urgent, false))
            flush_or_sync(v, false);
        if (clock_monotonic_ns() < due)
            continue;
        flush_or_sync(v, true);
        due = clock_monotonic_ns() + COMMIT_NS;
    }
    if (v->ended)
        vs_destroy(v);
    else
        atomic_store(&v->stopped, true); /* v may be gone from here on */
    task_exit();
}

static void flusher_gone(struct task *t)
{
    task_fini(t);
    kfree(t);
}

int vs_start_flusher(struct vsuper *v)
{
    v->dirty_max = dirty_max();
    struct task *t = kzalloc(sizeof(*t));
    int r = t ? task_init(t, flusher, v) : -ENOMEM;
    if (r < 0) {
        kfree(t);
        return r;
    }
    memcpy(t->name, "sefs", 5);
    t->release = flusher_gone;
    task_start(t);
    return 0;
}

void vs_stop_flusher(struct vsuper *v)
{
    atomic_store(&v->stop, true);
    if (current == v->flusher) /* it goes when it is back in its loop */
        return;
    wait_wake_all(&v->wake);
    while (!atomic_load(&v->stopped))
        task_yield();
}
