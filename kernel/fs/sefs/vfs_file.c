/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the store: the page cache above, blocks below. */
#include "abi/errno.h"
#include "fs/sefs/vfs.h"
#include "lib/string.h"

#define WRITE_PAGES 256u /* at most, under one hold of the inode */

static struct store_fetch *fetch_take(struct vsuper *v)
{
    struct store_fetch *f = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(v->spare) && !f; i++)
        f = atomic_exchange(&v->spare[i], NULL);
    return f ? f : store_fetch_new();
}

static void fetch_give(struct vsuper *v, struct store_fetch *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(v->spare) && f; i++)
        f = atomic_exchange(&v->spare[i], f);
    store_fetch_free(f);
}

/* Only looking where the blocks lie needs the store. */
static int read_aside(struct inode *i, uint64_t index, void *const pages[], size_t count)
{
    struct vsuper *v = vsuper_of(i);
    struct store_fetch *f = fetch_take(v);
    int r = f ? 0 : -EAGAIN;
    for (size_t done = 0; done < count && r >= 0;) {
        vs_lock(v);
        int n = store_locate(v->store, i->ino, index + done, count - done, f);
        vs_unlock(v);
        r = n > 0 ? store_fetch(f, pages + done) : -EAGAIN;
        done += n > 0 ? (size_t)n : 0;
    }
    fetch_give(v, f);
    return r;
}

int vnode_read_pages(struct inode *i, uint64_t index, void *const pages[], size_t count)
{
    struct vsuper *v = vsuper_of(i);
    uint64_t size = i->size;
    int r = read_aside(i, index, pages, count);
    for (size_t k = 0; k < count && r < 0; k++)
        memset(pages[k], 0, PAGE_SIZE);
    if (r < 0) {
        vs_lock(v);
        r = store_read(v->store, i->ino, index, pages, count);
        vs_unlock(v);
    }
    uint64_t last = size >> PAGE_SHIFT, tail = size & (PAGE_SIZE - 1);
    for (size_t k = 0; k < count && r == 0; k++) {
        if (index + k == last)
            memset((uint8_t *)pages[k] + tail, 0, PAGE_SIZE - tail);
    }
    return r;
}

/* Zeroes a part of one page; in a hole there is nothing to do. */
static int zero_part(struct inode *i, uint64_t pos, uint64_t size)
{
    struct vsuper *v = vsuper_of(i);
    uint64_t index = pos >> PAGE_SHIFT, start, end;
    struct cached_page *p;
    if (!size || pos >= i->size)
        return 0;
    vs_lock(v);
    int r = store_next_data(v->store, i->ino, index, &start, &end);
    vs_unlock(v);
    if (r < 0)
        return r;
    bool hole = r == 0 || start > index;
    uint64_t dirty = index;
    if (hole && (!cache_next_page(&i->cache, &dirty) || dirty != index))
        return 0;
    r = cache_get(&i->cache, index, false, &p);
    if (r < 0)
        return r;
    memset(p->data + (pos & (PAGE_SIZE - 1)), 0, size);
    cache_mark_dirty(p);
    cache_put(p);
    vnode_dirty(vnode_of(i), VNODE_PAGES);
    return 0;
}

/* Before a file grows: a crash may have left blocks behind its end, and bytes in the last one.
 */
static int clean_tail(struct inode *i)
{
    struct vsuper *v = vsuper_of(i);
    struct vnode *n = vnode_of(i);
    uint64_t block = align_up(i->size, PAGE_SIZE) >> PAGE_SHIFT, start, end;
    if (likely(n->tail_clean))
        return 0;
    vs_lock(v);
    int r;
    while ((r = store_next_data(v->store, i->ino, block, &start, &end)) == 1) {
        r = store_punch(v->store, i->ino, start, end);
        if (r < 0)
            break;
        block = end;
    }
    vs_unlock(v);
    uint64_t tail = i->size & (PAGE_SIZE - 1);
    if (r == 0 && tail) { /* the page shows zeros there; let the block, too */
        struct cached_page *p;
        r = cache_get(&i->cache, i->size >> PAGE_SHIFT, false, &p);
        if (r == 0) {
            cache_mark_dirty(p);
            cache_put(p);
            vnode_dirty(n, VNODE_PAGES);
        }
    }
    n->tail_clean = r == 0;
    return r;
}

/* ---- writing ---- */

static ssize_t write_some(struct inode *i, struct iter *from, uint64_t pos)
{
    size_t all = from->remaining, n = MIN(all, (size_t)(WRITE_PAGES * PAGE_SIZE));
    int r = vs_reserve(vsuper_of(i), n / PAGE_SIZE + 2);
    if (r < 0)
        return r;
    from->remaining = n;
    ssize_t done = cache_write_back(&i->cache, from, pos, i->size);
    from->remaining += all - n;
    return done;
}

