/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing pages in, changing what they allow, giving them back.
 * A fault brings in a window around the address that doubles while accesses go on in sequence.
 * Anonymous pages are zero from EAUG. File pages are added readable and writable, filled from
 * pages of the file that are pinned, then given their permissions; meanwhile no other thread of
 * the process runs, for an enclave page has one address and would be seen half filled. Pages of
 * shared file mappings become writable at the first write, which marks them to be written back.
 */
#include "abi/errno.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"

#define GROW_GUARD   (1ull << 20) /* kept free below what grows */
#define WINDOW_FIRST 16u
#define WINDOW_FILE  32u
#define WINDOW_MAX   512u
#define FILL_PAGES   256u /* of a file, at once; a large page is not asked for */

uint32_t prot_to_perms(uint32_t prot)
{
    uint32_t perms = 0;

    if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
        perms |= PAGES_R;
    if (prot & PROT_WRITE)
        perms |= PAGES_W;
    if (prot & PROT_EXEC)
        perms |= PAGES_X;
    return perms;
}

static bool tracks_writes(const struct vma *v)
{
    return v->shared && v->file;
}

static uint32_t first_perms(const struct vma *v)
{
    uint32_t perms = prot_to_perms(v->prot);
    return tracks_writes(v) ? perms & ~PAGES_W : perms;
}

void pages_count(struct mm *mm, uint64_t pages)
{
    uint64_t now = atomic_fetch_add(&mm->resident_pages, pages) + pages;
    if (now > atomic_load(&mm->peak_resident_pages))
        atomic_store(&mm->peak_resident_pages, now);
}

/* [start,end) of the mapping, from its file. */
static int64_t fill(struct vma *v, uaddr_t start, uaddr_t end, struct iter *to)
{
    uint64_t offset = v->offset + (start - v->start);
    uint64_t want = end - start;

    if (offset >= v->file_limit)
        return (int64_t)end;
    want = MIN(want, v->file_limit - offset);
    to->remaining = want;
    while (to->remaining) {
        ssize_t n = v->file_ops->read(v->file, offset + (want - to->remaining), to);
        if (n < 0)
            return n;
        if (!n)
            break;
    }
    if (v->file_limit != UINT64_MAX)
        return (int64_t)end; /* the loader's mappings: the rest is zero by intention */
    return (int64_t)align_up(end - (end - start - want) - to->remaining, PAGE_SIZE);
}

int64_t pages_fill(struct vma *v, uaddr_t start, uaddr_t end)
{
    struct iter to;

    iter_user(&to, start, end - start);
    return fill(v, start, end, &to);
}

static void set_first_perms(const struct vma *v, uaddr_t start, uaddr_t end)
{
    uint32_t perms = first_perms(v);

    if (perms != (PAGES_R | PAGES_W))
        enclave_pages_protect(start, (end - start) / PAGE_SIZE, PAGES_R | PAGES_W, perms);
    present_set(start, end, (uint8_t)(PAGE_PRESENT | perms));
}

/* How much of the file may appear in the page at `at`. */
static size_t visible(const struct vma *v, uaddr_t at, const struct vm_pin *pin)
{
    uint64_t offset = v->offset + (at - v->start);

    return offset < v->file_limit ? (size_t)MIN(v->file_limit - offset, (uint64_t)pin->size)
                                  : 0;
}

void contents_copy(struct vma *v, const struct contents *c, uaddr_t start, uaddr_t end)
{
    for (uaddr_t at = start; at < end; at += PAGE_SIZE) {
        uint64_t i = (at - c->start) / PAGE_SIZE;
        if (i >= c->count || !c->pins[i].data)
            continue;
        if (user_copy_raw((void *)at, c->pins[i].data, visible(v, at, &c->pins[i])))
            panic("a page of a program cannot be filled");
    }
}

/* With the contents, or zeroed. */
static int add_pages(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end,
                     const struct contents *c)
{
    uint64_t count = (end - start) / PAGE_SIZE;
    int e = user_pages_add(start, count);

    if (e)
        return e;
    if (c)
        contents_copy(v, c, start, end);
    set_first_perms(v, start, end);
    pages_count(mm, count);
    return 0;
}

