/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files: references, and the one loop that blocks for reads and writes. Everything about
 * waiting is here: O_NONBLOCK, signals, writes that must be complete, SIGPIPE, RLIMIT_FSIZE.
 */
#include "fs/core/file.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/core/lock.h"
#include "fs/core/notify.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"
#include "signal/signal.h"

struct fs_hooks fs_hooks;

uint64_t fs_rlimit(int resource)
{
    return fs_hooks.rlimit ? fs_hooks.rlimit(resource) : UINT64_MAX;
}

struct file *file_get(struct file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

static void file_free(struct file *f)
{
    if (atomic_load(&f->epolls) && fs_hooks.epoll_forget)
        fs_hooks.epoll_forget(f);
    if (notify_any() && (f->state & (FILE_READ | FILE_WRITE)))
        notify_dentry(f->path.dentry,
                      f->state & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (unlikely(f->async))
        fs_hooks.async_forget(f);
    if (atomic_load(&f->locked))
        file_locks_release(f);
    if (f->ops->release)
        f->ops->release(f);
    path_put(&f->path);
    cred_put(f->cred);
    kfree(f);
}

void file_put(struct file *f)
{
    if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        file_free(f);
}

int file_wait(struct file *f, uint32_t events, uint64_t deadline_ns)
{
    struct poll_table t;
    int r = 0;
    if (!f->ops->poll)
        return -EAGAIN;
    poll_table_init(&t, NULL, NULL);
    while (r == 0) {
        uint32_t ready = f->ops->poll(f, t.count ? NULL : &t);
        if (ready & (events | POLL_ALWAYS))
            break;
        r = poll_table_sleep(&t, deadline_ns);
    }
    poll_table_fini(&t);
    return r;
}

/* As file_wait(), for reading or writing with the file's own patience. */
static int wait_ready(struct file *f, bool write, uint64_t *deadline)
{
    uint64_t patience = atomic_load_explicit(&f->wait_ns[write], memory_order_relaxed);
    if (patience && !*deadline)
        *deadline = clock_monotonic_ns() + patience;
    int r =
        file_wait(f, write ? POLLOUT : POLLIN | POLLPRI, patience ? *deadline : NO_DEADLINE);
    if (r == -ERESTARTSYS && patience)
        return -EINTR;
    return r == -ETIMEDOUT ? -EAGAIN : r;
}

static ssize_t read_loop(struct file *f, struct iter *to, uint64_t *pos)
{
    uint64_t deadline = 0;
    for (;;) {
        ssize_t r = f->ops->read(f, to, pos);
        if (likely(r != -EAGAIN) || (atomic_load(&f->flags) & O_NONBLOCK))
            return r;
        r = wait_ready(f, false, &deadline);
        if (r < 0)
            return r;
    }
}

static ssize_t write_loop(struct file *f, struct iter *from, uint64_t *pos)
{
    size_t done = 0;
    uint64_t deadline = 0;
    for (;;) {
        ssize_t r = f->ops->write(f, from, pos);
        if (r > 0)
            done += (size_t)r;
        if (r >= 0 && (from->remaining == 0 || r == 0))
            return (ssize_t)done;
        if (r == -EPIPE && !(f->state & FILE_NO_SIGPIPE))
            signal_send_current(SIGPIPE);
        if (r < 0 && r != -EAGAIN)
            return done ? (ssize_t)done : r;
        if (r > 0 && !(f->state & FILE_STREAM))
            continue;
        if (atomic_load(&f->flags) & O_NONBLOCK)
            return done ? (ssize_t)done : -EAGAIN;
        r = r > 0 ? 0 : wait_ready(f, true, &deadline);
        if (r < 0)
            return done ? (ssize_t)done : r;
    }
}

/* What shared mappings changed goes to the file first. */
static int flush_maps(struct file *f, uint64_t pos, size_t size)
{
    struct vm_object *o = atomic_load_explicit(&f->inode->mapped, memory_order_relaxed);
    return likely(!o) ? 0 : vm_object_flush(o, pos, size);
}

static ssize_t read_at(struct file *f, struct iter *to, uint64_t *pos)
{
    int e = flush_maps(f, *pos, to->remaining);
    return e ? e : read_loop(f, to, pos);
}

ssize_t file_read(struct file *f, struct iter *to, uint64_t *pos)
{
    if (!(f->state & FILE_READ))
        return -EBADF;
    if (!f->ops->read)
        return inode_is_dir(f->inode) ? -EISDIR : -EINVAL;
    ssize_t r;
    if (pos || (f->state & FILE_STREAM)) {
        uint64_t none = 0;
        r = read_at(f, to, pos ? pos : &none);
    } else {
        mutex_lock(&f->pos_lock);
        r = read_at(f, to, &f->pos);
        mutex_unlock(&f->pos_lock);
    }
    if (r > 0)
        notify_dentry(f->path.dentry, IN_ACCESS);
    return r;
}

/* RLIMIT_FSIZE: cuts the write, or refuses it. */
static int limit_write(struct file *f, struct iter *from, uint64_t pos)
{
    uint64_t limit = fs_rlimit(FS_RLIMIT_FSIZE);
    if (f->flags & O_APPEND)
        pos = f->inode->size;
    if (limit > INT64_MAX)
        limit = INT64_MAX;
    else if (pos >= limit && from->remaining)
        signal_send_current(SIGXFSZ);
    if (pos >= limit && from->remaining)
        return -EFBIG;
    from->remaining = (size_t)MIN((uint64_t)from->remaining, limit - pos);
    return 0;
}

static ssize_t write_at(struct file *f, struct iter *from, uint64_t *pos)
{
    size_t cut = 0;
    if (inode_is_reg(f->inode)) {
        size_t wanted = from->remaining;
        int r = limit_write(f, from, *pos);
        if (r < 0)
            return r;
        cut = wanted - from->remaining;
    }
    uint64_t start = f->flags & O_APPEND ? f->inode->size : *pos;
    int e = flush_maps(f, start, from->remaining);
    ssize_t r = e ? e : write_loop(f, from, pos);
    if (r > 0)
        vm_object_update(atomic_load(&f->inode->mapped), start, (size_t)r);
    from->remaining += cut;
    return r;
}

ssize_t file_write(struct file *f, struct iter *from, uint64_t *pos)
{
    if (!(f->state & FILE_WRITE))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    ssize_t r;
    if (pos || (f->state & FILE_STREAM)) {
        uint64_t none = 0;
        r = write_at(f, from, pos ? pos : &none);
    } else {
        mutex_lock(&f->pos_lock);
        r = write_at(f, from, &f->pos);
        mutex_unlock(&f->pos_lock);
    }
    if (r > 0)
        notify_dentry(f->path.dentry, IN_MODIFY);
    if (r > 0 && unlikely(f->flags & (O_DSYNC | O_SYNC)) && f->ops->fsync)
        (void)!f->ops->fsync(f, true);
    return r;
}

int64_t file_seek_generic(struct file *f, int64_t offset, int whence)
{
    int64_t size = (int64_t)f->inode->size, base = 0;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)f->pos;
        break;
    case SEEK_END:
        base = size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE: /* no holes known: data up to the end */
        if (offset < 0 || offset >= size)
            return -ENXIO;
        offset = whence == SEEK_DATA ? offset : size;
        break;
    default:
        return -EINVAL;
    }
    int64_t to;
    if (add_overflows(base, offset, &to) || to < 0)
        return base > 0 && offset > 0 ? -EOVERFLOW : -EINVAL;
    f->pos = (uint64_t)to;
    return to;
}

