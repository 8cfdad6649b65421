/* SPDX-License-Identifier: BSD-3-Clause */
/* Making, changing and undoing mappings: mmap(2), munmap(2), mprotect(2), brk(2), msync(2). */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"
#include "mm/user.h"

#define BRK_RESERVE     (4ull << 30)
#define BRK_RESERVE_MIN (1ull << 20)
#define WARM_MAX_PAGES  16u
#define WARM_AFTER      8u

#define MS_ASYNC      1u
#define MS_INVALIDATE 2u
#define MS_SYNC       4u

int mm_new(struct mm **out)
{
    struct mm *mm = kzalloc(sizeof(*mm));

    if (!mm)
        return -ENOMEM;
    atomic_init(&mm->refs, 1);
    mutex_init(&mm->lock, RANK_MM);
    radix_init(&mm->copies);
    mm->family = family_new();
    if (!mm->family) {
        kfree(mm);
        return -ENOMEM;
    }
    list_append(&mm->family->members, &mm->in_family);
    mm->rlimit_as = mm->rlimit_data = mm->rlimit_stack = UINT64_MAX;
    *out = mm;
    return 0;
}

struct mm *mm_get(struct mm *mm)
{
    atomic_fetch_add(&mm->refs, 1);
    return mm;
}

/* With others at the same addresses: nothing is unmapped, for that would take theirs along. */
static void destroy_in_family(struct mm *mm)
{
    struct vma *v;

    for (v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        if (v->object)
            continue; /* see object_leave() */
        if (pages_write_back(v, v->start, v->end))
            log_warn("a shared mapping could not be written back to its file");
        if (v->shared && !family_shares(mm, v->start, v->end))
            pages_drop(mm, v->start, v->end);
    }
    family_leave(mm);
}

static void destroy_alone(struct mm *mm) HELD(mm->lock)
{
    struct area *a;
    int e = unmap_locked(mm, enclave.user_start, enclave.user_end);

    assert(!e); /* nothing is split */
    list_for_each (a, &mm->family->areas, in_family)
        pages_drop(mm, a->start, a->end); /* warm ones */
    list_remove(&mm->in_family);
}

static void mm_destroy(struct mm *mm)
{
    struct vma *v;

    mutex_lock(&mm->lock);
    if (atomic_load(&mm->sched.family))
        destroy_in_family(mm);
    else if (!list_empty(&mm->in_family))
        destroy_alone(mm);
    while ((v = vma_next_from(mm, 0))) {
        vma_remove(mm, v);
        vma_free(v);
    }
    mutex_unlock(&mm->lock);
    family_unclaim(mm);
    family_put(mm->family);
    patch_mm_fini(mm);
    kfree(mm);
}

void mm_put(struct mm *mm)
{
    if (mm && atomic_fetch_sub(&mm->refs, 1) == 1)
        mm_destroy(mm);
}

struct mm_layout *mm_layout(struct mm *mm)
{
    return &mm->layout;
}

void vm_set_limits(struct mm *mm, uint64_t rlimit_as, uint64_t rlimit_data,
                   uint64_t rlimit_stack)
{
    mm->rlimit_as = rlimit_as;
    mm->rlimit_data = rlimit_data;
    mm->rlimit_stack = rlimit_stack;
}

/* ---- unmapping ---- */

void warm_drop(struct mm *mm)
{
    uint8_t state;
    uaddr_t end = mm->reuse_address + mm->reuse_pages * PAGE_SIZE;

    if (!mm->reuse_pages)
        return;
    end = present_run(mm->reuse_address, end, &state);
    if (state & PAGE_WARM)
        pages_drop(mm, mm->reuse_address, end);
}

/* A program that maps and unmaps one small piece again and again gets to keep its pages:
 * zeroed, and reachable until another mapping takes the place. LIMIT: such a program does not
 * fault when it touches the piece after unmapping it. */
