/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images: pages of programs and libraries that outlive the process that had them.
 * An enclave page has one address and takes microseconds to come and go, and most of a
 * process's pages are the text of the same few files. So each private mapping of a file gets an
 * area of its own, at a random place. When its process ends, pages that are what the file has,
 * and that no program can write, stay, together with the rewritten system calls in them and
 * these calls' trampolines. The next process that maps the same contents is given that area: it
 * finds the text in place. Kept areas belong to the family `kept`; the oldest go when there are
 * too many, when memory is short, or when a program needs the addresses.
 *
 * Contents are told apart by numbers that never come back (vm_file_ops.identity); a file that
 * changed meanwhile has another one. A mapping that ever was writable is not kept.
 * Members of a family (family.c) have images like others, as long as none of them comes of a
 * fork. When one goes, what no other member uses of an image stays: the compiler's text above
 * the end of the driver that waits for it.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"

#define IMAGE_MAX_BYTES (512ull << 20)
#define KEPT_MAX_COUNT  1024u
#define KEPT_FRACTION   16u /* of the machine's memory */

struct image {
    struct list node; /* in mm->images, under mm->lock; or in kept.images */
    uint64_t identity, offset;
    uaddr_t start, end;
    bool fresh;        /* has just been taken */
    bool kept;         /* what lies there as kept is its own */
    bool text;         /* parts of it can be executed */
    uint64_t pages;    /* that are kept, while it is in kept.images */
    uint64_t searched; /* pages of text that there were when it was searched for cpuid */
    struct patch_kept patches;
};

static struct {
    struct spinlock lock;
    struct list images; /* oldest first */
    uint64_t pages, count;
    struct family owner;
} kept = {.lock = SPINLOCK_INIT(RANK_VM_RANGE),
          .images = LIST_INIT(kept.images),
          .owner = {.sched = SCHED_FAMILY_INIT(kept.owner.sched),
                    .refs = 1,
                    .areas = LIST_INIT(kept.owner.areas),
                    .members = LIST_INIT(kept.owner.members)}};

static struct image *find(struct mm *mm, uaddr_t address)
{
    struct image *im;

    list_for_each (im, &mm->images, node) {
        if (im->start <= address && address < im->end)
            return im;
    }
    return NULL;
}

uaddr_t image_of(struct mm *mm, uaddr_t address)
{
    struct image *im = find(mm, address);
    return im ? im->start : 0;
}

bool images_reach(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct image *im;

    list_for_each (im, &mm->images, node) {
        if (im->start < end && start < im->end)
            return true;
    }
    return false;
}

/* ---- what is kept ---- */

static void unlink_kept(struct image *im) HELD(kept.lock)
{
    list_remove(&im->node);
    kept.pages -= im->pages;
    kept.count--;
}

/* No longer in the list: its pages and areas go. */
static void discard(struct image *im)
{
    uaddr_t zone;

    pages_drop(NULL, im->start, im->end);
    for (unsigned i = 0; patch_kept_zone(&im->patches, i, &zone); i++) {
        pages_drop(NULL, zone, zone + PATCH_ZONE_BYTES);
        range_release(&kept.owner, zone, zone + PATCH_ZONE_BYTES);
    }
    range_release(&kept.owner, im->start, im->end);
    patch_kept_free(&im->patches);
    kfree(im);
}

static bool reaches(const struct image *im, uaddr_t start, uaddr_t end)
{
    uaddr_t zone;

    if (im->start < end && start < im->end)
        return true;
    for (unsigned i = 0; patch_kept_zone(&im->patches, i, &zone); i++) {
        if (zone < end && start < zone + PATCH_ZONE_BYTES)
            return true;
    }
    return false;
}

