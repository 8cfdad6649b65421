/* SPDX-License-Identifier: BSD-3-Clause */
/* Making, changing and undoing mappings: mmap(2), munmap(2), mprotect(2), brk(2), msync(2). */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/host.h"
#include "enclave/pages.h"
#include "enclave/trace.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"
#include "mm/user.h"

#define BRK_RESERVE     (64ull << 20) /* at least; more is claimed when it grows */
#define BRK_RESERVE_MIN (1ull << 20)
#define MAP_AT_ONCE     16u /* pages */
#define DATA_AT_ONCE    64u
#define STACK_AT_ONCE   4u
#define HEAP_AT_ONCE    4u /* of what is too much for that */

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
    list_init(&mm->images);
    static _Atomic uint64_t clans;
    mm->clan = atomic_fetch_add(&clans, 1);
    mm->family = family_new();
    if (!mm->family) {
        kfree(mm);
        return -ENOMEM;
    }
    list_append(&mm->family->members, &mm->in_family);
    mm->rlimit_as = mm->rlimit_data = mm->rlimit_stack = mm->rlimit_memlock = UINT64_MAX;
    *out = mm;
    return 0;
}

struct mm *mm_get(struct mm *mm)
{
    atomic_fetch_add(&mm->refs, 1);
    return mm;
}

/* With others at the same addresses: nothing is unmapped, for that would take theirs along. */
static void destroy_in_family(struct mm *mm) HELD(mm->lock)
{
    struct vma *v;

    for (v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        if (!v->object && pages_write_back(v, v->start, v->end)) /* else: object_leave() */
            log_warn("a shared mapping could not be written back to its file");
    }
    family_leave(mm);
}

static void destroy_alone(struct mm *mm) HELD(mm->lock)
{
    struct list images = LIST_INIT(images);
    struct area *a;

    images_detach(mm, &images);
    int e = unmap_locked(mm, enclave.user_start, enclave.user_end);
    assert(!e); /* nothing is split */
    images_keep(mm, &images);
    list_for_each (a, &mm->family->areas, in_family)
        pages_drop(mm, a->start, a->end); /* warm ones */
    range_release_all(mm->family); /* now: many may wait for the places, with references */
}

/* Who keeps a memory's tasks still looks at a task that runs, and then at its memory. */
static void forget(const struct mm *mm)
{
    if (current->mm == mm)
        __atomic_store_n(&current->mm, NULL, __ATOMIC_SEQ_CST);
}

static void mm_destroy(struct mm *mm)
{
    struct vma *v;

    mutex_lock(&mm->lock);
    if (family_close(mm))
        destroy_alone(mm);
    else if (!list_empty(&mm->in_family))
        destroy_in_family(mm);
    while ((v = vma_next_from(mm, 0))) {
        vma_remove(mm, v);
        vma_free(v);
    }
    images_forget(mm);
    mutex_unlock(&mm->lock);
    family_await(mm);
    family_unclaim(mm);
    family_put(mm->family);
    patch_mm_fini(mm);
    forget(mm);
    sched_wait_watchers();
    kfree(mm);
}

void mm_put(struct mm *mm)
{
    if (mm && atomic_fetch_sub(&mm->refs, 1) == 1)
        mm_destroy(mm);
}

void mm_leave(struct mm *mm)
{
    if (!mm)
        return;
    forget(mm);
    if (atomic_fetch_sub(&mm->refs, 1) > 1)
        return;
    current->mm = mm; /* nobody else has it now: what sleeps in there comes back with it */
    mm_destroy(mm);
}

/* Nothing is taken down that goes with the enclave. */
void mm_put_at_end(struct mm *mm)
{
    if (!mm)
        return;
    mutex_lock(&mm->lock);
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        if (v->shared && pages_write_back(v, v->start, v->end))
            log_warn("a shared mapping could not be written back to its file");
    }
    mutex_unlock(&mm->lock);
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

