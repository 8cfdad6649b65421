/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * futex(2).
 *
 * Waiters stand in hash buckets, under the bucket's spinlock. Guest memory cannot be read under
 * a spinlock, so a waiter queues first and then compares: whoever changes the word and wakes
 * afterwards finds it queued, or it finds the word changed. A waiter that was picked although
 * its comparison failed hands the wake-up on to the next one.
 *
 * A waiter lives on its thread's stack and always takes its bucket's lock before it returns; a
 * waker is done with it when it drops that lock, and wakes the thread, counted, after that:
 * waking can mean leaving the enclave. Requeueing never holds two buckets' locks: the waiters
 * are on neither for a moment (bucket is NULL), which others wait out.
 *
 * Keys: memory of one address space by mm and address; shared mappings by address alone, since
 * they lie at the same address in every process.
 */
#include "proc/futex.h"

#include "abi/errno.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/futex_internal.h"
#include "proc/process.h"

#define BUCKETS 256u

struct futex_bucket {
    struct spinlock lock;
    struct list waiters;
};
static struct futex_bucket buckets[BUCKETS];

void futex_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        spin_init(&buckets[i].lock, RANK_FUTEX);
        list_init(&buckets[i].waiters);
    }
    futex_pi_init();
}

struct futex_key futex_key(uaddr_t address, bool is_private)
{
    if (!is_private && !vm_is_shared(current->mm, address))
        is_private = true;
    return (struct futex_key){is_private ? current->mm : NULL, address};
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->mm == b->mm && a->address == b->address;
}

static struct futex_bucket *bucket_of(const struct futex_key *k)
{
    uint64_t h = (k->address >> 2) ^ ((uint64_t)(uintptr_t)k->mm >> 6);
    h *= 0x9e3779b97f4a7c15ull;
    return &buckets[(h >> 32) % BUCKETS];
}

static int check_address(uaddr_t address)
{
    if (address & 3)
        return -EINVAL;
    return user_range_ok(address, 4) ? 0 : -EFAULT;
}

/* ---- queueing ---- */

void futex_enqueue(struct futex_waiter *w)
{
    struct futex_bucket *b = bucket_of(&w->key);
    w->thread = current_thread;
    spin_lock(&b->lock);
    atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
    list_append(&b->waiters, &w->node);
    spin_unlock(&b->lock);
}

/* True: it had been woken; a wake-up was spent on it. */
bool futex_dequeue(struct futex_waiter *w)
{
    for (;;) {
        struct futex_bucket *b = atomic_load(&w->bucket);
        if (!b) {
            __builtin_ia32_pause();
            continue;
        }
        spin_lock(&b->lock);
        if (atomic_load(&w->bucket) != b) {
            spin_unlock(&b->lock);
            continue;
        }
        bool woken = atomic_load(&w->woken);
        if (!woken)
            list_remove(&w->node);
        spin_unlock(&b->lock);
        return woken;
    }
}

int futex_sleep(struct futex_waiter *w, uint64_t deadline_ns)
{
    struct task *t = current;
    int r = 0;
    for (;;) {
        atomic_store(&t->state, TASK_SLEEPING);
        if (atomic_load(&w->woken))
            break;
        if (task_signalled()) {
            r = -ERESTARTSYS;
            break;
        }
        if (!schedule_until(deadline_ns)) {
            r = -ETIMEDOUT;
            break;
        }
    }
    atomic_store_explicit(&t->state, TASK_RUNNABLE, memory_order_release);
    return r;
}

/* Threads to wake once the lock is free. */
#define WAKE_BATCH 16u
struct wake_batch {
    struct thread *thread[WAKE_BATCH];
    uint32_t count;
};

static void wake_locked(struct futex_waiter *w, struct wake_batch *batch)
{
    list_remove(&w->node);
    batch->thread[batch->count++] = thread_get(w->thread);
    atomic_store_explicit(&w->woken, true, memory_order_release);
}

static void wake_batch(struct wake_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        (void)task_wake(&batch->thread[i]->task);
        thread_put(batch->thread[i]);
    }
    batch->count = 0;
}