void images_evict(uaddr_t start, uaddr_t end)
{
    struct image *im, *tmp;
    struct list gone = LIST_INIT(gone), *n;

    spin_lock(&kept.lock);
    list_for_each_safe (im, tmp, &kept.images, node) {
        if (reaches(im, start, end)) {
            unlink_kept(im);
            list_append(&gone, &im->node);
        }
    }
    spin_unlock(&kept.lock);
    while ((n = list_pop(&gone)))
        discard(list_entry(n, struct image, node));
}

bool images_shrink(void)
{
    struct image *im = NULL;

    spin_lock(&kept.lock);
    if (!list_empty(&kept.images)) {
        im = list_entry(kept.images.next, struct image, node);
        unlink_kept(im);
    }
    spin_unlock(&kept.lock);
    if (im)
        discard(im);
    return im != NULL;
}

/* ---- placing ---- */

/* At the fixed place of a program a part of it will do. */
static bool serves(const struct image *im, const struct image *wanted, uaddr_t start)
{
    if (im->identity != wanted->identity)
        return false;
    if (!start)
        return im->offset == wanted->offset && im->end - im->start == wanted->end;
    return im->start - im->offset == start - wanted->offset && im->start >= start &&
           im->end <= start + wanted->end;
}

/* `wanted` has what it shall be, and lies at 0; the place is `start`, if that is not 0. */
static struct image *take_kept(const struct image *wanted, uaddr_t start, bool text)
{
    struct image *im;

    spin_lock(&kept.lock);
    /* The youngest first: its pages are in the caches. */
    for (struct list *l = kept.images.prev; l != &kept.images; l = l->prev) {
        im = list_entry(l, struct image, node);
        if (serves(im, wanted, start) && (text || !im->text)) {
            unlink_kept(im);
            spin_unlock(&kept.lock);
            return im;
        }
    }
    spin_unlock(&kept.lock);
    return NULL;
}

static bool zone_map(struct mm *mm, uaddr_t zone)
{
    struct vma *v = kzalloc(sizeof(*v));

    if (!v)
        return false;
    *v = (struct vma){.start = zone,
                      .end = zone + PATCH_ZONE_BYTES,
                      .prot = PROT_READ | PROT_EXEC,
                      .max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
                      .file_limit = UINT64_MAX,
                      .name = "[trampolines]"};
    vma_insert(mm, v);
    return true;
}

static void zone_unmap(struct mm *mm, uaddr_t zone)
{
    struct vma *v = vma_at(mm, zone);

    vma_remove(mm, v);
    vma_free(v);
}

/* Kept pages are mm's. */
static void pages_own(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        if (state & PAGE_KEPT) {
            present_set(start, next, state & (uint8_t)~PAGE_KEPT);
            atomic_fetch_add(&mm->resident_pages, (next - start) / PAGE_SIZE);
        }
        start = next;
    }
}

static void take_area(struct mm *mm, uaddr_t start, uaddr_t end)
{
    bool moved = range_hand_over(mm->family, &kept.owner, start, end);
    assert(moved);
}

/* The areas become mm's, with the trampolines' mappings in place. */
static bool attach(struct mm *mm, struct image *im)
{
    unsigned zones = 0;
    uaddr_t zone;

    if (!patch_ready(mm))
        return false;
    for (; patch_kept_zone(&im->patches, zones, &zone); zones++) {
        if (zone_map(mm, zone))
            continue;
        while (zones--) {
            (void)patch_kept_zone(&im->patches, zones, &zone);
            zone_unmap(mm, zone);
        }
        return false;
    }
    for (unsigned i = 0; i < zones && patch_kept_zone(&im->patches, i, &zone); i++) {
        take_area(mm, zone, zone + PATCH_ZONE_BYTES);
        pages_own(mm, zone, zone + PATCH_ZONE_BYTES);
    }
    patch_attach(mm, &im->patches);
    take_area(mm, im->start, im->end);
    list_push(&mm->images, &im->node);
    im->fresh = im->kept = true;
    return true;
}

