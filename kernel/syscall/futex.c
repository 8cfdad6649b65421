/* SPDX-License-Identifier: BSD-3-Clause */
/* futex(2): takes the operation apart. */
#include "proc/futex.h"

#include "abi/errno.h"
#include "signal/signal.h"
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

static int64_t wait_again(struct signal_thread *s);

/* With a deadline: a handler's EINTR, or a repetition that keeps the deadline. */
static int64_t wait_until(uaddr_t a, bool is_private, uint32_t val, uint64_t deadline)
{
    int64_t r = futex_wait(a, is_private, val, deadline, FUTEX_BITSET_ANY);
    struct signal_thread *s = task_signals(current);
    if (r != -ERESTARTSYS || deadline == NO_DEADLINE)
        return r;
    s->restart = wait_again;
    s->restart_arg[0] = a;
    s->restart_arg[1] = is_private;
    s->restart_arg[2] = val;
    s->restart_arg[3] = deadline;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t wait_again(struct signal_thread *s)
{
    const uint64_t *a = s->restart_arg;
    return wait_until(a[0], a[1], (uint32_t)a[2], a[3]);
}

int64_t sys_futex(uaddr_t a, int op, uint32_t val, uaddr_t timeout, uaddr_t b, uint32_t val3)
{
    int command = op & FUTEX_CMD_MASK;
    bool is_private = op & FUTEX_PRIVATE_FLAG;
    uint32_t val2 = (uint32_t)timeout; /* operations without a timeout */
    uint64_t deadline = NO_DEADLINE;
    int r = 0;

    if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET &&
        command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2)
        return -ENOSYS;
    if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
        command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI)
        r = get_deadline(command, op, timeout, &deadline);
    if (r)
        return r;
    switch (command) {
    case FUTEX_WAIT:
        return wait_until(a, is_private, val, deadline);
    case FUTEX_WAIT_BITSET:
        return futex_wait(a, is_private, val, deadline, val3);
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
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(a, is_private, val, deadline, b);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_requeue_pi(a, b, is_private, val, val2, val3);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(a, is_private);
    default:
        return -ENOSYS;
    }
}
