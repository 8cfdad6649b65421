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

/* Both are the caller's alone, and have no address in common yet: so whose a page is follows
 * from the order within each of them. `from` stays exclusive for ever, which keeps out who
 * looks at it still. */
static void merge(struct family *to, struct family *from)
{
    unsigned moved = 0;

    range_merge(to, from);
    spin_lock(&family_lock);
    while (!list_empty(&from->members)) {
        struct list *n = from->members.prev;
        struct mm *m = list_entry(n, struct mm, in_family);
        list_remove(n);
        list_push(&to->members, n);
        m->family = to;
        atomic_store(&m->sched.family, &to->sched);
        moved++;
    }
    atomic_fetch_add(&to->refs, moved);
    spin_unlock(&family_lock);
    family_changed(&from->sched);
    while (moved--)
        family_put(from);
}

/* Do the tasks of its members need claims? Not of one that has been left alone. */
static bool has_claims(struct family *f)
{
    spin_lock(&family_lock);
    struct list *l = f->members.next;
    bool has = l != &f->members &&
               atomic_load(&list_entry(l, struct mm, in_family)->sched.family) == &f->sched;
    spin_unlock(&family_lock);
    return has;
}

/* The only member, which is not freed before it is let go; NULL: there are several, or it is
 * being destroyed. */
static struct mm *hold_lone(struct family *f)
{
    struct mm *m = NULL;

    spin_lock(&family_lock);
    if (!list_empty(&f->members))
        m = list_entry(f->members.next, struct mm, in_family);
    if (m && !atomic_load(&m->sched.family) && atomic_load(&m->refs))
        atomic_fetch_add(&m->holds, 1);
    else
        m = NULL;
    spin_unlock(&family_lock);
    return m;
}

static void let_go(struct mm *m)
{
    atomic_fetch_sub(&m->holds, 1);
}

/* Whoever holds its lock is in the midst of something, unless he joins others himself. */
static bool between_changes(struct mm *first)
{
    if (atomic_load(&first->joining))
        return true;
    bool free = mutex_trylock(&first->lock);
    if (free)
        mutex_unlock(&first->lock);
    return free;
}

/* The tasks of `first` ran as they liked while it had no relatives; now they need claims.
 * False: somebody else keeps one of the memories still, or changes it. Its own is still, too,
 * lest two freeze each other. */
static bool activate_still(struct mm *mm, struct mm *first, struct family *rival)
{
    if (!sched_freeze_begin(&mm->sched))
        return false;
    bool ok = sched_freeze_begin(&first->sched);
    if (ok) {
        sched_freeze_wait();
        ok = between_changes(first);
        if (ok && first->family == rival && !atomic_load(&first->sched.family)) {
            keep_nothing(first, false);
            set_resident(rival, first);
            atomic_store(&first->sched.family, &rival->sched);
        }
        sched_thaw(&first->sched);
    }
    sched_thaw(&mm->sched);
    return ok;
}

/* The current task has both families for itself, or its own has no other task that runs. */
static void turn_to(struct mm *mm, struct family *mine, struct family *f)
{
    set_resident(f, mm);
    if (current->claim == &mine->sched)
        current->claim = NULL; /* nobody asks that family any more */
    else if (current->claim != &f->sched)
        family_release(current);
    spin_lock(&f->sched.lock);
    current->mm = mm;
    current->claim = &f->sched;
    f->sched.running = 1;
    spin_unlock(&f->sched.lock);
}

/* With `mm` still. Nothing here waits: who is waited for could need what we hold. */
static int join_still(struct mm *mm, struct family *rival)
{
    struct family *mine = mm->family;
    bool related = atomic_load(&mm->sched.family);
    int e = -EAGAIN;

    if (mine == rival || (related && !try_exclusive(mine)))
        return -EAGAIN;
    if (try_exclusive(rival)) {
        if (has_claims(rival)) {
            keep_nothing(mm, false);
            turn_to(mm, mine, rival);
            merge(rival, mine);
            e = 0;
        }
        leave_exclusive(rival);
    }
    if (e && related)
        leave_exclusive(mine);
    return e;
}

static int join(struct mm *mm, struct family *rival)
{
    struct mm *lone = hold_lone(rival);
    bool ok = !lone || activate_still(mm, lone, rival);
    int e = -EAGAIN;

    if (lone)
        let_go(lone);
    if (ok && sched_freeze_begin(&mm->sched)) {
        sched_freeze_wait();
        e = join_still(mm, rival);
        sched_thaw(&mm->sched);
    }
    return e;
}

/* `mm` is current->mm, or being built by exec: the current task turns to it. -EAGAIN: somebody
 * runs, joins or leaves; look again. */
int family_join(struct mm *mm, struct family *rival)
{
    sched_exchange = family_exchange;
    atomic_store(&mm->joining, true);
    int e = join(mm, rival);
    if (e == -EAGAIN)
        family_wait(&rival->sched);
    atomic_store(&mm->joining, false);
    return e;
}

/* What is common there. */
static bool seen_by_others(struct mm *mm, uaddr_t at, uaddr_t *end)
{
    struct vma *v;

    for (struct mm *m = other_member(mm, NULL); m; m = other_member(mm, m)) {
        if (private_at(m, at, end, &v) && !copy_has(m, at, end))
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

void family_await(struct mm *mm)
{
    while (atomic_load(&mm->holds))
        task_yield();
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
    struct family *f = enter_exclusive(mm);
    struct task *t = current;
    struct list images = LIST_INIT(images);

    images_detach(mm, &images);
    struct mm *heir = other_member(mm, NULL);
    if (heir)
        heir->tidy = false;
    bool was = f->sched.resident == &mm->sched;
    drop_shared(mm);
    leave_pages(mm, heir && !other_member(mm, heir) ? heir : NULL);
    if (was)
        set_resident(f, NULL);
    copies_free(mm);
    images_keep(mm, &images);
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