static int64_t place_new(struct mm *mm, const struct image *wanted, uint64_t alignment)
{
    struct image *im = kzalloc(sizeof(*im));

    if (!im)
        return -ENOMEM;
    int64_t at = range_random(mm, wanted->end, alignment, false);
    if (at < 0) {
        kfree(im);
        return at;
    }
    *im = *wanted;
    list_init(&im->patches.zones);
    im->start = (uaddr_t)at;
    im->end += im->start;
    list_push(&mm->images, &im->node);
    return at;
}

static int64_t place(struct mm *mm, struct image *im, const struct image *wanted,
                     uint64_t alignment)
{
    if (im && im->start % alignment == 0 && attach(mm, im))
        return (int64_t)im->start;
    if (im)
        discard(im);
    return place_new(mm, wanted, alignment);
}

/* Rewritten text is for those alone who run it: a dynamic linker, which tells itself by
 * MAP_DENYWRITE. Others map a file to read it. */
int64_t image_place(struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    struct image wanted = {.offset = a->offset, .end = length};

    if (a->file && a->file_ops->identity && (a->flags & MAP_TYPE) == MAP_PRIVATE &&
        !(a->prot & PROT_WRITE) && !(a->flags & MAP_32BIT) && length <= IMAGE_MAX_BYTES &&
        !family_kin(mm))
        wanted.identity = a->file_ops->identity(a->file);
    if (!wanted.identity)
        return 0;
    return place(mm, take_kept(&wanted, 0, a->flags & MAP_DENYWRITE), &wanted, PAGE_SIZE);
}

int64_t vm_find_image(struct mm *mm, void *file, const struct vm_file_ops *ops, uint64_t length,
                      uint64_t alignment)
{
    struct image wanted = {.end = align_up(length, PAGE_SIZE)};
    int64_t at;

    if (ops->identity && wanted.end <= IMAGE_MAX_BYTES)
        wanted.identity = ops->identity(file);
    alignment = MAX(alignment, PAGE_SIZE);
    mutex_lock(&mm->lock);
    if (wanted.identity)
        at = place(mm, take_kept(&wanted, 0, true), &wanted, alignment);
    else
        at = range_random(mm, wanted.end, alignment, false);
    mutex_unlock(&mm->lock);
    return at;
}

int vm_claim_image(struct mm *mm, void *file, const struct vm_file_ops *ops, uaddr_t start,
                   uint64_t length)
{
    struct image wanted = {.end = align_up(length, PAGE_SIZE)}, *im = NULL;
    int e = 0;

    if (ops->identity && wanted.end <= IMAGE_MAX_BYTES)
        wanted.identity = ops->identity(file);
    mutex_lock(&mm->lock);
    if (wanted.identity)
        im = take_kept(&wanted, start, true);
    if (im && !attach(mm, im)) {
        discard(im);
        im = NULL;
    }
    mm->program.start = start;
    mm->program.end = start + wanted.end;
    if (im)
        im->fresh = false; /* it is mapped part by part */
    if (!im || im->end - im->start < wanted.end)
        e = range_claim_fixed(mm, start, start + wanted.end);
    if (!im && !e && wanted.identity && (im = kzalloc(sizeof(*im)))) {
        *im = wanted;
        list_init(&im->patches.zones);
        im->start = start;
        im->end += start;
        list_push(&mm->images, &im->node);
    }
    mutex_unlock(&mm->lock);
    return e;
}

/* Can pages of `v` be those of the image's file at their place? */
static bool fits(const struct image *im, const struct vma *v)
{
    return im && v->file && !v->shared && !v->changed &&
           v->offset - im->offset == v->start - im->start && v->file_ops->identity &&
           v->file_ops->identity(v->file) == im->identity;
}

/* A dynamic linker maps a library as a whole, then its parts with their permissions. Until it
 * does something else the whole has those that the parts had before. LIMIT: in between it could
 * execute text that it has mapped for reading only, write data, and see rewritten calls. */
