/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FUTEX_LOCK_PI and its kin: the word holds the owner's tid; an unlock with waiters hands the
 * lock to the first of them, by priority. One mutex makes each operation on words and waiters
 * whole. Each waiter stands in a list with the owner it waits for, and lends him its priority;
 * if he waits for another lock himself, the loan goes on from there. Robust lists are here,
 * too: they end the same way.
 */
#include "abi/errno.h"
#include "mm/user.h"
#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "proc/process.h"

#define CHAIN_MAX 32u /* owners that wait for owners */

/* Somebody who waits for a lock, and for whom; on his stack, or in his futex_waiter. */
static struct mutex pi_lock;
static struct list lenders GUARDED_BY(pi_lock) = LIST_INIT(lenders); /* struct futex_waiter */

void futex_pi_init(void)
{
    mutex_init(&pi_lock, RANK_FUTEX_PI);
}

/* ---- lending priorities ---- */

/* What the owner is lent now; the tid that he himself waits for, or 0. */
static int lend_to(int owner) HELD(pi_lock)
{
    struct task_priority best = {0};
    struct futex_waiter *w;
    int next = 0;
    struct thread *t = thread_find(owner);
    if (!t)
        return 0;
    list_for_each (w, &lenders, lender) {
        const struct task *k = &w->thread->task;
        if (w->thread == t)
            next = w->pi_owner;
        if (w->pi_owner != owner)
            continue;
        best.realtime = MAX(best.realtime, k->realtime);
        best.weight = best.weight ? MIN(best.weight, k->weight) : k->weight;
    }
    task_inherit(&t->task, &best);
    thread_put(t);
    return next;
}

static void lend(int owner) HELD(pi_lock)
{
    for (unsigned n = 0; owner && n < CHAIN_MAX; n++)
        owner = lend_to(owner);
}

static void lender_add(struct futex_waiter *w, int owner) HELD(pi_lock)
{
    w->pi_owner = owner;
    list_append(&lenders, &w->lender);
    lend(owner);
}

static void lender_remove(struct futex_waiter *w) HELD(pi_lock)
{
    int owner = w->pi_owner;
    if (!owner)
        return;
    w->pi_owner = 0;
    list_remove(&w->lender);
    lend(owner);
}

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
    return a->mm == b->mm && a->address == b->address;
}

/* The lock has gone from `old` to `next`, who does not wait for it any more. */
static void owner_changed(const struct futex_key *k, int old, int next) HELD(pi_lock)
{
    struct futex_waiter *w, *tmp;
    list_for_each_safe (w, tmp, &lenders, lender) {
        if (!same_key(&w->key, k))
            continue;
        if (w->pi_tid == next) {
            list_remove(&w->lender);
            w->pi_owner = 0;
        } else {
            w->pi_owner = next;
        }
    }
    lend(old);
    lend(next);
}

/* ---- taking and giving ---- */

static bool owner_exists(uint32_t tid)
{
    struct thread *t = thread_find((int)tid);
    thread_put(t);
    return t != NULL;
}

/* One attempt under pi_lock: 0 taken, 1 must wait (the waiters' bit is set; *by_whom), or
 * negative. */
static int try_take(uaddr_t address, uint32_t tid, bool try_only, int *by_whom)
{
    uint32_t old, seen;
    int r = user_cmpxchg32(address, 0, tid, &old);
    if (r || !old)
        return r;
    for (;;) {
        uint32_t owner = old & FUTEX_TID_MASK;
        if (owner == tid)
            return -EDEADLK;
        uint32_t wanted = old | FUTEX_WAITERS;
        if (!owner)
            wanted = tid | (old & (FUTEX_WAITERS | FUTEX_OWNER_DIED));
        else if (try_only)
            return -EAGAIN;
        else if (!owner_exists(owner))
            return -ESRCH;
        r = user_cmpxchg32(address, old, wanted, &seen);
        if (r)
            return r;
        *by_whom = (int)owner;
        if (seen == old)
            return owner ? 1 : 0;
        old = seen;
    }
}

/* After futex_sleep() gave `r`: 0 if the lock is ours. */
static int64_t stop_waiting(struct futex_waiter *w, int r)
{
    mutex_lock(&pi_lock);
    bool mine = futex_dequeue(w);
    lender_remove(w);
    mutex_unlock(&pi_lock);
    return mine ? 0 : r;
}

int64_t futex_lock_pi(uaddr_t address, bool is_private, uint64_t deadline_ns, bool try_only)
{
    uint32_t tid = (uint32_t)current->tid;
    struct futex_waiter w = {
        .key = futex_key(address, is_private), .pi_tid = (int)tid, .bitset = FUTEX_BITSET_ANY};
    if (address & 3)
        return -EINVAL;
    int owner = 0;
    mutex_lock(&pi_lock);
    int r = try_take(address, tid, try_only, &owner);
    if (r == 1) {
        futex_enqueue(&w);
        lender_add(&w, owner);
    }
    mutex_unlock(&pi_lock);
    if (r != 1)
        return r;
    return stop_waiting(&w, futex_sleep(&w, deadline_ns));
}

/* Gives the word to the first waiter, or frees it; pi_lock is held. */
static int hand_over(uaddr_t address, bool is_private, uint32_t old, uint32_t extra)
    HELD(pi_lock)
{
    struct futex_key k = futex_key(address, is_private);
    uint32_t seen;
    bool more;
    for (;;) {
        int next = futex_pi_first(&k, &more);
        uint32_t wanted = (uint32_t)next | extra | (more ? FUTEX_WAITERS : 0);
        int r = user_cmpxchg32(address, old, wanted, &seen);
        if (r)
            return r;
        if (seen == old) {
            owner_changed(&k, current->tid, next);
            if (next)
                futex_pi_wake(&k, next);
            return 0;
        }
        if ((seen ^ old) & FUTEX_TID_MASK)
            return -EAGAIN;
        old = seen;
    }
}

