/* SPDX-License-Identifier: BSD-3-Clause */
/* Between futex.c and futex_pi.c. */
#pragma once

#include <stdatomic.h>

#include "lib/list.h"
#include "lib/types.h"

struct mm;
struct thread;
struct futex_bucket;

struct futex_key {
    struct mm *mm; /* NULL: shared */
    uaddr_t address;
};

struct futex_waiter {
    struct list node;
    struct futex_key key;
    uint32_t bitset;
    int pi_tid; /* waits for a PI lock on behalf of this thread; 0: an ordinary waiter */
    int pi_owner;        /* who holds that lock, and is lent our priority; 0: nobody */
    struct list lender;  /* futex_pi.c */
    uaddr_t pi_target;   /* may be requeued to this lock, and only by that */
    _Atomic(struct futex_bucket *) bucket;
    _Atomic bool woken;
    struct thread *thread;
};

struct futex_key futex_key(uaddr_t address, bool is_private);
void futex_enqueue(struct futex_waiter *w);
bool futex_dequeue(struct futex_waiter *w);
/* Sleeps until it is woken, as wait_event() does. */
int futex_sleep(struct futex_waiter *w, uint64_t deadline_ns);
/* The waiter with the highest priority. */
int futex_pi_first(const struct futex_key *k, bool *more);
/* Takes one who waits with that target out of the buckets, and puts one into its key's. */
struct futex_waiter *futex_take_for_pi(const struct futex_key *k, uaddr_t target);
void futex_put(struct futex_waiter *w);
void futex_pi_wake(const struct futex_key *k, int tid);
void futex_pi_init(void);
/* The owner died with the lock held. */
void futex_pi_owner_died(uaddr_t address);