void image_laid_out(struct mm *mm)
{
    struct image *im = mm->laid_out;

    mm->laid_out = NULL;
    for (struct vma *v = im ? vma_next_from(mm, im->start) : NULL; v && v->start < im->end;
         v = vma_next(v)) {
        pages_drop_spare(v->start, v->end, PAGE_WARM);
        if (!(v->prot & PROT_EXEC))
            patch_restore(mm, v->start, v->end);
        pages_set_prot(v, v->start, v->end);
    }
}

bool image_lays_out(struct mm *mm, uaddr_t start, uint64_t length)
{
    struct image *im = mm->laid_out;
    return im && start >= im->start && start < im->end && length <= im->end - start;
}

/* The first image that reaches into [start,end). */
static struct image *next_image(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct image *im, *first = NULL;

    list_for_each (im, &mm->images, node) {
        if (im->start < end && start < im->end && (!first || im->start < first->start))
            first = im;
    }
    return first;
}

/* `v` has been placed where `im` is, or nothing. */
static void settle_part(struct mm *mm, struct vma *v, struct image *im, uaddr_t start,
                        uaddr_t end)
{
    if (!fits(im, v) || !im->kept) {
        pages_drop_spare(start, end, PAGE_KEPT);
        return;
    }
    bool whole = im->fresh && im->text && v->start == im->start && v->end == im->end;
    im->fresh = false;
    pages_own(mm, start, end);
    if (!whole) {
        pages_set_prot(v, start, end);
        return;
    }
    mm->laid_out = im;
    if (!atomic_load(&mm->sched.family))
        warm_fill(mm, v);
    else /* others may not come in the midst of that */
        pages_drop_spare(start, end, PAGE_WARM);
}

void image_settle(struct mm *mm, struct vma *v)
{
    for (uaddr_t at = v->start; at < v->end;) {
        struct image *im = next_image(mm, at, v->end);
        uaddr_t start = im ? MAX(at, im->start) : v->end;
        uaddr_t end = im ? MIN(v->end, im->end) : v->end;
        settle_part(mm, v, NULL, at, start);
        if (im)
            settle_part(mm, v, im, start, end);
        at = end;
    }
}

void images_drop_spare(struct mm *mm, uint8_t ways)
{
    struct image *im;

    list_for_each (im, &mm->images, node)
        pages_drop_spare(im->start, im->end, ways);
}

/* ---- leaving ---- */

/* Data of a program: its pages stay, without what it wrote. */
static void leave_data(struct mm *mm, struct vma *v)
{
    if (!v->shared && v->changed)
        pages_make_warm(mm, v->start, v->end, false);
    pages_drop_own(mm, v->start, v->end);
    vma_remove(mm, v);
    vma_free(v);
}

/* The mapping goes, its pages stay. */
static void leave_text(struct mm *mm, struct vma *v)
{
    uint8_t state;

    pages_set_prot(v, v->start, v->end);
    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        if (state & PAGE_PRESENT) {
            uint8_t stays = PAGE_PRESENT | PAGE_KEPT;
            present_set(at, next, (uint8_t)(stays | (state & PAGE_PERMS)));
        }
        at = next;
    }
    vma_remove(mm, v);
    vma_free(v);
}

static uint64_t count_kept(uaddr_t start, uaddr_t end)
{
    uint64_t pages = 0;
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        if (state & (PAGE_KEPT | PAGE_WARM))
            pages += (next - start) / PAGE_SIZE;
        start = next;
    }
    return pages;
}

static bool zones_whole(struct mm *mm, const struct image *im)
{
    uaddr_t zone;

    for (unsigned i = 0; patch_kept_zone(&im->patches, i, &zone); i++) {
        struct vma *v = vma_at(mm, zone);
        if (!v || v->start != zone || v->end != zone + PATCH_ZONE_BYTES || v->changed ||
            v->prot != (PROT_READ | PROT_EXEC) || v->shared || v->file)
            return false;
    }
    return true;
}

