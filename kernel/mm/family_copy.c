/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of members that are not in place: mm->copies has the page's address in kernel memory,
 * with the member's state of it in the low bits. Members that would have the same use one page
 * together; it is not changed, then. Copies are changed by the resident member under its
 * mm->lock, or by who has the family for itself.
 */
#include "abi/errno.h"
#include "lib/log.h"
#include "mm/family.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

void copy_place(void *to, const void *from)
{
    if (user_copy_raw(to, from, PAGE_SIZE))
        panic("a page of a program cannot be copied");
}

void *copy_new(uaddr_t at)
{
    void *page = pages_alloc(1);

    if (page) {
        copy_place(page, (const void *)at);
        *page_note(page) = (struct page_note){0};
    }
    return page;
}

int copy_add(struct mm *mm, uaddr_t at, void *page, uint8_t state)
{
    assert(!(state & (PAGE_WARM | PAGE_KEPT)) && !radix_get(&mm->copies, at / PAGE_SIZE));
    state &= PAGE_PRESENT | PAGE_PERMS; /* PAGE_COMMON says nothing of what is writable */
    int e = radix_set(&mm->copies, at / PAGE_SIZE, (char *)page + state);

    page_note(page)->users += !e;
    return e;
}

void copy_unused(void *page)
{
    if (!page_note(page)->users)
        pages_free(page, 1);
}

void copy_drop(void *entry)
{
    void *page = copy_page(entry);

    assert(page_note(page)->users);
    page_note(page)->users--;
    copy_unused(page);
}

int copy_take(struct mm *mm, uaddr_t at, uint8_t state)
{
    void *page = copy_new(at);

    if (!page)
        return -ENOMEM;
    int e = copy_add(mm, at, page, state);
    copy_unused(page);
    return e;
}

void copies_drop(struct mm *mm, uaddr_t start, uaddr_t end)
{
    for (uaddr_t at = start; at < end && mm->copies.count; at += PAGE_SIZE) {
        void *entry = radix_remove(&mm->copies, at / PAGE_SIZE);
        if (entry)
            copy_drop(entry);
    }
}

void copies_free(struct mm *mm)
{
    uint64_t key = 0;
    void *entry;

    while ((entry = radix_next(&mm->copies, &key))) {
        radix_remove(&mm->copies, key);
        copy_drop(entry);
    }
}

bool copy_has(struct mm *mm, uaddr_t at, uaddr_t *end)
{
    uint64_t key = at / PAGE_SIZE;

    if (!radix_next(&mm->copies, &key))
        return false;
    bool has = key == at / PAGE_SIZE;
    *end = MIN(*end, has ? at + PAGE_SIZE : key * PAGE_SIZE);
    return has;
}
