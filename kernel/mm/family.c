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
 * Only tasks with a claim run (sched/family.c), so nothing here races with the programs; the
 * exclusive state (sched.exchanging) keeps other members out while one joins or leaves.
 */
#include "abi/errno.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch.h"
#include "mm/user.h"

#define RW               (PAGES_R | PAGES_W)
#define TRACK_PAGES      128u /* a run that is shared until it is written, rather than copied */
#define WRITE_WINDOW     32u /* pages that the others get copies of at once; more in sequence */
#define WRITE_WINDOW_MAX 512u

/* A page that has become writable is nobody else's, whatever it was. */
static bool is_common(uint8_t state)
{
    return (state & PAGE_COMMON) && !(state & PAGES_W);
}

static struct spinlock family_lock = SPINLOCK_INIT(RANK_VM_RANGE);

/* ---- copies: page address in kernel memory, with the state in its low bits ---- */

static void *copy_page(void *entry)
{
    return (void *)align_down((uint64_t)entry, PAGE_SIZE);
}

static uint8_t copy_state(void *entry)
{
    return (uint8_t)((uint64_t)entry % PAGE_SIZE);
}

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
static int copy_take(struct mm *mm, uaddr_t at, uint8_t state)
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

static void copies_free(struct mm *mm)
{
    uint64_t key = 0;
    void *entry;

    while ((entry = radix_next(&mm->copies, &key))) {
        radix_remove(&mm->copies, key);
        pages_free(copy_page(entry), 1);
    }
}

/* ---- membership ---- */

static unsigned member_count(struct family *f)
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
static struct mm *next_member(struct family *f, struct mm *previous)
{
    spin_lock(&family_lock);
    struct list *l = previous ? previous->in_family.next : f->members.next;
    spin_unlock(&family_lock);
    return l == &f->members ? NULL : list_entry(l, struct mm, in_family);
}

/* The same, leaving out `mm`. */
static struct mm *other_member(struct mm *mm, struct mm *previous)
{
    struct mm *m = next_member(mm->family, previous);

    return m == mm ? next_member(mm->family, m) : m;
}

static void enter_exclusive(struct family *f)
{
    for (;;) {
        spin_lock(&f->sched.lock);
        uint32_t mine = current->claim == &f->sched;
        bool ok = !f->sched.exchanging && f->sched.running == mine;
        if (ok)
            f->sched.exchanging = true;
        else
            f->sched.wanted = true;
        spin_unlock(&f->sched.lock);
        if (ok)
            return;
        task_yield();
    }
}

static void leave_exclusive(struct family *f)
{
    spin_lock(&f->sched.lock);
    f->sched.exchanging = false;
    spin_unlock(&f->sched.lock);
}

static void set_resident(struct family *f, struct mm *mm)
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

static void drop_place(uaddr_t start, uaddr_t end)
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

static void stash(struct mm *out, struct mm *in)
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

static void exchange(struct sched_mm *sched)
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

/* ---- fork ---- */

static void activate(struct mm *mm)
{
    sched_exchange = exchange;
    atomic_store(&mm->sched.family, &mm->family->sched);
}

static int copy_mappings(struct mm *child, struct mm *parent)
{
    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        struct vma *copy = v->flags & VMA_DONTFORK ? NULL : vma_new(v);
        if (!copy && !(v->flags & VMA_DONTFORK))
            return -ENOMEM;
        if (!copy)
            continue;
        copy->flags &= ~VMA_LOCKED;
        vma_insert(child, copy);
    }
    child->brk_start = parent->brk_start;
    child->brk = parent->brk;
    child->brk_limit = parent->brk_limit;
    child->rlimit_as = parent->rlimit_as;
    child->rlimit_data = parent->rlimit_data;
    child->rlimit_stack = parent->rlimit_stack;
    child->rlimit_memlock = parent->rlimit_memlock;
    child->layout = parent->layout;
    atomic_store(&child->resident_pages, atomic_load(&parent->resident_pages));
    atomic_store(&child->peak_resident_pages, atomic_load(&parent->peak_resident_pages));
    return 0;
}

/* Pages that nobody can write are common from now on, and so is a long run of others: the first
 * write to it gives the other members copies. Of a short one the parent gets a copy at once.
 * Only a parent without relatives has common pages: they are common to all then. */
