/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that wait for files: poll, select, epoll; and those that make pipes and
 * eventfds. */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "fs/core/fd.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "signal/signal.h"
#include "syscall/syscall.h"

#define WAIT_FOR_EVER NO_DEADLINE

/* A relative timeout as a deadline; 0: do not wait at all. */
static uint64_t deadline_in(uint64_t ns)
{
    uint64_t at;
    if (ns == 0)
        return 0;
    return add_overflows(clock_monotonic_ns(), ns, &at) ? WAIT_FOR_EVER - 1 : at;
}

static uint64_t deadline_of_ms(int ms)
{
    return ms < 0 ? WAIT_FOR_EVER : deadline_in((uint64_t)ms * 1000000u);
}

/* A struct timespec of the program; address 0: for ever. */
static int deadline_of_timespec(uaddr_t at, uint64_t *deadline)
{
    struct timespec64 t;
    uint64_t ns;
    *deadline = WAIT_FOR_EVER;
    if (!at)
        return 0;
    if (copy_from_user(&t, at, sizeof(t)) < 0)
        return -EFAULT;
    if (t.sec < 0 || t.nsec < 0 || t.nsec >= 1000000000)
        return -EINVAL;
    if (mul_overflows((uint64_t)t.sec, 1000000000u, &ns) ||
        add_overflows(ns, (uint64_t)t.nsec, &ns))
        return 0;
    *deadline = deadline_in(ns);
    return 0;
}

/* One descriptor of a poll set. */
struct watched {
    struct file *file; /* counted; NULL: not open, or not asked for */
    uint32_t events, ready;
};

static unsigned poll_once(struct watched *w, size_t count, struct poll_table *t)
{
    unsigned hits = 0;
    for (size_t i = 0; i < count; i++) {
        if (!w[i].file) {
            hits += w[i].ready != 0;
            continue;
        }
        w[i].ready = file_poll(w[i].file, t) & (w[i].events | POLL_ALWAYS);
        if (w[i].ready) {
            hits++;
            t = NULL; /* no wait will follow */
        }
    }
    return hits;
}

/* The number of descriptors that are ready; 0 at the deadline; -EINTR as -ERESTARTNOHAND. */
static int64_t poll_many(struct watched *w, size_t count, uint64_t deadline)
{
    struct poll_table t;
    int64_t hits;
    poll_table_init(&t, NULL, NULL);
    bool first = true;
    for (;;) {
        hits = poll_once(w, count, first && deadline ? &t : NULL);
        first = false;
        if (hits || !deadline)
            break;
        int r = poll_table_sleep(&t, deadline);
        if (r == -ETIMEDOUT)
            deadline = 0; /* one last look */
        else if (r < 0)
            hits = r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
        if (hits)
            break;
    }
    poll_table_fini(&t);
    return hits;
}

static void release_all(struct watched *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        file_put(w[i].file);
    kfree(w);
}

static int64_t poll_user(uaddr_t fds, uint64_t count, uint64_t deadline)
{
    if (count > fs_rlimit(FS_RLIMIT_NOFILE))
        return -EINVAL;
    struct abi_pollfd *p = kcalloc(MAX(count, (uint64_t)1), sizeof(*p));
    struct watched *w = kcalloc(MAX(count, (uint64_t)1), sizeof(*w));
    int64_t r = p && w ? 0 : -ENOMEM;
    if (r == 0 && count && copy_from_user(p, fds, count * sizeof(*p)) < 0)
        r = -EFAULT;
    for (uint64_t i = 0; i < count && r == 0; i++) {
        w[i].events = (uint16_t)p[i].events;
        if (p[i].fd < 0)
            continue;
        w[i].file = fd_file(p[i].fd);
        w[i].ready = w[i].file ? 0 : POLLNVAL;
    }
    if (r == 0)
        r = poll_many(w, count, deadline);
    for (uint64_t i = 0; i < count && r >= 0; i++)
        p[i].revents = (int16_t)w[i].ready;
    for (uint64_t i = 0; i < count && r >= 0; i++) {
        if (put_user(fds + i * sizeof(*p) + offsetof(struct abi_pollfd, revents),
                     p[i].revents) < 0)
            r = -EFAULT;
    }
    if (w)
        release_all(w, count);
    kfree(p);
    return r;
}

int64_t sys_poll(uaddr_t fds, uint64_t count, int timeout)
{
    return poll_user(fds, count, deadline_of_ms(timeout));
}

static bool interrupted(int64_t r)
{
    return r == -ERESTARTNOHAND || r == -ERESTARTSYS || r == -EINTR;
}

/* The calls with a timespec write back what is left of it. */
static void write_remaining(uaddr_t at, uint64_t deadline, uint64_t unit)
{
    if (!at || deadline == WAIT_FOR_EVER)
        return;
    uint64_t now = clock_monotonic_ns();
    uint64_t left = deadline > now ? deadline - now : 0;
    int64_t t[2] = {(int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u / unit)};
    (void)!copy_to_user(at, t, sizeof(t)); /* read-only timeouts are allowed */
}

