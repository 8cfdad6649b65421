/* SPDX-License-Identifier: BSD-3-Clause */
/* Spinlocks and mutexes. */
#include "sched/lock.h"

#include "enclave/pages.h"
#include "lib/log.h"
#include "sched/task.h"
#include "sched/wait.h"

#ifdef OCCLUM_DEBUG
extern const char __image_start[];
#endif

/* ---- the order, in debug builds ---- */

#ifdef OCCLUM_DEBUG
/* Spinlocks are the vCPU's, mutexes the task's. */
static struct held_locks *spinlocks(void)
{
    return &this_vcpu()->held;
}

/* The message's way out takes locks and calls the host. */
NORETURN static void complain(const char *what, uint32_t rank, uint32_t over, const void *where)
{
    spinlocks()->count = 0;
    panic("%s (rank %u) at image+0x%lx over a lock of rank %u", what, rank,
          (uint64_t)where - (uint64_t)__image_start, over);
}

/* A wait queue's waiter may be an epoll instance, whose own queue is woken under the first
 * one's lock; and polling one instance may poll another. Epoll sees to it that there are no
 * circles. */
static bool nests(uint32_t rank)
{
    return rank == RANK_WAIT || rank == RANK_EPOLL;
}

static void check_order(const struct held_locks *h, uint32_t rank, const void *where)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->rank[i] > rank || (h->rank[i] == rank && !nests(rank)))
            complain("a lock is taken", rank, h->rank[i], where);
    }
}

static void note_held(struct held_locks *h, const void *lock, uint32_t rank)
{
    assert(h->count < HELD_MAX);
    h->lock[h->count] = lock;
    h->rank[h->count++] = rank;
}

static void note_released(struct held_locks *h, const void *lock)
{
    uint32_t i = h->count;

    while (i && h->lock[i - 1] != lock)
        i--;
    assert(i);
    for (h->count--; i <= h->count; i++) {
        h->lock[i - 1] = h->lock[i];
        h->rank[i - 1] = h->rank[i];
    }
}

void lock_assert_none(const char *what)
{
    struct held_locks *h = spinlocks();

    if (h->count)
        complain(what, 0, h->rank[h->count - 1], __builtin_return_address(0));
}

int lock_add_pages(uint64_t address, uint64_t count)
{
    struct held_locks *h = spinlocks();
    uint32_t held = h->count;

    h->count = 0;
    int e = enclave_pages_add(address, count);
    h->count = held;
    return e;
}

#define CHECK_SPIN(l)   check_order(spinlocks(), (l)->rank, __builtin_return_address(0))
#define HELD_SPIN(l)    note_held(spinlocks(), (l), (l)->rank)
#define RELEASE_SPIN(l) note_released(spinlocks(), (l))
#define HELD_MUTEX(m)   note_held(&current->held, (m), (m)->rank)
#define CHECK_MUTEX(m)                                                                         \
    (lock_assert_none("a mutex is taken"), assert(!current->freezes),                          \
     check_order(&current->held, (m)->rank, __builtin_return_address(0)))
#define RELEASE_MUTEX(m) note_released(&current->held, (m))
#else
int lock_add_pages(uint64_t address, uint64_t count)
{
    return enclave_pages_add(address, count);
}

#define CHECK_SPIN(l)    ((void)0)
#define HELD_SPIN(l)     ((void)0)
#define RELEASE_SPIN(l)  ((void)0)
#define HELD_MUTEX(m)    ((void)0)
#define CHECK_MUTEX(m)   ((void)0)
#define RELEASE_MUTEX(m) ((void)0)
#endif

/* ---- spinlocks ---- */

void spin_init(struct spinlock *l, enum lock_rank rank)
{
    atomic_init(&l->held, 0);
    l->rank = rank;
}

static bool take(struct spinlock *l)
{
    return !atomic_exchange_explicit(&l->held, 1, memory_order_acquire);
}

bool spin_trylock(struct spinlock *l) UNCHECKED_LOCKING
{
    bool taken = take(l);
    if (taken)
        HELD_SPIN(l);
    return taken;
}

void spin_lock(struct spinlock *l) UNCHECKED_LOCKING
{
    CHECK_SPIN(l);
    while (!take(l)) {
        while (atomic_load_explicit(&l->held, memory_order_relaxed))
            __asm__ volatile("pause");
    }
    HELD_SPIN(l);
}

void spin_unlock(struct spinlock *l) UNCHECKED_LOCKING
{
    assert(atomic_load_explicit(&l->held, memory_order_relaxed));
    RELEASE_SPIN(l);
    atomic_store_explicit(&l->held, 0, memory_order_release);
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    spin_init(&m->lock, RANK_WAIT);
    m->owner = NULL;
    list_init(&m->waiters);
    m->rank = rank;
}

struct mutex_waiter {
    struct list node;
    struct task *task;
};

bool mutex_trylock(struct mutex *m) UNCHECKED_LOCKING
{
    spin_lock(&m->lock);
    bool free = !m->owner;
    if (free)
        m->owner = current;
    spin_unlock(&m->lock);
    if (free)
        HELD_MUTEX(m);
    return free;
}

/* The releasing task hands the mutex over, so that a waiter never starves. */
void mutex_lock(struct mutex *m) UNCHECKED_LOCKING
{
    struct mutex_waiter w = {.task = current};

    CHECK_MUTEX(m);
    spin_lock(&m->lock);
    if (!m->owner) {
        m->owner = current;
        spin_unlock(&m->lock);
        HELD_MUTEX(m);
        return;
    }
    assert(m->owner != current);
    list_append(&m->waiters, &w.node);
    for (;;) {
        atomic_store(&current->state, TASK_UNINTERRUPTIBLE);
        if (m->owner == current)
            break;
        spin_unlock(&m->lock);
        schedule();
        spin_lock(&m->lock);
    }
    atomic_store(&current->state, TASK_RUNNABLE);
    spin_unlock(&m->lock);
    HELD_MUTEX(m);
}

void mutex_unlock(struct mutex *m) UNCHECKED_LOCKING
{
    struct task *next = NULL;

    RELEASE_MUTEX(m);
    spin_lock(&m->lock);
    assert(m->owner == current);
    struct list *first = list_pop(&m->waiters);
    if (first)
        next = list_entry(first, struct mutex_waiter, node)->task;
    m->owner = next;
    spin_unlock(&m->lock);
    if (next)
        task_wake(next);
}

bool mutex_held(const struct mutex *m)
{
    return m->owner == current;
}