static int copy_run(struct mm *parent, uaddr_t start, uaddr_t end, uint8_t state, bool alone)
{
    uint64_t count = (end - start) / PAGE_SIZE;
    uint8_t perms = state & PAGE_PERMS;

    if (alone && (perms & PAGES_R) && (!(perms & PAGES_W) || count >= TRACK_PAGES)) {
        if (perms & PAGES_W)
            enclave_pages_protect(start, count, perms, perms & ~PAGES_W);
        present_set(start, end, (uint8_t)((state & ~PAGES_W) | PAGE_COMMON));
        return 0;
    }
    if (!(perms & PAGES_R))
        enclave_pages_protect(start, count, perms, perms | PAGES_R);
    int e = 0;
    for (uaddr_t at = start; at < end && !e; at += PAGE_SIZE)
        e = copy_take(parent, at, state);
    if (!(perms & PAGES_R))
        enclave_pages_protect(start, count, perms | PAGES_R, perms);
    return e;
}

static bool not_for_child(const struct vma *v)
{
    return !v->shared && (v->flags & (VMA_DONTFORK | VMA_WIPEONFORK));
}

/* All pages are copied for the parent: those in place are nobody's then. */
static int keep_for_parent(struct mm *parent, struct vma *v)
{
    uint8_t state;
    int e = family_part(parent, v->start, v->end);

    for (uaddr_t at = v->start; at < v->end && !e;) {
        uaddr_t next = present_run(at, v->end, &state);
        bool closed = (state & PAGE_PRESENT) && !(state & PAGES_R);
        if (closed)
            enclave_pages_protect(at, (next - at) / PAGE_SIZE, state & PAGE_PERMS, PAGES_R);
        for (uaddr_t page = at; page < next && (state & PAGE_PRESENT) && !e; page += PAGE_SIZE)
            e = copy_take(parent, page, state & (uint8_t)~PAGE_COMMON);
        if (closed)
            enclave_pages_protect(at, (next - at) / PAGE_SIZE, PAGES_R, state & PAGE_PERMS);
        at = next;
    }
    return e;
}

static void drop_for_child(struct mm *parent, struct mm *child)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        for (uaddr_t at = v->start; not_for_child(v) && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            if (state & PAGE_PRESENT) {
                drop_place(at, next);
                atomic_fetch_sub(&child->resident_pages, (next - at) / PAGE_SIZE);
            }
            at = next;
        }
    }
}

static int copy_pages_for(struct mm *parent)
{
    bool alone = member_count(parent->family) == 1;
    uint8_t state;

    for (struct vma *v = vma_next_from(parent, 0); v; v = vma_next(v)) {
        if (not_for_child(v)) {
            int kept = keep_for_parent(parent, v);
            if (kept)
                return kept;
            continue;
        }
        for (uaddr_t at = v->start; !v->shared && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            int e = 0;
            if ((state & PAGE_PRESENT) && !is_common(state))
                e = copy_run(parent, at, next, state, alone);
            if (e)
                return e;
            at = next;
        }
    }
    return 0;
}

static int fork_locked(struct mm *parent, struct mm *child)
{
    list_remove(&child->in_family);
    family_put(child->family);
    child->family = parent->family;
    atomic_fetch_add(&child->family->refs, 1);
    patch_fork_prepare(parent);
    int e = copy_mappings(child, parent);
    if (!e)
        e = copy_pages_for(parent);
    if (e) {
        copies_free(parent); /* they are still in place */
        return e;
    }
    drop_for_child(parent, child);
    patch_mm_fork(child, parent);
    spin_lock(&family_lock);
    list_append(&parent->family->members, &child->in_family);
    spin_unlock(&family_lock);
    activate(parent);
    activate(child);
    set_resident(parent->family, child);
    return 0;
}

/* Where others may come, nothing lies that is not mapped. The caller holds the lock, or all
 * tasks of mm are frozen. */
static void keep_nothing(struct mm *mm) UNCHECKED_LOCKING
{
    warm_drop(mm);
    image_laid_out(mm);
    images_fork(mm);
}

int mm_fork(struct mm **out)
{
    struct mm *parent = current->mm, *child;
    int e = mm_new(&child);

    if (e)
        return e;
    mutex_lock(&parent->lock);
    sched_freeze(&parent->sched);
    keep_nothing(parent);
    e = fork_locked(parent, child);
    sched_thaw(&parent->sched);
    mutex_unlock(&parent->lock);
    if (e)
        mm_put(child);
    else
        *out = child;
    return e;
}

/* ---- living together ---- */

/* Does `m` see, at this address, what is in place as common? */
static bool sees_common(struct mm *m, struct vma *v, uaddr_t at)
{
    return v && !v->shared && !radix_get(&m->copies, at / PAGE_SIZE);
}

