/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who comes to the addresses of others, and who leaves. Between looking at a family and having
 * it for oneself everything can change, so everything is looked at again then.
 */
#include "abi/errno.h"
#include "lib/log.h"
#include "mm/family.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

/* ---- another memory comes to the same addresses ---- */

static void merge(struct family *to, struct family *from)
{
    struct list *n;

    range_merge(to, from);
    spin_lock(&family_lock);
    while ((n = list_pop(&from->members))) {
        struct mm *m = list_entry(n, struct mm, in_family);
        list_push(&to->members, n);
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

/* The tasks of `first` ran as they liked while it had no relatives; now they need claims.
 * False: somebody else keeps one of the memories still. Its own is still, too, lest two freeze
 * each other. */
static bool activate_still(struct mm *mm, struct mm *first, struct family *rival)
{
    if (!sched_freeze_begin(&mm->sched))
        return false;
    bool ok = sched_freeze_begin(&first->sched);
    if (ok) {
        sched_freeze_wait();
        if (first->family == rival && !atomic_load(&first->sched.family)) {
            keep_nothing(first);
            set_resident(rival, first);
            atomic_store(&first->sched.family, &rival->sched);
        }
        sched_thaw(&first->sched);
    }
    sched_thaw(&mm->sched);
    return ok;
}

/* Is `first` in that family, with claims? It may have joined another one, or been left alone.
 */
static bool still_member(const struct mm *first, const struct family *rival)
{
    spin_lock(&family_lock);
    bool is = first->family == rival && atomic_load(&first->sched.family) == &rival->sched;
    spin_unlock(&family_lock);
    return is;
}

/* Nobody comes to a family of one. */
static bool begin_moving(struct family *f)
{
    spin_lock(&f->sched.lock);
    bool ok = !f->sched.exchanging && !f->moving;
    f->moving |= ok;
    spin_unlock(&f->sched.lock);
    return ok;
}

static void end_moving(struct family *f)
{
    spin_lock(&f->sched.lock);
    f->moving = false;
    spin_unlock(&f->sched.lock);
}

static bool no_other_claims(struct family *f)
{
    spin_lock(&f->sched.lock);
    bool none = f->sched.running == (uint32_t)(current->claim == &f->sched);
    spin_unlock(&f->sched.lock);
    return none;
}

static void turn_to(struct mm *mm, struct family *f)
{
    set_resident(f, mm);
    if (current->claim != &f->sched)
        family_release(current);
    spin_lock(&f->sched.lock);
    current->mm = mm;
    current->claim = &f->sched;
    f->sched.running = 1;
    spin_unlock(&f->sched.lock);
}

/* With `mm` still and its family moving. Nothing here waits: who is waited for could need what
 * we hold. */
static int join_still(struct mm *mm, struct mm *first, struct family *rival)
{
    struct family *mine = mm->family;
    int e = -EAGAIN;

    if (!no_other_claims(mine) || !try_exclusive(rival))
        return -EAGAIN;
    if (still_member(first, rival)) {
        keep_nothing(mm);
        merge(rival, mine); /* no address is both's as yet: see family_clear() */
        turn_to(mm, rival);
        e = 0;
    }
    leave_exclusive(rival);
    return e;
}

static int join(struct mm *mm, struct mm *first, struct family *rival)
{
    struct family *mine = mm->family;
    int e = -EAGAIN;

    if (!atomic_load(&first->sched.family) && !activate_still(mm, first, rival))
        return -EAGAIN;
    if (!begin_moving(mine))
        return -EAGAIN;
    if (sched_freeze_begin(&mm->sched)) {
        sched_freeze_wait();
        e = join_still(mm, first, rival);
        sched_thaw(&mm->sched);
    }
    end_moving(mine);
    if (!e)
        family_put(mine);
    return e;
}

/* `mm` is current->mm, or being built by exec: the current task turns to it. -EAGAIN: somebody
 * runs, joins or leaves; look again. */
int family_join(struct mm *mm, struct family *rival)
{
    if (member_count(mm->family) != 1)
        return -ENOMEM; /* LIMIT: a fixed mapping of one family over another family's */
    sched_exchange = family_exchange;
    struct mm *first = living_member(rival); /* none: its places are being given back */
    int e = first ? join(mm, first, rival) : -EAGAIN;
    mm_put(first);
    if (e == -EAGAIN)
        family_wait(&rival->sched);
    return e;
}

static bool seen_by_others(struct mm *mm, uaddr_t at, uaddr_t *end)
{
    struct vma *v;

    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        if (private_at(m, at, end, &v))
            return true;
    }
    return false;
}

/* mm's pages go, unless others see them. The only other member's come in at once where both
 * have one: that costs less than giving the page back and adding it again. */
static void leave_run(struct mm *mm, struct mm *heir, uaddr_t start, uaddr_t end, uint8_t state)
{
    uaddr_t unused = start;

    for (uaddr_t at = start; at < end; at += PAGE_SIZE) {
        if (!heir || !radix_get(&heir->copies, at / PAGE_SIZE))
            continue;
        drop_place(unused, at);
        copy_in(heir, at, state);
        unused = at + PAGE_SIZE;
    }
    drop_place(unused, end);
}

static void leave_pages(struct mm *mm, struct mm *heir)
{
    uint8_t state;

    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        for (uaddr_t at = v->start; !v->shared && at < v->end;) {
            uaddr_t next = present_run(at, v->end, &state);
            if (is_common(state)) {
                if (!seen_by_others(mm, at, &next))
                    drop_place(at, next);
            } else {
                next = own_run(mm, at, next, &state);
                if (state)
                    leave_run(mm, heir, at, next, state);
            }
            at = next;
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

/* Shared mappings that no other member has, of what is not a file's. */
static void drop_shared(struct mm *mm)
{
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        if (v->shared && !v->object && !family_shares(mm, v->start, v->end))
            pages_drop(mm, v->start, v->end);
    }
}

static bool used_by(struct mm *m, uaddr_t start, uaddr_t end)
{
    struct vma *v = vma_next_from(m, start);

    return (v && v->start < end) || (m->brk_start < end && start < m->brk_limit) ||
           (m->coming.start < end && start < m->coming.end) ||
           (m->program.start < end && start < m->program.end) || images_reach(m, start, end);
}

/* Areas that no other member uses come to be nobody's. */
static void give_areas_back(struct mm *mm, struct family *f)
{
    struct area *a, *tmp;

    list_for_each_safe (a, tmp, &f->areas, in_family) {
        struct mm *m = other_member(mm, NULL);
        if (a->search == mm)
            a->search = NULL;
        while (m && a->search != m && !used_by(m, a->start, a->end))
            m = other_member(mm, m);
        if (m)
            continue;
        pages_drop(mm, a->start, a->end); /* warm and kept ones, and what was common */
        range_release(f, a->start, a->end);
    }
}

void family_leave(struct mm *mm)
{
    struct family *f = mm->family;
    struct task *t = current;

    enter_exclusive(f);
    struct mm *heir = other_member(mm, NULL);
    bool was = f->sched.resident == &mm->sched;
    drop_shared(mm);
    leave_pages(mm, heir && !other_member(mm, heir) ? heir : NULL);
    if (was)
        set_resident(f, NULL);
    copies_free(mm);
    give_areas_back(mm, f);
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