int64_t sys_ppoll(uaddr_t fds, uint64_t count, uaddr_t timeout, uaddr_t mask, uint64_t size)
{
    uint64_t deadline;
    int r = deadline_of_timespec(timeout, &deadline);
    if (r == 0)
        r = signal_mask_begin(mask, size);
    if (r < 0)
        return r;
    int64_t n = poll_user(fds, count, deadline);
    signal_mask_end(interrupted(n));
    write_remaining(timeout, deadline, 1);
    return n;
}

/* ---- select ---- */

#define SELECT_IN  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_OUT (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SELECT_EX  POLLPRI

struct fd_sets {
    size_t bytes;
    uint8_t *bits; /* three in, three out, one after the other */
};

static bool is_set(const struct fd_sets *s, int which, uint32_t fd)
{
    return s->bits[which * s->bytes + fd / 8] & (1u << (fd % 8));
}

static void set(struct fd_sets *s, int which, uint32_t fd)
{
    s->bits[(3 + which) * s->bytes + fd / 8] |= (uint8_t)(1u << (fd % 8));
}

static int64_t select_sets(struct fd_sets *s, uint32_t count, uint64_t deadline)
{
    static const uint32_t asks[3] = {POLLIN, POLLOUT, POLLPRI};
    static const uint32_t hits[3] = {SELECT_IN, SELECT_OUT, SELECT_EX};
    struct watched *w = kcalloc(MAX(count, 1u), sizeof(*w));
    int64_t r = 0;
    if (!w)
        return -ENOMEM;
    for (uint32_t fd = 0; fd < count && r == 0; fd++) {
        for (int k = 0; k < 3; k++) {
            if (is_set(s, k, fd))
                w[fd].events |= asks[k];
        }
        if (!w[fd].events)
            continue;
        w[fd].file = fd_file((int)fd);
        if (!w[fd].file)
            r = -EBADF;
        if (w[fd].events == POLLPRI && w[fd].file)
            w[fd].events = POLLPRI;
    }
    if (r == 0)
        r = poll_many(w, count, deadline);
    if (r >= 0) {
        r = 0;
        for (uint32_t fd = 0; fd < count; fd++) {
            for (int k = 0; k < 3; k++) {
                if (is_set(s, k, fd) && (w[fd].ready & hits[k])) {
                    set(s, k, fd);
                    r++;
                }
            }
        }
    }
    release_all(w, count);
    return r;
}

static int64_t select_user(int n, const uaddr_t user[3], uint64_t deadline)
{
    struct fd_sets s;
    if (n < 0)
        return -EINVAL;
    uint32_t count =
        (uint32_t)MIN((uint64_t)n, MAX(fs_rlimit(FS_RLIMIT_NOFILE), (uint64_t)1024));
    s.bytes = (count + 63) / 64 * 8;
    s.bits = kzalloc(MAX(6 * s.bytes, (size_t)1));
    if (!s.bits)
        return -ENOMEM;
    int64_t r = 0;
    for (int k = 0; k < 3 && r == 0; k++) {
        if (user[k] && copy_from_user(s.bits + (size_t)k * s.bytes, user[k], s.bytes) < 0)
            r = -EFAULT;
    }
    if (r == 0)
        r = select_sets(&s, count, deadline);
    for (int k = 0; k < 3 && r >= 0; k++) {
        if (user[k] && copy_to_user(user[k], s.bits + (size_t)(3 + k) * s.bytes, s.bytes) < 0)
            r = -EFAULT;
    }
    kfree(s.bits);
    return r;
}

int64_t sys_select(int n, uaddr_t in, uaddr_t out, uaddr_t ex, uaddr_t timeout)
{
    uaddr_t sets[3] = {in, out, ex};
    uint64_t deadline = WAIT_FOR_EVER, ns;
    int64_t t[2];
    if (timeout && copy_from_user(t, timeout, sizeof(t)) < 0)
        return -EFAULT;
    if (timeout && (t[0] < 0 || t[1] < 0))
        return -EINVAL;
    if (timeout && !mul_overflows((uint64_t)t[0], 1000000000u, &ns) &&
        !add_overflows(ns, (uint64_t)t[1] * 1000u, &ns))
        deadline = deadline_in(ns);
    int64_t r = select_user(n, sets, deadline);
    write_remaining(timeout, deadline, 1000);
    return r;
}

int64_t sys_pselect6(int n, uaddr_t in, uaddr_t out, uaddr_t ex, uaddr_t timeout, uaddr_t sig)
{
    uaddr_t sets[3] = {in, out, ex};
    uint64_t deadline, mask[2] = {0, 0};
    if (sig && copy_from_user(mask, sig, sizeof(mask)) < 0)
        return -EFAULT;
    int r = deadline_of_timespec(timeout, &deadline);
    if (r == 0)
        r = signal_mask_begin(mask[0], mask[1]);
    if (r < 0)
        return r;
    int64_t n_ready = select_user(n, sets, deadline);
    signal_mask_end(interrupted(n_ready));
    write_remaining(timeout, deadline, 1);
    return n_ready;
}

