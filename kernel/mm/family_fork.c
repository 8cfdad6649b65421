/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork, and living with what it has made common: pages in place that no member can write are
 * the same for all; before one changes them the others get copies.
 */
#include "abi/errno.h"
#include "enclave/pages.h"
#include "mm/family.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"

#define TRACK_PAGES      64u /* a run that is shared until it is written, rather than copied */
#define WRITE_WINDOW     4u  /* pages that the others get copies of at once; more in sequence */
#define WRITE_WINDOW_MAX 512u
#define WRITE_PIECES     8192u /* of a mapping: the host has to keep each permission's bounds */

/* ---- fork ---- */

static void activate(struct mm *mm)
{
    sched_exchange = family_exchange;
    atomic_store(&mm->sched.family, &mm->family->sched);
}

static int copy_mappings(struct mm *child, struct mm *parent)
{
    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        v->fault_end = 0; /* writing goes on in sequence from another place */
        struct vma *copy = v->flags & VMA_DONTFORK ? NULL : vma_new(v);
        if (!copy && !(v->flags & VMA_DONTFORK))
            return -ENOMEM;
        if (!copy)
            continue;
        copy->flags &= ~VMA_LOCKED;
        vma_insert(child, copy);
    }
    child->brk_start = parent->brk_start;
    child->brk = parent->brk;
    child->brk_limit = parent->brk_limit;
    child->rlimit_as = parent->rlimit_as;
    child->rlimit_data = parent->rlimit_data;
    child->rlimit_stack = parent->rlimit_stack;
    child->rlimit_memlock = parent->rlimit_memlock;
    child->layout = parent->layout;
    atomic_store(&child->resident_pages, atomic_load(&parent->resident_pages));
    atomic_store(&child->peak_resident_pages, atomic_load(&parent->peak_resident_pages));
    return 0;
}

/* Pages that nobody can write are common from now on, and so is a long run of others: the first
 * write to it gives the other members copies. Of a short one the parent gets a copy at once.
 * `alone`: no older relative has anything there but copies. */
static int copy_run(struct mm *parent, uaddr_t start, uaddr_t end, uint8_t state, bool alone)
{
    uint64_t count = (end - start) / PAGE_SIZE;
    uint8_t perms = state & PAGE_PERMS;

    if (alone && (perms & PAGES_R) && (!(perms & PAGES_W) || count >= TRACK_PAGES)) {
        if (perms & PAGES_W)
            enclave_pages_protect(start, count, perms, perms & ~PAGES_W);
        present_set(start, end, (uint8_t)((state & ~PAGES_W) | PAGE_COMMON));
        return 0;
    }
    if (!(perms & PAGES_R))
        enclave_pages_protect(start, count, perms, perms | PAGES_R);
    int e = 0;
    for (uaddr_t at = start; at < end && !e; at += PAGE_SIZE)
        e = copy_take(parent, at, state);
    if (!(perms & PAGES_R))
        enclave_pages_protect(start, count, perms | PAGES_R, perms);
    return e;
}

static bool not_for_child(const struct vma *v)
{
    return !v->shared && (v->flags & (VMA_DONTFORK | VMA_WIPEONFORK));
}

/* All pages are copied for the parent: those in place are nobody's then. */
static int keep_for_parent(struct mm *parent, struct vma *v)
{
    uint8_t state;
    int e = family_part(parent, v->start, v->end);

    for (uaddr_t at = v->start; at < v->end && !e;) {
        uaddr_t next = present_run(at, v->end, &state);
        bool closed = (state & PAGE_PRESENT) && !(state & PAGES_R);
        if (closed)
            enclave_pages_protect(at, (next - at) / PAGE_SIZE, state & PAGE_PERMS, PAGES_R);
        for (uaddr_t page = at; page < next && (state & PAGE_PRESENT) && !e; page += PAGE_SIZE)
            e = copy_take(parent, page, state & (uint8_t)~PAGE_COMMON);
        if (closed)
            enclave_pages_protect(at, (next - at) / PAGE_SIZE, PAGES_R, state & PAGE_PERMS);
        at = next;
    }
    return e;
}

static void drop_for_child(struct mm *parent, struct mm *child)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        for (uaddr_t at = v->start; not_for_child(v) && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            if (state & PAGE_PRESENT) {
                drop_place(at, next);
                atomic_fetch_sub(&child->resident_pages, (next - at) / PAGE_SIZE);
            }
            at = next;
        }
    }
}

static bool used_by_others(struct mm *mm, uaddr_t start, uaddr_t end)
{
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        struct vma *v = vma_next_from(m, start);
        if (v && v->start < end)
            return true;
    }
    return false;
}

static int copy_pages_for(struct mm *parent)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        if (not_for_child(v)) {
            int kept = keep_for_parent(parent, v);
            if (kept)
                return kept;
            continue;
        }
        bool all_alone = !used_by_others(parent, v->start, v->end);
        for (uaddr_t at = v->start; !v->shared && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            bool alone = all_alone;
            int e = 0;
            if ((state & PAGE_PRESENT) && !is_common(state)) {
                bool copied = (state & PAGES_W) && next - at < TRACK_PAGES * PAGE_SIZE;
                if (!all_alone && !copied && !(state & PAGES_X))
                    next = apart_run(parent, NULL, at, next, &alone);
                e = copy_run(parent, at, next, state, alone);
            }
            if (e)
                return e;
            at = next;
        }
    }
    return 0;
}

