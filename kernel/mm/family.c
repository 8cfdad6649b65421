/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overlapping memories: parent and child after fork, programs linked at the same fixed address.
 * An enclave page has one address. Of the members of a family one is resident: where it has
 * private mappings, its pages are in place. What others have there lies in their `copies`; what
 * they have elsewhere stays in place, too.
 *
 * A page of a private mapping is, for a member that has it:
 *   in `copies`             not in place: somebody else's, or nothing, is there
 *   in place, PAGE_COMMON   not writable, the same for all members that map it and have no copy
 *   in place                its own, if of those that map it it was resident last (own_run)
 * Shared mappings stay in place for all. Before a member changes what is common (unmaps it,
 * makes it writable), the others get copies (family_part).
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

#define EQUAL_ENOUGH      64u /* comparisons, for what it costs to make a run common */
#define EQUAL_ENOUGH_READ 8u  /* no permissions change, then */

struct spinlock family_lock = SPINLOCK_INIT(RANK_VM_RANGE);

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

struct mm *family_other(struct mm *mm, struct mm *previous)
{
    return other_member(mm, previous);
}

bool family_kin(struct mm *mm)
{
    if (!atomic_load(&mm->sched.family))
        return false;
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        if (m->clan == mm->clan)
            return true;
    }
    return false;
}

bool try_exclusive(struct family *f)
{
    spin_lock(&f->sched.lock);
    uint32_t mine = current->claim == &f->sched;
    bool ok = !f->sched.exchanging && f->sched.running == mine;
    if (ok)
        f->sched.exchanging = true;
    f->sched.guest = !ok;
    if (!ok)
        family_want(&f->sched);
    spin_unlock(&f->sched.lock);
    return ok;
}

static struct family *family_of(struct mm *mm)
{
    spin_lock(&family_lock);
    struct family *f = mm->family;
    atomic_fetch_add(&f->refs, 1);
    spin_unlock(&family_lock);
    return f;
}

/* While one waits, the family can become part of another one. */
struct family *enter_exclusive(struct mm *mm)
{
    for (;;) {
        struct family *f = family_of(mm);
        bool ok = try_exclusive(f);
        if (!ok)
            family_wait(&f->sched);
        family_put(f);
        if (ok)
            return f;
    }
}

void leave_exclusive(struct family *f)
{
    spin_lock(&f->sched.lock);
    f->sched.exchanging = false;
    spin_unlock(&f->sched.lock);
    family_changed(&f->sched);
}

void set_resident(struct family *f, struct mm *mm)
{
    spin_lock(&f->sched.lock);
    if (mm)
        mm->tidy = false;
    f->sched.resident = mm ? &mm->sched : NULL;
    f->sched.lingers = false;
    spin_unlock(&f->sched.lock);
}

/* ---- pages that come and go ---- */

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

/* Both can see the other's page, and what it holds is the same. */
static bool same_page(uaddr_t at, uint8_t state, void *entry)
{
    return (state & PAGES_R) && copy_state(entry) == state &&
           user_same_page(at, copy_page(entry));
}

/* What is in place goes out, and the copy, which was `in`'s, comes in. */
static int exchange_page(struct mm *out, uaddr_t at, uint8_t state, void *entry)
{
    void *page = copy_page(entry), *fresh = NULL;
    bool sole = page_note(page)->users == 1;
    uint8_t now = state;
    int e = -ENOMEM;

    page_note(page)->equal = 0;
    make_writable(at, &now);
    if (sole) {
        page_note(page)->users = 0;
        user_swap_page(at, page);
        e = copy_add(out, at, page, state);
        copy_unused(page);
    } else {
        fresh = copy_new(at);
        copy_place((void *)at, page);
        copy_drop(entry);
    }
    if (fresh) {
        e = copy_add(out, at, fresh, state);
        copy_unused(fresh);
    }
    give_perms(at, copy_state(entry));
    return e;
}

/* One page goes out; if `in` has one for the place, it comes in. False: the place is to be
 * given back. *equal: how often both had the same. Where there is no memory for it, the page is
 * lost, and with it the process. */