int64_t file_seek_dir(struct file *f, int64_t offset, int whence)
{
    int64_t base = whence == SEEK_CUR ? (int64_t)f->pos : 0;
    int64_t to;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    if (add_overflows(base, offset, &to) || to < 0)
        return -EINVAL;
    f->pos = (uint64_t)to;
    return to;
}

int64_t file_seek(struct file *f, int64_t offset, int whence)
{
    if (!f->ops->seek || (f->state & FILE_STREAM))
        return -ESPIPE;
    mutex_lock(&f->pos_lock);
    int64_t r = f->ops->seek(f, offset, whence);
    mutex_unlock(&f->pos_lock);
    return r;
}

static int truncate_inode(struct inode *i, const struct cred *c, uint64_t size)
{
    uint64_t limit = fs_rlimit(FS_RLIMIT_FSIZE);
    if (size > i->size && size > limit) {
        signal_send_current(SIGXFSZ);
        return -EFBIG;
    }
    struct attr_change change = {.mask = ATTR_SIZE | ATTR_MTIME, .size = size};
    change.mtime = fs_now();
    if (!i->ops->setattr)
        return -EINVAL;
    mutex_lock(&i->lock);
    uint64_t before = i->size;
    int r = i->ops->setattr(i, &change);
    if (r == 0)
        inode_kill_suid(i, c);
    mutex_unlock(&i->lock);
    if (r == 0)
        vm_object_drop(atomic_load(&i->mapped), size, UINT64_MAX);
    if (r == 0 && atomic_load(&i->was_mapped) && size < before)
        vm_file_cut(current->mm, &i->mapped, size);
    return r;
}