/* Text that came since the last time may hold another one. */
static void rewrite_cpuid(struct mm *mm, struct image *im) HELD(mm->lock)
{
    uint64_t pages = 0;
    uint8_t state;

    for (uaddr_t at = im->start; at < im->end;) {
        uaddr_t next = present_run(at, im->end, &state);
        if (state & PAGES_X)
            pages += (next - at) / PAGE_SIZE;
        at = next;
    }
    if (pages == im->searched)
        return;
    im->searched = pages;
    for (struct vma *v = vma_next_from(mm, im->start); v && v->start < im->end;
         v = vma_next(v)) {
        if (fits(im, v) && (v->prot & PROT_EXEC))
            patch_cpuid(mm, v);
    }
}

static struct vma *next_fitting(struct mm *mm, const struct image *im, uaddr_t from)
{
    struct vma *v = vma_next_from(mm, from);

    while (v && v->end <= im->end && !fits(im, v))
        v = vma_next(v);
    return v && v->start >= im->start && v->end <= im->end ? v : NULL;
}

/* False: nothing of it can be kept, and nothing has happened but to its sites. */
static bool detach(struct mm *mm, struct image *im)
{
    struct vma *v = vma_next_from(mm, im->start);
    uaddr_t zone;

    if (!next_fitting(mm, im, im->start))
        return false;
    for (; v && v->start < im->end; v = vma_next(v)) {
        if (v->shared || v->start < im->start || v->end > im->end)
            return false;
        if (!fits(im, v))
            patch_forget(mm, v->start, v->end);
    }
    if (!patch_detach(mm, im->start, im->end, &im->patches) || !zones_whole(mm, im))
        return false;
    im->text = false;
    while ((v = next_fitting(mm, im, im->start))) {
        im->text |= (v->prot & PROT_EXEC) != 0;
        leave_text(mm, v);
    }
    while ((v = vma_next_from(mm, im->start)) && v->start >= im->start && v->end <= im->end)
        leave_data(mm, v);
    im->pages = count_kept(im->start, im->end);
    for (unsigned i = 0; patch_kept_zone(&im->patches, i, &zone); i++) {
        leave_text(mm, vma_at(mm, zone));
        im->pages += count_kept(zone, zone + PATCH_ZONE_BYTES);
    }
    return true;
}

/* What is left of [*start,*end) without [from,to): the larger side. */
static void cut(uaddr_t *start, uaddr_t *end, uaddr_t from, uaddr_t to)
{
    if (from >= *end || to <= *start || from >= to)
        return;
    uint64_t below = from > *start ? from - *start : 0, above = to < *end ? *end - to : 0;
    if (below > above)
        *end = from;
    else
        *start = *end - above;
}

/* What nobody else uses, or will. */
static void free_part(struct mm *mm, uaddr_t *start, uaddr_t *end)
{
    struct image *other;

    for (struct mm *m = family_other(mm, NULL); m; m = family_other(mm, m)) {
        cut(start, end, m->coming.start, m->coming.end);
        cut(start, end, m->program.start, m->program.end);
        cut(start, end, m->brk_start, m->brk_limit);
        list_for_each (other, &m->images, node)
            cut(start, end, other->start, other->end);
        for (struct vma *v = vma_next_from(m, *start); v && v->start < *end; v = vma_next(v))
            cut(start, end, v->start, v->end);
    }
}

/* The image becomes what can be kept of it, with mappings that end there. */
static void trim(struct mm *mm, struct image *im)
{
    uaddr_t start = im->start, end = im->end;

    if (atomic_load(&mm->sched.family))
        free_part(mm, &start, &end);
    if (start >= end || vma_split(mm, start) || vma_split(mm, end))
        start = end = im->start;
    pages_drop_spare(im->start, start, PAGE_KEPT | PAGE_WARM);
    pages_drop_spare(end, im->end, PAGE_KEPT | PAGE_WARM);
    patch_image_moved(mm, im->start, start);
    im->offset += start - im->start;
    im->start = start;
    im->end = end;
}

