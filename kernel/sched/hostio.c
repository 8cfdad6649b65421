/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host I/O: one request per call, its data in a bounce chunk, the task parked until the
 * completion. A signal cancels the operation and then waits for it: the bounce chunk and the
 * request must not be given up while the host may still answer.
 */
#include "sched/hostio.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/host.h"
#include "enclave/hostcall.h"
#include "enclave/ring.h"
#include "lib/alloc.h"
#include "lib/string.h"
#include "sched/gather.h"
#include "sched/internal.h"
#include "sched/queue.h"
#include "sched/task.h"
#include "sched/timer.h"
#include "sched/wait.h"

#define FSYNC_DATASYNC        1u
#define SYNC_FILE_RANGE_WRITE 2u
#define QUICK_FLUSH_NS        1000000u
#define DIRECT_WRITE_MAX      (256u << 10) /* more may be held up while the host writes back */

static _Atomic uint64_t flush_ns = UINT64_MAX; /* what the last flush took */

struct request {
    struct ring_request ring;
    struct task *task;
    _Atomic bool done;
};

static struct wait_queue chunk_waiters = {SPINLOCK_INIT(RANK_WAIT),
                                          LIST_INIT(chunk_waiters.waiters)};

static void complete(struct ring_request *r)
{
    struct request *q = container_of(r, struct request, ring);
    struct task *t = q->task;

    atomic_store(&q->done, true);
    task_wake(t);
}

static void ignore(struct ring_request *r)
{
}

static void submit(struct ring_sqe *sqe, struct ring_request *r)
{
    while (ring_submit(sqe, r) == -EAGAIN) {
        atomic_store(&current->state, TASK_RUNNABLE);
        gather_submit();
        ring_reap();
        task_yield();
    }
}

/* Asks the host to give the operation up; its completion still comes. The cancel request is
 * static: its completion is of no interest and may arrive at any time. */
static void cancel(struct request *q)
{
    static struct ring_request ignored = {.complete = ignore, .max_result = INT32_MAX};
    struct ring_sqe sqe = {.opcode = RING_OP_ASYNC_CANCEL, .fd = -1, .addr = q->ring.user_data};
    struct ring_request *r = &ignored;

    if (ring_submit(&sqe, r))
        return; /* a full ring: the operation ends by itself, later */
}

/* With `whole`, signals do not end it: disks answer soon, and programs expect no EINTR. */
static int run_once(struct ring_sqe *sqe, int32_t max_result, uint64_t deadline_ns, bool whole)
{
    struct request q = {.task = current,
                        .ring = {.max_result = max_result, .complete = complete}};
    bool cancelled = false;

    current->pinned = this_vcpu()->index + 1; /* a ring cancels only its own */
    current->keeps_claim = whole; /* an exchange costs more than most disk accesses */
    submit(sqe, &q.ring);
    while (!atomic_load(&q.done)) {
        atomic_store(&current->state,
                     cancelled || whole ? TASK_UNINTERRUPTIBLE : TASK_SLEEPING);
        if (atomic_load(&q.done))
            break;
        bool stop = (!whole && task_signalled()) || clock_monotonic_ns() >= deadline_ns;
        if (!cancelled && stop) {
            cancelled = true;
            cancel(&q);
            continue;
        }
        (void)schedule_until(cancelled ? NO_DEADLINE : deadline_ns);
    }
    atomic_store(&current->state, TASK_RUNNABLE);
    current->keeps_claim = false;
    current->pinned = 0;
    if (!task_allowed(current, this_vcpu()->index)) /* changed meanwhile */
        atomic_fetch_or(&current->flags, TASK_RESCHED);
    if (cancelled && (q.ring.result == -ECANCELED || q.ring.result == -EINTR))
        return task_signalled() ? -ERESTARTSYS : -ETIMEDOUT;
    return q.ring.result;
}

/* A signal to the host's thread, not to ours, can end an operation: Linux says EINTR, or, when
 * it could start no worker for it then, ECANCELED. */
static int run(struct ring_sqe *sqe, int32_t max_result, uint64_t deadline_ns, bool whole)
{
    int r;

    do {
        r = run_once(sqe, max_result, deadline_ns, whole);
    } while (r == -EINTR || r == -ECANCELED);
    return r;
}