static ssize_t write_locked(struct file *f, struct iter *from, uint64_t *pos)
{
    struct inode *i = f->inode;
    uint64_t at = f->flags & O_APPEND ? i->size : *pos;
    if (at > (uint64_t)INT64_MAX - from->remaining)
        return -EFBIG;
    if (at + from->remaining > i->size) {
        int r = clean_tail(i);
        if (r < 0)
            return r;
    }
    ssize_t n = write_some(i, from, at);
    if (n <= 0)
        return n;
    *pos = at + (uint64_t)n;
    if (*pos > i->size)
        i->size = *pos;
    inode_touch_modified(i);
    inode_kill_suid(i, fs_cred());
    vnode_dirty(vnode_of(i), VNODE_PAGES);
    return n;
}

static ssize_t vfile_write(struct file *f, struct iter *from, uint64_t *pos)
{
    if (from->remaining == 0)
        return 0;
    vs_throttle(vsuper_of(f->inode));
    mutex_lock(&f->inode->lock);
    ssize_t n = write_locked(f, from, pos);
    mutex_unlock(&f->inode->lock);
    return n;
}

static ssize_t vfile_write_mapped(struct file *f, struct iter *from, uint64_t pos)
{
    struct inode *i = f->inode;
    uint64_t size = i->size;
    if (pos >= size)
        return 0;
    from->remaining = (size_t)MIN((uint64_t)from->remaining, size - pos);
    ssize_t n = write_some(i, from, pos);
    if (n > 0)
        vnode_dirty(vnode_of(i), VNODE_PAGES);
    return n;
}

static ssize_t vfile_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct inode *i = f->inode;
    int64_t sec = i->atime.sec, nsec = i->atime.nsec;
    ssize_t r = file_read_cached(f, to, pos);
    if ((i->atime.sec != sec || i->atime.nsec != nsec) && !vsuper_of(i)->read_only)
        vnode_dirty(vnode_of(i), VNODE_ATTR);
    return r;
}

static int vfile_fsync(struct file *f, bool data_only)
{
    (void)data_only;
    return vs_sync(vsuper_of(f->inode), false);
}

/* ---- size, holes ---- */

/* Drops blocks and pages together, so that no page is written after its block is gone. */
static int drop_blocks(struct inode *i, uint64_t first, uint64_t end)
{
    struct vsuper *v = vsuper_of(i);
    struct sefs_inode rec;
    vs_lock(v);
    if (end == UINT64_MAX)
        cache_truncate(&i->cache, first << PAGE_SHIFT);
    else
        cache_punch(&i->cache, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT);
    int r = store_punch(v->store, i->ino, first, end);
    if (store_inode_get(v->store, i->ino, &rec) == 0)
        vnode_of(i)->blocks = rec.blocks;
    vs_unlock(v);
    return r;
}

static int resize(struct inode *i, uint64_t size)
{
    struct vsuper *v = vsuper_of(i);
    uint64_t tail = size & (PAGE_SIZE - 1);
    int r = 0;
    if (size > INT64_MAX)
        return -EFBIG;
    if (size > i->size) {
        r = clean_tail(i);
    } else if (size < i->size) {
        if (tail)
            r = zero_part(i, size, PAGE_SIZE - tail);
        if (r == 0)
            r = drop_blocks(i, align_up(size, PAGE_SIZE) >> PAGE_SHIFT, UINT64_MAX);
        vnode_of(i)->tail_clean = r == 0;
    }
    if (r < 0)
        return r;
    vs_lock(v);
    i->size = size;
    vnode_of(i)->disk_size = MIN(vnode_of(i)->disk_size, size);
    vs_unlock(v);
    return 0;
}

int vnode_setattr(struct inode *i, const struct attr_change *c)
{
    int r = c->mask & ATTR_SIZE ? resize(i, c->size) : 0;
    if (r < 0)
        return r;
    inode_apply_attr(i, c);
    vnode_dirty(vnode_of(i), VNODE_ATTR);
    return 0;
}

