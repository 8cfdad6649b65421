/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared file mappings. An enclave page has one address, so all processes see a file's shared
 * mappings at one place: the file's object owns a window of the user range, in which an address
 * follows from the offset. A second mapping of the same part by one process lands on the first
 * and is counted there; munmap(2) undoes one. MAP_FIXED makes its range the window, or part of
 * it, where the file has none yet or it continues the one there is. LIMIT: a mapping that fits
 * no window has pages of its own; a page allows what any of its mappings, in any process, does.
 *
 * Pages become writable at the first write, which marks them to be written back. read(2) and
 * write(2) are in step: what was changed goes to the file first, what was written comes back.
 * While a page is filled no task of any process that maps the file runs, for it would see it
 * half filled; what is read has been read before, so that nobody who is stopped is waited for.
 *
 * Locks: mm->lock, then object->lock (states of the window's pages, the window), then list_lock
 * (who maps). A mapping joins under its mm's lock alone, and leaves with both.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define WINDOW_FIRST      16u /* pages */
#define WINDOW_MAX        256u
#define WINDOW_MORE       (16ull << 20) /* for files that grow */
#define WINDOW_FROM_START (1ull << 30)

struct vm_object {
    _Atomic uint32_t refs; /* the inode, and the owner of the window */
    struct mutex lock;
    struct family *owner; /* of the window; NULL: there is none */
    uaddr_t start, end;   /* the window */
    uint64_t first;       /* the file's offset at `start` */
    struct spinlock list_lock;
    struct list vmas; /* under list_lock */
};

static struct vm_object *object_new(void)
{
    struct vm_object *o = kzalloc(sizeof(*o));

    if (!o)
        return NULL;
    atomic_init(&o->refs, 1);
    mutex_init(&o->lock, RANK_VM_OBJECT);
    spin_init(&o->list_lock, RANK_VM_RANGE);
    list_init(&o->vmas);
    return o;
}

void vm_object_free(struct vm_object *o)
{
    if (o && atomic_fetch_sub(&o->refs, 1) == 1)
        kfree(o);
}

static struct vm_object *object_of(const struct vm_map_args *a)
{
    struct vm_object *_Atomic *slot = a->file_ops->object(a->file);
    struct vm_object *o = atomic_load(slot), *fresh;

    if (o || !(fresh = object_new()))
        return o;
    if (atomic_compare_exchange_strong(slot, &o, fresh))
        return fresh;
    kfree(fresh);
    return o;
}

/* ---- who maps it ---- */

void object_join(struct vma *v)
{
    struct vm_object *o = v->object;

    spin_lock(&o->list_lock);
    list_append(&o->vmas, &v->in_object);
    spin_unlock(&o->list_lock);
}

/* The next mapping in the list; it stays while the object is locked. */
static struct vma *next_mapping(struct vm_object *o, struct vma *v)
{
    spin_lock(&o->list_lock);
    struct list *l = v ? v->in_object.next : o->vmas.next;
    spin_unlock(&o->list_lock);
    return l == &o->vmas ? NULL : list_entry(l, struct vma, in_object);
}

/* What the mappings of [at, .end) have in common, leaving out one of them. */
struct cover {
    uaddr_t end;
    struct vma *any; /* one of them */
    uint32_t prot;
    bool writable;
};

static struct cover cover_at(struct vm_object *o, uaddr_t at, uaddr_t end,
                             const struct vma *except)
{
    struct cover c = {.end = end};
    struct vma *v;

    spin_lock(&o->list_lock);
    list_for_each (v, &o->vmas, in_object) {
        if (v == except || v->end <= at)
            continue;
        if (v->start > at) {
            c.end = MIN(c.end, v->start);
            continue;
        }
        c.end = MIN(c.end, v->end);
        c.any = v;
        c.prot |= v->prot;
        c.writable |= (v->max_prot & PROT_WRITE) != 0;
    }
    spin_unlock(&o->list_lock);
    return c;
}

/* Nobody who maps it runs. `had`: current->mm is frozen already, and stays so. */
static void freeze_all(struct vm_object *o, bool *had)
{
    struct mm *mine = current->mm;
    struct vma *v;
    bool ok;

    *had = mine && atomic_load(&mine->sched.frozen_by) == current;
    for (;;) {
        ok = true;
        spin_lock(&o->list_lock);
        list_for_each (v, &o->vmas, in_object) {
            ok = ok && (atomic_load(&v->mm->sched.frozen_by) == current ||
                        sched_freeze_begin(&v->mm->sched));
        }
        spin_unlock(&o->list_lock);
        if (ok)
            break;
        for (v = next_mapping(o, NULL); v; v = next_mapping(o, v)) {
            if (atomic_load(&v->mm->sched.frozen_by) == current && !(*had && v->mm == mine))
                sched_thaw(&v->mm->sched);
        }
        task_yield();
    }
    sched_freeze_wait();
}

static void thaw_all(struct vm_object *o, bool had)
{
    for (struct vma *v = next_mapping(o, NULL); v; v = next_mapping(o, v)) {
        if (atomic_load(&v->mm->sched.frozen_by) == current && !(had && v->mm == current->mm))
            sched_thaw(&v->mm->sched);
    }
}

/* ---- pages; the object is locked ---- */

/* Present pages get what their mappings allow together; clean ones cannot be written. */
static void apply_prot(struct vm_object *o, uaddr_t start, uaddr_t end)
{
    uint8_t state;

    while (start < end) {
        struct cover c = cover_at(o, start, end, NULL);
        while (start < c.end) {
            uaddr_t next = present_run(start, c.end, &state);
            uint32_t want = prot_to_perms(c.prot), have = state & PAGE_PERMS;
            if (!(state & PAGE_DIRTY))
                want &= ~PAGES_W;
            if (state && have != want) {
                enclave_pages_protect(start, (next - start) / PAGE_SIZE, have, want);
                present_set(start, next, (uint8_t)((state & ~PAGE_PERMS) | want));
            }
            start = next;
        }
    }
}

static void drop_pages(uaddr_t start, uaddr_t end)
{
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        if (state) {
            user_pages_drop(start, (next - start) / PAGE_SIZE);
            present_set(start, next, 0);
        }
        start = next;
    }
}

