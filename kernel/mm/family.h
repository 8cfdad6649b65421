/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files that make up families: family.c, family_fork.c, family_join.c. */
#pragma once

#include "enclave/pages.h"
#include "mm/internal.h"

/* Protects the lists of members. */
extern struct spinlock family_lock;

/* A page that has become writable is nobody else's, whatever it was. */
static inline bool is_common(uint8_t state)
{
    return (state & PAGE_COMMON) && !(state & PAGES_W);
}

/* Entries of mm->copies: a page's address in kernel memory, its state in the low bits. */
static inline void *copy_page(void *entry)
{
    return (void *)align_down((uint64_t)entry, PAGE_SIZE);
}

static inline uint8_t copy_state(void *entry)
{
    return (uint8_t)((uint64_t)entry % PAGE_SIZE);
}

/* ---- family_copy.c ---- */
/* From or to a page in place. */
void copy_place(void *to, const void *from);
/* A copy of the page in place, nobody's yet, or NULL. */
void *copy_new(uaddr_t at) MUST_CHECK;
/* One more member has it, instead of what is in place. -ENOMEM. */
int copy_add(struct mm *mm, uaddr_t at, void *page, uint8_t state) MUST_CHECK;
/* Frees it unless somebody has it. */
void copy_unused(void *page);
/* An entry that has been removed. */
void copy_drop(void *entry);
/* A copy of the page in place for `mm`. -ENOMEM. */
int copy_take(struct mm *mm, uaddr_t at, uint8_t state) MUST_CHECK;
void copies_drop(struct mm *mm, uaddr_t start, uaddr_t end);
void copies_free(struct mm *mm);
/* Has mm a copy of that page? *end comes down to where the answer may change. */
bool copy_has(struct mm *mm, uaddr_t at, uaddr_t *end);

/* ---- family.c ---- */
void drop_place(uaddr_t start, uaddr_t end);

unsigned member_count(struct family *f);
/* The member after `previous` (NULL: the first). Members do not go while the family is
 * exclusive or its caller has a claim. */
struct mm *next_member(struct family *f, struct mm *previous);
/* The same, leaving out `mm`. */
struct mm *other_member(struct mm *mm, struct mm *previous);

/* Nobody of the family runs but perhaps the caller, and nobody comes in. False: not now. */
bool try_exclusive(struct family *f);
/* For mm, which leaves it: its family. */
struct family *enter_exclusive(struct mm *mm);
void leave_exclusive(struct family *f);
void set_resident(struct family *f, struct mm *mm);
/* Is called as sched_exchange(). */
void family_exchange(struct sched_mm *sched);
/* What of [at,end) is in place and mm's own: the page is that member's who was resident last,
 * of those with private mappings there. Returns the end of the run; *state is 0 if it is not.
 */
uaddr_t own_run(struct mm *mm, uaddr_t at, uaddr_t end, uint8_t *state);
/* Is `at` in a private mapping of mm? *end comes down to where that changes; the mapping,
 * shared or not, or NULL. */
bool private_at(struct mm *mm, uaddr_t at, uaddr_t *end, struct vma **found);
/* Do all but mm and `other` have copies of the page at `at`, or know nothing of it? Only then
 * can it be common to these two. Returns the end of the run with the same answer. */
uaddr_t apart_run(struct mm *mm, struct mm *other, uaddr_t at, uaddr_t end, bool *apart);
/* The others that see a common page get a copy, or, -ENOMEM, none does. */
int family_part_page(struct mm *mm, uaddr_t at) MUST_CHECK;
/* A run of common pages is to be mm's alone: the others that see it get copies. */
int family_part_run(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state) MUST_CHECK;
/* `mm` has a copy of the page at `at`, and it comes in place of what is there. */
void copy_in(struct mm *mm, uaddr_t at, uint8_t now);
/* Where others may come, relatives by fork or not, nothing lies that is not mapped. The caller
 * holds the lock, or all tasks of mm are frozen. */
void keep_nothing(struct mm *mm, bool kin);
