/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mremap(2), madvise(2), mincore(2) and what /proc reports. An enclave page has one linear
 * address for life, so moving a mapping copies what is present.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/patch.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define MREMAP_MAYMOVE   1u
#define MREMAP_FIXED     2u
#define MREMAP_DONTUNMAP 4u

enum {
    MADV_NORMAL = 0,
    MADV_RANDOM = 1,
    MADV_SEQUENTIAL = 2,
    MADV_WILLNEED = 3,
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_DONTFORK = 10,
    MADV_DOFORK = 11,
    MADV_MERGEABLE = 12,
    MADV_UNMERGEABLE = 13,
    MADV_HUGEPAGE = 14,
    MADV_NOHUGEPAGE = 15,
    MADV_DONTDUMP = 16,
    MADV_DODUMP = 17,
    MADV_WIPEONFORK = 18,
    MADV_KEEPONFORK = 19,
    MADV_COLD = 20,
    MADV_PAGEOUT = 21,
    MADV_POPULATE_READ = 22,
    MADV_POPULATE_WRITE = 23,
    MADV_DONTNEED_LOCKED = 24,
};

/* ---- mremap ---- */

/* Copies the present pages of [from,from+length) to the same places of `to`, then lets the new
 * mapping's permissions hold. */
static int copy_pages(struct mm *mm, struct vma *old, uaddr_t from, struct vma *new,
                      uint64_t length)
{
    uint8_t state;

    for (uint64_t at = 0; at < length;) {
        uaddr_t next = present_run(from + at, from + length, &state) - from;
        uint64_t count = (next - at) / PAGE_SIZE;
        if (state) {
            uaddr_t target = new->start + at;
            int e = present_reserve(target, target + count * PAGE_SIZE);
            if (!e)
                e = user_pages_add(target, count);
            if (e)
                return e;
            if (!(state & PAGES_R))
                enclave_pages_protect(from + at, count, state & PAGE_PERMS, PAGES_R);
            if (user_copy_raw((void *)target, (const void *)(from + at), count * PAGE_SIZE))
                e = -EFAULT;
            if (!(state & PAGES_R))
                enclave_pages_protect(from + at, count, PAGES_R, state & PAGE_PERMS);
            if ((state & PAGE_PERMS) != (PAGES_R | PAGES_W))
                enclave_pages_protect(target, count, PAGES_R | PAGES_W, state & PAGE_PERMS);
            present_set(target, target + count * PAGE_SIZE, state & (uint8_t)~PAGE_COMMON);
            atomic_fetch_add(&mm->resident_pages, count);
            if (e)
                return e;
        }
        at = next;
    }
    return 0;
}

static int64_t move_mapping(struct mm *mm, struct vma *v, uaddr_t old, uint64_t old_len,
                            uint64_t new_len, uint32_t flags, uaddr_t new_address)
    HELD(mm->lock)
{
    struct vm_map_args a = {
        .address = new_address,
        .length = new_len,
        .prot = v->prot,
        .max_prot = v->max_prot,
        .flags =
            (v->shared ? MAP_SHARED : MAP_PRIVATE) | (flags & MREMAP_FIXED ? MAP_FIXED : 0),
        .file = v->file,
        .file_ops = v->file_ops,
        .offset = v->offset + (old - v->start),
        .name = v->name,
    };
    uint64_t limit = v->file_limit;

    int64_t at = map_locked(mm, &a);
    if (at < 0)
        return at;
    struct vma *source = vma_at(mm, old), *target;
    int e = vma_split(mm, (uaddr_t)at); /* it may have been joined with a neighbour */
    if (!e)
        e = family_part(mm, old, old + old_len);
    if (!e)
        e = vma_split(mm, (uaddr_t)at + new_len);
    target = vma_at(mm, (uaddr_t)at);
    if (!e && source) {
        target->file_limit = limit;
        vma_count(mm, target, -1);
        target->flags = source->flags;
        vma_count(mm, target, 1);
        target->changed = true;
        pages_drop(mm, (uaddr_t)at, (uaddr_t)at + MIN(old_len, new_len));
        patch_restore(mm, old, old + old_len);
        e = copy_pages(mm, source, old, target, MIN(old_len, new_len));
    }
    if (e) {
        int undo = unmap_locked(mm, (uaddr_t)at, (uaddr_t)at + new_len);
        return undo ? undo : e;
    }
    if (flags & MREMAP_DONTUNMAP)
        pages_drop(mm, old, old + old_len);
    else
        e = unmap_locked(mm, old, old + old_len);
    return e ? e : at;
}