void images_detach(struct mm *mm, struct list *out)
{
    struct image *im;
    struct list *n;

    image_laid_out(mm);
    list_for_each (im, &mm->images, node) {
        trim(mm, im);
        rewrite_cpuid(mm, im);
    }
    while ((n = list_pop(&mm->images))) {
        im = list_entry(n, struct image, node);
        if (detach(mm, im)) {
            list_append(out, n);
        } else {
            patch_kept_free(&im->patches);
            kfree(im);
        }
    }
}

static bool give_area(struct mm *mm, uaddr_t start, uaddr_t end)
{
    return range_hand_over(&kept.owner, mm->family, start, end) ||
           !range_move(&kept.owner, mm->family, start, end);
}

/* The areas change hands. A zone that was put into an area of another kind cannot. */
static bool give_areas(struct mm *mm, struct image *im)
{
    uaddr_t zone;

    if (!give_area(mm, im->start, im->end))
        return false;
    for (unsigned i = 0; patch_kept_zone(&im->patches, i, &zone); i++) {
        if (!give_area(mm, zone, zone + PATCH_ZONE_BYTES))
            return false;
    }
    return true;
}

static bool too_many(void)
{
    uint64_t limit = boot_info->memory_bytes / KEPT_FRACTION / PAGE_SIZE;

    spin_lock(&kept.lock);
    bool many = kept.count > KEPT_MAX_COUNT || kept.pages > limit;
    spin_unlock(&kept.lock);
    return many;
}

void images_keep(struct mm *mm, struct list *detached)
{
    struct list *n;

    while ((n = list_pop(detached))) {
        struct image *im = list_entry(n, struct image, node);
        if (!give_areas(mm, im)) {
            discard(im);
            continue;
        }
        spin_lock(&kept.lock);
        list_append(&kept.images, n);
        kept.pages += im->pages;
        kept.count++;
        spin_unlock(&kept.lock);
    }
    while (too_many() && images_shrink())
        ;
}

void images_forget(struct mm *mm)
{
    struct list *n;

    mm->laid_out = NULL;
    while ((n = list_pop(&mm->images)))
        kfree(list_entry(n, struct image, node));
}

/* The other threads of a process may not see what it has unmapped. */
void images_unmap(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct list left = LIST_INIT(left);
    struct image *im, *tmp;

    list_for_each_safe (im, tmp, &mm->images, node) {
        struct vma *v = vma_at(mm, im->start);
        if (im->start < start || im->end > end || atomic_load(&mm->sched.family) || !v ||
            v->start != im->start || v->end != im->end || (v->prot & PROT_EXEC) || !fits(im, v))
            continue;
        v->prot = PROT_NONE;
        list_remove(&im->node);
        list_push(detach(mm, im) ? &left : &mm->images, &im->node);
    }
    image_laid_out(mm);
    images_keep(mm, &left);
}

static void release(struct mm *mm, struct image *im) HELD(mm->lock)
{
    uaddr_t zone;

    while (patch_zone_take(mm, im->start, &zone)) {
        int e = unmap_locked(mm, zone, zone + PATCH_ZONE_BYTES);
        if (e)
            log_debug("trampolines of an image could not be unmapped");
        else
            range_release(mm->family, zone, zone + PATCH_ZONE_BYTES);
    }
    pages_drop(mm, im->start, im->end); /* kept ones that were never mapped again */
    range_release(mm->family, im->start, im->end);
    list_remove(&im->node);
    if (mm->laid_out == im)
        mm->laid_out = NULL;
    if (mm->reuse_address >= im->start && mm->reuse_address < im->end)
        mm->reuse_pages = 0;
    kfree(im);
}

void images_unmapped(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct image *im, *tmp;

    if (atomic_load(&mm->sched.family))
        return;
    list_for_each_safe (im, tmp, &mm->images, node) {
        struct vma *v = vma_next_from(mm, im->start);
        if (im->start < end && start < im->end && (!v || v->start >= im->end))
            release(mm, im);
    }
}