/* Reads what cannot be pinned. */
static ssize_t read_pages(struct vma *v, struct contents *c, uint64_t pages)
{
    struct iter to;

    c->buffer = pages_alloc(pages); /* zeroed */
    if (!c->buffer)
        return -ENOMEM;
    iter_kernel(&to, c->buffer, pages * PAGE_SIZE);
    int64_t filled = fill(v, c->start, c->start + pages * PAGE_SIZE, &to);
    if (filled < 0)
        return filled;
    for (uint64_t i = 0; i < pages; i++)
        c->pins[i] = (struct vm_pin){(char *)c->buffer + i * PAGE_SIZE, PAGE_SIZE, NULL};
    return ((ssize_t)filled - (ssize_t)c->start) / (ssize_t)PAGE_SIZE;
}

/* How many of the pages have something of the file: the loader's mappings go on, with zeros. */
static uint64_t pages_of_file(const struct vma *v, uaddr_t at, uint64_t pages)
{
    uint64_t offset = v->offset + (at - v->start);

    if (offset >= v->file_limit)
        return 0;
    return MIN(pages, (v->file_limit - offset - 1) / PAGE_SIZE + 1);
}

/* As many as can be read without an error: if the first cannot, that. */
static ssize_t pin_pages(struct vma *v, struct contents *c, uint64_t pages)
{
    uint64_t offset = v->offset + (c->start - v->start);

    if (!pages)
        return 0;
    ssize_t n =
        v->file_ops->pin ? v->file_ops->pin(v->file, offset, c->pins, pages) : -EOPNOTSUPP;
    return n == -EOPNOTSUPP ? read_pages(v, c, pages) : n;
}

void contents_put(struct vma *v, struct contents *c, uint64_t pages)
{
    if (c->buffer)
        pages_free(c->buffer, pages);
    else if (c->count)
        v->file_ops->unpin(c->pins, c->count);
    kfree(c->pins);
}

int contents_get(struct vma *v, struct contents *c, uint64_t pages)
{
    c->pins = kmalloc(pages * sizeof(*c->pins));
    if (!c->pins)
        return -ENOMEM;
    uint64_t wanted = pages_of_file(v, c->start, pages);
    ssize_t n = pin_pages(v, c, wanted);
    c->count = n > 0 ? (uint64_t)n : 0;
    if (n >= 0 && (c->count < wanted || v->file_limit == UINT64_MAX))
        c->end = c->start + c->count * PAGE_SIZE;
    if (n >= 0 && c->end > c->start)
        return 0;
    contents_put(v, c, pages);
    return n == -ENOMEM ? -ENOMEM : -EIO;
}

/* What of it is not there yet. */
static int add_missing(struct mm *mm, struct vma *v, const struct contents *c)
{
    uint8_t state;
    int e = 0;

    for (uaddr_t at = c->start; at < c->end && !e;) {
        uaddr_t next = present_run(at, c->end, &state);
        e = state ? 0 : add_pages(mm, v, at, next, c);
        at = next;
    }
    return e;
}

/* The file is read before anybody is kept still: who is kept still may hold a lock that reading
 * takes. Meanwhile another member of the family can have come, and have left the same text in
 * place. */
static int bring_in_file(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    struct contents c = {.start = start, .end = end};
    uint64_t pages = (end - start) / PAGE_SIZE;
    int e = contents_get(v, &c, pages);

    if (e)
        return e;
    sched_freeze(&mm->sched);
    e = add_missing(mm, v, &c);
    sched_thaw(&mm->sched);
    contents_put(v, &c, pages);
    if (!e && !v->shared && v->file_ops->copied)
        v->file_ops->copied(v->file, v->offset + (c.start - v->start), c.count * PAGE_SIZE);
    return e;
}

int pages_bring_in(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    int e = present_reserve(start, end);

    if (e)
        return e;
    if (!v->file)
        return add_pages(mm, v, start, end, NULL);
    for (uaddr_t at = start, stop; at < end && !e; at = stop) {
        stop = MIN(align_down(at, FILL_PAGES * PAGE_SIZE) + FILL_PAGES * PAGE_SIZE, end);
        e = bring_in_file(mm, v, at, stop);
        if (e == -EIO && at > start)
            return 0; /* the first part is there */
    }
    return e;
}