static uint32_t wake_some(const struct futex_key *k, uint32_t count, uint32_t bitset)
{
    struct futex_bucket *b = bucket_of(k);
    struct futex_waiter *w, *tmp;
    struct wake_batch batch;
    batch.count = 0;
    spin_lock(&b->lock);
    list_for_each_safe(w, tmp, &b->waiters, node) {
        if (batch.count >= count)
            break;
        if (key_equal(&w->key, k) && (w->bitset & bitset) && !w->pi_tid)
            wake_locked(w, &batch);
    }
    spin_unlock(&b->lock);
    uint32_t n = batch.count;
    wake_batch(&batch);
    return n;
}

static uint32_t wake_key(const struct futex_key *k, uint32_t count, uint32_t bitset)
{
    uint32_t total = 0, n;
    do {
        n = wake_some(k, MIN(count - total, WAKE_BATCH), bitset);
        total += n;
    } while (n == WAKE_BATCH && total < count);
    return total;
}

/* PI: the first waiter's tid, and whether there are more; 0: none. */
int futex_pi_first(const struct futex_key *k, bool *more)
{
    struct futex_bucket *b = bucket_of(k);
    struct futex_waiter *w;
    int tid = 0;
    uint8_t best = 0;
    *more = false;
    spin_lock(&b->lock);
    list_for_each (w, &b->waiters, node) {
        if (!key_equal(&w->key, k) || !w->pi_tid)
            continue;
        *more = tid != 0;
        if (!tid || w->thread->task.realtime > best) {
            tid = w->pi_tid;
            best = w->thread->task.realtime;
        }
    }
    spin_unlock(&b->lock);
    return tid;
}

void futex_pi_wake(const struct futex_key *k, int tid)
{
    struct futex_bucket *b = bucket_of(k);
    struct futex_waiter *w, *tmp;
    struct wake_batch batch = {.count = 0};
    spin_lock(&b->lock);
    list_for_each_safe (w, tmp, &b->waiters, node) {
        if (key_equal(&w->key, k) && w->pi_tid == tid && !batch.count)
            wake_locked(w, &batch);
    }
    spin_unlock(&b->lock);
    wake_batch(&batch);
}

struct futex_waiter *futex_take_for_pi(const struct futex_key *k, uaddr_t target)
{
    struct futex_bucket *b = bucket_of(k);
    struct futex_waiter *w, *found = NULL;
    spin_lock(&b->lock);
    list_for_each (w, &b->waiters, node) {
        if (!found && key_equal(&w->key, k) && w->pi_target == target && !w->pi_tid)
            found = w;
    }
    if (found) {
        atomic_store(&found->bucket, (struct futex_bucket *)NULL);
        list_remove(&found->node);
    }
    spin_unlock(&b->lock);
    return found;
}

void futex_put(struct futex_waiter *w)
{
    struct futex_bucket *b = bucket_of(&w->key);
    spin_lock(&b->lock);
    list_append(&b->waiters, &w->node);
    atomic_store(&w->bucket, b);
    spin_unlock(&b->lock);
}

/* ---- operations ---- */

int64_t futex_wait(uaddr_t address, bool is_private, uint32_t expected, uint64_t deadline_ns,
                   uint32_t bitset)
{
    struct futex_waiter w = {.key = futex_key(address, is_private), .bitset = bitset};
    uint32_t value;

    if (!bitset)
        return -EINVAL;
    int r = check_address(address);
    if (r)
        return r;
    futex_enqueue(&w);
    r = user_load32(address, &value);
    if (!r && value != expected)
        r = -EAGAIN;
    if (!r)
        r = futex_sleep(&w, deadline_ns);
    else if (futex_dequeue(&w)) {
        (void)wake_key(&w.key, 1, bitset);
        return r;
    } else
        return r;
    return futex_dequeue(&w) ? 0 : r;
}

int64_t futex_wake(uaddr_t address, bool is_private, uint32_t count, uint32_t bitset)
{
    struct futex_key k = futex_key(address, is_private);
    if (!bitset)
        return -EINVAL;
    int r = check_address(address);
    return r ? r : (int64_t)wake_key(&k, count, bitset);
}