static int64_t grow_in_place(struct mm *mm, struct vma *v, uaddr_t old, uint64_t old_len,
                             uint64_t new_len)
{
    uaddr_t end = old + old_len, new_end = old + new_len;
    struct vma *next = vma_next_from(mm, end);

    if (v->end != end || new_end > enclave.user_end || (next && next->start < new_end) ||
        mm->total_pages * PAGE_SIZE + (new_len - old_len) > mm->rlimit_as ||
        (v->object ? !object_reaches(v, new_end) : range_claim(mm, end, new_end)))
        return -ENOMEM;
    struct vma more = *v;
    more.start = end;
    more.end = new_end;
    more.offset += end - v->start;
    int e = v->object ? 0 : family_clear(mm, &more);
    if (e)
        return e;
    if (!v->object)
        pages_drop_spare(end, new_end, PAGE_WARM | PAGE_KEPT);
    vma_remove(mm, v);
    v->end = new_end;
    vma_insert(mm, v);
    return (int64_t)old;
}

/* Its address follows from the file, so it is mapped anew. Only where nobody else maps the file
 * can the new place differ from the old. */
static int64_t move_shared(struct mm *mm, struct vma *v, uaddr_t old, uint64_t old_len,
                           struct vm_map_args *a, uint32_t flags) HELD(mm->lock)
{
    a->prot = v->prot;
    a->max_prot = v->max_prot;
    a->flags = MAP_SHARED | (flags & MREMAP_FIXED ? MAP_FIXED : 0);
    a->file = v->file;
    a->file_ops = v->file_ops;
    a->offset = v->offset + (old - v->start);
    a->file_ops->get(a->file);
    int64_t r = flags & MREMAP_DONTUNMAP ? 0 : unmap_locked(mm, old, old + old_len);
    if (!r)
        r = map_locked(mm, a);
    if (r < 0 && !(flags & MREMAP_DONTUNMAP)) {
        a->address = 0;
        a->length = old_len;
        a->flags = MAP_SHARED;
        int64_t back = map_locked(mm, a);
        if (back != (int64_t)old)
            log_warn("a shared mapping was lost while it was to be moved");
    }
    a->file_ops->put(a->file);
    return r;
}

