/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overlapping memories: parent and child after fork, programs linked at the same fixed address.
 * An enclave page has one address, so of the members of a family one is resident: its private
 * pages are in place. What the others have at addresses of their own lies in `copies`.
 *
 * A page of a private mapping is, for a member that has it:
 *   in `copies`             not in place: somebody else's, or nothing, is there
 *   in place, PAGE_COMMON   not writable since the fork, the same for all members that map it
 *   in place                the resident's own
 * Shared mappings stay in place for all. Before a member changes what is common (unmaps it,
 * makes it writable, maps over it), the others get copies (family_part).
 *
 * fork leaves the pages to the child, who usually runs first and soon calls exec, and copies
 * what can have been written for the parent. The exchange swaps page by page where both have
 * one. A member that ends leaves pages in place that the next one will overwrite anyway.
 *
 * Not here: fork and what it leaves common (family_fork.c), who joins and leaves
 * (family_join.c).
 *
 * Only tasks with a claim run (sched/family.c), so nothing here races with the programs; the
 * exclusive state (sched.exchanging) keeps other members out while one joins or leaves.
 */

#include "abi/errno.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/family.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"
#include "mm/user.h"

#define RW (PAGES_R | PAGES_W)

struct spinlock family_lock = SPINLOCK_INIT(RANK_VM_RANGE);

/* ---- copies: page address in kernel memory, with the state in its low bits ---- */

static int copy_put(struct mm *mm, uaddr_t at, void *page, uint8_t state)
{
    return radix_set(&mm->copies, at / PAGE_SIZE, (char *)page + state);
}

/* From or to a page in place. */
static void copy_place(void *to, const void *from)
{
    if (user_copy_raw(to, from, PAGE_SIZE))
        panic("a page of a program cannot be copied");
}

/* A copy of the page in place for `mm`. */
int copy_take(struct mm *mm, uaddr_t at, uint8_t state)
{
    void *page = pages_alloc(1);

    if (!page)
        return -ENOMEM;
    copy_place(page, (const void *)at);
    int e = copy_put(mm, at, page, state);
    if (e)
        pages_free(page, 1);
    return e;
}

void copies_free(struct mm *mm)
{
    uint64_t key = 0;
    void *entry;

    while ((entry = radix_next(&mm->copies, &key))) {
        radix_remove(&mm->copies, key);
        pages_free(copy_page(entry), 1);
    }
}

/* ---- membership ---- */

unsigned member_count(struct family *f)
{
    unsigned n = 0;
    struct list *l;

    spin_lock(&family_lock);
    for (l = f->members.next; l != &f->members; l = l->next)
        n++;
    spin_unlock(&family_lock);
    return n;
}

/* The member after `previous` (NULL: the first). Members do not go while the family is
 * exclusive or its caller has a claim. */
struct mm *next_member(struct family *f, struct mm *previous)
{
    spin_lock(&family_lock);
    struct list *l = previous ? previous->in_family.next : f->members.next;
    spin_unlock(&family_lock);
    return l == &f->members ? NULL : list_entry(l, struct mm, in_family);
}

/* The same, leaving out `mm`. */
struct mm *other_member(struct mm *mm, struct mm *previous)
{
    struct mm *m = next_member(mm->family, previous);

    return m == mm ? next_member(mm->family, m) : m;
}

bool try_exclusive(struct family *f)
{
    spin_lock(&f->sched.lock);
    uint32_t mine = current->claim == &f->sched;
    bool ok = !f->sched.exchanging && !f->moving && f->sched.running == mine;
    if (ok)
        f->sched.exchanging = true;
    else
        f->sched.wanted = true;
    spin_unlock(&f->sched.lock);
    return ok;
}

void enter_exclusive(struct family *f)
{
    while (!try_exclusive(f))
        task_yield();
}

void leave_exclusive(struct family *f)
{
    spin_lock(&f->sched.lock);
    f->sched.exchanging = false;
    spin_unlock(&f->sched.lock);
}

void set_resident(struct family *f, struct mm *mm)
{
    spin_lock(&f->sched.lock);
    f->sched.resident = mm ? &mm->sched : NULL;
    spin_unlock(&f->sched.lock);
}

/* ---- the exchange ---- */

static void make_writable(uaddr_t at, uint8_t *state)
{
    uint32_t perms = *state & PAGE_PERMS;

    if (perms != RW)
        enclave_pages_protect(at, 1, perms, RW);
    *state = PAGE_PRESENT | RW;
}