static bool page_out(struct mm *out, struct mm *in, uaddr_t at, uint8_t state, uint32_t *equal)
{
    void *entry = in ? radix_remove(&in->copies, at / PAGE_SIZE) : NULL;
    uint8_t now = state;
    int e;

    *equal = 0;
    if (!entry) {
        if (!(state & PAGES_R))
            make_writable(at, &now);
        e = copy_take(out, at, state);
        if (now != state)
            present_set(at, at + PAGE_SIZE, now);
    } else if (same_page(at, state, entry)) {
        /* Not written since the fork, or equal text. */
        e = copy_add(out, at, copy_page(entry), state);
        *equal = e ? 0 : ++page_note(copy_page(entry))->equal;
        copy_drop(entry);
    } else {
        e = exchange_page(out, at, state, entry);
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

void copy_in(struct mm *mm, uaddr_t at, uint8_t now)
{
    void *entry = radix_remove(&mm->copies, at / PAGE_SIZE);

    make_writable(at, &now);
    copy_place((void *)at, copy_page(entry));
    give_perms(at, copy_state(entry));
    copy_drop(entry);
}

static bool others_apart(struct mm *mm, struct mm *other, uaddr_t at, uaddr_t *end)
{
    struct vma *v;

    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        if (m == other || copy_has(m, at, end))
            continue;
        if (private_at(m, at, end, &v) || v || m->clan == mm->clan)
            return false;
    }
    return true;
}

uaddr_t apart_run(struct mm *mm, struct mm *other, uaddr_t at, uaddr_t end, bool *apart)
{
    uaddr_t next = end;

    *apart = others_apart(mm, other, at, &next);
    while (next < end) {
        uaddr_t stop = end;
        if (others_apart(mm, other, next, &stop) != *apart)
            break;
        next = stop;
    }
    return next;
}

/* [start,end) holds the same for `out`, which has copies of it, and `in`. It has done so
 * `often` enough, counted a page: they become common, since comparing them each time costs more
 * than the fault at the first write. Not text: who has it is what decides about rewriting it.
 */
static void make_common(struct mm *out, struct mm *in, uaddr_t start, uaddr_t end,
                        uint8_t state, uint64_t often)
{
    uint32_t perms = state & PAGE_PERMS;
    bool apart;

    if (often < (perms & PAGES_W ? EQUAL_ENOUGH : EQUAL_ENOUGH_READ) || (perms & PAGES_X))
        return;
    for (uaddr_t at = start, next; at < end; at = next) {
        next = apart_run(in, out, at, end, &apart);
        for (uaddr_t page = at; page < next && !apart; page += PAGE_SIZE)
            page_note(copy_page(radix_get(&out->copies, page / PAGE_SIZE)))->equal = 0;
        if (!apart)
            continue;
        copies_drop(out, at, next);
        if (perms & PAGES_W)
            enclave_pages_protect(at, (next - at) / PAGE_SIZE, perms, perms & ~PAGES_W);
        present_set(at, next, (uint8_t)((state & ~PAGES_W) | PAGE_COMMON));
    }
}

static void run_out(struct mm *out, struct mm *in, uaddr_t start, uaddr_t end, uint8_t state)
{
    uaddr_t unused = start; /* pages from here to `at` are to be given back */
    uaddr_t same = start;   /* and from here on they are equal */
    uint64_t often = 0;
    uint32_t equal;

    for (uaddr_t at = start; at < end; at += PAGE_SIZE) {
        bool stays = page_out(out, in, at, state, &equal);
        often += equal;
        if (!equal) {
            make_common(out, in, same, at, state, often);
            same = at + PAGE_SIZE;
            often = 0;
        }
        if (!stays)
            continue;
        drop_place(unused, at);
        unused = at + PAGE_SIZE;
    }
    make_common(out, in, same, end, state, often);
    drop_place(unused, end);
}

/* ---- whose a page in place is ---- */

/* Is `at` in a private mapping of mm? *end comes down to where that changes. */
bool private_at(struct mm *mm, uaddr_t at, uaddr_t *end, struct vma **found)
{
    struct vma *v = vma_next_from(mm, at);

    *found = NULL;
    if (!v || v->start >= *end)
        return false;
    if (v->start > at) {
        *end = v->start;
        return false;
    }
    *end = MIN(*end, v->end);
    *found = v;
    return !v->shared;
}

uaddr_t own_run(struct mm *mm, uaddr_t at, uaddr_t end, uint8_t *state)
{
    struct vma *v;
    uaddr_t next = present_run(at, end, state);

    /* Spare pages wait for what mm is just mapping there: they are nobody's. */
    if (!(*state & PAGE_PRESENT) || is_common(*state) || (*state & (PAGE_WARM | PAGE_KEPT))) {
        *state = 0;
        return next;
    }
    *state &= PAGE_PRESENT | PAGE_PERMS;
    for (struct mm *m = next_member(mm->family, NULL); m != mm;
         m = next_member(mm->family, m)) {
        if (private_at(m, at, &next, &v)) {
            *state = 0;
            break;
        }
    }
    return next;
}

/* ---- the same text ---- */

/* Both show the same part of a file, which no program can have changed. */
static bool same_text(const struct vma *a, const struct vma *b)
{
    return a->file && b->file && !a->shared && !b->shared && !a->changed && !b->changed &&
           !((a->prot | b->prot) & PROT_WRITE) && a->prot == b->prot &&
           a->offset - a->start == b->offset - b->start && a->file_limit == b->file_limit &&
           a->file_ops->identity && b->file_ops->identity && a->file_ops->identity(a->file) &&
           a->file_ops->identity(a->file) == b->file_ops->identity(b->file);
}

/* Does everybody who has something at `at` have the same text as `v` there? *end comes down to
 * where the answer may change. */
static bool all_agree(const struct vma *v, uaddr_t at, uaddr_t *end)
{
    struct vma *w;

    for (struct mm *m = next_member(v->mm->family, NULL); m;
         m = next_member(v->mm->family, m)) {
        (void)private_at(m, at, end, &w);
        if (!w)
            continue;
        if (!same_text(v, w))
            return false;
        uaddr_t next = patch_next(m, at, *end);
        *end = MIN(*end, MAX(next, at + PAGE_SIZE));
        if (next == at)
            return false;
    }
    return true;
}

/* What is in place of mm's becomes everybody's. */
static void share(struct mm *mm, uaddr_t at, uaddr_t end)
{
    uint8_t state;

    while (at < end) {
        uaddr_t next = own_run(mm, at, end, &state);
        if (state)
            present_set(at, next, state | PAGE_COMMON);
        for (struct mm *m = next_member(mm->family, NULL); m && state;
             m = next_member(mm->family, m))
            copies_drop(m, at, next);
        at = next;
    }
}

/* What mm has in place of [start,end), part of its `v`, goes out; `in` has `w` there. Of a text
 * that is the same for all it stays. */
static void make_way_for(struct vma *v, struct mm *in, const struct vma *w, uaddr_t start,
                         uaddr_t end)
{
    bool same = same_text(v, w);
    uint8_t state;

    for (uaddr_t at = start, next; at < end; at = next) {
        next = own_run(v->mm, at, end, &state);
        if (state && same && all_agree(w, at, &next))
            share(v->mm, at, next);
        else if (state)
            run_out(v->mm, in, at, next, state);
    }
}

/* `in` has nothing there, but may know the addresses by a fork: touching them is a fault for
 * it.
 */
static void hide(struct mm *mm, uaddr_t at, uaddr_t end)
{
    uint8_t state;

    while (at < end) {
        uaddr_t stop = end;
        bool secret = range_secret(mm, at, &stop);
        for (; at < stop && !secret;) {
            uaddr_t next = own_run(mm, at, stop, &state);
            if (state)
                run_out(mm, NULL, at, next, state);
            at = next;
        }
        at = stop;
    }
}

/* `mm` has private pages in place where `in` has mappings, or knows of them: they go out. Once
 * they did for one of its kin, the same goes for all others, until mm is resident again. */
static void make_way(struct mm *mm, struct mm *in)
{
    bool clan = mm->clan == in->clan;

    if (mm->tidy && !range_intrudes(mm, in))
        return;
    mm->tidy |= clan;
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        uaddr_t done = v->start;
        for (struct vma *w = vma_next_from(in, v->start); w && w->start < v->end && !v->shared;
             w = vma_next(w)) {
            if (clan)
                hide(mm, done, MAX(done, w->start));
            done = MIN(v->end, w->end);
            if (!w->shared)
                make_way_for(v, in, w, MAX(v->start, w->start), done);
        }
        if (clan && !v->shared)
            hide(mm, done, v->end);
    }
}