static int write_back(struct vma *v, uaddr_t start, uaddr_t end)
{
    int result = 0;
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        if (state & PAGE_DIRTY) {
            uint32_t from = state & PAGE_PERMS, to = (from & ~PAGES_W) | PAGES_R;
            struct iter data;
            if (from != to)
                enclave_pages_protect(start, (next - start) / PAGE_SIZE, from, to);
            present_set(start, next, (uint8_t)(PAGE_PRESENT | to));
            iter_user(&data, start, next - start);
            ssize_t n = v->file_ops->write(v->file, v->offset + (start - v->start), &data);
            if (n < 0)
                result = (int)n;
            apply_prot(v->object, start, next);
        }
        start = next;
    }
    return result;
}

int object_write_back(struct vma *v, uaddr_t start, uaddr_t end)
{
    if (!(v->max_prot & PROT_WRITE))
        return 0; /* another mapping's changes are written back by that one */
    mutex_lock(&v->object->lock);
    int e = write_back(v, start, end);
    mutex_unlock(&v->object->lock);
    return e;
}

static int put_pages(struct vma *v, const struct contents *c)
{
    struct vm_object *o = v->object;
    bool had;
    int e = present_reserve(c->start, c->end);

    if (e)
        return e;
    freeze_all(o, &had);
    e = user_pages_add(c->start, (c->end - c->start) / PAGE_SIZE);
    if (!e) {
        contents_copy(v, c, c->start, c->end);
        present_set(c->start, c->end, PAGE_PRESENT | PAGES_R | PAGES_W);
        apply_prot(o, c->start, c->end);
    }
    thaw_all(o, had);
    return e;
}

