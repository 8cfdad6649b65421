/* SPDX-License-Identifier: BSD-3-Clause */
/* Contents of ramfs: files are the pages of their cache, which keeps them. Directories. */
#include "abi/errno.h"
#include "fs/ramfs/node.h"
#include "lib/string.h"

void ram_account(struct inode *i, uint64_t before)
{
    atomic_fetch_add(&ram_super(i)->pages, cache_page_count(&i->cache) - before);
}

/* How many bytes may be written at `pos` within the mount's size: all that is there already,
 * and what new pages it has left. */
static int check_room(struct inode *i, uint64_t pos, struct iter *from)
{
    struct ram_super *s = ram_super(i);
    if (!s->limit_pages)
        return 0;
    uint64_t used = atomic_load(&s->pages);
    uint64_t left = s->limit_pages > used ? s->limit_pages - used : 0;
    uint64_t have = cache_page_count(&i->cache);
    uint64_t first = pos >> PAGE_SHIFT, last = (pos + from->remaining - 1) >> PAGE_SHIFT;
    if (last - first + 1 <= left + have && (left || pos + from->remaining <= i->size))
        return 0;
    return left ? 0 : -ENOSPC;
}

static ssize_t write_locked(struct file *f, struct iter *from, uint64_t *pos)
{
    struct inode *i = f->inode;
    uint64_t at = f->flags & O_APPEND ? i->size : *pos;
    if (at > (uint64_t)INT64_MAX - from->remaining)
        return -EFBIG;
    uint64_t before = cache_page_count(&i->cache);
    int r = ram_seal_write(i, at + from->remaining);
    if (r == 0)
        r = check_room(i, at, from);
    if (r < 0)
        return r;
    ssize_t n = cache_write(&i->cache, from, at);
    ram_account(i, before);
    if (n == -ENOMEM)
        return -ENOSPC;
    if (n <= 0)
        return n;
    *pos = at + (uint64_t)n;
    if (*pos > i->size)
        i->size = *pos;
    inode_touch_modified(i);
    inode_kill_suid(i, fs_cred());
    return n;
}

static ssize_t ram_write(struct file *f, struct iter *from, uint64_t *pos)
{
    if (from->remaining == 0)
        return 0;
    mutex_lock(&f->inode->lock);
    ssize_t n = write_locked(f, from, pos);
    mutex_unlock(&f->inode->lock);
    return n;
}

static ssize_t ram_write_mapped(struct file *f, struct iter *from, uint64_t pos)
{
    uint64_t size = f->inode->size;
    if (pos >= size)
        return 0;
    size_t whole = from->remaining;
    from->remaining = (size_t)MIN((uint64_t)whole, size - pos);
    uint64_t before = cache_page_count(&f->inode->cache);
    ssize_t n = cache_write(&f->inode->cache, from, pos);
    ram_account(f->inode, before);
    return n;
}

int ram_setattr(struct inode *i, const struct attr_change *c)
{
    int r = ram_seal_attr(i, c);
    if (r < 0)
        return r;
    if (c->mask & ATTR_SIZE) {
        uint64_t before = cache_page_count(&i->cache);
        if (c->size > INT64_MAX)
            return -EFBIG;
        if (c->size < i->size)
            cache_truncate(&i->cache, c->size);
        i->size = c->size;
        ram_account(i, before);
    }
    inode_apply_attr(i, c);
    return 0;
}

static int64_t ram_seek(struct file *f, int64_t offset, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return file_seek_generic(f, offset, whence);
    uint64_t size = f->inode->size;
    if (offset < 0 || (uint64_t)offset >= size)
        return -ENXIO;
    uint64_t index = (uint64_t)offset >> PAGE_SHIFT, found = index;
    bool any = cache_next_page(&f->inode->cache, &found);
    if (whence == SEEK_DATA) {
        if (!any || (found << PAGE_SHIFT) >= size)
            return -ENXIO;
        offset = found == index ? offset : (int64_t)(found << PAGE_SHIFT);
    } else {
        while (any && found == index) {
            found = ++index;
            any = cache_next_page(&f->inode->cache, &found);
        }
        if (index != (uint64_t)offset >> PAGE_SHIFT)
            offset = (int64_t)MIN(index << PAGE_SHIFT, size);
    }
    f->pos = (uint64_t)offset;
    return offset;
}

static bool is_full(struct ram_super *s)
{
    return s->limit_pages && atomic_load(&s->pages) >= s->limit_pages;
}