/* ---- the exchange ---- */

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

/* How many pages from `key` on have a common page in place and a copy that differs, of the same
 * states each. Where it does not, what is common is in's, too. */
static uint64_t differing_run(struct mm *in, uint64_t key)
{
    void *entry = radix_get(&in->copies, key);
    uint8_t state = copy_state(entry), now = present_get(key * PAGE_SIZE);
    uint64_t n = 0;

    assert(is_common(now));
    for (; n < 512 && (entry = radix_get(&in->copies, key + n)); n++) {
        uaddr_t at = (key + n) * PAGE_SIZE;
        if (copy_state(entry) != state || present_get(at) != now)
            break;
        if ((now & PAGE_PERMS) == (state & PAGE_PERMS & ~PAGES_W) && (now & PAGES_R) &&
            user_same_page(at, copy_page(entry))) {
            copies_drop(in, at, at + PAGE_SIZE);
            break;
        }
    }
    return n;
}

/* Copies come in place of what is common to others, who get copies of that. */
static int bring_over(struct mm *in, uaddr_t at, uint64_t count)
{
    uint8_t state = copy_state(radix_get(&in->copies, at / PAGE_SIZE));
    uint32_t want = state & PAGE_PERMS, was = present_get(at) & PAGE_PERMS;
    uaddr_t end = at + count * PAGE_SIZE, start = at;
    int e = 0;

    enclave_pages_protect(start, count, was, RW);
    for (; at < end && !(e = family_part_page(in, at)); at += PAGE_SIZE) {
        copy_place((void *)at, copy_page(radix_get(&in->copies, at / PAGE_SIZE)));
        copies_drop(in, at, at + PAGE_SIZE);
    }
    if (want != RW && at > start)
        enclave_pages_protect(start, (at - start) / PAGE_SIZE, RW, want);
    present_set(start, at, state);
    if (at < end)
        enclave_pages_protect(at, (end - at) / PAGE_SIZE, RW, was);
    return e;
}