static int chunk_take(haddr_t *chunk, bool whole)
{
    for (;;) {
        int r = wait_event(&chunk_waiters, (*chunk = pool_get()) != 0, NO_DEADLINE);

        if (r != -ERESTARTSYS || !whole)
            return r;
        task_yield();
    }
}

static void chunk_give(haddr_t chunk)
{
    pool_put(chunk);
    wait_wake(&chunk_waiters, 1);
}

ssize_t hostio_read(int fd, void *buffer, size_t size, int64_t offset)
{
    haddr_t chunk;
    ssize_t r;

    size = MIN(size, (size_t)HOSTIO_MAX);
    r = chunk_take(&chunk, offset != HOSTIO_STREAM);
    if (r)
        return r;
    struct ring_sqe sqe = {.opcode = RING_OP_READ,
                           .fd = fd,
                           .addr = chunk,
                           .len = (uint32_t)size,
                           .off = (uint64_t)offset};
    r = run(&sqe, (int32_t)size, NO_DEADLINE, offset != HOSTIO_STREAM);
    if (r > 0)
        host_copy_in(buffer, chunk, (size_t)r);
    chunk_give(chunk);
    return r;
}

ssize_t hostio_write(int fd, const void *buffer, size_t size, int64_t offset)
{
    haddr_t chunk;
    ssize_t r;

    size = MIN(size, (size_t)HOSTIO_MAX);
    r = chunk_take(&chunk, offset != HOSTIO_STREAM);
    if (r)
        return r;
    host_copy_out(chunk, buffer, size);
    struct ring_sqe sqe = {.opcode = RING_OP_WRITE,
                           .fd = fd,
                           .addr = chunk,
                           .len = (uint32_t)size,
                           .off = (uint64_t)offset};
    r = run(&sqe, (int32_t)size, NO_DEADLINE, offset != HOSTIO_STREAM);
    chunk_give(chunk);
    return r;
}

ssize_t hostio_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    ssize_t r = host_pread(fd, buffer, size, offset);

    /* Not in the host's memory, or such files cannot say. */
    return r > 0 ? r : hostio_read(fd, buffer, size, (int64_t)offset);
}

ssize_t hostio_pwrite(int fd, const void *buffer, size_t size, uint64_t offset)
{
    ssize_t r = size <= DIRECT_WRITE_MAX ? host_pwrite(fd, buffer, size, offset) : -EAGAIN;

    return r != -EAGAIN ? r : hostio_write(fd, buffer, size, (int64_t)offset);
}

/*
 * Through the ring a flush costs two wake-ups across the host's CPUs: of the worker that does
 * it, and ours. Where nobody else needs this vCPU it does it itself, as long as the disk was
 * quick the last time: what comes up meanwhile waits for it, or is done by another vCPU.
 */
static bool flush_aside(uint64_t now)
{
    return atomic_load(&flush_ns) > QUICK_FLUSH_NS || atomic_load(&my_queue()->length) ||
           ring_in_flight() || timer_next() < now + QUICK_FLUSH_NS;
}

int hostio_fsync(int fd, bool data_only)
{
    struct ring_sqe sqe = {
        .opcode = RING_OP_FSYNC, .fd = fd, .op_flags = data_only ? FSYNC_DATASYNC : 0};
    uint64_t start = clock_monotonic_ns();
    int r = !data_only || flush_aside(start) ? run(&sqe, 0, NO_DEADLINE, true) : host_flush(fd);
    atomic_store(&flush_ns, clock_monotonic_ns() - start);
    return r;
}

static void writing_started(struct ring_request *r)
{
    kfree(container_of(r, struct ring_async, request));
}

void hostio_start_writing(int fd)
{
    struct ring_async *a = kzalloc(sizeof(*a));

    if (!a)
        return;
    a->sqe = (struct ring_sqe){
        .opcode = RING_OP_SYNC_FILE_RANGE, .fd = fd, .op_flags = SYNC_FILE_RANGE_WRITE};
    a->request.complete = writing_started;
    ring_queue(a);
}

int hostio_poll(int fd, uint32_t events, uint64_t deadline_ns)
{
    struct ring_sqe sqe = {.opcode = RING_OP_POLL_ADD, .fd = fd, .op_flags = events};
    int r = run(&sqe, 0xffff, deadline_ns, false);

    return r == -ETIMEDOUT ? 0 : r;
}
