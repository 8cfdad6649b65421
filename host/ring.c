/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's io_uring, its memory handed to the enclave as it is; or, where the kernel
 * refuses one, the interpreter.
 */
#include "host/ring.h"

#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* Newer than the oldest header that this is built with. */
#define SETUP_SUBMIT_ALL    (1u << 7)
#define SETUP_TASKRUN_FLAG  (1u << 9)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)

static void uring_fini(struct ring *r)
{
    io_uring_queue_exit(r->state);
    free(r->state);
}

static uint32_t unsubmitted(const struct ring *r)
{
    uint32_t tail = __atomic_load_n((uint32_t *)r->map.sq_tail, __ATOMIC_ACQUIRE);
    uint32_t head = __atomic_load_n((uint32_t *)r->map.sq_head, __ATOMIC_ACQUIRE);
    uint32_t n = tail - head;

    return n > r->map.sq_entries ? r->map.sq_entries : n;
}

static long enter_and_wait(struct ring *r, struct host_thread *t, uint64_t timeout_ns,
                           uint32_t min_complete)
{
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / 1000000000u),
                                   .tv_nsec = (long long)(timeout_ns % 1000000000u)};
    struct io_uring_getevents_arg arg = {.ts = timeout_ns == UINT64_MAX ? 0 : (uint64_t)&ts};
    uint64_t args[6] = {(uint64_t)r->fd, unsubmitted(r),
                        min_complete,    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                        (uint64_t)&arg,  sizeof(arg)};
    return host_wait_syscall(t, SYS_io_uring_enter, args);
}

/* Are there completions to be made? */
static int due(const struct ring *r)
{
    return __atomic_load_n((uint32_t *)r->map.sq_flags, __ATOMIC_RELAXED) & RING_SQ_TASKRUN;
}

static int has_completions(const struct ring *r)
{
    return __atomic_load_n((uint32_t *)r->map.cq_tail, __ATOMIC_ACQUIRE) !=
           __atomic_load_n((uint32_t *)r->map.cq_head, __ATOMIC_ACQUIRE);
}

static int uring_wait(struct ring *r, struct host_thread *t, const struct ring_wait *w)
{
    uint64_t left = w->timeout_ns;
    uint32_t submit = unsubmitted(r), count = w->min_complete;
    long rc;

    if (!count) {
        rc = submit || due(r) ? syscall(SYS_io_uring_enter, r->fd, submit, 0,
                                        IORING_ENTER_GETEVENTS, NULL, 0)
                              : 0;
        return rc < 0 ? -errno : 0;
    }
    int gathers = count > 1 && w->gather_ns && w->gather_ns < left;
    rc = enter_and_wait(r, t, gathers ? w->gather_ns : left, count);
    if (gathers && (rc == -ETIME || rc >= 0) && !has_completions(r)) {
        left -= left == UINT64_MAX ? 0 : w->gather_ns;
        rc = enter_and_wait(r, t, left, 1);
    }
    if (rc == -EINTR && (submit = unsubmitted(r))) /* kicked before it began */
        syscall(SYS_io_uring_enter, r->fd, submit, 0, 0, NULL, 0);
    if (rc == -EINTR || rc == -ETIME || rc == -EAGAIN || rc == -EBUSY)
        return 0;
    return rc < 0 ? (int)rc : 0;
}

static const struct ring_ops uring_ops = {.fini = uring_fini, .wait = uring_wait};

/* Completions that are made when we ask for them interrupt nobody, and wake a wait for several
 * once. From 6.1 on; 5.18; any. */
static int queue_init(struct io_uring *u, struct io_uring_params *p)
{
    static const uint32_t flags[] = {SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG |
                                         SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN,
                                     SETUP_SUBMIT_ALL, 0};
    int rc = -EINVAL;

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && rc == -EINVAL; i++) {
        *p = (struct io_uring_params){.flags =
                                          IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | flags[i],
                                      .cq_entries = RING_COMPLETIONS};
        rc = io_uring_queue_init_params(RING_ENTRIES, u, p);
    }
    return rc;
}

static int uring_init(struct ring *r)
{
    struct io_uring_params p;
    struct io_uring *u = calloc(1, sizeof(*u));

    if (!u)
        return -ENOMEM;
    int rc = queue_init(u, &p);
    if (!rc && !(p.features & IORING_FEAT_EXT_ARG)) {
        io_uring_queue_exit(u);
        rc = -ENOSYS;
    }
    if (rc) {
        free(u);
        return rc;
    }
    r->ops = &uring_ops;
    r->state = u;
    r->fd = u->ring_fd;
    r->map = (struct ring_map){
        .sq_head = (uint64_t)u->sq.khead,
        .sq_tail = (uint64_t)u->sq.ktail,
        .sq_mask = (uint64_t)u->sq.kring_mask,
        .sq_array = (uint64_t)u->sq.array,
        .sq_flags = (uint64_t)u->sq.kflags,
        .sqes = (uint64_t)u->sq.sqes,
        .cq_head = (uint64_t)u->cq.khead,
        .cq_tail = (uint64_t)u->cq.ktail,
        .cq_mask = (uint64_t)u->cq.kring_mask,
        .cqes = (uint64_t)u->cq.cqes,
        .sq_entries = p.sq_entries,
        .cq_entries = p.cq_entries,
        .features = RING_FEATURE_KERNEL,
    };
    return 0;
}

int ring_init(struct ring *r, struct host_error *err)
{
    const char *force = getenv("OCCLUM_RING");
    int rc = -ENOSYS;

    if (force && *force && strcmp(force, "uring") && strcmp(force, "interp"))
        return host_fail(err, -EINVAL, "OCCLUM_RING: '%s' is neither uring nor interp", force);
    if (!force || strcmp(force, "interp"))
        rc = uring_init(r);
    if (rc && force && !strcmp(force, "uring"))
        return host_fail(err, rc, "io_uring is not available: %s", strerror(-rc));
    return rc ? ring_interp_init(r, err) : 0;
}

void ring_fini(struct ring *r)
{
    if (r->ops)
        r->ops->fini(r);
    *r = (struct ring){0};
}