static bool keep_warm(struct mm *mm, const struct vma *v)
{
    uint64_t pages = (v->end - v->start) / PAGE_SIZE;
    uint8_t state;

    if (v->file || v->shared || v->prot != (PROT_READ | PROT_WRITE) || pages > WARM_MAX_PAGES ||
        atomic_load(&mm->sched.family))
        return false;
    if (mm->reuse_address != v->start || mm->reuse_pages != pages) {
        warm_drop(mm);
        mm->reuse_address = v->start;
        mm->reuse_pages = pages;
        mm->reuse_count = 0;
        return false;
    }
    if (++mm->reuse_count < WARM_AFTER)
        return false;
    if (present_run(v->start, v->end, &state) != v->end || !(state & PAGE_PRESENT))
        return false;
    return true;
}

static void unmap_one(struct mm *mm, struct vma *v)
{
    patch_forget(mm, v->start, v->end);
    if (v->object) {
        vma_remove(mm, v);
        vma_free(v);
        return;
    }
    if (pages_write_back(v, v->start, v->end))
        log_warn("a shared mapping could not be written back to its file");
    bool stays = v->shared && family_shares(mm, v->start, v->end);
    if (!stays && keep_warm(mm, v) && !clear_user(v->start, v->end - v->start)) {
        atomic_fetch_sub(&mm->resident_pages, (v->end - v->start) / PAGE_SIZE);
        present_set(v->start, v->end, PAGE_PRESENT | PAGE_WARM | PAGES_R | PAGES_W);
    } else if (!stays) {
        pages_drop(mm, v->start, v->end);
    }
    vma_remove(mm, v);
    range_freed(mm, v->start, v->end);
    vma_free(v);
}

int unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *v;
    int e = vma_split(mm, start);

    if (!e)
        e = vma_split(mm, end);
    if (!e)
        e = family_part(mm, start, end);
    if (e)
        return e;
    while ((v = vma_next_from(mm, start)) && v->start < end)
        unmap_one(mm, v);
    return 0;
}

static int check_range(uaddr_t address, uint64_t *length)
{
    if (address % PAGE_SIZE || !*length)
        return -EINVAL;
    if (*length > UINT64_MAX - PAGE_SIZE)
        return -EINVAL;
    *length = align_up(*length, PAGE_SIZE);
    return user_range_ok(address, *length) ? 0 : -EINVAL;
}

int vm_unmap(struct mm *mm, uaddr_t address, uint64_t length)
{
    if (address % PAGE_SIZE || !length || length > enclave.user_end)
        return -EINVAL;
    uaddr_t end = address + align_up(length, PAGE_SIZE);
    if (end < address || end > enclave.user_end)
        return -EINVAL;
    mutex_lock(&mm->lock);
    int e = unmap_counted(mm, address, end);
    mutex_unlock(&mm->lock);
    return e;
}

/* ---- mapping ---- */

static int check_map(const struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    uint32_t type = a->flags & MAP_TYPE;

    if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (a->file && (a->offset % PAGE_SIZE || a->offset > UINT64_MAX - length))
        return a->offset % PAGE_SIZE ? -EINVAL : -EOVERFLOW;
    if (a->flags & MAP_HUGETLB)
        return -ENOMEM; /* no huge pages are set aside */
    if (mm->total_pages * PAGE_SIZE + length > mm->rlimit_as)
        return -ENOMEM;
    return 0;
}

static bool is_mapped(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct vma *v = vma_next_from(mm, start);
    return v && v->start < end;
}

/* A file's shared mappings were there, those of this process at most. */
static int take_from_object(struct mm *mm, struct vm_object *o, uaddr_t start, uaddr_t end)
    HELD(mm->lock)
{
    int e = unmap_locked(mm, start, end);
    return e ? e : object_cede(o, mm, start, end);
}

/* The range is to be mm's, even if it must live with another process there. */
static int claim_fixed(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock)
{
    struct family *rival;
    int e = 0;

    while (!e && (rival = range_rival(mm, start, end))) {
        if (rival->object)
            e = take_from_object(mm, rival->object, start, end);
        else
            e = family_join(mm, rival);
        family_put(rival);
        if (e == -EAGAIN)
            e = 0;
    }
    return e ? e : range_claim(mm, start, end);
}