/* All other members that see the page get copies, or none does. */
static int part_page(struct mm *mm, uaddr_t at)
{
    struct mm *m, *failed = NULL;
    int e = 0;

    for (m = other_member(mm, NULL); m && !e; m = other_member(mm, m)) {
        struct vma *v = vma_at(m, at);
        m->parted = sees_common(m, v, at);
        if (m->parted)
            e = copy_take(m, at, (uint8_t)(PAGE_PRESENT | prot_to_perms(v->prot)));
        if (e)
            failed = m;
    }
    for (m = e ? other_member(mm, NULL) : NULL; m && m != failed; m = other_member(mm, m)) {
        if (m->parted)
            pages_free(copy_page(radix_remove(&m->copies, at / PAGE_SIZE)), 1);
    }
    return e;
}

/* What could be parted is, even if memory does not suffice for all of it. */
static int part_run(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    uaddr_t at = start;
    int e = 0;

    while (at < end && !(e = part_page(mm, at)))
        at += PAGE_SIZE;
    present_set(start, at, state & (uint8_t)~PAGE_COMMON);
    return e;
}

int family_write(struct mm *mm, struct vma *v, uaddr_t page)
{
    bool shared = atomic_load(&mm->sched.family);
    if (page != v->fault_end || v->window < WRITE_WINDOW)
        v->window = WRITE_WINDOW;
    else
        v->window = MIN(v->window * 2, WRITE_WINDOW_MAX);
    uint64_t window = (shared ? v->window : WRITE_WINDOW_MAX) * PAGE_SIZE;
    uaddr_t start = MAX(align_down(page, window), v->start);
    uint8_t state, like = present_get(page);
    int e = 0;

    for (uaddr_t at = start; at < page;) {
        uaddr_t next = present_run(at, page, &state);
        if (state != like)
            start = next;
        at = next;
    }
    uaddr_t end = present_run(page, MIN(align_down(page, window) + window, v->end), &state);
    v->fault_end = end;
    if (shared && is_common(like))
        e = part_run(mm, start, end, like);
    if (e)
        return e;
    uint32_t want = prot_to_perms(v->prot);
    enclave_pages_protect(start, (end - start) / PAGE_SIZE, like & PAGE_PERMS, want);
    present_set(start, end, (uint8_t)(PAGE_PRESENT | want));
    return 0;
}

int family_part(struct mm *mm, uaddr_t start, uaddr_t end)
{
    uint8_t state;

    if (!atomic_load(&mm->sched.family))
        return 0;
    for (struct vma *v = vma_next_from(mm, start); v && v->start < end; v = vma_next(v)) {
        uaddr_t stop = MIN(v->end, end);
        for (uaddr_t at = MAX(v->start, start); at < stop;) {
            uaddr_t next = present_run(at, stop, &state);
            int e = is_common(state) ? part_run(mm, at, next, state) : 0;
            if (e)
                return e;
            at = next;
        }
    }
    return 0;
}

bool family_shares(struct mm *mm, uaddr_t start, uaddr_t end)
{
    if (!atomic_load(&mm->sched.family))
        return false;
    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        for (struct vma *v = vma_next_from(m, start); v && v->start < end; v = vma_next(v)) {
            if (v->shared)
                return true;
        }
    }
    return false;
}

/* ---- another memory comes to the same addresses ---- */

static int common_copy(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    int e = 0;

    for (uaddr_t at = start; at < end && !e; at += PAGE_SIZE)
        e = copy_take(mm, at, state & (uint8_t)~PAGE_COMMON);
    return e;
}

static int common_uncopy(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    for (uaddr_t at = start; at < end; at += PAGE_SIZE) {
        void *entry = radix_remove(&mm->copies, at / PAGE_SIZE);
        if (entry)
            pages_free(copy_page(entry), 1);
    }
    return 0;
}

static int common_drop(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state)
{
    drop_place(start, end);
    return 0;
}

/* Calls `act` for what is common, for each member that has it. */
static int for_common(struct family *f,
                      int (*act)(struct mm *mm, uaddr_t start, uaddr_t end, uint8_t state))
{
    uint8_t state;

    for (struct mm *m = next_member(f, NULL); m; m = next_member(f, m)) {
        for (struct vma *v = vma_next_from(m, 0); v; v = vma_next(v)) {
            for (uaddr_t at = v->start; !v->shared && at < v->end;) {
                uaddr_t next = present_run(at, v->end, &state);
                int e = is_common(state) ? act(m, at, next, state) : 0;
                if (e)
                    return e;
                at = next;
            }
        }
    }
    return 0;
}

/* What a member left in place for its heir (leave_pages), who has not come yet. */
static void drop_left(struct family *f)
{
    for (struct mm *m = next_member(f, NULL); m; m = next_member(f, m)) {
        uint64_t key = 0;
        for (; radix_next(&m->copies, &key); key++) {
            if (present_get(key * PAGE_SIZE))
                drop_place(key * PAGE_SIZE, (key + 1) * PAGE_SIZE);
        }
    }
}