static bool all_there(uaddr_t start, uaddr_t end)
{
    uint8_t state = PAGE_PRESENT;

    while (start < end && state)
        start = present_run(start, end, &state);
    return state;
}

/* As many pages of memory as were touched beside the page already: what is used in sequence, by
 * however many threads, comes in few steps, and little comes that nobody uses. */
static uint32_t memory_window(const struct vma *v, uaddr_t page)
{
    uint32_t window = WINDOW_FIRST;

    while (window < WINDOW_MAX) {
        uint64_t bytes = window * PAGE_SIZE;
        bool below = page - v->start >= bytes && all_there(page - bytes, page);
        bool above = v->end - page > bytes && all_there(page + PAGE_SIZE, page + bytes);
        if (!below && !above)
            break;
        window *= 2;
    }
    return window;
}

static uint32_t file_window(struct vma *v, uaddr_t page)
{
    if (v->window < WINDOW_FILE) /* perhaps a fork's */
        v->window = WINDOW_FILE;
    else if (page >= v->fault_end && page - v->fault_end <= v->window * PAGE_SIZE)
        v->window = MIN(v->window * 2, WINDOW_MAX);
    return v->window;
}

static void choose_window(struct vma *v, uaddr_t address, uaddr_t *start, uaddr_t *end)
{
    uint32_t window = v->file ? file_window(v, address) : memory_window(v, address);
    uint64_t bytes = window * PAGE_SIZE;
    uint8_t state;

    *start = MAX(align_down(address, bytes), v->start);
    *end = MIN(align_down(address, bytes) + bytes, v->end);
    /* Only the pages around the address that are not there yet. */
    for (uaddr_t a = *start; a < address;) {
        uaddr_t next = present_run(a, *end, &state);
        if (state)
            *start = next;
        a = next;
    }
    *end = present_run(address, *end, &state);
    v->fault_end = *end;
}

static int fault_present(struct mm *mm, struct vma *v, uaddr_t page, uint8_t state,
                         uint32_t access)
{
    uint32_t have = state & PAGE_PERMS, want = prot_to_perms(v->prot);

    if (state & (PAGE_WARM | PAGE_KEPT))
        panic("a spare page lies in a mapping");
    if (have == want || !(access & VM_ACCESS_WRITE) || (have & PAGES_W))
        return 0; /* another thread was faster */
    if (!v->shared)
        return family_write(mm, v, page);
    enclave_pages_protect(page, 1, have, want);
    present_set(page, page + PAGE_SIZE, (uint8_t)(PAGE_PRESENT | PAGE_DIRTY | want));
    return 0;
}

