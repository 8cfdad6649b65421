/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring layout served with plain system calls. What would block is kept pending and polled,
 * so that a wait still ends at its time and at a kick. Reads of regular files never pend.
 * Of sockets it needs no more
 * than poll(2) tells. LIMIT: no linked entries, no multishot poll: they complete with -EINVAL.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "host/ring.h"

#define CQ_ENTRIES  RING_COMPLETIONS
#define CQ_SLACK    8u /* one submission completes no more entries than that */
#define PENDING_MAX 65536u

#define OP_TIMEOUT_ABS 1u
#define OP_FSYNC_DATA  1u
#define OP_CANCEL_ALL  1u

struct pending {
    struct ring_sqe sqe;
    uint64_t deadline_ns; /* of a TIMEOUT */
    int used;
};

struct interp {
    uint32_t sq_head, sq_tail, sq_mask, sq_flags;
    uint32_t cq_head, cq_tail, cq_mask, pad;
    uint32_t sq_array[RING_ENTRIES];
    struct ring_sqe sqes[RING_ENTRIES];
    struct ring_cqe cqes[CQ_ENTRIES];
    struct pending pending[PENDING_MAX];
    uint32_t pending_count; /* highest used slot + 1 */
    uint32_t pending_free;  /* no free slot below */
    struct pollfd fds[PENDING_MAX];
    uint32_t fd_slot[PENDING_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t cq_ready(struct interp *in)
{
    return in->cq_tail - __atomic_load_n(&in->cq_head, __ATOMIC_ACQUIRE);
}

/* What comes now waits until the enclave has taken some. */
static int cq_full(struct interp *in)
{
    return cq_ready(in) > CQ_ENTRIES - CQ_SLACK;
}

static void complete(struct interp *in, uint64_t user_data, int64_t res)
{
    if (cq_ready(in) >= CQ_ENTRIES)
        return; /* never: cq_full() is asked before */
    in->cqes[in->cq_tail & (CQ_ENTRIES - 1)] =
        (struct ring_cqe){.user_data = user_data, .res = (int32_t)res};
    __atomic_store_n(&in->cq_tail, in->cq_tail + 1, __ATOMIC_RELEASE);
}

static int64_t positioned(const struct ring_sqe *s, const struct iovec *iov, int count,
                          int writing)
{
    off_t at = (off_t)s->off;
    ssize_t n = -1;

    if (at != -1)
        n = writing ? pwritev(s->fd, iov, count, at) : preadv(s->fd, iov, count, at);
    if (at == -1 || (n < 0 && errno == ESPIPE))
        n = writing ? writev(s->fd, iov, count) : readv(s->fd, iov, count);
    return n < 0 ? -errno : n;
}

static int64_t transfer(const struct ring_sqe *s)
{
    int writing = s->opcode == RING_OP_WRITE || s->opcode == RING_OP_WRITEV;

    if (s->opcode == RING_OP_READV || s->opcode == RING_OP_WRITEV)
        return s->len > 1024
                   ? -EINVAL
                   : positioned(s, (const struct iovec *)s->addr, (int)s->len, writing);
    struct iovec one = {.iov_base = (void *)s->addr, .iov_len = s->len};
    return positioned(s, &one, 1, writing);
}

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int64_t outcome(ssize_t n)
{
    return n < 0 ? -errno : n;
}

/* Asked again when the socket is ready, connect(2) tells how it ended. */
static int64_t connect_step(const struct ring_sqe *s)
{
    set_nonblocking(s->fd);
    int rc = connect(s->fd, (const struct sockaddr *)s->addr, (socklen_t)s->off);
    if (rc < 0 && (errno == EINPROGRESS || errno == EALREADY))
        return -EAGAIN;
    return rc < 0 && errno == EISCONN ? 0 : outcome(rc);
}

/* -EAGAIN: not ready after all. */
static int64_t perform(struct ring_sqe *s)
{
    int flags = (int)s->op_flags | MSG_DONTWAIT;

    switch (s->opcode) {
    case RING_OP_RECV:
        return outcome(recv(s->fd, (void *)s->addr, s->len, flags));
    case RING_OP_RECVMSG:
        return outcome(recvmsg(s->fd, (struct msghdr *)s->addr, flags));
    case RING_OP_SEND:
        return outcome(send(s->fd, (const void *)s->addr, s->len, flags));
    case RING_OP_ACCEPT:
        set_nonblocking(s->fd);
        return outcome(
            accept4(s->fd, (struct sockaddr *)s->addr, (socklen_t *)s->off, (int)s->op_flags));
    case RING_OP_CONNECT:
        return connect_step(s);
    default:
        return transfer(s);
    }
}

static short events_of(const struct ring_sqe *s)
{
    switch (s->opcode) {
    case RING_OP_POLL_ADD:
        return (short)s->op_flags;
    case RING_OP_WRITE:
    case RING_OP_WRITEV:
    case RING_OP_SEND:
    case RING_OP_CONNECT:
        return POLLOUT;
    default:
        return POLLIN;
    }
}

/* The file is ready, or said to be: true if the operation is over. */
static int try_io(struct interp *in, struct ring_sqe *s, short revents)
{
    if (s->opcode == RING_OP_POLL_ADD) {
        complete(in, s->user_data, revents & POLLNVAL ? -EBADF : revents);
        return 1;
    }
    int64_t n = perform(s);
    if (n == -EAGAIN)
        return 0;
    complete(in, s->user_data, n);
    return 1;
}

static void unpend(struct interp *in, struct pending *p)
{
    p->used = 0;
    if (p - in->pending < in->pending_free)
        in->pending_free = (uint32_t)(p - in->pending);
}

static void pend(struct interp *in, const struct ring_sqe *s, uint64_t deadline)
{
    for (uint32_t i = in->pending_free; i < PENDING_MAX; i++) {
        if (in->pending[i].used)
            continue;
        in->pending_free = i + 1;
        in->pending[i] = (struct pending){.sqe = *s, .deadline_ns = deadline, .used = 1};
        if (i >= in->pending_count)
            in->pending_count = i + 1;
        return;
    }
    complete(in, s->user_data, -EBUSY);
}

static void submit_io(struct interp *in, struct ring_sqe *s)
{
    struct pollfd p = {.fd = s->fd, .events = events_of(s)};

    if (s->opcode == RING_OP_POLL_ADD && s->len) {
        complete(in, s->user_data, -EINVAL);
    } else if (poll(&p, 1, 0) < 0) {
        complete(in, s->user_data, -errno);
    } else if (p.revents & POLLNVAL) {
        complete(in, s->user_data, -EBADF);
    } else if (s->opcode == RING_OP_RECVMSG && (s->op_flags & MSG_DONTWAIT)) {
        complete(in, s->user_data, perform(s));
    } else if (!p.revents || !try_io(in, s, p.revents)) {
        pend(in, s, 0);
    }
}

static void submit_timeout(struct interp *in, const struct ring_sqe *s)
{
    struct timespec ts;

    memcpy(&ts, (const void *)s->addr, sizeof(ts));
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000) {
        complete(in, s->user_data, -EINVAL);
        return;
    }
    uint64_t ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    pend(in, s, s->op_flags & OP_TIMEOUT_ABS ? ns : now_ns() + ns);
}

static void cancel(struct interp *in, const struct ring_sqe *s)
{
    int64_t found = 0;

    for (uint32_t i = 0; i < in->pending_count; i++) {
        struct pending *p = &in->pending[i];
        if (!p->used || p->sqe.user_data != s->addr)
            continue;
        unpend(in, p);
        complete(in, p->sqe.user_data, -ECANCELED);
        found++;
        if (!(s->op_flags & OP_CANCEL_ALL))
            break;
    }
    complete(in, s->user_data, s->op_flags & OP_CANCEL_ALL ? found : found ? 0 : -ENOENT);
}

static void submit_one(struct interp *in, struct ring_sqe *s)
{
    if (s->flags) {
        complete(in, s->user_data, -EINVAL);
        return;
    }
    switch (s->opcode) {
    case RING_OP_NOP:
        complete(in, s->user_data, 0);
        return;
    case RING_OP_FSYNC:
        complete(in, s->user_data,
                 (s->op_flags & OP_FSYNC_DATA ? fdatasync(s->fd) : fsync(s->fd)) ? -errno : 0);
        return;
    case RING_OP_SYNC_FILE_RANGE:
        complete(in, s->user_data,
                 outcome(sync_file_range(s->fd, (off64_t)s->off, s->len, s->op_flags)));
        return;
    case RING_OP_TIMEOUT:
        submit_timeout(in, s);
        return;
    case RING_OP_ASYNC_CANCEL:
        cancel(in, s);
        return;
    case RING_OP_CLOSE:
        complete(in, s->user_data, outcome(close(s->fd)));
        return;
    case RING_OP_SHUTDOWN:
        complete(in, s->user_data, outcome(shutdown(s->fd, (int)s->len)));
        return;
    case RING_OP_READ:
    case RING_OP_WRITE:
    case RING_OP_READV:
    case RING_OP_WRITEV:
    case RING_OP_RECV:
    case RING_OP_RECVMSG:
    case RING_OP_SEND:
    case RING_OP_ACCEPT:
    case RING_OP_CONNECT:
    case RING_OP_POLL_ADD:
        submit_io(in, s);
        return;
    default:
        complete(in, s->user_data, -EINVAL);
    }
}

static void submit_all(struct interp *in)
{
    uint32_t tail = __atomic_load_n(&in->sq_tail, __ATOMIC_ACQUIRE);

    for (uint32_t n = 0; in->sq_head != tail && n < RING_ENTRIES && !cq_full(in); n++) {
        uint32_t index = in->sq_array[in->sq_head & (RING_ENTRIES - 1)];
        __atomic_store_n(&in->sq_head, in->sq_head + 1, __ATOMIC_RELEASE);
        if (index < RING_ENTRIES) {
            struct ring_sqe s = in->sqes[index];
            submit_one(in, &s);
        }
    }
}

/* Fires what is due; fills fds with what is polled for, and lowers *until to the next deadline.
 */
static uint32_t gather(struct interp *in, uint64_t *until)
{
    uint32_t n = 0;
    uint64_t now = now_ns();

    while (in->pending_count && !in->pending[in->pending_count - 1].used)
        in->pending_count--;
    for (uint32_t i = 0; i < in->pending_count; i++) {
        struct pending *p = &in->pending[i];
        if (!p->used)
            continue;
        if (p->sqe.opcode != RING_OP_TIMEOUT) {
            in->fds[n] = (struct pollfd){.fd = p->sqe.fd, .events = events_of(&p->sqe)};
            in->fd_slot[n++] = i;
        } else if (p->deadline_ns <= now && !cq_full(in)) {
            unpend(in, p);
            complete(in, p->sqe.user_data, -ETIME);
        } else if (p->deadline_ns < *until) {
            *until = p->deadline_ns;
        }
    }
    return n;
}

static void serve(struct interp *in, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct pending *p = &in->pending[in->fd_slot[i]];
        if (cq_full(in))
            return;
        if (in->fds[i].revents && try_io(in, &p->sqe, in->fds[i].revents))
            unpend(in, p);
    }
}

