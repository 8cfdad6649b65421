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
        e = clear_places(rival);
    }
    if (!e) {
        merge(rival, mine);
        turn_to(mm, rival);
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
        task_yield();
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
           images_reach(m, start, end);
}

/* Areas that no other member uses come to be nobody's. */
static void give_areas_back(struct mm *mm, struct family *f)
{
    struct area *a, *tmp;

    list_for_each_safe (a, tmp, &f->areas, in_family) {
        struct mm *m = other_member(mm, NULL);
        while (m && !used_by(m, a->start, a->end))
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
    if (was) {
        leave_pages(mm, heir && !other_member(mm, heir) ? heir : NULL);
        set_resident(f, NULL);
    } else if (!f->sched.resident) {
        drop_left(f); /* for mm, which did not come any more */
    }
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
