/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user range and its owners. Every process has areas of its own: a first one at a random
 * place, more as it needs, one for each mapping elsewhere that it asks for by address. Random
 * places have a page's granularity; what lies below 4 GiB is left to programs linked at fixed
 * addresses and to MAP_32BIT. What is large lies together above the range's first quarter, and
 * everything else in it, so that terabytes are free in one piece (MariaDB reserves 8, twice).
 */
#include "abi/errno.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "lib/log.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

#define AREA_BYTES (128ull << 20)
#define AREA_SMALL (8ull << 20) /* where there is no room for that */
#define RANDOM_LOW (4ull << 30)
#define LOW_END    (2ull << 30)
#define HUGE_BYTES (2ull << 20)
#define TRIES      64
#define LARGE      (64ull << 30)
#define ROOM       (4ull << 40) /* ranges below that are not divided */

static struct spinlock range_lock = SPINLOCK_INIT(RANK_VM_RANGE);
static struct rb_root ranges;

/* First area that ends above `address`. */
static struct area *area_from(uaddr_t address) HELD(range_lock)
{
    struct rb_node *n = ranges.node;
    struct area *best = NULL;

    while (n) {
        struct area *a = container_of(n, struct area, node);
        if (a->end > address) {
            best = a;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

static bool is_free(uaddr_t start, uaddr_t end) HELD(range_lock)
{
    struct area *a = area_from(start);
    return !a || a->start >= end;
}

static void area_insert(struct family *f, struct area *new) HELD(range_lock)
{
    struct rb_node **link = &ranges.node, *parent = NULL;

    while (*link) {
        parent = *link;
        struct area *a = container_of(parent, struct area, node);
        link = new->start < a->start ? &parent->left : &parent->right;
    }
    rb_insert(&ranges, parent, link, &new->node);
    new->family = f;
    new->cursor = new->end;
    list_push(&f->areas, &new->in_family);
}

/* Where an area may lie: [from, to). */
static void placing(uint64_t length, bool low, uaddr_t *from, uaddr_t *to)
{
    uint64_t all = enclave.user_end - enclave.user_start;

    *from = enclave.user_start + (low ? 0 : RANDOM_LOW);
    *to = low ? MIN(LOW_END, enclave.user_end) : enclave.user_end;
    if (low || all < ROOM)
        return;
    uaddr_t quarter = enclave.user_start + all / 4;
    if (length < LARGE) {
        *to = quarter;
    } else if (length < all / 2) {
        *from = quarter;
        *to = MIN(*to, quarter + length + all / 32);
    }
}

static bool place_random(struct family *f, struct area *a, uint64_t alignment, bool low)
{
    uint64_t length = a->end;
    uaddr_t from, to;
    bool placed = false;

    placing(length, low, &from, &to);
    if (from >= to || length > to - from)
        return false;
    for (int i = 0; i < TRIES && !placed; i++) {
        uint64_t slots = (to - from - length) / PAGE_SIZE + 1;
        uaddr_t start = align_down(from + random_below(slots) * PAGE_SIZE, alignment);
        if (start < from)
            continue;
        spin_lock(&range_lock);
        placed = is_free(start, start + length);
        if (placed) {
            a->start = start;
            a->end = start + length;
            area_insert(f, a);
        }
        spin_unlock(&range_lock);
    }
    return placed;
}

/* The random search has failed: the lowest gap that is large enough. */
static bool place_first(struct family *f, struct area *a, uint64_t alignment, bool low)
{
    uint64_t length = a->end;
    uaddr_t start, limit;

    placing(length, low, &start, &limit);
    start = align_up(start, alignment);
    limit = low ? limit : enclave.user_end;

    spin_lock(&range_lock);
    for (struct area *b = area_from(start); b && b->start < start + length;) {
        start = align_up(b->end, alignment);
        b = area_from(start);
    }
    bool ok = start < limit && length <= limit - start;
    if (ok) {
        a->start = start;
        a->end = start + length;
        area_insert(f, a);
    }
    spin_unlock(&range_lock);
    return ok;
}

static struct area *area_new(struct family *f, uint64_t length, uint64_t alignment, bool low)
{
    struct area *a = kzalloc(sizeof(*a));

    if (!a)
        return NULL;
    a->end = length;
    if (place_random(f, a, alignment, low))
        return a;
    a->start = 0;
    a->end = length;
    if (place_first(f, a, alignment, low))
        return a;
    kfree(a);
    return NULL;
}

int64_t range_random(struct mm *mm, uint64_t length, uint64_t alignment, bool low)
{
    struct area *a = area_new(mm->family, length, alignment, low);

    return a ? (int64_t)a->start : -ENOMEM;
}

int64_t range_random_for(struct family *f, uint64_t length)
{
    struct area *a = area_new(f, length, PAGE_SIZE, false);

    return a ? (int64_t)a->start : -ENOMEM;
}

/* Going down from `end`, the highest gap of `length` in the area. */
static uaddr_t gap_below(struct mm *mm, const struct area *a, uaddr_t end, uint64_t length)
{
    while (end - a->start >= length) {
        struct vma *v = vma_next_from(mm, end - length);
        if (!v || v->start >= end)
            return end - length;
        /* The highest mapping that reaches into the candidate decides. */
        for (struct vma *w = vma_next(v); w && w->start < end; w = vma_next(w))
            v = w;
        end = v->start;
        if (end <= a->start)
            break;
    }
    return 0;
}

int64_t range_find(struct mm *mm, uint64_t length)
{
    struct area *a;

    list_for_each (a, &mm->family->areas, in_family) {
        if (a->search != mm || a->end - a->start < length)
            continue;
        uaddr_t at = gap_below(mm, a, a->cursor, length);
        if (!at && a->cursor < a->end)
            at = gap_below(mm, a, a->end, length);
        if (at) {
            a->cursor = at;
            return (int64_t)at;
        }
    }
    /* What is large begins where a huge page could, as on Linux. */
    a = area_new(mm->family,
                 length >= AREA_BYTES / 4 ? align_up(length, HUGE_BYTES) : AREA_BYTES,
                 length >= LARGE ? HUGE_BYTES : PAGE_SIZE, false);
    if (!a)
        a = area_new(mm->family, MAX(length, AREA_SMALL), PAGE_SIZE, false);
    if (!a)
        return -ENOMEM;
    a->search = mm;
    a->cursor = a->end - length;
    return (int64_t)a->cursor;
}

int range_claim(struct mm *mm, uaddr_t start, uaddr_t end)
{
    while (start < end) {
        struct area *fresh = kzalloc(sizeof(*fresh));
        if (!fresh)
            return -ENOMEM;
        spin_lock(&range_lock);
        struct area *a = area_from(start);
        bool other = a && a->start < end && a->family != mm->family;
        if (!other && (!a || a->start > start)) {
            fresh->start = start;
            fresh->end = a ? MIN(a->start, end) : end;
            start = fresh->end;
            area_insert(mm->family, fresh);
            fresh = NULL;
        } else if (!other) {
            start = a->end;
        }
        spin_unlock(&range_lock);
        kfree(fresh);
        if (other)
            return -EBUSY;
    }
    return 0;
}

static struct area *area_exactly(struct family *f, uaddr_t start, uaddr_t end) HELD(range_lock)
{
    struct area *a = area_from(start);
    return a && a->start == start && a->end == end && a->family == f ? a : NULL;
}

bool range_hand_over(struct family *to, struct family *from, uaddr_t start, uaddr_t end)
{
    spin_lock(&range_lock);
    struct area *a = area_exactly(from, start, end);
    if (a) {
        list_remove(&a->in_family);
        a->family = to;
        a->search = NULL;
        list_push(&to->areas, &a->in_family);
    }
    spin_unlock(&range_lock);
    return a != NULL;
}

void range_release(struct family *f, uaddr_t start, uaddr_t end)
{
    spin_lock(&range_lock);
    struct area *a = area_exactly(f, start, end);
    if (a) {
        list_remove(&a->in_family);
        rb_remove(&ranges, &a->node);
        present_forget(start, end, is_free);
    }
    spin_unlock(&range_lock);
    kfree(a);
}

void range_fork(struct mm *mm)
{
    struct area *a;

    spin_lock(&range_lock);
    list_for_each (a, &mm->family->areas, in_family)
        a->known |= a->search == mm;
    spin_unlock(&range_lock);
}

bool range_intrudes(struct mm *mm, struct mm *other)
{
    bool found = false;
    struct area *a;

    spin_lock(&range_lock);
    list_for_each (a, &mm->family->areas, in_family) {
        if (a->search != mm || a->known)
            continue;
        struct vma *v = vma_next_from(other, a->start);
        found |= v && v->start < a->end;
    }
    spin_unlock(&range_lock);
    return found;
}

bool range_secret(struct mm *mm, uaddr_t at, uaddr_t *end)
{
    spin_lock(&range_lock);
    struct area *a = area_from(at);
    bool secret = a && a->start <= at && a->search == mm && !a->known;
    if (a)
        *end = MIN(*end, a->start <= at ? a->end : a->start);
    spin_unlock(&range_lock);
    return secret;
}

void range_freed(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct area *a;

    list_for_each (a, &mm->family->areas, in_family) {
        if (a->search == mm && start >= a->start && end <= a->end) {
            a->cursor = MAX(a->cursor, end);
            return;
        }
    }
}

struct family *family_new(void)
{
    struct family *f = kzalloc(sizeof(*f));

    if (f) {
        sched_family_init(&f->sched);
        atomic_init(&f->refs, 1);
        list_init(&f->areas);
        list_init(&f->members);
    }
    return f;
}

static bool nothing_left(const struct area *a)
{
    uint8_t state;

    return present_run(a->start, a->end, &state) == a->end && !state;
}

static void take_areas(struct family *f, struct list *areas) HELD(range_lock)
{
    struct list *n;

    while ((n = list_pop(&f->areas))) {
        struct area *a = list_entry(n, struct area, in_family);
        assert(nothing_left(a)); /* whoever comes next would take it for its own */
        rb_remove(&ranges, &a->node);
        present_forget(a->start, a->end, is_free);
        list_append(areas, n);
    }
}

static void free_areas(struct list *areas)
{
    struct list *n;

    while ((n = list_pop(areas)))
        kfree(list_entry(n, struct area, in_family));
}

void range_release_all(struct family *f)
{
    struct list areas = LIST_INIT(areas);

    spin_lock(&range_lock);
    take_areas(f, &areas);
    spin_unlock(&range_lock);
    free_areas(&areas);
}

/* The last reference goes together with the areas: who looks them up (range_rival) finds no
 * family that nobody refers to. */
void family_put(struct family *f)
{
    struct list areas = LIST_INIT(areas);

    if (!f)
        return;
    spin_lock(&range_lock);
    bool last = atomic_fetch_sub(&f->refs, 1) == 1;
    if (last)
        take_areas(f, &areas);
    spin_unlock(&range_lock);
    if (!last)
        return;
    free_areas(&areas);
    sched_wait_watchers();
    vm_object_free(f->object);
    kfree(f);
}

void range_merge(struct family *to, struct family *from)
{
    struct list *n;

    spin_lock(&range_lock);
    while ((n = list_pop(&from->areas))) {
        struct area *a = list_entry(n, struct area, in_family);
        a->family = to;

        list_append(&to->areas, &a->in_family);
    }
    spin_unlock(&range_lock);
}

struct family *range_rival(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct family *rival = NULL;

    spin_lock(&range_lock);
    for (uaddr_t at = start; at < end && !rival;) {
        struct area *a = area_from(at);
        if (!a || a->start >= end)
            break;
        if (a->family != mm->family)
            rival = a->family;
        at = a->end;
    }
    if (rival)
        atomic_fetch_add(&rival->refs, 1);
    spin_unlock(&range_lock);
    return rival;
}

static bool all_of(struct family *f, uaddr_t start, uaddr_t end) HELD(range_lock)
{
    while (start < end) {
        struct area *a = area_from(start);
        if (!a || a->start > start || a->family != f)
            return false;
        start = a->end;
    }
    return true;
}

/* Makes `at` a border between areas if it lies inside one; `spare` is used then. */
static bool area_split(uaddr_t at, struct area *spare) HELD(range_lock)
{
    struct area *a = area_from(at);

    if (!a || a->start >= at)
        return false;
    *spare = (struct area){.start = at, .end = a->end, .search = a->search, .known = a->known};
    a->end = at;
    a->cursor = MIN(a->cursor, at);
    area_insert(a->family, spare);
    return true;
}

/* The areas of [start,end), which are from's, become one of `to`; the others go to `spare`. */
static void join_areas(struct family *to, uaddr_t start, uaddr_t end, struct list *spare)
    HELD(range_lock)
{
    struct area *first = area_from(start), *a;

    while (first->end < end) {
        a = area_from(first->end);
        first->end = a->end;
        rb_remove(&ranges, &a->node);
        list_remove(&a->in_family);
        list_append(spare, &a->in_family);
    }
    list_remove(&first->in_family);
    first->family = to;
    first->search = NULL;
    first->cursor = end;
    list_append(&to->areas, &first->in_family);
}

int range_move(struct family *to, struct family *from, uaddr_t start, uaddr_t end)
{
    struct area *low = kzalloc(sizeof(*low)), *high = kzalloc(sizeof(*high));
    struct list spare = LIST_INIT(spare);
    int e = -ENOMEM;

    if (!low || !high)
        goto out;
    spin_lock(&range_lock);
    if (all_of(from, start, end)) {
        e = 0;
        if (area_split(start, low))
            low = NULL;
        if (area_split(end, high))
            high = NULL;
        join_areas(to, start, end, &spare);
    }
    spin_unlock(&range_lock);
    free_areas(&spare);
out:
    kfree(low);
    kfree(high);
    return e;
}