/* How many pages a fault there brings in: more while accesses go on in sequence. */
static uint64_t choose_window(struct vma *v, uaddr_t page)
{
    v->window = page == v->fault_end ? MIN(v->window * 2, WINDOW_MAX) : WINDOW_FIRST;
    return v->window;
}

/* The page and some that follow it. -EIO: beyond the end of the file. */
static int bring_in(struct vma *v, uaddr_t page)
{
    uint8_t state;
    uaddr_t end = MIN(page + choose_window(v, page) * PAGE_SIZE, v->end);
    struct contents c = {.start = page, .end = present_run(page, end, &state)};
    uint64_t pages = (c.end - page) / PAGE_SIZE;

    v->fault_end = c.end;
    int e = contents_get(v, &c, pages);
    if (e)
        return e;
    e = put_pages(v, &c);
    contents_put(v, &c, pages);
    return e;
}

static int fault_locked(struct vma *v, uaddr_t page, uint32_t access)
{
    int e = present_get(page) ? 0 : bring_in(v, page);

    if (e)
        return e;
    uint8_t state = present_get(page);
    if ((access & VM_ACCESS_WRITE) && !(state & PAGE_DIRTY))
        present_set(page, page + PAGE_SIZE, state | PAGE_DIRTY);
    apply_prot(v->object, page, page + PAGE_SIZE);
    return 0;
}

int object_fault(struct vma *v, uaddr_t page, uint32_t access)
{
    mutex_lock(&v->object->lock);
    int e = fault_locked(v, page, access);
    mutex_unlock(&v->object->lock);
    return e;
}

int object_populate(struct vma *v, uaddr_t start, uaddr_t end, bool write)
{
    int e = 0;

    for (; start < end && !e; start += PAGE_SIZE) {
        if (write || !present_get(start))
            e = object_fault(v, start, write ? VM_ACCESS_WRITE : VM_ACCESS_READ);
    }
    return e;
}

void object_set_prot(struct vma *v)
{
    mutex_lock(&v->object->lock);
    apply_prot(v->object, v->start, v->end);
    mutex_unlock(&v->object->lock);
}

/* ---- coming and going ---- */

static void release_window(struct vm_object *o)
{
    struct family *owner = o->owner;

    o->owner = NULL;
    o->start = o->end = 0;
    family_put(owner);
}

/* What nobody else could write back is written back, what nobody else maps goes. */
void object_leave(struct vma *v)
{
    struct vm_object *o = v->object;
    struct cover c;

    mutex_lock(&o->lock);
    for (uaddr_t at = v->start; at < v->end; at = c.end) {
        c = cover_at(o, at, v->end, v);
        if (!c.writable && (v->max_prot & PROT_WRITE) && write_back(v, at, c.end))
            log_warn("a shared mapping could not be written back to its file");
        if (!c.any)
            drop_pages(at, c.end);
    }
    spin_lock(&o->list_lock);
    list_remove(&v->in_object);
    bool last = list_empty(&o->vmas);
    spin_unlock(&o->list_lock);
    apply_prot(o, v->start, v->end);
    if (last)
        release_window(o);
    mutex_unlock(&o->lock);
}

static int own_window(struct vm_object *o)
{
    o->owner = family_new();
    if (!o->owner)
        return -ENOMEM;
    o->owner->object = o;
    atomic_fetch_add(&o->refs, 1); /* until the family is freed */
    return 0;
}

/* Larger than asked for, as the file may grow; where there is no room, as large. */
static int window_new(struct vm_object *o, uint64_t offset, uint64_t length)
{
    int e = own_window(o);

    if (e)
        return e;
    uint64_t first = offset < WINDOW_FROM_START ? 0 : offset;
    uint64_t size = offset - first + length;
    uint64_t more = size + MAX(size, WINDOW_MORE);
    int64_t at = -ENOMEM;
    if (more < (enclave.user_end - enclave.user_start) / 16)
        at = range_random_for(o->owner, more);
    if (at < 0) {
        more = length;
        first = offset;
        at = range_random_for(o->owner, more);
    }
    if (at < 0) {
        release_window(o);
        return (int)at;
    }
    o->start = (uaddr_t)at;
    o->end = o->start + more;
    o->first = first;
    return 0;
}

