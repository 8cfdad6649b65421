/* SPDX-License-Identifier: BSD-3-Clause */
/* futex(2) and robust lists. */
#pragma once

#include "lib/types.h"

#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP         5
#define FUTEX_LOCK_PI         6
#define FUTEX_UNLOCK_PI       7
#define FUTEX_TRYLOCK_PI      8
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2        13
#define FUTEX_CMD_MASK        0x7f
#define FUTEX_PRIVATE_FLAG    128
#define FUTEX_CLOCK_REALTIME  256
#define FUTEX_BITSET_ANY      0xffffffffu
#define FUTEX_WAITERS         0x80000000u
#define FUTEX_OWNER_DIED      0x40000000u
#define FUTEX_TID_MASK        0x3fffffffu

struct thread;

void futex_init(void);
/* Waits until woken by one of `bitset`, or deadline_ns. 0, -EAGAIN (*address is not
 * `expected`), -ETIMEDOUT, -EFAULT, -EINVAL, -ERESTARTSYS. */
int64_t futex_wait(uaddr_t address, bool is_private, uint32_t expected, uint64_t deadline_ns,
                   uint32_t bitset) MUST_CHECK;
/* How many were woken, or negative errno. */
int64_t futex_wake(uaddr_t address, bool is_private, uint32_t count, uint32_t bitset);
/* *expected: compare first (CMP_REQUEUE); NULL: don't. Returns woken plus moved. */
int64_t futex_requeue(uaddr_t from, uaddr_t to, bool is_private, uint32_t wake, uint32_t move,
                      const uint32_t *expected) MUST_CHECK;
int64_t futex_wake_op(uaddr_t a, uaddr_t b, bool is_private, uint32_t wake_a, uint32_t wake_b,
                      uint32_t operation) MUST_CHECK;
int64_t futex_lock_pi(uaddr_t address, bool is_private, uint64_t deadline_ns,
                      bool try_only) MUST_CHECK;
/* FUTEX_CMP_REQUEUE_PI and FUTEX_WAIT_REQUEUE_PI. */
int64_t futex_requeue_pi(uaddr_t from, uaddr_t to, bool is_private, uint32_t wake,
                         uint32_t move, uint32_t expected) MUST_CHECK;
int64_t futex_wait_requeue_pi(uaddr_t address, bool is_private, uint32_t expected,
                              uint64_t deadline_ns, uaddr_t lock) MUST_CHECK;
int64_t futex_unlock_pi(uaddr_t address, bool is_private) MUST_CHECK;

/* Locks that the exiting (or exec'ing) current thread still holds are marked and handed on. */
void robust_list_exit(struct thread *t);