/* Enough to go back with? Otherwise *until says when to look again. */
static int enough(struct interp *in, const struct ring_wait *w, uint64_t start, uint64_t *until)
{
    uint32_t ready = cq_ready(in);

    if (ready >= w->min_complete || !ready || !w->gather_ns)
        return ready >= w->min_complete;
    uint64_t end = start + (w->gather_ns < UINT32_MAX ? w->gather_ns : UINT32_MAX);
    if (end < *until)
        *until = end;
    return now_ns() >= end;
}

static int interp_wait(struct ring *r, struct host_thread *t, const struct ring_wait *w)
{
    struct interp *in = r->state;
    uint64_t start = now_ns();
    uint64_t end = w->timeout_ns > UINT64_MAX - start ? UINT64_MAX : start + w->timeout_ns;
    long rc = 0;

    submit_all(in);
    for (;;) {
        uint64_t until = end;
        uint32_t n = gather(in, &until);
        uint64_t now = now_ns();
        int done = enough(in, w, start, &until) || now >= end || rc == -EINTR;
        uint64_t left = done || until <= now ? 0 : until - now;
        struct timespec ts = {.tv_sec = (time_t)(left / 1000000000u),
                              .tv_nsec = (long)(left % 1000000000u)};
        if (!n && done)
            return 0;
        uint64_t args[6] = {
            (uint64_t)in->fds, n, until == UINT64_MAX && !done ? 0 : (uint64_t)&ts, 0, 0, 0};
        rc = host_wait_syscall(t, SYS_ppoll, args);
        if (rc > 0)
            serve(in, n);
        if (done)
            return 0;
    }
}

