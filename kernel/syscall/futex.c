/* SPDX-License-Identifier: BSD-3-Clause */
/* futex(2): takes the operation apart. */
#include "proc/futex.h"

#include "abi/errno.h"
#include "sched/task.h"
#include "syscall/syscall.h"
#include "time/time.h"

/* WAIT's timeout is relative, all others' are absolute. */
static int get_deadline(int command, int op, uaddr_t timeout, uint64_t *deadline)
{
    uint64_t ns;
    *deadline = NO_DEADLINE;
    if (!timeout)
        return 0;
    int r = time_get_spec(timeout, &ns);
    if (r)
        return r;
    if (command == FUTEX_WAIT)
        *deadline = time_deadline_in(ns);
    else if (command == FUTEX_LOCK_PI || (op & FUTEX_CLOCK_REALTIME))
        *deadline = time_deadline_realtime(ns);
    else
        *deadline = ns;
    return 0;
}

/* A relative wait that a handler interrupted is not repeated: its time would start anew. */
static int64_t wait_result(int64_t r, int command, uaddr_t timeout)
{
    if (r == -ERESTARTSYS && command == FUTEX_WAIT && timeout)
        return -ERESTARTNOHAND;
    return r;
}

int64_t sys_futex(uaddr_t a, int op, uint32_t val, uaddr_t timeout, uaddr_t b, uint32_t val3)
{
    int command = op & FUTEX_CMD_MASK;
    bool is_private = op & FUTEX_PRIVATE_FLAG;
    uint32_t val2 = (uint32_t)timeout; /* operations without a timeout */
    uint64_t deadline = NO_DEADLINE;
    int r = 0;

    if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET &&
        command != FUTEX_LOCK_PI2)
        return -ENOSYS;
    if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
        command == FUTEX_LOCK_PI2)
        r = get_deadline(command, op, timeout, &deadline);
    if (r)
        return r;
    switch (command) {
    case FUTEX_WAIT:
        val3 = FUTEX_BITSET_ANY;
        /* fall through */
    case FUTEX_WAIT_BITSET:
        return wait_result(futex_wait(a, is_private, val, deadline, val3), command, timeout);
    case FUTEX_WAKE:
        return futex_wake(a, is_private, val, FUTEX_BITSET_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(a, is_private, val, val3);
    case FUTEX_REQUEUE:
        return futex_requeue(a, b, is_private, val, val2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(a, b, is_private, val, val2, &val3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(a, b, is_private, val, val2, val3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return futex_lock_pi(a, is_private, deadline, false);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(a, is_private, NO_DEADLINE, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(a, is_private);
    default:
        return -ENOSYS;
    }
}