/* ---- epoll ---- */

int64_t sys_epoll_create1(int flags)
{
    struct file *f;
    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    int r = epoll_new(&f);
    return r < 0 ? r : fd_add(f, flags & EPOLL_CLOEXEC);
}

int64_t sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

int64_t sys_epoll_ctl(int epfd, int op, int fd, uaddr_t event)
{
    struct abi_epoll_event e = {0};
    if (op != EPOLL_CTL_DEL && copy_from_user(&e, event, sizeof(e)) < 0)
        return -EFAULT;
    struct file *ep = fd_file(epfd), *f = fd_file(fd);
    int r = -EBADF;
    if (ep && f)
        r = epoll_is(ep) ? epoll_control(ep, op, fd, f, &e) : -EINVAL;
    file_put(f);
    file_put(ep);
    return r;
}

#define EPOLL_BATCH 32

/* In batches, which do not need memory of the program's size. */
static int64_t epoll_batches(struct file *ep, uaddr_t events, int max, uint64_t deadline)
{
    struct abi_epoll_event batch[EPOLL_BATCH];
    uint64_t round = 0;
    int done = 0;
    for (;;) {
        int room = MIN(max - done, EPOLL_BATCH);
        int r = epoll_wait_events(ep, batch, room, done ? 0 : deadline, &round);
        if (r <= 0)
            return done ? done : r;
        if (copy_to_user(events + (uint64_t)done * sizeof(batch[0]), batch,
                         (size_t)r * sizeof(batch[0])) < 0)
            return done ? done : -EFAULT;
        done += r;
        if (r < EPOLL_BATCH || done == max)
            return done;
    }
}

static int64_t epoll_user(int epfd, uaddr_t events, int max, uint64_t deadline)
{
    const size_t size = sizeof(struct abi_epoll_event);
    if (max <= 0 || max > INT32_MAX / (int)size)
        return -EINVAL;
    if (!user_range_ok(events, (uint64_t)max * size))
        return -EFAULT;
    struct file *ep = fd_file(epfd);
    if (!ep)
        return -EBADF;
    int64_t r = epoll_is(ep) ? epoll_batches(ep, events, max, deadline) : -EINVAL;
    file_put(ep);
    return r == -ERESTARTSYS ? -EINTR : r;
}

int64_t sys_epoll_wait(int epfd, uaddr_t events, int max, int timeout)
{
    return epoll_user(epfd, events, max, deadline_of_ms(timeout));
}

int64_t sys_epoll_pwait(int epfd, uaddr_t events, int max, int timeout, uaddr_t mask,
                        uint64_t size)
{
    int r = signal_mask_begin(mask, size);
    if (r < 0)
        return r;
    int64_t n = epoll_user(epfd, events, max, deadline_of_ms(timeout));
    signal_mask_end(interrupted(n));
    return n;
}

int64_t sys_epoll_pwait2(int epfd, uaddr_t events, int max, uaddr_t timeout, uaddr_t mask,
                         uint64_t size)
{
    uint64_t deadline;
    int r = deadline_of_timespec(timeout, &deadline);
    if (r == 0)
        r = signal_mask_begin(mask, size);
    if (r < 0)
        return r;
    int64_t n = epoll_user(epfd, events, max, deadline);
    signal_mask_end(interrupted(n));
    return n;
}

/* ---- new files ---- */

int64_t sys_pipe2(uaddr_t fds, uint32_t flags)
{
    struct file *reader, *writer;
    int32_t pair[2];
    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL; /* LIMIT: no packet mode (O_DIRECT), no O_NOTIFICATION_PIPE */
    int r = pipe_new(flags, &reader, &writer);
    if (r < 0)
        return r;
    pair[0] = fd_reserve(0);
    pair[1] = pair[0] < 0 ? pair[0] : fd_reserve(0);
    r = pair[1] < 0 ? pair[1] : copy_to_user(fds, pair, sizeof(pair));
    if (r < 0) {
        if (pair[0] >= 0)
            fd_unreserve(pair[0]);
        if (pair[1] >= 0)
            fd_unreserve(pair[1]);
        file_put(reader);
        file_put(writer);
        return r;
    }
    fd_install(pair[0], reader, flags & O_CLOEXEC);
    fd_install(pair[1], writer, flags & O_CLOEXEC);
    return 0;
}

int64_t sys_pipe(uaddr_t fds)
{
    return sys_pipe2(fds, 0);
}

int64_t sys_eventfd2(uint32_t count, int flags)
{
    struct file *f;
    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
        return -EINVAL;
    int r = eventfd_new(count, (uint32_t)flags, &f);
    return r < 0 ? r : fd_add(f, flags & EFD_CLOEXEC);
}

int64_t sys_eventfd(uint32_t count)
{
    return sys_eventfd2(count, 0);
}