int file_truncate(struct file *f, uint64_t size)
{
    if (!inode_is_reg(f->inode) || !(f->state & FILE_WRITE))
        return -EINVAL;
    int r = truncate_inode(f->inode, fs_cred(), size);
    if (r == 0)
        notify_dentry(f->path.dentry, IN_MODIFY);
    return r;
}

int path_truncate(const struct path *p, uint64_t size)
{
    struct inode *i = path_inode(p);
    if (inode_is_dir(i))
        return -EISDIR;
    if (!inode_is_reg(i))
        return -EINVAL;
    int r = inode_permission(i, fs_cred(), W_OK);
    if (r == 0 && (mount_rdonly(p->mount) || (i->sb->flags & SUPER_RDONLY)))
        r = -EROFS;
    if (r == 0)
        r = truncate_inode(i, fs_cred(), size);
    if (r == 0)
        notify_dentry(p->dentry, IN_MODIFY);
    return r;
}

static void file_accessed(struct file *f)
{
    if ((f->state & (FILE_ATIME | FILE_STRICT)) == (FILE_ATIME | FILE_STRICT))
        f->inode->atime = fs_now();
    else if (f->state & FILE_ATIME)
        inode_touch_accessed(f->inode);
}

int file_readdir(struct file *f, struct dir_sink *sink)
{
    if (!f->ops->readdir)
        return -ENOTDIR;
    mutex_lock(&f->pos_lock);
    mutex_lock(&f->inode->lock);
    int r = f->inode->dead ? -ENOENT : f->ops->readdir(f, sink);
    mutex_unlock(&f->inode->lock);
    mutex_unlock(&f->pos_lock);
    if (r == 0) {
        file_accessed(f);
        notify_dentry(f->path.dentry, IN_ACCESS);
    }
    return r;
}

bool dir_emit_dots(struct file *f, struct dir_sink *sink)
{
    if (f->pos == 0) {
        if (!sink->emit(sink, ".", 1, f->inode->ino, DT_DIR, 1))
            return false;
        f->pos = 1;
    }
    if (f->pos == 1) {
        struct dentry *parent = dentry_parent(f->path.dentry);
        uint64_t ino = parent->inode->ino;
        dentry_put(parent);
        if (!sink->emit(sink, "..", 2, ino, DT_DIR, 2))
            return false;
        f->pos = 2;
    }
    return true;
}