int64_t futex_unlock_pi(uaddr_t address, bool is_private)
{
    uint32_t value;
    if (address & 3)
        return -EINVAL;
    mutex_lock(&pi_lock);
    int r = user_load32(address, &value);
    if (!r && (value & FUTEX_TID_MASK) != (uint32_t)current->tid)
        r = -EPERM;
    if (!r)
        r = hand_over(address, is_private, value, 0);
    mutex_unlock(&pi_lock);
    return r;
}

/* ---- requeueing ---- */

/* One waiter of a condition gets the lock, or waits for it from now on. 1: it was woken. */
static int requeue_one(struct futex_waiter *w, const struct futex_key *to) HELD(pi_lock)
{
    uint32_t tid = (uint32_t)w->thread->task.tid;
    int owner = 0, r = try_take(to->address, tid, false, &owner);
    if (r < 0)
        return r;
    w->key = *to;
    w->pi_tid = (int)tid;
    futex_put(w);
    if (r == 1) {
        lender_add(w, owner);
        return 0;
    }
    futex_pi_wake(to, (int)tid);
    return 1;
}

int64_t futex_requeue_pi(uaddr_t from, uaddr_t to, bool is_private, uint32_t wake,
                         uint32_t move, uint32_t expected)
{
    struct futex_key a = futex_key(from, is_private), b = futex_key(to, is_private);
    struct futex_waiter *w;
    uint32_t value;
    int64_t done = 0;
    if (wake != 1 || (from & 3) || (to & 3) || from == to)
        return -EINVAL;
    mutex_lock(&pi_lock);
    int r = user_load32(from, &value);
    if (!r && value != expected)
        r = -EAGAIN;
    while (!r && done < (int64_t)wake + move && (w = futex_take_for_pi(&a, to)) != NULL) {
        struct thread *t = thread_get(w->thread);
        r = requeue_one(w, &b);
        if (r < 0)
            futex_put(w); /* as it was */
        else
            done++;
        r = MIN(r, 0);
        thread_put(t);
    }
    mutex_unlock(&pi_lock);
    return done ? done : r;
}

int64_t futex_wait_requeue_pi(uaddr_t address, bool is_private, uint32_t expected,
                              uint64_t deadline_ns, uaddr_t lock)
{
    struct futex_waiter w = {.key = futex_key(address, is_private),
                             .bitset = FUTEX_BITSET_ANY,
                             .pi_target = lock};
    uint32_t value;
    if ((address & 3) || (lock & 3) || address == lock)
        return -EINVAL;
    if (!user_range_ok(address, 4) || !user_range_ok(lock, 4))
        return -EFAULT;
    futex_enqueue(&w);
    int r = user_load32(address, &value);
    if (!r && value != expected)
        r = -EAGAIN;
    if (!r)
        r = futex_sleep(&w, deadline_ns);
    if (r == -ERESTARTSYS)
        r = -EAGAIN; /* the caller looks at its condition again */
    mutex_lock(&pi_lock);
    bool woken = futex_dequeue(&w), mine = woken && w.pi_tid;
    lender_remove(&w);
    mutex_unlock(&pi_lock);
    if (mine)
        return 0;
    return woken && !r ? -EAGAIN : r;
}

void futex_pi_owner_died(uaddr_t address)
{
    uint32_t value;
    mutex_lock(&pi_lock);
    if (!user_load32(address, &value) && (value & FUTEX_TID_MASK) == (uint32_t)current->tid) {
        (void)hand_over(address, false, value, FUTEX_OWNER_DIED);
    }
    mutex_unlock(&pi_lock);
}

/* ---- robust lists ---- */

static void owner_died(uaddr_t address, bool pi, bool was_pending)
{
    uint32_t value, seen;
    if ((address & 3) || user_load32(address, &value))
        return;
    if (was_pending && !pi && !value) {
        /* Died between unlocking and waking. */
        (void)futex_wake(address, false, 1, FUTEX_BITSET_ANY);
        return;
    }
    if ((value & FUTEX_TID_MASK) != (uint32_t)current->tid)
        return;
    if (pi) {
        futex_pi_owner_died(address);
        return;
    }
    for (;;) {
        uint32_t wanted = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (user_cmpxchg32(address, value, wanted, &seen))
            return;
        if (seen == value)
            break;
        value = seen;
    }
    if (!(value & FUTEX_WAITERS))
        return;
    (void)futex_wake(address, false, 1, FUTEX_BITSET_ANY);
}

void robust_list_exit(struct thread *t)
{
    struct abi_robust_list_head head;
    uaddr_t at = t->robust_list;
    t->robust_list = 0;
    if (!at || get_user(&head, at))
        return;
    uint64_t pending = head.pending & ~1ull, node = head.next;
    for (unsigned n = 0; n < ROBUST_LIST_LIMIT && (node & ~1ull) != at; n++) {
        uint64_t entry = node & ~1ull, next;
        int r = get_user(&next, entry);
        if (entry != pending)
            owner_died(entry + (uint64_t)head.futex_offset, node & 1, false);
        if (r)
            break;
        node = next;
    }
    if (pending)
        owner_died(pending + (uint64_t)head.futex_offset, head.pending & 1, true);
}