int place_fixed(struct mm *mm, const struct vm_map_args *a, uint64_t length, bool owned)
{
    uaddr_t at = a->address;

    if (at % PAGE_SIZE)
        return -EINVAL;
    if (!user_range_ok(at, length))
        return at < enclave.user_start ? -EPERM : -ENOMEM;
    if ((a->flags & MAP_FIXED_NOREPLACE) && is_mapped(mm, at, at + length))
        return -EEXIST;
    int e = owned ? 0 : claim_fixed(mm, at, at + length);
    return e ? e : unmap_locked(mm, at, at + length);
}

/* Where the mapping goes; its range belongs to mm and is free of mappings afterwards. */
static int64_t place(struct mm *mm, const struct vm_map_args *a, uint64_t length)
    HELD(mm->lock)
{
    bool fixed = a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    uaddr_t at = fixed ? a->address : align_down(a->address, PAGE_SIZE);

    if (fixed) {
        int e = place_fixed(mm, a, length, false);
        return e ? e : (int64_t)at;
    }
    if (at && user_range_ok(at, length) && !is_mapped(mm, at, at + length) &&
        !range_claim(mm, at, at + length))
        return (int64_t)at;
    if (a->flags & MAP_32BIT)
        return range_random(mm, length, PAGE_SIZE, true);
    return range_find(mm, length);
}

/* Pages kept from an earlier mapping of the place: taken over whole, or given back. */
static void settle_warm(struct mm *mm, const struct vma *v)
{
    uint8_t state;
    uaddr_t end = present_run(v->start, v->end, &state);

    if (end == v->end && (state & PAGE_WARM) && !v->file && !v->shared &&
        v->prot == (PROT_READ | PROT_WRITE)) {
        present_set(v->start, v->end, PAGE_PRESENT | PAGES_R | PAGES_W);
        atomic_fetch_add(&mm->resident_pages, (v->end - v->start) / PAGE_SIZE);
        return;
    }
    pages_drop(mm, v->start, v->end);
}