static bool in_window(const struct vm_object *o, uint64_t offset, uint64_t length)
{
    return o->owner && offset >= o->first && offset - o->first <= o->end - o->start &&
           length <= o->end - o->start - (offset - o->first);
}

/* A new mapping of what the process does not map there yet. */
static int add_piece(struct mm *mm, struct vm_object *o, const struct vm_map_args *a,
                     uaddr_t start, uaddr_t end)
{
    struct vma *v = kzalloc(sizeof(*v));

    if (!v)
        return -ENOMEM;
    *v = (struct vma){
        .start = start,
        .end = end,
        .prot = a->prot & 7u,
        .max_prot = a->max_prot ? a->max_prot : 7u,
        .shared = true,
        .file = a->file,
        .file_ops = a->file_ops,
        .offset = o->first + (start - o->start),
        .file_limit = UINT64_MAX,
        .name = a->name,
        .object = o,
    };
    v->file_ops->get(v->file);
    vma_insert(mm, v);
    object_join(v);
    return 0;
}

/* One piece of [*at, end): counted on what is there, or new. */
static int attach_piece(struct mm *mm, struct vm_object *o, const struct vm_map_args *a,
                        uaddr_t *at, uaddr_t end)
{
    uaddr_t start = *at;
    struct vma *v = vma_next_from(mm, start);

    if (!v || v->start > start) {
        *at = v ? MIN(v->start, end) : end;
        return add_piece(mm, o, a, start, *at);
    }
    int e = v->object == o ? vma_split(mm, start) : -ENOMEM;
    if (!e)
        e = vma_split(mm, end);
    if (e)
        return e;
    v = vma_at(mm, start);
    v->aliases++;
    v->file_ops->get(v->file);
    v->max_prot |= a->max_prot ? a->max_prot : 7u;
    v->prot |= a->prot & 7u;
    *at = v->end;
    return 0;
}

static int attach(struct mm *mm, struct vm_object *o, const struct vm_map_args *a, uaddr_t at,
                  uint64_t length)
{
    uaddr_t now = at, end = at + length;
    int e = 0;

    while (!e && now < end)
        e = attach_piece(mm, o, a, &now, end);
    apply_prot(o, at, now);
    return e;
}

/* The window begins with, or is continued by, a range that belongs to the process. */
static bool adopt(struct mm *mm, struct vm_object *o, uint64_t offset, uint64_t length)
{
    uaddr_t at = o->start + (offset - o->first), end = at + length;

    if (atomic_load(&mm->sched.family))
        return false; /* its relatives may use the range otherwise */
    if (o->end == at && !range_move(o->owner, mm->family, at, end)) {
        o->end = end;
        return true;
    }
    if (o->start == end && offset < o->first && !range_move(o->owner, mm->family, at, end)) {
        o->start = at;
        o->first = offset;
        return true;
    }
    return false;
}

/* MAP_FIXED, whose range the process has and has emptied, or which is in the window. */
static bool fixed_fits(struct mm *mm, struct vm_object *o, uaddr_t at, uint64_t offset,
                       uint64_t length)
{
    if (!o->owner) {
        if (own_window(o))
            return false;
        o->start = o->end = at;
        o->first = offset;
        if (adopt(mm, o, offset, length))
            return true;
        release_window(o);
        return false;
    }
    if (at != o->start + (offset - o->first))
        return false;
    return in_window(o, offset, length) || adopt(mm, o, offset, length);
}

/* Is that the place where the file is mapped? */
static bool is_the_place(struct vm_object *o, const struct vm_map_args *a, uint64_t length)
{
    mutex_lock(&o->lock);
    bool is =
        in_window(o, a->offset, length) && a->address == o->start + (a->offset - o->first);
    mutex_unlock(&o->lock);
    return is;
}