/* Makes page `to` what page `from` is: data, or a hole. */
static int move_page(struct inode *i, uint64_t from, uint64_t to)
{
    struct cached_page *source, *target;
    uint64_t before = cache_page_count(&i->cache);
    int r = cache_get(&i->cache, from, false, &source);
    if (r < 0)
        return r;
    if (!source) {
        cache_punch(&i->cache, to << PAGE_SHIFT, PAGE_SIZE);
    } else {
        r = is_full(ram_super(i)) ? -ENOSPC : cache_get(&i->cache, to, true, &target);
        if (r == 0) {
            memcpy(target->data, source->data, PAGE_SIZE);
            cache_put(target);
        }
        cache_put(source);
    }
    ram_account(i, before);
    return r == -ENOMEM ? -ENOSPC : r;
}

/* Takes [offset, offset + size) out of the file, or puts a hole there; whole pages. */
static int shift(struct inode *i, uint64_t offset, uint64_t size, bool insert)
{
    uint64_t first = offset >> PAGE_SHIFT, count = size >> PAGE_SHIFT,
             end = (i->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
    int r = 0;
    if (((offset | size) & (PAGE_SIZE - 1)) || offset >= i->size ||
        (!insert && offset + size >= i->size))
        return -EINVAL;
    if (insert && i->size > (uint64_t)INT64_MAX - size)
        return -EFBIG;
    for (uint64_t k = end; insert && r == 0 && k-- > first;)
        r = move_page(i, k, k + count);
    for (uint64_t k = first; !insert && r == 0 && k + count < end; k++)
        r = move_page(i, k + count, k);
    if (r < 0)
        return r;
    uint64_t before = cache_page_count(&i->cache);
    i->size = insert ? i->size + size : i->size - size;
    if (insert)
        cache_punch(&i->cache, offset, size);
    else
        cache_truncate(&i->cache, i->size);
    ram_account(i, before);
    inode_touch_modified(i);
    return 0;
}

static int ram_fallocate(struct file *f, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct inode *i = f->inode;
    uint64_t before = cache_page_count(&i->cache), end = offset + size;
    bool shifts = mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE);
    bool changes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    if (((changes || shifts) && (i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) ||
        (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size && (i->seals & F_SEAL_GROW)) ||
        (shifts && (i->seals & (F_SEAL_GROW | F_SEAL_SHRINK))))
        return -EPERM;
    if (shifts)
        return shift(i, offset, size, mode & FALLOC_FL_INSERT_RANGE);
    if (changes) {
        cache_punch(&i->cache, offset, size);
        ram_account(i, before);
    }
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        inode_touch_modified(i);
        return 0;
    }
    for (uint64_t index = offset >> PAGE_SHIFT; index <= (end - 1) >> PAGE_SHIFT; index++) {
        struct cached_page *p;
        uint64_t pages = cache_page_count(&i->cache);
        int r = is_full(ram_super(i)) ? -ENOSPC : cache_get(&i->cache, index, true, &p);
        if (r < 0)
            return -ENOSPC;
        cache_put(p);
        ram_account(i, pages);
    }
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size)
        i->size = end;
    inode_touch_modified(i);
    return 0;
}

static int ram_fsync(struct file *f, bool data_only)
{
    (void)f;
    (void)data_only;
    return 0; /* memory is all there is */
}

const struct file_ops ram_file_ops = {
    .read = file_read_cached,
    .write = ram_write,
    .write_mapped = ram_write_mapped,
    .seek = ram_seek,
    .fsync = ram_fsync,
    .fallocate = ram_fallocate,
    .fcntl = ram_fcntl,
    .vm = &file_vm_ops,
};

static int ram_readdir(struct file *f, struct dir_sink *sink)
{
    struct ram_node *dir = ram_node(f->inode);
    if (!dir_emit_dots(f, sink))
        return 0;
    for (;;) {
        uint64_t cookie = f->pos;
        struct ram_entry *e = radix_next(&dir->order, &cookie);
        if (!e)
            return 0;
        struct inode *i = &e->node->inode;
        if (!sink->emit(sink, e->name, e->len, i->ino, i->type >> 12, cookie + 1))
            return 0;
        f->pos = cookie + 1;
    }
}

const struct file_ops ram_dir_file_ops = {
    .readdir = ram_readdir,
    .seek = file_seek_dir,
    .fsync = ram_fsync,
};
