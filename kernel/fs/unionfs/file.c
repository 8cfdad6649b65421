/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files of a union: each has the topmost layer's file and hands everything on to it. A
 * file that was opened before it was copied up gets the upper one at its next use.
 */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "mm/kmalloc.h"

struct open_file {
    _Atomic(struct file *) lower, upper; /* what has been opened; both stay until the end */
};

/* Flags that count below; the access time is the union's affair for lower layers. */
static uint32_t real_flags(const struct file *f)
{
    uint32_t flags = f->flags & (O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC);
    return f->state & FILE_ATIME ? flags : flags | O_NOATIME;
}

static int open_upper(struct file *f, struct open_file *o)
{
    struct union_super *s = union_super(f->inode);
    struct file *real, *none = NULL;
    int r = layer_open(s->upper.mount, union_upper(union_node(f->inode)), real_flags(f), &real);
    if (r < 0)
        return r;
    if (!atomic_compare_exchange_strong(&o->upper, &none, real))
        file_put(real); /* another thread was faster */
    return 0;
}

static int real_file(struct file *f, struct file **out)
{
    struct open_file *o = f->private;
    struct file *real = atomic_load_explicit(&o->upper, memory_order_acquire);
    if (unlikely(!real && union_upper(union_node(f->inode)))) {
        int r = open_upper(f, o);
        if (r < 0)
            return r;
        real = atomic_load(&o->upper);
    }
    *out = real ? real : atomic_load(&o->lower);
    return 0;
}

int union_open(struct inode *i, struct file *f)
{
    struct union_node *n = union_node(i);
    struct open_file *o = kzalloc(sizeof(*o));
    struct file *lower;
    int r = o ? 0 : -ENOMEM;
    if (r == 0 && (f->state & FILE_WRITE))
        r = union_copy_up(n, f->state & FILE_TRUNC ? 0 : UINT64_MAX);
    f->private = o;
    if (r == 0 && union_upper(n)) {
        r = open_upper(f, o);
    } else if (r == 0) {
        struct mount *m = union_super(i)->lower[n->lower[0].layer].mount;
        r = layer_open(m, n->lower[0].dentry, real_flags(f), &lower);
        if (r == 0)
            atomic_store(&o->lower, lower);
    }
    if (r < 0) {
        kfree(o);
        f->private = NULL;
    }
    return r;
}

static void union_release(struct file *f)
{
    struct open_file *o = f->private;
    file_put(atomic_load(&o->lower));
    file_put(atomic_load(&o->upper));
    kfree(o);
}

static ssize_t union_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct file *real;
    int r = real_file(f, &real);
    return r < 0 ? r : real->ops->read(real, to, pos);
}

/* What a write changes; the file system's own word comes with the next getattr. */
static void wrote(struct inode *i, const struct inode *real)
{
    i->size = real->size;
    i->mode = real->mode;
    i->mtime = real->mtime;
    i->ctime = real->ctime;
}

static ssize_t union_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct file *real;
    int e = real_file(f, &real);
    if (e < 0)
        return e;
    uint32_t append = atomic_load(&f->flags) & O_APPEND;
    if ((atomic_load(&real->flags) & O_APPEND) != append)
        atomic_fetch_xor(&real->flags, O_APPEND);
    ssize_t r = real->ops->write(real, from, pos);
    wrote(f->inode, real->inode);
    return r;
}

static ssize_t union_write_mapped(struct file *f, struct iter *from, uint64_t pos)
{
    struct file *real;
    int r = real_file(f, &real);
    if (r < 0)
        return r;
    ssize_t n = real->ops->write_mapped ? real->ops->write_mapped(real, from, pos) : -EIO;
    if (n > 0)
        inode_touch_modified(real->inode);
    return n;
}

static int64_t union_seek(struct file *f, int64_t offset, int whence)
{
    struct file *real;
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return file_seek_generic(f, offset, whence);
    int64_t r = real_file(f, &real);
    if (r == 0)
        r = real->ops->seek ? real->ops->seek(real, offset, whence) : -ESPIPE;
    if (r >= 0)
        f->pos = (uint64_t)r;
    return r;
}

static int union_fsync(struct file *f, bool data_only)
{
    struct file *real;
    int r = real_file(f, &real);
    return r < 0 ? r : real->ops->fsync ? real->ops->fsync(real, data_only) : 0;
}

static int union_fallocate(struct file *f, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct file *real;
    int r = real_file(f, &real);
    if (r < 0)
        return r;
    if (!real->ops->fallocate)
        return -EOPNOTSUPP;
    mutex_lock(&real->inode->lock);
    r = real->ops->fallocate(real, mode, offset, size);
    mutex_unlock(&real->inode->lock);
    wrote(f->inode, real->inode);
    return r;
}

static struct file *union_real_file(struct file *f)
{
    struct file *real;
    return real_file(f, &real) < 0 ? NULL : real;
}

const struct file_ops union_file_ops = {
    .read = union_read,
    .write = union_write,
    .write_mapped = union_write_mapped,
    .seek = union_seek,
    .fsync = union_fsync,
    .fallocate = union_fallocate,
    .real = union_real_file,
    .vm = &file_vm_ops,
    .release = union_release,
};