static void interp_fini(struct ring *r)
{
    munmap(r->state, sizeof(struct interp));
}

static const struct ring_ops interp_ops = {.fini = interp_fini, .wait = interp_wait};

int ring_interp_init(struct ring *r, struct host_error *err)
{
    struct interp *in = mmap(NULL, sizeof(*in), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (in == MAP_FAILED)
        return host_fail(err, -ENOMEM, "no memory for a ring");
    in->sq_mask = RING_ENTRIES - 1;
    in->cq_mask = CQ_ENTRIES - 1;
    r->ops = &interp_ops;
    r->state = in;
    r->fd = -1;
    r->map = (struct ring_map){
        .sq_head = (uint64_t)&in->sq_head,
        .sq_tail = (uint64_t)&in->sq_tail,
        .sq_mask = (uint64_t)&in->sq_mask,
        .sq_array = (uint64_t)in->sq_array,
        .sq_flags = (uint64_t)&in->sq_flags,
        .sqes = (uint64_t)in->sqes,
        .cq_head = (uint64_t)&in->cq_head,
        .cq_tail = (uint64_t)&in->cq_tail,
        .cq_mask = (uint64_t)&in->cq_mask,
        .cqes = (uint64_t)in->cqes,
        .sq_entries = RING_ENTRIES,
        .cq_entries = CQ_ENTRIES,
    };
    return 0;
}