ssize_t file_read_kernel(struct file *f, void *buffer, size_t size, uint64_t offset)
{
    struct iter it;
    size_t done = 0;
    if (!f->ops->read)
        return -EINVAL;
    iter_kernel(&it, buffer, size);
    while (it.remaining) {
        uint64_t pos = offset + done;
        ssize_t r = f->ops->read(f, &it, &pos);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

ssize_t file_write_kernel(struct file *f, const void *buffer, size_t size, uint64_t offset)
{
    struct iter it;
    if (!f->ops->write)
        return -EINVAL;
    iter_kernel(&it, (void *)(uintptr_t)buffer, size);
    return write_loop(f, &it, &offset);
}

ssize_t file_text(struct file *f, char *buffer, size_t size)
{
    return path_text(&f->path, buffer, size);
}

ssize_t file_read_cached(struct file *f, struct iter *to, uint64_t *pos)
{
    ssize_t r = cache_read(&f->inode->cache, to, *pos, f->inode->size);
    if (r > 0)
        *pos += (uint64_t)r;
    file_accessed(f);
    return r;
}

/* ---- mappings ---- */

#define PIN_RUN    32u
#define PIN_STREAM 256u /* who maps so much at once goes on */

static ssize_t vm_read(void *file, uint64_t offset, struct iter *to)
{
    struct file *f = file;
    return f->ops->read(f, to, &offset);
}

static void vm_get(void *file)
{
    struct inode *i = file_get(file)->inode;
    if (!atomic_load_explicit(&i->was_mapped, memory_order_relaxed))
        atomic_store(&i->was_mapped, true);
}

static void vm_put(void *file)
{
    file_put(file);
}

void file_vm_describe(void *file, char *path, size_t size, uint64_t *dev, uint64_t *ino)
{
    struct file *f = file;
    *dev = f->inode->dev ? f->inode->dev : f->inode->sb->dev;
    *ino = f->inode->ino;
    if (size && path_text(&f->path, path, size) < 0)
        path[0] = 0;
}

static struct vm_object *_Atomic *vm_object_slot(void *file)
{
    return &((struct file *)file)->inode->mapped;
}

static struct file *file_real(struct file *f)
{
    struct file *real = f->ops->real ? f->ops->real(f) : f;
    return real && real->inode->cached ? real : NULL;
}

uint64_t file_identity(struct file *f)
{
    struct file *real = file_real(f);
    return real ? cache_identity(&real->inode->cache) : 0;
}

/* Some of the pages, those that are found together. */
static ssize_t pin_some(struct inode *i, uint64_t offset, struct vm_pin pins[], size_t count,
                        bool stream)
{
    struct cached_page *run[PIN_RUN];
    uint64_t size = i->size;
    size_t most = stream ? SIZE_MAX : count;
    if (offset >= size)
        return 0;
    count = MIN(count, (size_t)PIN_RUN);
    count = (size_t)MIN((size - offset + PAGE_SIZE - 1) >> PAGE_SHIFT, (uint64_t)count);
    ssize_t n = cache_get_run(&i->cache, offset >> PAGE_SHIFT, run, count, most);
    for (ssize_t k = 0; k < n; k++, offset += PAGE_SIZE) {
        size_t have = (size_t)MIN(size - offset, (uint64_t)PAGE_SIZE);
        pins[k] = (struct vm_pin){run[k] ? run[k]->data : NULL, have, run[k]};
    }
    return n;
}

static void vm_unpin_pages(struct vm_pin pins[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pins[i].owner)
            cache_put(pins[i].owner);
    }
}

/* A file of no size can be one that knows it only while it is read. */
static ssize_t vm_pin_pages(void *file, uint64_t offset, struct vm_pin pins[], size_t count)
{
    struct file *real = file_real(file);
    struct iter nothing;
    size_t done = 0;
    if (!real || real->inode->size == 0)
        return -EOPNOTSUPP;
    while (done < count) {
        ssize_t n = pin_some(real->inode, offset + done * PAGE_SIZE, pins + done, count - done,
                             count >= PIN_STREAM);
        if (n < 0 && done == 0)
            return n;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    iter_kernel(&nothing, NULL, 0);
    (void)!real->ops->read(real, &nothing, &offset); /* for the time of access */
    return (ssize_t)done;
}

static void vm_copied(void *file, uint64_t offset, uint64_t size)
{
    struct file *real = file_real(file);
    if (real)
        cache_copied(&real->inode->cache, offset, size);
}

static uint64_t vm_identity(void *file)
{
    return file_identity(file);
}

const struct vm_file_ops file_vm_ops_ro = {
    .read = vm_read,
    .get = vm_get,
    .put = vm_put,
    .pin = vm_pin_pages,
    .unpin = vm_unpin_pages,
    .copied = vm_copied,
    .identity = vm_identity,
    .describe = file_vm_describe,
};

static ssize_t vm_write(void *file, uint64_t offset, struct iter *from)
{
    struct file *f = file;
    ssize_t n = f->ops->write_mapped(f, from, offset);
    if (n > 0)
        inode_touch_modified(f->inode); /* not locked: who flushes may hold the lock */
    return n;
}

const struct vm_file_ops file_vm_ops = {
    .read = vm_read,
    .write = vm_write,
    .get = vm_get,
    .put = vm_put,
    .pin = vm_pin_pages,
    .unpin = vm_unpin_pages,
    .copied = vm_copied,
    .object = vm_object_slot,
    .identity = vm_identity,
    .describe = file_vm_describe,
};