static int fork_locked(struct mm *parent, struct mm *child)
{
    list_remove(&child->in_family);
    family_put(child->family);
    child->family = parent->family;
    atomic_fetch_add(&child->family->refs, 1);
    patch_fork_prepare(parent);
    int e = copy_mappings(child, parent);
    if (!e)
        e = copy_pages_for(parent);
    if (e) {
        copies_free(parent); /* they are still in place */
        return e;
    }
    drop_for_child(parent, child);
    range_fork(parent);
    child->clan = parent->clan;
    patch_mm_fork(child, parent);
    spin_lock(&family_lock);
    list_push(&parent->family->members, &child->in_family);
    spin_unlock(&family_lock);
    activate(parent);
    activate(child);
    set_resident(parent->family, child);
    return 0;
}

/* Where others may come, nothing lies that is not mapped; but for text that a memory is about
 * to map, which a child by fork would know of. The caller holds the lock, or all tasks of mm
 * are frozen. */
void keep_nothing(struct mm *mm, bool kin) UNCHECKED_LOCKING
{
    warm_drop(mm);
    image_laid_out(mm);
    images_drop_spare(mm, kin ? PAGE_KEPT | PAGE_WARM : PAGE_WARM);
}

int mm_fork(struct mm **out)
{
    struct mm *parent = current->mm, *child;
    int e = mm_new(&child);

    if (e)
        return e;
    mutex_lock(&parent->lock);
    sched_freeze(&parent->sched);
    keep_nothing(parent, true);
    e = fork_locked(parent, child);
    sched_thaw(&parent->sched);
    mutex_unlock(&parent->lock);
    if (e)
        mm_put(child);
    else
        *out = child;
    return e;
}

/* ---- living together ---- */

/* Does `m` see, at this address, what is in place as common? */
static bool sees_common(struct mm *m, struct vma *v, uaddr_t at)
{
    return v && !v->shared && !radix_get(&m->copies, at / PAGE_SIZE);
}

static void undo_part(struct mm *mm, struct mm *until, uaddr_t at)
{
    for (struct mm *m = other_member(mm, NULL); m != until; m = other_member(mm, m)) {
        if (m->parted)
            copies_drop(m, at, at + PAGE_SIZE);
    }
}

int family_part_page(struct mm *mm, uaddr_t at)
{
    void *page = NULL;

    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        struct vma *v = vma_at(m, at);
        m->parted = sees_common(m, v, at);
        if (!m->parted)
            continue;
        if (!page)
            page = copy_new(at);
        if (!page || copy_add(m, at, page, (uint8_t)(PAGE_PRESENT | prot_to_perms(v->prot)))) {
            bool unused = page && !page_note(page)->users;
            undo_part(mm, m, at);
            if (unused)
                copy_unused(page);
            return -ENOMEM;
        }
    }
    return 0;
}

/* What could be parted is, even if memory does not suffice for all of it. */
int family_part_run(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    uaddr_t at = start;
    int e = 0;

    while (at < end && !(e = family_part_page(mm, at)))
        at += PAGE_SIZE;
    present_set(start, at, state & (uint8_t)~PAGE_COMMON);
    return e;
}

/* A power of two. */
static uint32_t first_window(const struct vma *v)
{
    uint64_t pages = (v->end - v->start) / PAGE_SIZE;
    uint32_t window = WRITE_WINDOW;

    while (window < WRITE_WINDOW_MAX && window * (uint64_t)WRITE_PIECES < pages)
        window *= 2;
    return window;
}

int family_write(struct mm *mm, struct vma *v, uaddr_t page)
{
    bool shared = atomic_load(&mm->sched.family);
    if (page != v->fault_end || v->window < first_window(v))
        v->window = first_window(v);
    else
        v->window = MIN(v->window * 2, WRITE_WINDOW_MAX);
    uint64_t window = v->window * PAGE_SIZE;
    uaddr_t start = MAX(align_down(page, window), v->start);
    uint8_t state, like = present_get(page);
    int e = 0;

    for (uaddr_t at = start; at < page;) {
        uaddr_t next = present_run(at, page, &state);
        if (state != like)
            start = next;
        at = next;
    }
    uaddr_t end = present_run(page, MIN(align_down(page, window) + window, v->end), &state);
    v->fault_end = end;
    if (shared && is_common(like))
        e = family_part_run(mm, start, end, like);
    if (e)
        return e;
    uint32_t want = prot_to_perms(v->prot);
    enclave_pages_protect(start, (end - start) / PAGE_SIZE, like & PAGE_PERMS, want);
    present_set(start, end, (uint8_t)(PAGE_PRESENT | want));
    return 0;
}

int family_part(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uint8_t state;

    if (!atomic_load(&mm->sched.family))
        return 0;
    for (struct vma *v = vma_next_from(mm, start); v && v->start < end; v = vma_next(v)) {
        uaddr_t stop = MIN(v->end, end);
        for (uaddr_t at = MAX(v->start, start); at < stop;) {
            uaddr_t next = present_run(at, stop, &state);
            int e = is_common(state) ? family_part_run(mm, at, next, state) : 0;
            if (e)
                return e;
            at = next;
        }
    }
    return 0;
}

bool family_strangers(struct mm *mm, uaddr_t start, uaddr_t end)
{
    if (!atomic_load(&mm->sched.family))
        return false;
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        struct vma *v = vma_next_from(m, start);
        if (v && v->start < end && m->patch != mm->patch)
            return true;
    }
    return false;
}

bool family_shares(struct mm *mm, uaddr_t start, uaddr_t end)
{
    if (!atomic_load(&mm->sched.family))
        return false;
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        for (struct vma *v = vma_next_from(m, start); v && v->start < end; v = vma_next(v)) {
            if (v->shared)
                return true;
        }
    }
    return false;
}