static bool allowed(const struct vma *v, uint32_t access)
{
    if (access & VM_ACCESS_WRITE)
        return v->prot & PROT_WRITE;
    if (access & VM_ACCESS_EXEC)
        return v->prot & PROT_EXEC;
    return v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* MAP_GROWSDOWN: the mapping above comes down to the page, unless it gets too close to another
 * one. */
static struct vma *grow_down(struct mm *mm, uaddr_t page)
{
    struct vma *v = vma_next_from(mm, page);

    if (!v || !(v->flags & VMA_GROWSDOWN) || v->end - page > mm->rlimit_stack ||
        mm->total_pages * PAGE_SIZE + (v->start - page) > mm->rlimit_as)
        return NULL;
    struct vma *below = vma_prev(v);
    if ((below && below->end + GROW_GUARD > page) || range_claim(mm, page, v->start))
        return NULL;
    struct vma more = *v;
    more.start = page;
    more.end = v->start;
    if (family_clear(mm, &more))
        return NULL;
    pages_drop_spare(page, v->start, PAGE_WARM | PAGE_KEPT);
    vma_remove(mm, v);
    v->start = page;
    vma_insert(mm, v);
    return v;
}

static int fault_locked(struct mm *mm, uaddr_t address, uint32_t access) HELD(mm->lock)
{
    uaddr_t page = align_down(address, PAGE_SIZE), start, end;
    struct vma *v = vma_at(mm, page);

    image_laid_out(mm);
    if (!v)
        v = grow_down(mm, page);
    if (!v) {
        warm_fault(mm, address);
        return -EFAULT;
    }
    if (!allowed(v, access))
        return -EACCES;
    if (v->object)
        return object_fault(v, page, access);
    uint8_t state = present_get(page);
    if (state)
        return fault_present(mm, v, page, state, access);
    choose_window(v, page, &start, &end);
    int e = pages_bring_in(mm, v, start, end);
    if (!e && !present_get(page))
        return -EIO;
    if (!e && (access & VM_ACCESS_WRITE) && tracks_writes(v))
        return fault_present(mm, v, page, present_get(page), access);
    return e;
}

int vm_fault(struct mm *mm, uaddr_t address, uint32_t access)
{
    if (!mm || address < PAGE_SIZE)
        return -EFAULT;
    int e;
    do {
        mutex_lock(&mm->lock);
        e = fault_locked(mm, address, access);
        mutex_unlock(&mm->lock);
    } while (e == -ENOMEM && vm_out_of_memory());
    return e;
}

void pages_set_prot(struct vma *v, uaddr_t start, uaddr_t end)
{
    uint32_t to = prot_to_perms(v->prot);
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        uint32_t from = state & PAGE_PERMS, want = to;
        if (tracks_writes(v) && !(state & PAGE_DIRTY))
            want &= ~PAGES_W;
        if (state & PAGE_COMMON) /* others may see it still: the first write parts it */
            want &= ~PAGES_W | (from & PAGES_W);
        if ((state & PAGE_PRESENT) && from != want) {
            enclave_pages_protect(start, (next - start) / PAGE_SIZE, from, want);
            present_set(start, next, (uint8_t)((state & ~(PAGE_PERMS | PAGE_COMMON)) | want));
        }
        start = next;
    }
}

/* [start,end) is all there. */
static void drop_run(uaddr_t start, uaddr_t end)
{
    if (start == end)
        return;
    user_pages_drop(start, (end - start) / PAGE_SIZE);
    present_set(start, end, 0);
}

/* Drops pages that are spare in one of the ways `any`, and, with `own`, those that are not
 * spare: how many these were. Neighbours go together, whatever their permissions. */
static uint64_t drop_some(uaddr_t start, uaddr_t end, uint8_t any, bool own)
{
    uint64_t counted = 0;
    uint8_t state;

    for (uaddr_t at = start; at < end;) {
        uaddr_t next = present_run(at, end, &state);
        bool spare = state & (PAGE_WARM | PAGE_KEPT);
        if (!(state & PAGE_PRESENT) || !(spare ? state & any : own)) {
            drop_run(start, at);
            start = next;
        } else if (!spare) {
            counted += (next - at) / PAGE_SIZE;
        }
        at = next;
    }
    drop_run(start, end);
    return counted;
}

void pages_drop(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uint64_t counted = drop_some(start, end, PAGE_WARM | PAGE_KEPT, true);
    if (counted)
        atomic_fetch_sub(&mm->resident_pages, counted);
}

void pages_drop_spare(uaddr_t start, uaddr_t end, uint8_t ways)
{
    (void)drop_some(start, end, ways, false);
}

void pages_drop_own(struct mm *mm, uaddr_t start, uaddr_t end)
{
    atomic_fetch_sub(&mm->resident_pages, drop_some(start, end, 0, true));
}

int pages_write_back(struct vma *v, uaddr_t start, uaddr_t end)
{
    int result = 0;
    uint8_t state;

    if (v->object)
        return object_write_back(v, start, end);
    if (!tracks_writes(v))
        return 0;
    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        if (state & PAGE_DIRTY) {
            uint32_t from = state & PAGE_PERMS, to = from & ~PAGES_W;
            uint64_t offset = v->offset + (start - v->start);
            struct iter data;
            if (from != to)
                enclave_pages_protect(start, (next - start) / PAGE_SIZE, from, to);
            present_set(start, next, (uint8_t)(PAGE_PRESENT | to));
            iter_user(&data, start, next - start);
            ssize_t n = v->file_ops->write(v->file, offset, &data);
            if (n < 0)
                result = (int)n;
        }
        start = next;
    }
    return result;
}
