/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Warm pages: in place, writable, zeroed, and of no mapping; they wait for the next mapping of
 * their place. An image's data has them between two processes, and a process that maps and
 * unmaps one small piece over and over. What comes to own them zeroes them again, since whoever
 * has a stray pointer could have written there.
 */
#include "enclave/pages.h"
#include "lib/log.h"
#include "mm/internal.h"
#include "mm/user.h"

#define WARM_MAX_PAGES 16u
#define WARM_AFTER     8u
#define RW             (PAGES_R | PAGES_W)

static bool zero(uaddr_t start, uaddr_t end)
{
    return user_clear_present(start, end - start) == 0;
}

/* A run of pages that is mapped and has one state. */
static void make_run(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    uint64_t count = (end - start) / PAGE_SIZE;

    if ((state & PAGE_PERMS) != RW)
        enclave_pages_protect(start, count, state & PAGE_PERMS, RW);
    if (!zero(start, end))
        panic("a page of a program cannot be cleared");
    present_set(start, end, PAGE_PRESENT | PAGE_WARM | RW);
    atomic_fetch_sub(&mm->resident_pages, count);
}

void pages_make_warm(struct mm *mm, uaddr_t start, uaddr_t end, bool writable)
{
    uint8_t state;

    while (start < end) {
        uaddr_t next = present_run(start, end, &state);
        bool spare = state & (PAGE_WARM | PAGE_KEPT);
        bool can = writable ? (state & PAGE_PERMS) == RW : !(state & PAGES_X);
        if ((state & PAGE_PRESENT) && !spare && can)
            make_run(mm, start, next, state);
        start = next;
    }
}

/* [start,end) is warm, and part of `v`. False: the pages are to be given back. */
static bool own_run(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    int64_t filled = (int64_t)end;

    if (!zero(start, end))
        return false;
    present_set(start, end, PAGE_PRESENT | RW);
    if (v->file)
        filled = pages_fill(v, start, end);
    if (filled < (int64_t)end)
        present_set(filled < 0 ? start : (uaddr_t)filled, end, PAGE_PRESENT | PAGE_WARM | RW);
    if (filled > (int64_t)start)
        pages_count(mm, ((uaddr_t)filled - start) / PAGE_SIZE);
    return filled == (int64_t)end;
}

void vm_prepare(struct mm *mm, uaddr_t start, uint64_t length)
{
    uaddr_t end = start + length;

    mutex_lock(&mm->lock);
    if (!present_reserve(start, end) && !user_pages_add(start, length / PAGE_SIZE))
        present_set(start, end, PAGE_PRESENT | PAGE_WARM | RW);
    mutex_unlock(&mm->lock);
}

void warm_settle(struct mm *mm, struct vma *v)
{
    /* Filling takes a while, in which other members would meet half a page. */
    bool fits =
        !v->shared && v->prot != PROT_NONE && !(v->file && atomic_load(&mm->sched.family));
    uint8_t state;

    if (image_lays_out(mm, v->start, v->end - v->start) && !(v->prot & PROT_WRITE))
        return; /* what is in place of the library's data is not this one's yet */
    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        if ((state & PAGE_WARM) && (!fits || !own_run(mm, v, at, next)))
            pages_drop_spare(at, next, PAGE_WARM);
        at = next;
    }
    if (fits && !v->object)
        pages_set_prot(v, v->start, v->end);
}

void warm_fill(struct mm *mm, struct vma *v)
{
    uint8_t state;

    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        if (state & PAGE_WARM)
            (void)own_run(mm, v, at, next);
        at = next;
    }
}

/* ---- one small piece, over and over ---- */

void warm_drop(struct mm *mm)
{
    if (mm->reuse_pages)
        pages_drop_spare(mm->reuse_address, mm->reuse_address + mm->reuse_pages * PAGE_SIZE,
                         PAGE_WARM);
}

/* LIMIT: a program that has mapped and unmapped the same small piece often does not fault when
 * it touches it after that. One that ever did is found out: see fault.c. */
bool warm_keep(struct mm *mm, const struct vma *v)
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
    if (mm->reuse_never || ++mm->reuse_count < WARM_AFTER)
        return false;
    return present_run(v->start, v->end, &state) == v->end && (state & PAGE_PRESENT);
}

void warm_fault(struct mm *mm, uaddr_t address)
{
    if (address - mm->reuse_address < mm->reuse_pages * PAGE_SIZE)
        mm->reuse_never = true;
}