/* True: its pages are to be given back. */
static bool unmap_one(struct mm *mm, struct vma *v, bool again)
{
    bool goes = !v->object;

    patch_forget(mm, v->start, v->end);
    if (goes && pages_write_back(v, v->start, v->end))
        log_warn("a shared mapping could not be written back to its file");
    if (goes && v->shared && family_shares(mm, v->start, v->end))
        goes = false;
    if (goes && (warm_keep(mm, v) || again))
        pages_make_warm(mm, v->start, v->end, true);
    vma_remove(mm, v);
    if (!v->object)
        range_freed(mm, v->start, v->end);
    vma_free(v);
    return goes;
}

/* With `again`, something is mapped there next that can use warm pages. Pages of neighbours go
 * in one piece. */
static int unmap_range(struct mm *mm, uaddr_t start, uaddr_t end, bool again) HELD(mm->lock)
{
    uaddr_t from = 0, to = 0;
    struct vma *v;
    int e = vma_split(mm, start);

    if (!e)
        e = vma_split(mm, end);
    if (!e)
        e = family_part(mm, start, end);
    if (e)
        return e;
    while ((v = vma_next_from(mm, start)) && v->start < end) {
        uaddr_t first = v->start, last = v->end;
        if (!unmap_one(mm, v, again))
            continue;
        if (first != to) {
            pages_drop_own(mm, from, to);
            from = first;
        }
        to = last;
    }
    pages_drop_own(mm, from, to);
    return 0;
}

int unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end)
{
    images_unmap(mm, start, end);
    int e = unmap_range(mm, start, end, false);
    if (!e)
        images_unmapped(mm, start, end);
    return e;
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

static int protect_one(struct mm *mm, struct vma *v, uint32_t prot)
{
    if (prot & ~v->max_prot)
        return -EACCES;
    if (prot & PROT_WRITE && v->prot & PROT_EXEC)
        patch_restore(mm, v->start, v->end);
    if (!vma_is_data(v) && (prot & PROT_WRITE) && !v->shared &&
        mm->data_pages * PAGE_SIZE + (v->end - v->start) > mm->rlimit_data)
        return -ENOMEM;
    vma_count(mm, v, -1);
    v->prot = prot;
    vma_count(mm, v, 1);
    v->changed |= (prot & PROT_WRITE) != 0;
    if (v->object)
        object_set_prot(v);
    else
        pages_set_prot(v, v->start, v->end);
    if (!v->file)
        vma_merge(mm, v);
    return 0;
}

static int check_map(const struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    uint32_t type = a->flags & MAP_TYPE;

    if (type != MAP_SHARED && type != MAP_PRIVATE && (type != MAP_SHARED_VALIDATE || !a->file))
        return -EINVAL;
    /* MAP_SYNC above all: who gets it takes a flushed cache line for a durable one. */
    if (type == MAP_SHARED_VALIDATE && (a->flags & ~MAP_VALIDATED))
        return -EOPNOTSUPP;
    if (a->file && (a->offset % PAGE_SIZE || a->offset > UINT64_MAX - length))
        return a->offset % PAGE_SIZE ? -EINVAL : -EOVERFLOW;
    if (a->flags & MAP_HUGETLB)
        return -ENOMEM; /* no huge pages are set aside */
    if (mm->total_pages * PAGE_SIZE + length > mm->rlimit_as)
        return -ENOMEM;
    if (type == MAP_PRIVATE && (a->prot & PROT_WRITE) && !a->name &&
        mm->data_pages * PAGE_SIZE + length > mm->rlimit_data)
        return -ENOMEM;
    if (((a->flags & MAP_LOCKED) || mm->lock_future) &&
        mm->locked_pages * PAGE_SIZE + length > mm->rlimit_memlock)
        return -EAGAIN;
    return 0;
}

static uint32_t flags_for(const struct mm *mm, const struct vm_map_args *a)
{
    return ((a->flags & MAP_LOCKED) || mm->lock_future ? VMA_LOCKED : 0) |
           (a->flags & MAP_GROWSDOWN ? VMA_GROWSDOWN : 0);
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

int range_claim_fixed(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct family *rival;
    bool again;
    int e;

    mm->coming.start = start;
    mm->coming.end = end;
    do { /* somebody may come between looking and claiming */
        images_evict(start, end);
        rival = range_rival(mm, start, end);
        if (!rival)
            e = range_claim(mm, start, end);
        else if (rival->object)
            e = take_from_object(mm, rival->object, start, end);
        else
            e = family_join(mm, rival);
        again = rival ? !e || e == -EAGAIN : e == -EBUSY;
        family_put(rival);
    } while (again);
    return e;
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
    int e = owned ? 0 : range_claim_fixed(mm, at, at + length);
    bool again = (a->flags & MAP_TYPE) == MAP_PRIVATE && (a->prot & PROT_WRITE) &&
                 !atomic_load(&mm->sched.family);
    return e ? e : unmap_range(mm, at, at + length, again);
}

/* Where the mapping goes; its range belongs to mm and is free of mappings afterwards. */
static int64_t place(struct mm *mm, const struct vm_map_args *a, uint64_t length) HELD(mm->lock)
{
    bool fixed = a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    uaddr_t at = fixed ? a->address : align_down(a->address, PAGE_SIZE);

    if (fixed) {
        int e = place_fixed(mm, a, length, false);
        return e ? e : (int64_t)at;
    }
    if (at && user_range_ok(at, length) && !is_mapped(mm, at, at + length)) {
        images_evict(at, at + length);
        if (!range_claim(mm, at, at + length))
            return (int64_t)at;
    }
    if (a->flags & MAP_32BIT)
        return range_random(mm, length, PAGE_SIZE, true);
    int64_t image = image_place(mm, a, length);
    return image ? image : range_find(mm, length);
}

static bool wants_populate(const struct vm_map_args *a, uint64_t length)
{
    if (!(a->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return false;
    if ((a->flags & (MAP_POPULATE | MAP_LOCKED)) && !(a->flags & MAP_NONBLOCK))
        return true;
    if (a->file && (a->flags & MAP_TYPE) != MAP_PRIVATE)
        return false;
    /* What is small will be touched, and what can be written of a program, too. */
    if (a->file && (a->prot & PROT_WRITE))
        return length <= DATA_AT_ONCE * PAGE_SIZE;
    return (a->file || (a->prot & PROT_WRITE)) && length <= MAP_AT_ONCE * PAGE_SIZE;
}

static int populate(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    uint8_t state;

    for (uaddr_t at = start; at < end;) {
        uaddr_t next = present_run(at, end, &state);
        if (!state) {
            int e = pages_bring_in(mm, v, at, next);
            if (e)
                return e;
        }
        at = next;
    }
    return 0;
}

/* A part of a mapping is mapped anew, from the same part of the same file: a change of
 * permissions, as when a dynamic linker lays out what it has mapped as a whole. */
static struct vma *same_mapping(struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    struct vma *v = a->flags & MAP_FIXED ? vma_at(mm, a->address) : NULL;

    if (!v || !v->file || !a->file || v->shared || v->changed || a->address % PAGE_SIZE ||
        (a->flags & MAP_TYPE) != MAP_PRIVATE || v->end - a->address < length ||
        v->offset + (a->address - v->start) != a->offset || v->file_ops != a->file_ops ||
        !v->file_ops->identity || !v->file_ops->identity(v->file) ||
        v->file_ops->identity(v->file) != v->file_ops->identity(a->file) ||
        v->file_limit != UINT64_MAX || a->file_limit || family_kin(mm))
        return NULL;
    return v;
}

static int map_again(struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    int e = vma_split(mm, a->address);

    if (!e)
        e = vma_split(mm, a->address + length);
    if (!e)
        e = family_part(mm, a->address, a->address + length);
    if (e)
        return e;
    struct vma *v = vma_at(mm, a->address);
    v->max_prot = a->max_prot ? a->max_prot : 7u;
    e = protect_one(mm, v, a->prot & 7u);
    if (!e && wants_populate(a, length) && populate(mm, v, v->start, v->end))
        log_debug("a mapping could not be populated");
    return e;
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
    if (!(a->flags & MAP_FIXED) || !image_lays_out(mm, a->address, length))
        image_laid_out(mm);
    if (same_mapping(mm, a, length)) {
        e = map_again(mm, a, length);
        return e ? e : (int64_t)a->address;
    }
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
        .flags = flags_for(mm, a),
        .file = a->file,
        .file_ops = a->file_ops,
        .offset = a->file ? a->offset : 0,
        .file_limit = a->file_limit ? a->offset + a->file_limit : UINT64_MAX,
        .name = a->name,
        .changed = a->prot & PROT_WRITE,
    };
    if (v->file)
        v->file_ops->get(v->file);
    e = family_clear(mm, v);
    if (e) {
        vma_free(v);
        return e;
    }
    image_settle(mm, v);
    warm_settle(mm, v);
    vma_insert(mm, v);
    if (wants_populate(a, length) && populate(mm, v, v->start, v->end) &&
        (a->flags & MAP_POPULATE))
        log_debug("a mapping could not be populated");
    if (!v->file)
        vma_merge(mm, v);
    return at;
}

int vm_populate(struct mm *mm, uaddr_t address, uint64_t length)
{
    mutex_lock(&mm->lock);
    struct vma *v = vma_at(mm, address);
    int e =
        v && address + length <= v->end ? populate(mm, v, address, address + length) : -EINVAL;
    mutex_unlock(&mm->lock);
    return e;
}

static void tell_host(const struct vm_map_args *a, uaddr_t at)
{
    uint64_t dev, ino;
    char *path = kmalloc(HOST_PATH_MAX);

    if (path && a->file_ops->describe) {
        a->file_ops->describe(a->file, path, HOST_PATH_MAX, &dev, &ino);
        host_mapped(path, at, a->offset);
    }
    kfree(path);
}

int64_t vm_map(struct mm *mm, const struct vm_map_args *args)
{
    mutex_lock(&mm->lock);
    int64_t r = map_locked(mm, args);
    mutex_unlock(&mm->lock);
    if (unlikely(trace.maps) && r >= 0 && args->file && (args->prot & PROT_EXEC))
        tell_host(args, (uaddr_t)r);
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

static int protect_locked(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t prot)
    HELD(mm->lock)
{
    image_laid_out(mm);
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

/* Reserved memory that can be used now, as a thread's stack is made: that begins at its top. */
static bool opens_stack(struct mm *mm, uaddr_t address, uaddr_t end, uint32_t prot)
{
    struct vma *v = vma_at(mm, end - PAGE_SIZE);

    return prot == (PROT_READ | PROT_WRITE) && end - address > MAP_AT_ONCE * PAGE_SIZE && v &&
           v->prot == PROT_NONE && !v->file && !v->shared;
}

static void bring_in_top(struct mm *mm, uaddr_t end) HELD(mm->lock)
{
    struct vma *v = vma_at(mm, end - PAGE_SIZE);
    uaddr_t start = end - STACK_AT_ONCE * PAGE_SIZE;

    if (v && v->start <= start && populate(mm, v, start, end))
        log_debug("a stack's first pages could not be brought in");
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
    bool stack = opens_stack(mm, address, address + length, prot);
    int e = protect_locked(mm, address, address + length, prot);
    if (!e && stack)
        bring_in_top(mm, address + length);
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
    return e ? -ENOMEM : 0;
}

static bool brk_grow(struct mm *mm, uaddr_t from, uaddr_t to) HELD(mm->lock)
{
    struct vm_map_args a = {.address = from,
                            .length = to - from,
                            .prot = PROT_READ | PROT_WRITE,
                            .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                            .name = "[heap]"};

    if (to - mm->brk_start > mm->rlimit_data)
        return false;
    if (to > mm->brk_limit) {
        images_evict(mm->brk_limit, to);
        if (to > enclave.user_end || range_claim(mm, mm->brk_limit, to))
            return false;
        mm->brk_limit = to;
    }
    int64_t at = map_locked(mm, &a);
    if (at < 0)
        return false;
    struct vma *v = vma_at(mm, from);
    if (to - from > MAP_AT_ONCE * PAGE_SIZE &&
        populate(mm, v, from, from + HEAP_AT_ONCE * PAGE_SIZE))
        log_debug("the heap's first pages could not be brought in");
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
        if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED)) {
            result = -EBUSY;
            break;
        }
        int e = pages_write_back(v, address, stop);
        if (e)
            result = -EIO;
        address = stop;
    }
    mutex_unlock(&mm->lock);
    return result;
}
