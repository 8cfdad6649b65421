/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FUTEX_LOCK_PI and its kin: the word holds the owner's tid; an unlock with waiters hands the
 * lock to the first of them. One mutex makes each operation on words and waiters whole. Robust
 * lists are here too: they end the same way. LIMIT: priorities are not inherited;
 * FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI are missing.
 */
#include "abi/errno.h"
#include "mm/user.h"
#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "proc/process.h"

static struct mutex pi_lock;

void futex_pi_init(void)
{
    mutex_init(&pi_lock, RANK_FUTEX_PI);
}

static bool owner_exists(uint32_t tid)
{
    struct thread *t = thread_find((int)tid);
    thread_put(t);
    return t != NULL;
}

/* One attempt under pi_lock: 0 taken, 1 must wait (the waiters' bit is set), or negative. */
static int try_take(uaddr_t address, uint32_t tid, bool try_only)
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
        if (seen == old)
            return owner ? 1 : 0;
        old = seen;
    }
}

int64_t futex_lock_pi(uaddr_t address, bool is_private, uint64_t deadline_ns, bool try_only)
{
    uint32_t tid = (uint32_t)current->tid;
    struct futex_waiter w = {
        .key = futex_key(address, is_private), .pi_tid = (int)tid, .bitset = FUTEX_BITSET_ANY};
    if (address & 3)
        return -EINVAL;
    mutex_lock(&pi_lock);
    int r = try_take(address, tid, try_only);
    if (r == 1)
        futex_enqueue(&w);
    mutex_unlock(&pi_lock);
    if (r != 1)
        return r;
    r = futex_sleep(&w, deadline_ns);
    mutex_lock(&pi_lock);
    bool mine = futex_dequeue(&w);
    mutex_unlock(&pi_lock);
    return mine ? 0 : r;
}

/* Gives the word to the first waiter, or frees it; pi_lock is held. */
static int hand_over(uaddr_t address, bool is_private, uint32_t old, uint32_t extra)
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