/* Without memory for all the rest stays where it is, and the process dies. */
static void bring_in(struct mm *in)
{
    uint64_t key = 0;
    void *entry;

    while ((entry = radix_next(&in->copies, &key))) {
        uaddr_t at = key * PAGE_SIZE;
        uint8_t state = copy_state(entry);
        bool taken = present_get(at);
        uint64_t n = taken ? differing_run(in, key) : bring_run(in, key, state);
        bool failed = false;
        if (taken && n)
            failed = bring_over(in, at, n) != 0;
        else if (!taken)
            failed = present_reserve(at, at + n * PAGE_SIZE) || user_pages_add(at, n);
        in->lost |= failed;
        if (failed)
            return;
        key += n;
        if (taken)
            continue;
        for (uint64_t i = 0; i < n; i++) {
            entry = radix_get(&in->copies, at / PAGE_SIZE + i);
            copy_place((void *)(at + i * PAGE_SIZE), copy_page(entry));
        }
        copies_drop(in, at, at + n * PAGE_SIZE);
        if ((state & PAGE_PERMS) != RW)
            enclave_pages_protect(at, n, RW, state & PAGE_PERMS);
        present_set(at, at + n * PAGE_SIZE, state);
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
    struct mm *in = container_of(sched, struct mm, sched), *m;
    struct family *f = in->family;

    for (m = next_member(f, NULL); m != in; m = next_member(f, m))
        make_way(m, in);
    bring_in(in);
    assert(in->lost || !in->copies.count);
    in->tidy = false;
    for (m = next_member(f, NULL); m != in; m = next_member(f, m))
        note_lost(m);
    spin_lock(&family_lock);
    list_remove(&in->in_family);
    list_push(&f->members, &in->in_family);
    spin_unlock(&family_lock);
    settle_alone(in);
    note_lost(in);
}

/* ---- where something is mapped ---- */

static bool shared_by_others(struct mm *mm, uaddr_t start, uaddr_t end)
{
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        for (struct vma *v = vma_next_from(m, start); v && v->start < end; v = vma_next(v)) {
            if (v->shared)
                return true;
        }
    }
    return false;
}

/* Common pages of [at,end), which the newcomer does not see. */
static int part_out(struct mm *mm, uaddr_t at, uaddr_t end)
{
    uint8_t state;
    int e = 0;

    while (at < end && !e) {
        uaddr_t next = present_run(at, end, &state);
        e = is_common(state) ? family_part_run(mm, at, next, state) : 0;
        if (is_common(state) && !e)
            drop_place(at, next);
        at = next;
    }
    return e;
}

/* What is common to others, and of the same text, is mm's, too. */
static void come_to_share(struct mm *mm, uaddr_t at, uaddr_t end)
{
    uint8_t state;

    while (at < end) {
        uaddr_t next = present_run(at, end, &state);
        if (is_common(state))
            pages_count(mm, (next - at) / PAGE_SIZE);
        at = next;
    }
}

static int clear_for(struct vma *fresh, uaddr_t start, uaddr_t end)
{
    struct mm *mm = fresh->mm, *m;
    struct vma *v;
    uint8_t state;
    int e = 0;

    for (uaddr_t at = start; at < end && !e; at = start) {
        uaddr_t stop = end;
        bool agree = all_agree(fresh, at, &stop);
        for (m = other_member(mm, NULL); m; m = other_member(mm, m))
            (void)private_at(m, at, &stop, &v);
        for (m = other_member(mm, NULL); m && !e; m = other_member(mm, m)) {
            uaddr_t whole = stop;
            if (!private_at(m, at, &whole, &v))
                continue;
            if (agree) {
                share(m, at, stop);
                continue;
            }
            for (uaddr_t run = at; run < stop;) {
                uaddr_t next = own_run(m, run, stop, &state);
                if (state)
                    run_out(m, NULL, run, next, state);
                run = next;
            }
            e = part_out(mm, at, stop);
        }
        if (agree)
            come_to_share(mm, at, stop);
        start = stop;
    }
    return e;
}

int family_clear(struct mm *mm, struct vma *fresh)
{
    if (!atomic_load(&mm->sched.family))
        return 0;
    if (shared_by_others(mm, fresh->start, fresh->end))
        return -ENOMEM; /* LIMIT: what is shared stays in place, even for who has it no more */
    fresh->mm = mm;
    int e = clear_for(fresh, fresh->start, fresh->end);
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m))
        note_lost(m);
    return e;
}