/* Moves up to `move` waiters of `from` out of their bucket. */
static uint32_t take_waiters(const struct futex_key *from, struct list *out, uint32_t move)
{
    struct futex_bucket *b = bucket_of(from);
    struct futex_waiter *w, *tmp;
    uint32_t n = 0;
    spin_lock(&b->lock);
    list_for_each_safe (w, tmp, &b->waiters, node) {
        if (n >= move)
            break;
        if (!key_equal(&w->key, from) || w->pi_tid || w->pi_target)
            continue;
        atomic_store(&w->bucket, (struct futex_bucket *)NULL);
        list_remove(&w->node);
        list_append(out, &w->node);
        n++;
    }
    spin_unlock(&b->lock);
    return n;
}

int64_t futex_requeue(uaddr_t from, uaddr_t to, bool is_private, uint32_t wake, uint32_t move,
                      const uint32_t *expected)
{
    struct futex_key a = futex_key(from, is_private), b = futex_key(to, is_private);
    struct list moving = LIST_INIT(moving), *n;
    uint32_t value;

    int r = check_address(from);
    if (!r)
        r = check_address(to);
    if (!r && expected)
        r = user_load32(from, &value);
    if (r)
        return r;
    if (expected && value != *expected)
        return -EAGAIN;
    uint32_t woken = wake_key(&a, wake, FUTEX_BITSET_ANY);
    uint32_t moved = take_waiters(&a, &moving, move);
    struct futex_bucket *target = bucket_of(&b);
    spin_lock(&target->lock);
    while ((n = list_pop(&moving)) != NULL) {
        struct futex_waiter *w = list_entry(n, struct futex_waiter, node);
        w->key = b;
        list_append(&target->waiters, &w->node);
        atomic_store(&w->bucket, target);
    }
    spin_unlock(&target->lock);
    return (int64_t)woken + moved;
}

static int apply_op(uint32_t operation, uint32_t old, uint32_t *result)
{
    uint32_t op = operation >> 28, arg = (uint32_t)((int32_t)(operation << 8) >> 20);
    if (op & 8)
        arg = 1u << (arg & 31);
    switch (op & 7) {
    case 0:
        *result = arg;
        return 0;
    case 1:
        *result = old + arg;
        return 0;
    case 2:
        *result = old | arg;
        return 0;
    case 3:
        *result = old & ~arg;
        return 0;
    case 4:
        *result = old ^ arg;
        return 0;
    default:
        return -ENOSYS;
    }
}

static int compare_op(uint32_t operation, uint32_t old, bool *result)
{
    int32_t v = (int32_t)old, arg = (int32_t)(operation << 20) >> 20;
    switch (operation >> 24 & 15) {
    case 0:
        *result = v == arg;
        return 0;
    case 1:
        *result = v != arg;
        return 0;
    case 2:
        *result = v < arg;
        return 0;
    case 3:
        *result = v <= arg;
        return 0;
    case 4:
        *result = v > arg;
        return 0;
    case 5:
        *result = v >= arg;
        return 0;
    default:
        return -ENOSYS;
    }
}

int64_t futex_wake_op(uaddr_t a, uaddr_t b, bool is_private, uint32_t wake_a, uint32_t wake_b,
                      uint32_t operation)
{
    struct futex_key ka = futex_key(a, is_private), kb = futex_key(b, is_private);
    uint32_t old, wanted, seen;
    bool second = false;

    int r = check_address(a);
    if (!r)
        r = check_address(b);
    if (!r)
        r = user_load32(b, &old);
    while (!r) {
        r = apply_op(operation, old, &wanted);
        if (!r)
            r = user_cmpxchg32(b, old, wanted, &seen);
        if (!r && seen == old)
            break;
        old = seen;
    }
    if (!r)
        r = compare_op(operation, old, &second);
    if (r)
        return r;
    int64_t n = wake_key(&ka, wake_a, FUTEX_BITSET_ANY);
    return second ? n + wake_key(&kb, wake_b, FUTEX_BITSET_ANY) : n;
}