static bool wants_populate(const struct vm_map_args *a, uint64_t length)
{
    if (!(a->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return false;
    if ((a->flags & (MAP_POPULATE | MAP_LOCKED)) && !(a->flags & MAP_NONBLOCK))
        return true;
    return !a->file && length <= 2 * PAGE_SIZE && (a->prot & PROT_WRITE); /* will be touched */
}

static int populate(struct mm *mm, struct vma *v)
{
    uint8_t state;

    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        if (!state) {
            int e = pages_bring_in(mm, v, at, next);
            if (e)
                return e;
        }
        at = next;
    }
    return 0;
}

int64_t map_locked(struct mm *mm, const struct vm_map_args *a)
{
    uint64_t length = align_up(a->length, PAGE_SIZE);
    if (!a->length)
        return -EINVAL;
    if (length < a->length || length > enclave.user_end)
        return -ENOMEM;
    int e = check_map(mm, a, length);
    if (e)
        return e;
    int64_t at = object_map(mm, a, length);
    if (at)
        return at;
    struct vma *v = kzalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    at = place(mm, a, length);
    if (at < 0) {
        kfree(v);
        return at;
    }
    *v = (struct vma){
        .start = (uaddr_t)at,
        .end = (uaddr_t)at + length,
        .prot = a->prot & 7u,
        .max_prot = a->max_prot ? a->max_prot : 7u,
        .shared = (a->flags & MAP_TYPE) != MAP_PRIVATE,
        .file = a->file,
        .file_ops = a->file_ops,
        .offset = a->file ? a->offset : 0,
        .file_limit = a->file_limit ? a->offset + a->file_limit : UINT64_MAX,
        .name = a->name,
    };
    if (v->file)
        v->file_ops->get(v->file);
    settle_warm(mm, v);
    vma_insert(mm, v);
    if (wants_populate(a, length) && populate(mm, v) && (a->flags & MAP_POPULATE))
        log_debug("a mapping could not be populated");
    if (!v->file)
        vma_merge(mm, v);
    return at;
}

int64_t vm_map(struct mm *mm, const struct vm_map_args *args)
{
    mutex_lock(&mm->lock);
    int64_t r = map_locked(mm, args);
    mutex_unlock(&mm->lock);
    return r;
}

int64_t vm_find_random(struct mm *mm, uint64_t length, uint64_t alignment)
{
    mutex_lock(&mm->lock);
    int64_t r = range_random(mm, align_up(length, PAGE_SIZE), MAX(alignment, PAGE_SIZE), false);
    mutex_unlock(&mm->lock);
    return r;
}

/* ---- protection ---- */

static int protect_one(struct mm *mm, struct vma *v, uint32_t prot)
{
    if (prot & ~v->max_prot)
        return -EACCES;
    if (prot & PROT_WRITE && v->prot & PROT_EXEC)
        patch_restore(mm, v->start, v->end);
    v->prot = prot;
    if (v->object)
        object_set_prot(v);
    else
        pages_set_prot(v, v->start, v->end);
    if (!v->file)
        vma_merge(mm, v);
    return 0;
}

static int protect_locked(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t prot)
{
    int e = vma_split(mm, start);

    if (!e)
        e = vma_split(mm, end);
    if (!e)
        e = family_part(mm, start, end);
    while (!e && start < end) {
        struct vma *v = vma_at(mm, start);
        if (!v)
            return -ENOMEM;
        start = v->end;
        e = protect_one(mm, v, prot);
    }
    return e;
}

int vm_protect(struct mm *mm, uaddr_t address, uint64_t length, uint32_t prot)
{
    if (address % PAGE_SIZE || (prot & ~7u))
        return -EINVAL;
    if (!length)
        return 0;
    if (check_range(address, &length))
        return -ENOMEM;
    mutex_lock(&mm->lock);
    int e = protect_locked(mm, address, address + length, prot);
    mutex_unlock(&mm->lock);
    return e;
}

/* ---- the heap ---- */

int vm_brk_init(struct mm *mm, uaddr_t start)
{
    uint64_t reserve = BRK_RESERVE;
    int e;

    start = align_up(start, PAGE_SIZE);
    mutex_lock(&mm->lock);
    do {
        e = range_claim(mm, start, MIN(start + reserve, enclave.user_end));
        mm->brk_limit = MIN(start + reserve, enclave.user_end);
        reserve /= 2;
    } while (e && reserve >= BRK_RESERVE_MIN);
    mm->brk_start = mm->brk = start;
    mm->layout.brk_start = start;
    mutex_unlock(&mm->lock);
    return e;
}

static bool brk_grow(struct mm *mm, uaddr_t from, uaddr_t to) HELD(mm->lock)
{
    struct vm_map_args a = {.address = from,
                            .length = to - from,
                            .prot = PROT_READ | PROT_WRITE,
                            .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                            .name = "[heap]"};

    if (to > mm->brk_limit || to - mm->brk_start > mm->rlimit_data)
        return false;
    int64_t at = map_locked(mm, &a);
    if (at < 0)
        return false;
    struct vma *v = vma_at(mm, from);
    vma_merge(mm, v);
    return true;
}

uaddr_t vm_brk(struct mm *mm, uaddr_t wanted)
{
    mutex_lock(&mm->lock);
    uaddr_t old_end = align_up(mm->brk, PAGE_SIZE), new_end = align_up(wanted, PAGE_SIZE);
    if (mm->brk_start && wanted >= mm->brk_start && new_end >= wanted) {
        if (new_end > old_end) {
            if (brk_grow(mm, old_end, new_end))
                mm->brk = wanted;
        } else if (new_end == old_end || !unmap_locked(mm, new_end, old_end)) {
            mm->brk = wanted;
        }
    }
    uaddr_t now = mm->brk;
    mutex_unlock(&mm->lock);
    return now;
}

/* ---- writing back ---- */

int vm_sync(struct mm *mm, uaddr_t address, uint64_t length, uint32_t flags)
{
    int result = 0;

    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)) || address % PAGE_SIZE)
        return -EINVAL;
    if (!length)
        return 0;
    if (check_range(address, &length))
        return -ENOMEM;
    uaddr_t end = address + length;
    mutex_lock(&mm->lock);
    while (address < end) {
        struct vma *v = vma_next_from(mm, address);
        if (!v || v->start > address) {
            result = -ENOMEM;
            if (!v || v->start >= end)
                break;
            address = v->start;
        }
        uaddr_t stop = MIN(v->end, end);
        int e = pages_write_back(v, address, stop);
        if (e)
            result = -EIO;
        address = stop;
    }
    mutex_unlock(&mm->lock);
    return result;
}