static int64_t remap_locked(struct mm *mm, uaddr_t old, uint64_t old_len, uint64_t new_len,
                            uint32_t flags, uaddr_t new_address) HELD(mm->lock)
{
    struct vma *v = vma_at(mm, old);

    if (!v || (old_len && old + old_len > v->end))
        return -EFAULT;
    if (!old_len && !v->shared)
        return -EINVAL;
    struct vm_map_args a = {.address = new_address, .length = new_len};
    if (v->object && (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
        return move_shared(mm, v, old, old_len, &a, flags);
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
        return move_mapping(mm, v, old, old_len, new_len, flags, new_address);
    if (new_len <= old_len) {
        int e = new_len < old_len ? unmap_locked(mm, old + new_len, old + old_len) : 0;
        return e ? e : (int64_t)old;
    }
    int64_t r = old_len ? grow_in_place(mm, v, old, old_len, new_len) : -ENOMEM;
    if (r >= 0 || !(flags & MREMAP_MAYMOVE))
        return r;
    if (v->object) {
        a.address = 0;
        return move_shared(mm, v, old, old_len, &a, old_len ? flags : MREMAP_DONTUNMAP);
    }
    return move_mapping(mm, v, old, old_len, new_len, flags, 0);
}

int64_t vm_remap(struct mm *mm, uaddr_t old, uint64_t old_len, uint64_t new_len, uint32_t flags,
                 uaddr_t new_address)
{
    bool fixed = flags & MREMAP_FIXED;

    if ((flags & ~7u) || old % PAGE_SIZE || !new_len || new_len > enclave.user_end ||
        old_len > enclave.user_end)
        return -EINVAL;
    if (((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)) ||
        ((flags & MREMAP_DONTUNMAP) && old_len != new_len))
        return -EINVAL;
    old_len = align_up(old_len, PAGE_SIZE);
    new_len = align_up(new_len, PAGE_SIZE);
    if (!user_range_ok(old, old_len))
        return -EFAULT;
    if (fixed && (new_address % PAGE_SIZE || !user_range_ok(new_address, new_len) ||
                  (new_address < old + old_len && old < new_address + new_len)))
        return -EINVAL;
    mutex_lock(&mm->lock);
    int64_t r = remap_locked(mm, old, old_len, new_len, flags, new_address);
    mutex_unlock(&mm->lock);
    return r;
}

/* ---- files that are cut off ---- */

static bool maps_privately(const struct vma *v, struct vm_object *_Atomic *slot)
{
    return v->file && !v->shared && v->file_ops->object &&
           v->file_ops->object(v->file) == slot;
}

void vm_file_cut(struct mm *mm, struct vm_object *_Atomic *slot, uint64_t size)
{
    if (!mm)
        return;
    mutex_lock(&mm->lock);
    uint64_t end = align_up(MIN(size, (uint64_t)INT64_MAX), PAGE_SIZE);
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next_from(mm, v->end)) {
        uint64_t kept = end > v->offset ? end - v->offset : 0;
        if (!maps_privately(v, slot) || kept >= v->end - v->start)
            continue;
        if (family_part(mm, v->start + kept, v->end))
            log_warn("no memory to cut off what a file has lost");
        else
            pages_drop(mm, v->start + kept, v->end);
    }
    mutex_unlock(&mm->lock);
}

/* ---- madvise ---- */

static int set_flags(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, uint32_t flags,
                     bool on)
{
    if ((v->flags & flags) == (on ? flags : 0))
        return 0;
    if (vma_split(mm, start) || vma_split(mm, end))
        return -ENOMEM;
    v = vma_at(mm, start);
    v->flags = on ? v->flags | flags : v->flags & ~flags;
    return 0;
}

static int advise_one(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
    uint8_t state;

    switch (advice) {
    case MADV_DONTFORK:
        return set_flags(mm, v, start, end, VMA_DONTFORK, true);
    case MADV_DOFORK:
        return set_flags(mm, v, start, end, VMA_DONTFORK, false);
    case MADV_WIPEONFORK:
        if (v->file || v->shared)
            return -EINVAL;
        return set_flags(mm, v, start, end, VMA_WIPEONFORK, true);
    case MADV_KEEPONFORK:
        return set_flags(mm, v, start, end, VMA_WIPEONFORK, false);
    case MADV_DONTNEED:
        if (v->flags & VMA_LOCKED)
            return -EINVAL;
        /* fall through */
    case MADV_DONTNEED_LOCKED:
        if (v->object || (v->shared && (!v->file || family_shares(mm, start, end))))
            return 0; /* what is shared stays */
        if (pages_write_back(v, start, end))
            return -EIO;
        if (family_part(mm, start, end))
            return -ENOMEM;
        pages_drop(mm, start, end);
        return 0;
    case MADV_FREE:
        if (v->file || v->shared)
            return -EINVAL;
        if (family_part(mm, start, end))
            return -ENOMEM;
        pages_drop(mm, start, end);
        return 0;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_WILLNEED:
        if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
            return advice == MADV_WILLNEED ? 0 : -EFAULT;
        if (v->object) {
            int e = object_populate(v, start, end, advice == MADV_POPULATE_WRITE);
            return advice == MADV_WILLNEED ? 0 : (e == -EIO ? -EFAULT : e);
        }
        for (uaddr_t at = start; at < end;) {
            uaddr_t next = present_run(at, end, &state);
            int e = state ? 0 : pages_bring_in(mm, v, at, next);
            if (e)
                return advice == MADV_WILLNEED ? 0 : (e == -EIO ? -EFAULT : e);
            at = next;
        }
        return 0;
    default:
        return 0;
    }
}

static bool advice_known(int advice)
{
    return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) || advice == MADV_FREE ||
           (advice >= MADV_DONTFORK && advice <= MADV_DONTNEED_LOCKED);
}