static int punch(struct inode *i, uint64_t pos, uint64_t size)
{
    uint64_t end = pos + size, first = align_up(pos, PAGE_SIZE),
             last = align_down(end, PAGE_SIZE);
    if (first > last)
        return zero_part(i, pos, size);
    int r = zero_part(i, pos, first - pos);
    if (r == 0)
        r = zero_part(i, last, end - last);
    if (r == 0 && first < last)
        r = drop_blocks(i, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
    return r;
}

static int reserve(struct inode *i, uint64_t pos, uint64_t size)
{
    struct vsuper *v = vsuper_of(i);
    struct sefs_inode rec;
    int r = vs_flush(v); /* what is dirty gets its own place */
    if (r == 0)
        r = vs_reserve(v, align_up(size, PAGE_SIZE) / PAGE_SIZE + 1);
    if (r < 0)
        return r;
    vs_lock(v);
    r = store_reserve(v->store, i->ino, pos >> PAGE_SHIFT,
                      align_up(pos + size, PAGE_SIZE) >> PAGE_SHIFT);
    if (store_inode_get(v->store, i->ino, &rec) == 0)
        vnode_of(i)->blocks = rec.blocks;
    vs_unlock(v);
    return r;
}

/* Takes a range out of the file, or makes room for one. */
static int shift(struct inode *i, bool collapse, uint64_t pos, uint64_t size)
{
    struct vsuper *v = vsuper_of(i);
    uint64_t first = pos >> PAGE_SHIFT, count = size >> PAGE_SHIFT;
    if (pos % PAGE_SIZE || size % PAGE_SIZE)
        return -EINVAL;
    if (collapse ? pos + size >= i->size : pos >= i->size)
        return -EINVAL;
    if (!collapse && i->size + size > INT64_MAX)
        return -EFBIG;
    int r = vs_flush(v);
    if (r == 0)
        r = clean_tail(i);
    if (r == 0)
        r = vs_flush(v);
    if (r == 0 && collapse)
        r = drop_blocks(i, first, first + count);
    if (r < 0)
        return r;
    vs_lock(v);
    cache_truncate(&i->cache, pos);
    r = store_shift(v->store, i->ino, collapse ? first + count : first,
                    collapse ? -(int64_t)count : (int64_t)count);
    if (r == 0) {
        i->size = collapse ? i->size - size : i->size + size;
        vnode_of(i)->disk_size = i->size;
    }
    vs_unlock(v);
    return r;
}

static int vfile_fallocate(struct file *f, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct inode *i = f->inode;
    int r = 0;
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
        r = shift(i, mode & FALLOC_FL_COLLAPSE_RANGE, offset, size);
    } else {
        if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) && offset + size > i->size)
            r = clean_tail(i);
        if (r == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
            r = punch(i, offset, size);
        if (r == 0 && !(mode & FALLOC_FL_PUNCH_HOLE))
            r = reserve(i, offset, size);
        if (r == 0 && !(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) &&
            offset + size > i->size)
            i->size = offset + size;
    }
    if (r == 0) {
        inode_touch_modified(i);
        vnode_dirty(vnode_of(i), VNODE_ATTR);
    }
    return r;
}

static int64_t seek_data(struct inode *i, uint64_t offset, int whence)
{
    struct vsuper *v = vsuper_of(i);
    uint64_t size = i->size, at = offset >> PAGE_SHIFT, start = 0, end = 0;
    if (offset >= size)
        return -ENXIO;
    int r = vs_flush(v); /* then the store knows all holes */
    if (r < 0)
        return r;
    vs_lock(v);
    r = store_next_data(v->store, i->ino, at, &start, &end);
    vs_unlock(v);
    if (r < 0)
        return r;
    bool any = r == 1 && (start << PAGE_SHIFT) < size;
    if (whence == SEEK_DATA)
        return any ? (int64_t)MAX(offset, start << PAGE_SHIFT) : -ENXIO;
    return any && start == at ? (int64_t)MIN(end << PAGE_SHIFT, size) : (int64_t)offset;
}

static int64_t vfile_seek(struct file *f, int64_t offset, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return file_seek_generic(f, offset, whence);
    int64_t r = offset < 0 ? -ENXIO : seek_data(f->inode, (uint64_t)offset, whence);
    if (r >= 0)
        f->pos = (uint64_t)r;
    return r;
}

static void vfile_release(struct file *f)
{
    vnode_release(f->inode);
}

const struct file_ops vfile_ops = {
    .read = vfile_read,
    .write = vfile_write,
    .write_mapped = vfile_write_mapped,
    .seek = vfile_seek,
    .fsync = vfile_fsync,
    .fallocate = vfile_fallocate,
    .vm = &file_vm_ops,
    .release = vfile_release,
};

static int vdir_readdir(struct file *f, struct dir_sink *sink)
{
    struct vsuper *v = vsuper_of(f->inode);
    struct store_entry e;
    if (!dir_emit_dots(f, sink))
        return 0;
    for (;;) {
        uint64_t cookie = f->pos < 4 ? 4 : f->pos;
        vs_lock(v);
        int r = store_readdir(v->store, f->inode->ino, cookie, &e);
        vs_unlock(v);
        if (r <= 0)
            return r;
        if (!sink->emit(sink, e.name, e.len, e.ino, e.type, e.cookie))
            return 0;
        f->pos = e.cookie;
    }
}

const struct file_ops vdir_file_ops = {
    .readdir = vdir_readdir,
    .seek = file_seek_dir,
    .fsync = vfile_fsync,
};