/* With the object locked: the address, 0 or negative. */
static int64_t map_at(struct mm *mm, struct vm_object *o, const struct vm_map_args *a,
                      uint64_t length)
{
    bool fixed = a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    int e = 0;

    if (fixed && !fixed_fits(mm, o, a->address, a->offset, length))
        return 0;
    if (!fixed && !o->owner)
        e = window_new(o, a->offset, length);
    if (e || !in_window(o, a->offset, length))
        return e;
    uaddr_t at = o->start + (a->offset - o->first);
    e = attach(mm, o, a, at, length);
    return e ? e : (int64_t)at;
}

int64_t object_map(struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    struct vm_object *o;

    if (!a->file || (a->flags & MAP_TYPE) == MAP_PRIVATE || !a->file_ops->object)
        return 0;
    o = object_of(a);
    if (!o)
        return -ENOMEM;
    if (a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        int e = place_fixed(mm, a, length, is_the_place(o, a, length));
        if (e)
            return e;
    }
    mutex_lock(&o->lock);
    int64_t at = map_at(mm, o, a, length);
    bool last = list_empty(&o->vmas);
    if (at < 0 && last && o->owner)
        release_window(o);
    mutex_unlock(&o->lock);
    if (!at && a->file_ops->only_object)
        return -EINVAL;
    if (at > 0 && (a->flags & (MAP_POPULATE | MAP_LOCKED)) && !(a->flags & MAP_NONBLOCK) &&
        object_populate(vma_at(mm, (uaddr_t)at), (uaddr_t)at, (uaddr_t)at + length, false))
        log_debug("a shared mapping could not be populated");
    return at;
}

int object_cede(struct vm_object *o, struct mm *mm, uaddr_t start, uaddr_t end)
{
    mutex_lock(&o->lock);
    start = MAX(start, o->start);
    end = MIN(end, o->end);
    int e = -ENOMEM;
    if (!o->owner)
        e = 0; /* it has just given everything back */
    else if (start < end) {
        struct cover c = cover_at(o, start, end, NULL);
        if (!c.any && c.end == end)
            e = range_move(mm->family, o->owner, start, end);
    }
    if (!e && o->owner) {
        if (start > o->start) {
            o->end = start;
        } else {
            o->first += end - o->start;
            o->start = end;
        }
    }
    mutex_unlock(&o->lock);
    return e;
}

bool object_reaches(const struct vma *v, uaddr_t end)
{
    mutex_lock(&v->object->lock);
    bool ok = end <= v->object->end;
    mutex_unlock(&v->object->lock);
    return ok;
}

int unmap_counted(struct mm *mm, uaddr_t start, uaddr_t end)
{
    int e = vma_split(mm, start);

    if (!e)
        e = vma_split(mm, end);
    while (!e && start < end) {
        struct vma *v = vma_next_from(mm, start);
        if (!v || v->start >= end)
            break;
        start = v->end;
        if (v->aliases) {
            v->aliases--;
            v->file_ops->put(v->file);
        } else {
            e = unmap_locked(mm, v->start, v->end);
        }
    }
    return e;
}

static int detach_locked(struct mm *mm, uaddr_t at, const struct vm_file_ops *ops)
    HELD(mm->lock)
{
    struct vma *v = vma_at(mm, at);
    int e = 0;

    if (!v || v->file_ops != ops || v->offset || v->start != at)
        return -EINVAL;
    const void *file = v->file;
    while (!e && (v = vma_at(mm, at)) && v->file == file && v->file_ops == ops) {
        at = v->end;
        e = unmap_counted(mm, v->start, at);
    }
    return e;
}

int vm_detach(struct mm *mm, uaddr_t address, const struct vm_file_ops *ops)
{
    mutex_lock(&mm->lock);
    int e = detach_locked(mm, address, ops);
    mutex_unlock(&mm->lock);
    return e;
}