int vm_advise(struct mm *mm, uaddr_t address, uint64_t length, int advice)
{
    int result = 0;

    if (address % PAGE_SIZE || !advice_known(advice))
        return -EINVAL;
    length = align_up(length, PAGE_SIZE);
    if (!length)
        return 0;
    if (!user_range_ok(address, length))
        return -ENOMEM;
    uaddr_t end = address + length;
    mutex_lock(&mm->lock);
    while (address < end) {
        struct vma *v = vma_next_from(mm, address);
        if (!v || v->start > address)
            result = -ENOMEM;
        if (!v || v->start >= end)
            break;
        address = MAX(address, v->start);
        uaddr_t stop = MIN(v->end, end);
        int e = advise_one(mm, v, address, stop, advice);
        if (e) {
            result = e;
            break;
        }
        address = stop;
    }
    mutex_unlock(&mm->lock);
    return result;
}

/* ---- reports ---- */

int vm_incore(struct mm *mm, uaddr_t address, uint64_t length, uint8_t *out)
{
    int result = 0;

    if (address % PAGE_SIZE)
        return -EINVAL;
    if (!user_range_ok(address, length))
        return -ENOMEM;
    mutex_lock(&mm->lock);
    for (uint64_t at = 0; at < length; at += PAGE_SIZE) {
        if (!vma_at(mm, address + at)) {
            result = -ENOMEM;
            break;
        }
        *out++ = present_get(address + at) ? 1 : 0;
    }
    mutex_unlock(&mm->lock);
    return result;
}

bool vm_is_shared(struct mm *mm, uaddr_t address)
{
    mutex_lock(&mm->lock);
    struct vma *v = vma_at(mm, address);
    bool shared = v && v->shared;
    mutex_unlock(&mm->lock);
    return shared;
}

static uint64_t count_present(const struct vma *v)
{
    uint64_t pages = 0;
    uint8_t state;

    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        if (state)
            pages += (next - at) / PAGE_SIZE;
        at = next;
    }
    return pages;
}

int vm_walk(struct mm *mm, int (*each)(const struct vm_info *info, void *arg), void *arg)
{
    int r = 0;

    mutex_lock(&mm->lock);
    for (struct vma *v = vma_next_from(mm, 0); v && !r; v = vma_next(v)) {
        struct vm_info info = {
            .start = v->start,
            .end = v->end,
            .prot = v->prot,
            .shared = v->shared,
            .changed = v->changed && !v->shared,
            .offset = v->file ? v->offset : 0,
            .resident_pages = count_present(v),
            .name = v->name,
            .file = v->name ? NULL : v->file,
            .file_ops = v->file_ops,
        };
        r = each(&info, arg);
    }
    mutex_unlock(&mm->lock);
    return r;
}

uint64_t vm_peak_pages(struct mm *mm)
{
    return atomic_load(&mm->peak_resident_pages);
}

void vm_stats(struct mm *mm, struct vm_stats *out)
{
    *out = (struct vm_stats){0};
    mutex_lock(&mm->lock);
    out->total_pages = mm->total_pages;
    out->peak_pages = mm->peak_pages;
    out->locked_pages = mm->locked_pages;
    out->resident_pages = atomic_load(&mm->resident_pages);
    out->peak_resident_pages = atomic_load(&mm->peak_resident_pages);
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        uint64_t pages = (v->end - v->start) / PAGE_SIZE;
        if (v->name && !strcmp(v->name, "[stack]"))
            out->stack_pages += pages;
        else if (v->prot & PROT_EXEC)
            out->text_pages += pages;
        else if ((v->prot & PROT_WRITE) && !v->shared)
            out->data_pages += pages;
    }
    mutex_unlock(&mm->lock);
}