static void give_perms(uaddr_t at, uint8_t state)
{
    uint32_t perms = state & PAGE_PERMS;

    if (perms != RW)
        enclave_pages_protect(at, 1, RW, perms);
    present_set(at, at + PAGE_SIZE, state);
}

/* One page goes out; if `in` has one for the place, it comes in. False: the place is to be
 * given back. Where there is no memory for it, the page is lost, and with it the process. */
static bool page_out(struct mm *out, struct mm *in, uaddr_t at, uint8_t state)
{
    void *entry = in ? radix_remove(&in->copies, at / PAGE_SIZE) : NULL;
    uint8_t now = state;
    int e;

    if (!entry) {
        if (!(state & PAGES_R))
            make_writable(at, &now);
        e = copy_take(out, at, state);
        if (now != state)
            present_set(at, at + PAGE_SIZE, now);
    } else if ((state & (PAGES_R | PAGES_W)) == PAGES_R && copy_state(entry) == state &&
               user_same_page(at, copy_page(entry))) {
        /* Text, mostly: the same file mapped twice. */
        e = copy_put(out, at, copy_page(entry), state);
    } else {
        make_writable(at, &now);
        user_swap_page(at, copy_page(entry));
        e = copy_put(out, at, copy_page(entry), state);
        if (e)
            pages_free(copy_page(entry), 1);
        give_perms(at, copy_state(entry));
    }
    out->lost |= e != 0;
    return entry != NULL;
}

void drop_place(uaddr_t start, uaddr_t end)
{
    if (start == end)
        return;
    user_pages_drop(start, (end - start) / PAGE_SIZE);
    present_set(start, end, 0);
}

static void run_out(struct mm *out, struct mm *in, uaddr_t start, uaddr_t end, uint8_t state)
{
    uaddr_t unused = start; /* pages from here to `at` are to be given back */

    for (uaddr_t at = start; at < end; at += PAGE_SIZE) {
        if (!page_out(out, in, at, state))
            continue;
        drop_place(unused, at);
        unused = at + PAGE_SIZE;
    }
    drop_place(unused, end);
}

void stash(struct mm *out, struct mm *in)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(out, 0); v; v = vma_next(v)) {
        for (uaddr_t at = v->start; !v->shared && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            if ((state & PAGE_PRESENT) && !is_common(state))
                run_out(out, in, at, next, state);
            at = next;
        }
    }
}

/* How many pages from `key` on can be added in one go: not in place, and all with `state`. */
static uint64_t bring_run(struct mm *in, uint64_t key, uint8_t state)
{
    uint64_t n = 0;
    void *entry;

    while (n < 512 && (entry = radix_get(&in->copies, key + n)) && copy_state(entry) == state &&
           !present_get((key + n) * PAGE_SIZE))
        n++;
    return n;
}

/* Without memory for all the rest stays where it is, and the process dies. */
static void bring_in(struct mm *in)
{
    uint64_t key = 0;
    void *entry;

    while ((entry = radix_next(&in->copies, &key))) {
        uaddr_t at = key * PAGE_SIZE;
        uint8_t state = copy_state(entry), now = present_get(at);
        uint64_t n = now ? 1 : bring_run(in, key, state);
        if (now)
            make_writable(at, &now);
        else if (present_reserve(at, at + n * PAGE_SIZE) || user_pages_add(at, n)) {
            in->lost = true;
            return;
        }
        for (uint64_t i = 0; i < n; i++) {
            entry = radix_remove(&in->copies, key + i);
            copy_place((void *)(at + i * PAGE_SIZE), copy_page(entry));
            pages_free(copy_page(entry), 1);
        }
        if ((state & PAGE_PERMS) != RW)
            enclave_pages_protect(at, n, RW, state & PAGE_PERMS);
        present_set(at, at + n * PAGE_SIZE, state);
        key += n;
    }
}

/* Alone again: no more claims. */
static void settle_alone(struct mm *mm)
{
    if (member_count(mm->family) == 1)
        atomic_store(&mm->sched.family, NULL);
}

static void note_lost(struct mm *mm)
{
    if (mm->lost && !mm->lost_told)
        vm_lost(mm);
    mm->lost_told = mm->lost;
}

void family_exchange(struct sched_mm *sched)
{
    struct mm *in = container_of(sched, struct mm, sched);
    struct sched_mm *resident = in->family->sched.resident;

    if (resident)
        stash(container_of(resident, struct mm, sched), in);
    bring_in(in);
    settle_alone(in);
    if (resident)
        note_lost(container_of(resident, struct mm, sched));
    note_lost(in);
}