/* No member's private pages stay in place: the newcomer shares nothing with any of them. */
static int clear_places(struct family *f)
{
    struct sched_mm *resident = f->sched.resident;
    int e = for_common(f, common_copy);

    if (e) {
        (void)for_common(f, common_uncopy);
        return e;
    }
    (void)for_common(f, common_drop);
    if (resident)
        stash(container_of(resident, struct mm, sched), NULL);
    else
        drop_left(f);
    return 0;
}

static void merge(struct family *to, struct family *from)
{
    struct list *n;

    range_merge(to, from);
    spin_lock(&family_lock);
    while ((n = list_pop(&from->members))) {
        struct mm *m = list_entry(n, struct mm, in_family);
        list_append(&to->members, n);
        m->family = to;
        atomic_fetch_add(&to->refs, 1);
        atomic_store(&m->sched.family, &to->sched);
    }
    spin_unlock(&family_lock);
}

/* With a reference; NULL: all are being destroyed. */
static struct mm *living_member(struct family *f)
{
    struct mm *found = NULL;
    struct list *l;

    spin_lock(&family_lock);
    for (l = f->members.next; l != &f->members && !found; l = l->next) {
        struct mm *m = list_entry(l, struct mm, in_family);
        uint32_t refs = atomic_load(&m->refs);
        while (refs && !atomic_compare_exchange_weak(&m->refs, &refs, refs + 1))
            ;
        found = refs ? m : NULL;
    }
    spin_unlock(&family_lock);
    return found;
}

/* `mm` is current->mm, or being built by exec: the current task turns to it. */
int family_join(struct mm *mm, struct family *rival)
{
    struct family *mine = mm->family;
    struct mm *first = NULL;

    if (member_count(mine) != 1)
        return -ENOMEM; /* LIMIT: a fixed mapping of one family over another family's */
    sched_exchange = exchange;
    if (!(first = living_member(rival))) {
        task_yield();
        return -EAGAIN; /* its places are being given back */
    }
    sched_freeze(&first->sched);
    if (!atomic_load(&first->sched.family)) {
        keep_nothing(first);
        set_resident(rival, first);
        atomic_store(&first->sched.family, &rival->sched);
    }
    sched_thaw(&first->sched);
    enter_exclusive(rival);
    keep_nothing(mm);
    int e = clear_places(rival);
    if (!e) {
        merge(rival, mine);
        set_resident(rival, mm);
        if (current->claim != &rival->sched)
            family_release(current);
        spin_lock(&rival->sched.lock);
        current->mm = mm;
        current->claim = &rival->sched;
        rival->sched.running = 1;
        spin_unlock(&rival->sched.lock);
        family_put(mine);
    }
    leave_exclusive(rival);
    mm_put(first);
    return e;
}

/* Pages in place that nobody will overwrite go; those the only other member has copies for
 * stay. */
static void leave_pages(struct mm *mm, struct mm *heir)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        for (uaddr_t at = v->start; !v->shared && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state), keep;
            if (!(state & PAGE_PRESENT) || is_common(state)) {
                at = next;
                continue;
            }
            for (keep = at; keep < next && heir && radix_get(&heir->copies, keep / PAGE_SIZE);)
                keep += PAGE_SIZE;
            for (at = keep; at < next && !(heir && radix_get(&heir->copies, at / PAGE_SIZE));)
                at += PAGE_SIZE;
            drop_place(keep, at);
        }
    }
}

bool family_close(struct mm *mm)
{
    spin_lock(&family_lock);
    bool alone = !atomic_load(&mm->sched.family) && !list_empty(&mm->in_family);
    if (alone)
        list_remove(&mm->in_family);
    spin_unlock(&family_lock);
    return alone;
}

void family_leave(struct mm *mm)
{
    struct family *f = mm->family;
    struct task *t = current;

    enter_exclusive(f);
    struct mm *heir = other_member(mm, NULL);
    bool was = f->sched.resident == &mm->sched;
    if (was) {
        leave_pages(mm, heir && !other_member(mm, heir) ? heir : NULL);
        set_resident(f, NULL);
    }
    copies_free(mm);
    spin_lock(&family_lock);
    list_remove(&mm->in_family);
    spin_unlock(&family_lock);
    atomic_store(&mm->sched.family, NULL);
    leave_exclusive(f);
    if (was && t->claim == &f->sched)
        family_release(t);
}

void family_unclaim(struct mm *mm)
{
    struct mm *now = current->mm;

    if (current->claim == &mm->family->sched &&
        (!now || now == mm || now->family != mm->family))
        family_release(current);
}