/* ---- in step with the file ---- */

/* The part of the window that shows [offset, offset+size) of the file. */
static bool clip(const struct vm_object *o, uint64_t offset, uint64_t size, uaddr_t *start,
                 uaddr_t *end)
{
    uint64_t stop = size > UINT64_MAX / 2 - offset ? UINT64_MAX / 2 : offset + size;
    uint64_t from = MAX(offset, o->first), to = MIN(stop, o->first + (o->end - o->start));

    if (offset > UINT64_MAX / 2 || from >= to)
        return false;
    *start = o->start + (from - o->first);
    *end = o->start + (to - o->first);
    return true;
}

int vm_object_flush(struct vm_object *o, uint64_t offset, uint64_t size)
{
    uaddr_t start, end;
    int result = 0;

    if (!o)
        return 0;
    mutex_lock(&o->lock);
    bool any = clip(o, offset, size, &start, &end);
    for (struct vma *v = any ? next_mapping(o, NULL) : NULL; v; v = next_mapping(o, v)) {
        uaddr_t from = MAX(align_down(start, PAGE_SIZE), v->start);
        uaddr_t to = MIN(align_up(end, PAGE_SIZE), v->end);
        int e = (v->max_prot & PROT_WRITE) && from < to ? write_back(v, from, to) : 0;
        if (e)
            result = e;
    }
    mutex_unlock(&o->lock);
    return result;
}

/* Bytes within a present page, from the file or (v NULL) zero. */
static void refresh(struct vm_object *o, struct vma *v, uaddr_t at, size_t size)
{
    uaddr_t page = align_down(at, PAGE_SIZE);
    uint8_t state = present_get(page);
    uint32_t have = state & PAGE_PERMS;
    struct iter to;

    if (!state)
        return;
    if (!(have & PAGES_W)) {
        enclave_pages_protect(page, 1, have, PAGES_R | PAGES_W);
        present_set(page, page + PAGE_SIZE, (uint8_t)(state | PAGES_R | PAGES_W));
    }
    iter_user(&to, at, size);
    ssize_t n = v ? v->file_ops->read(v->file, v->offset + (at - v->start), &to)
                  : (ssize_t)iter_zero(&to, size);
    if (n < 0)
        log_warn("a shared mapping does not show what was written to its file");
    apply_prot(o, page, page + PAGE_SIZE);
}

void vm_object_update(struct vm_object *o, uint64_t offset, uint64_t size)
{
    uaddr_t at, end;

    if (!o)
        return;
    mutex_lock(&o->lock);
    if (clip(o, offset, size, &at, &end)) {
        while (at < end) {
            uaddr_t stop = MIN(align_down(at, PAGE_SIZE) + PAGE_SIZE, end);
            struct cover c = cover_at(o, at, stop, NULL);
            if (c.any)
                refresh(o, c.any, at, c.end - at);
            at = c.end;
        }
    }
    mutex_unlock(&o->lock);
}

void vm_object_drop(struct vm_object *o, uint64_t offset, uint64_t size)
{
    uaddr_t start, end;

    if (!o)
        return;
    mutex_lock(&o->lock);
    if (clip(o, offset, size, &start, &end)) {
        uaddr_t first = MIN(align_up(start, PAGE_SIZE), end);
        uaddr_t last = MAX(align_down(end, PAGE_SIZE), first);
        if (start < first)
            refresh(o, NULL, start, first - start);
        if (last < end)
            refresh(o, NULL, last, end - last);
        drop_pages(first, last);
    }
    mutex_unlock(&o->lock);
}

bool vm_object_writable(struct vm_object *o)
{
    bool any = false;

    if (!o)
        return false;
    mutex_lock(&o->lock);
    for (struct vma *v = next_mapping(o, NULL); v && !any; v = next_mapping(o, v))
        any = v->max_prot & PROT_WRITE;
    mutex_unlock(&o->lock);
    return any;
}
