/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor tables. A slot is free, reserved (a number given out, no file yet) or filled;
 * files are put after the spinlock, because that may sleep.
 */
#include "fs/core/fd.h"

#include "abi/errno.h"
#include "fs/core/lock.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

#define FIRST_SIZE 64u
#define MAX_SIZE   (1u << 20)

struct fd_table *fd_table_new(void)
{
    struct fd_table *t = kzalloc(sizeof(*t));
    if (!t)
        return NULL;
    t->slots = kcalloc(FIRST_SIZE, sizeof(*t->slots));
    if (!t->slots) {
        kfree(t);
        return NULL;
    }
    t->size = FIRST_SIZE;
    atomic_store(&t->refs, 1);
    spin_init(&t->lock, RANK_FD_TABLE);
    return t;
}

struct fd_table *fd_table_get(struct fd_table *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

/* Makes room for `fd`; may let go of the lock meanwhile. */
static int grow_locked(struct fd_table *t, uint32_t fd) UNCHECKED_LOCKING
{
    while (fd >= t->size) {
        uint32_t size = t->size;
        while (size <= fd)
            size *= 2;
        spin_unlock(&t->lock);
        struct fd_slot *slots = kcalloc(size, sizeof(*slots)), *old = slots;
        spin_lock(&t->lock);
        if (!slots)
            return -ENOMEM;
        if (size > t->size) {
            memcpy(slots, t->slots, t->size * sizeof(*slots));
            old = t->slots;
            t->slots = slots;
            t->size = size;
        }
        spin_unlock(&t->lock);
        kfree(old);
        spin_lock(&t->lock);
    }
    return 0;
}

int fd_table_clone(struct fd_table *t, struct fd_table **out)
{
    struct fd_table *c = fd_table_new();
    if (!c)
        return -ENOMEM;
    int r = 0;
    spin_lock(&t->lock);
    while (c->size < t->size && r == 0) {
        uint32_t size = t->size;
        spin_unlock(&t->lock);
        spin_lock(&c->lock);
        r = grow_locked(c, size - 1);
        spin_unlock(&c->lock);
        spin_lock(&t->lock);
    }
    for (uint32_t i = 0; i < t->size && r == 0; i++) {
        if (!t->slots[i].file)
            continue;
        c->slots[i] = t->slots[i];
        c->slots[i].reserved = false;
        file_get(c->slots[i].file);
    }
    spin_unlock(&t->lock);
    if (r < 0) {
        fd_table_put(c);
        return r;
    }
    *out = c;
    return 0;
}

static bool is_free(const struct fd_slot *s)
{
    return !s->file && !s->reserved;
}

/* Empties a slot; the file, which the caller puts. */
static struct file *take_locked(struct fd_table *t, uint32_t fd)
{
    struct file *f = t->slots[fd].file;
    if (!f)
        return NULL;
    memset(&t->slots[fd], 0, sizeof(t->slots[fd]));
    t->next = MIN(t->next, fd);
    return f;
}

static void close_file(struct fd_table *t, struct file *f)
{
    if (atomic_load(&f->inode->locks))
        file_locks_close(f, t);
    file_put(f);
}

static void close_where(struct fd_table *t, uint32_t first, uint32_t last, bool marked_only)
{
    for (uint32_t i = first; i <= last; i++) {
        struct file *f = NULL;
        spin_lock(&t->lock);
        bool over = i >= t->size;
        if (!over && (!marked_only || t->slots[i].cloexec))
            f = take_locked(t, i);
        spin_unlock(&t->lock);
        if (over)
            return;
        if (f)
            close_file(t, f);
    }
}

void fd_table_put(struct fd_table *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    close_where(t, 0, MAX_SIZE, false);
    kfree(t->slots);
    kfree(t);
}

void fd_table_close_on_exec(struct fd_table *t)
{
    close_where(t, 0, MAX_SIZE, true);
}

struct file *fd_file_of(struct fd_table *t, int fd, bool *cloexec)
{
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((uint32_t)fd < t->size)
        f = t->slots[fd].file;
    if (f) {
        file_get(f);
        if (cloexec)
            *cloexec = t->slots[fd].cloexec;
    }
    spin_unlock(&t->lock);
    return f;
}

struct file *fd_file_any(int fd)
{
    return current->files ? fd_file_of(current->files, fd, NULL) : NULL;
}

struct file *fd_file(int fd)
{
    struct file *f = fd_file_any(fd);
    if (f && unlikely(f->flags & O_PATH)) {
        file_put(f);
        return NULL;
    }
    return f;
}

int fd_next_used(struct fd_table *t, int fd)
{
    int found = -1;
    spin_lock(&t->lock);
    for (uint32_t i = (uint32_t)MAX(fd, 0); i < t->size && found < 0; i++) {
        if (t->slots[i].file)
            found = (int)i;
    }
    spin_unlock(&t->lock);
    return found;
}

static uint64_t fd_limit(void)
{
    return MIN(fs_rlimit(FS_RLIMIT_NOFILE), (uint64_t)MAX_SIZE);
}

int fd_reserve(int min)
{
    struct fd_table *t = current->files;
    uint64_t limit = fd_limit();
    spin_lock(&t->lock);
    uint32_t fd = MAX((uint32_t)min, t->next);
    while (fd < t->size && !is_free(&t->slots[fd]))
        fd++;
    int r = fd >= limit ? -EMFILE : grow_locked(t, fd);
    if (r == 0 && !is_free(&t->slots[fd]))
        r = -EAGAIN; /* growing let go of the lock */
    if (r == 0) {
        t->slots[fd].reserved = true;
        if (fd == t->next)
            t->next = fd + 1;
        r = (int)fd;
    }
    spin_unlock(&t->lock);
    return r == -EAGAIN ? fd_reserve(min) : r;
}

void fd_install(int fd, struct file *f, bool cloexec)
{
    struct fd_table *t = current->files;
    spin_lock(&t->lock);
    assert((uint32_t)fd < t->size && t->slots[fd].reserved && !t->slots[fd].file);
    t->slots[fd] = (struct fd_slot){f, false, cloexec};
    spin_unlock(&t->lock);
}

void fd_unreserve(int fd)
{
    struct fd_table *t = current->files;
    spin_lock(&t->lock);
    t->slots[fd].reserved = false;
    t->next = MIN(t->next, (uint32_t)fd);
    spin_unlock(&t->lock);
}

int fd_put_at(struct fd_table *t, int fd, struct file *f)
{
    struct fd_table *own = current->files;
    current->files = t;
    int got = fd_reserve(fd);
    if (got == fd)
        fd_install(fd, f, false);
    else if (got >= 0)
        fd_unreserve(got);
    current->files = own;
    if (got == fd)
        return 0;
    file_put(f);
    return got < 0 ? got : -EBUSY;
}

int fd_add(struct file *f, bool cloexec)
{
    int fd = fd_reserve(0);
    if (fd < 0)
        file_put(f);
    else
        fd_install(fd, f, cloexec);
    return fd;
}

int fd_close(int fd)
{
    struct fd_table *t = current->files;
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((uint32_t)fd < t->size)
        f = take_locked(t, (uint32_t)fd);
    spin_unlock(&t->lock);
    if (!f)
        return -EBADF;
    close_file(t, f);
    return 0;
}

int fd_replace(int fd, struct file *f, bool cloexec)
{
    struct fd_table *t = current->files;
    struct file *old = NULL;
    int r = (uint64_t)(uint32_t)fd >= fd_limit() ? -EBADF : 0;
    if (r == 0) {
        spin_lock(&t->lock);
        r = grow_locked(t, (uint32_t)fd);
        if (r == 0 && t->slots[fd].reserved)
            r = -EBUSY; /* as Linux: another thread is opening this very number */
        if (r == 0) {
            old = t->slots[fd].file;
            t->slots[fd] = (struct fd_slot){f, false, cloexec};
        }
        spin_unlock(&t->lock);
    }
    if (r < 0)
        file_put(f);
    if (old)
        close_file(t, old);
    return r < 0 ? r : fd;
}

int fd_close_range(uint32_t first, uint32_t last, bool cloexec_only)
{
    struct fd_table *t = current->files;
    if (!cloexec_only) {
        close_where(t, first, MIN(last, MAX_SIZE), false);
        return 0;
    }
    spin_lock(&t->lock);
    for (uint32_t i = first; i <= last && i < t->size; i++) {
        if (t->slots[i].file)
            t->slots[i].cloexec = true;
    }
    spin_unlock(&t->lock);
    return 0;
}

int fd_get_cloexec(int fd)
{
    bool on = false;
    struct file *f = fd_file_of(current->files, fd, &on);
    if (!f)
        return -EBADF;
    file_put(f);
    return on;
}

int fd_set_cloexec(int fd, bool on)
{
    struct fd_table *t = current->files;
    int r = -EBADF;
    spin_lock(&t->lock);
    if ((uint32_t)fd < t->size && t->slots[fd].file) {
        t->slots[fd].cloexec = on;
        r = 0;
    }
    spin_unlock(&t->lock);
    return r;
}
