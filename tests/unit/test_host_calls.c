/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control calls and both ring back ends, as the enclave would use them.
 * LINK: emu/*.[cS] host/*.[cS]
 * LIBS: -lcrypto -luring -lpthread
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "host/signal.h"
#include "host/vcpu.h"
#include "tests/unit/unit.h"

static struct machine machine;
static struct vcpu_host *v = &machine.vcpu[0];
static struct vcpu_shared shared;
static const struct dev_ops no_ops;
static struct dev no_dev = {.ops = &no_ops};
static struct host_error err;

#define CALL(name, ...) call(HOSTCALL_##name, (uint64_t[6]){__VA_ARGS__})
#define P(x)            ((uint64_t)(x))

static int64_t call(uint32_t nr, const uint64_t args[6])
{
    shared.call.nr = nr;
    memcpy(shared.call.arg, args, sizeof(shared.call.arg));
    hostcall_serve(v);
    return shared.call.result;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t load(uint64_t at)
{
    return __atomic_load_n((uint32_t *)at, __ATOMIC_ACQUIRE);
}

static void submit(struct ring_sqe sqe)
{
    const struct ring_map *m = &v->ring.map;
    uint32_t tail = load(m->sq_tail), at = tail & (m->sq_entries - 1);

    ((struct ring_sqe *)m->sqes)[at] = sqe;
    ((uint32_t *)m->sq_array)[at] = at;
    __atomic_store_n((uint32_t *)m->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

static int reap(struct ring_cqe *cqe)
{
    const struct ring_map *m = &v->ring.map;
    uint32_t head = load(m->cq_head);

    if (head == load(m->cq_tail))
        return 0;
    *cqe = ((struct ring_cqe *)m->cqes)[head & (m->cq_entries - 1)];
    __atomic_store_n((uint32_t *)m->cq_head, head + 1, __ATOMIC_RELEASE);
    return 1;
}

/* Submits one entry and waits for its completion. */
static int32_t ring(struct ring_sqe sqe)
{
    struct ring_cqe cqe = {0};

    sqe.user_data = 0x77;
    submit(sqe);
    uint64_t end = now_ns() + 5000000000u;
    while (!reap(&cqe)) {
        CHECK(now_ns() < end);
        CHECK(CALL(WAIT, 1000000000, 1) >= 0);
    }
    CHECK_EQ(cqe.user_data, 0x77);
    return cqe.res;
}

static void test_files(void)
{
    char path[] = "/tmp/occlum-test-XXXXXX", buf[16] = "";
    struct iovec out[2] = {{(char *)"ab", 2}, {(char *)"cde", 3}},
                 in[2] = {{buf, 1}, {buf + 8, 4}};
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_NOP}), 0);
    CHECK_EQ(ring((struct ring_sqe){
                 .opcode = RING_OP_WRITE, .fd = fd, .addr = P("hello"), .len = 5}),
             5);
    CHECK_EQ(ring((struct ring_sqe){
                 .opcode = RING_OP_WRITEV, .fd = fd, .addr = P(out), .len = 2, .off = 5}),
             5);
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_FSYNC, .fd = fd}), 0);
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_FSYNC, .fd = fd, .op_flags = 1}), 0);
    CHECK_EQ(CALL(FLUSH, (uint64_t)fd), 0);
    CHECK_EQ(CALL(FLUSH, 999), -EBADF);
    CHECK_EQ(
        ring((struct ring_sqe){.opcode = RING_OP_SYNC_FILE_RANGE, .fd = fd, .op_flags = 2}), 0);
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_SYNC_FILE_RANGE, .fd = 999}), -EBADF);
    CHECK_EQ(
        ring((struct ring_sqe){.opcode = RING_OP_READ, .fd = fd, .addr = P(buf), .len = 10}),
        10);
    CHECK(!memcmp(buf, "helloabcde", 10));
    CHECK_EQ(ring((struct ring_sqe){
                 .opcode = RING_OP_READV, .fd = fd, .addr = P(in), .len = 2, .off = 5}),
             5);
    CHECK(buf[0] == 'a' && !memcmp(buf + 8, "bcde", 4));
    CHECK_EQ(ring((struct ring_sqe){
                 .opcode = RING_OP_READ, .fd = fd, .addr = P(buf), .len = 10, .off = 10}),
             0);
    CHECK_EQ(
        ring((struct ring_sqe){.opcode = RING_OP_READ, .fd = 999, .addr = P(buf), .len = 10}),
        -EBADF);
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_READ, .fd = fd, .addr = 8, .len = 10}),
             -EFAULT);
    CHECK_EQ(ring((struct ring_sqe){.opcode = 250}), -EINVAL);
    close(fd);
    unlink(path);
}

static int pipe_fd[2];

static void *write_later(void *arg)
{
    usleep(20000);
    CHECK(write(pipe_fd[1], "x", 1) == 1);
    return NULL;
}

static void test_blocking(void)
{
    struct timespec ts = {.tv_nsec = 5000000};
    struct ring_cqe cqe;
    pthread_t thread;
    char c = 0;

    CHECK(pipe(pipe_fd) == 0);
    pthread_create(&thread, NULL, write_later, NULL);
    CHECK_EQ(ring((struct ring_sqe){
                 .opcode = RING_OP_POLL_ADD, .fd = pipe_fd[0], .op_flags = POLLIN}),
             POLLIN);
    pthread_join(thread, NULL);
    CHECK_EQ(
        ring((struct ring_sqe){
            .opcode = RING_OP_READ, .fd = pipe_fd[0], .addr = P(&c), .len = 1, .off = -1ull}),
        1);
    CHECK(c == 'x');
    pthread_create(&thread, NULL, write_later, NULL);
    CHECK_EQ(
        ring((struct ring_sqe){
            .opcode = RING_OP_READ, .fd = pipe_fd[0], .addr = P(&c), .len = 1, .off = -1ull}),
        1);
    pthread_join(thread, NULL);
    uint64_t start = now_ns();
    CHECK_EQ(ring((struct ring_sqe){.opcode = RING_OP_TIMEOUT, .addr = P(&ts), .len = 1}),
             -ETIME);
    CHECK(now_ns() - start >= 5000000);
    /* A read that never completes, cancelled; and a wait that runs out of time meanwhile. */
    submit((struct ring_sqe){.opcode = RING_OP_READ,
                             .fd = pipe_fd[0],
                             .addr = P(&c),
                             .len = 1,
                             .off = -1ull,
                             .user_data = 5});
    start = now_ns();
    CHECK(CALL(WAIT, 3000000, 1) >= 0);
    CHECK(now_ns() - start >= 3000000 && now_ns() - start < 2000000000);
    CHECK(!reap(&cqe));
    submit((struct ring_sqe){.opcode = RING_OP_ASYNC_CANCEL, .addr = 6, .user_data = 7});
    CHECK(CALL(WAIT, 1000000000, 1) >= 0);
    CHECK(reap(&cqe) && cqe.user_data == 7 && cqe.res == -ENOENT);
    submit((struct ring_sqe){.opcode = RING_OP_ASYNC_CANCEL, .addr = 5, .user_data = 8});
    CHECK(CALL(WAIT, 1000000000, 2) >= 0);
    int seen = 0;
    while (reap(&cqe)) {
        CHECK(cqe.user_data == 8 ? cqe.res == 0 : cqe.user_data == 5 && cqe.res == -ECANCELED);
        seen++;
    }
    CHECK_EQ(seen, 2);
    /* min_complete 0 submits and comes back. */
    submit((struct ring_sqe){.opcode = RING_OP_NOP, .user_data = 9});
    CHECK(CALL(WAIT, UINT64_MAX, 0) >= 0);
    while (!reap(&cqe))
        CHECK(CALL(WAIT, 1000000, 1) >= 0);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void test_full(void)
{
    struct ring_cqe cqe;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < RING_ENTRIES; i++)
        submit((struct ring_sqe){.opcode = RING_OP_NOP, .user_data = i});
    CHECK(CALL(WAIT, 1000000000, RING_ENTRIES) >= 0);
    for (uint32_t i = 0; i < RING_ENTRIES; i++) {
        CHECK(reap(&cqe));
        sum += cqe.user_data;
    }
    CHECK_EQ(sum, RING_ENTRIES * (RING_ENTRIES - 1) / 2);
}

static volatile uint32_t kicks, answers;

static void *kicker(void *arg)
{
    for (kicks = 0; kicks < 3000;) {
        while (answers != kicks)
            __builtin_ia32_pause();
        for (unsigned i = unit_random() % 3000; i; i--)
            __builtin_ia32_pause();
        kicks++;
        CHECK_EQ(vcpu_kick(&machine, 0), 0);
    }
    return NULL;
}

/* A kick at any moment ends the wait: one lost would cost ten seconds. */
static void test_kick(void)
{
    pthread_t thread;

    answers = kicks = 0;
    CHECK(CALL(WAIT, 0, 1) >= 0);
    pthread_create(&thread, NULL, kicker, NULL);
    while (answers < 3000) {
        uint64_t start = now_ns();
        while (kicks == answers) {
            CHECK(CALL(WAIT, 10000000000u, 1) >= 0);
            CHECK(now_ns() - start < 8000000000u);
        }
        answers++;
    }
    pthread_join(thread, NULL);
    CHECK_EQ(vcpu_kick(&machine, 0), 0);
    uint64_t start = now_ns();
    submit((struct ring_sqe){.opcode = RING_OP_NOP, .user_data = 1});
    CHECK(CALL(WAIT, 10000000000u, 2) >= 0); /* one that came before */
    CHECK(now_ns() - start < 1000000000);
    struct ring_cqe cqe;
    while (!reap(&cqe)) /* what was queued is on its way nevertheless */
        CHECK(now_ns() - start < 8000000000u);
}

static size_t resident(void *p, size_t pages)
{
    char line[256];
    size_t kilobytes = 0;
    unsigned long long from;
    int here = 0;
    FILE *f = fopen("/proc/self/smaps", "r");

    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        if (strchr(line, '-') && sscanf(line, "%llx-", &from) == 1)
            here = from == P(p);
        if (here && sscanf(line, "Rss: %zu", &kilobytes) == 1)
            break;
    }
    fclose(f);
    CHECK(kilobytes <= pages * 4);
    return kilobytes / 4;
}

/* An image that is read, forgotten, and still there. */
static void test_forget(void)
{
    char name[] = "/tmp/occlum-test-XXXXXX";
    int fd = mkstemp(name);

    CHECK(fd >= 0 && !unlink(name) && !ftruncate(fd, 8 * 4096));
    CHECK(pwrite(fd, "there", 5, 5 * 4096) == 5);
    volatile char *p = mmap(NULL, 8 * 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && p[0] == 0 && p[5 * 4096] == 't');
    CHECK(resident((void *)p, 8) > 0);
    CHECK_EQ(CALL(FORGET, P(p), 8 * 4096), 0);
    CHECK_EQ(resident((void *)p, 8), 0);
    CHECK(p[5 * 4096] == 't');
    CHECK_EQ(CALL(FORGET, P(p) + 1, 4096), -EINVAL);
    munmap((void *)p, 8 * 4096);
    CHECK_EQ(CALL(FORGET, P(p), 4096), -ENOMEM);
    close(fd);
}

static void test_paths(void)
{
    char dir[] = "/tmp/occlum-test-XXXXXX", buf[4096];
    struct statx stx;
    struct statfs sfs;
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    int at = AT_FDCWD;

    CHECK(mkdtemp(dir));
    int64_t dfd = CALL(OPENAT, (uint64_t)at, P(dir), O_DIRECTORY | O_RDONLY, 0, 0);
    CHECK(dfd >= 0);
    int64_t fd =
        CALL(OPENAT, P(dfd), P("file"), O_CREAT | O_RDWR, 0640, 8 /* RESOLVE_BENEATH */);
    CHECK(fd >= 0);
    CHECK_EQ(CALL(OPENAT, P(dfd), P("../x"), O_RDONLY, 0, 8), -EXDEV);
    CHECK_EQ(CALL(OPENAT, P(dfd), P("none"), O_RDONLY, 0, 0), -ENOENT);
    CHECK_EQ(CALL(TRUNCATE, P(fd), 100), 0);
    CHECK_EQ(CALL(FALLOCATE, P(fd), 0, 0, 8192), 0);
    CHECK_EQ(CALL(SEEK, P(fd), 0, SEEK_END), 8192);
    CHECK_EQ(CALL(PWRITE, P(fd), P("four"), 4, 4096), 4);
    CHECK_EQ(CALL(PREAD, P(fd), P(buf), 2, 4097), 2);
    CHECK(memcmp(buf, "ou", 2) == 0);
    CHECK_EQ(CALL(PREAD, P(fd), P(buf), sizeof(buf), 8192), 0);
    CHECK_EQ(CALL(PWRITE, 999, P("four"), 4, 0), -EBADF);
    CHECK_EQ(CALL(CHMOD, P(fd), 0600), 0);
    CHECK_EQ(CALL(CHOWN, P(fd), getuid(), getgid()), 0);
    CHECK_EQ(CALL(UTIMENS, P(dfd), P("file"), P(times), 0), 0);
    CHECK_EQ(CALL(STATX, P(dfd), P("file"), 0, STATX_BASIC_STATS, P(&stx)), 0);
    CHECK(stx.stx_size == 8192 && stx.stx_mtime.tv_sec == 2000 &&
          (stx.stx_mode & 0777) == 0600);
    CHECK_EQ(CALL(STATFS, P(fd), P(&sfs)), 0);
    CHECK_EQ(CALL(FLOCK, P(fd), 2), 0);
    CHECK(CALL(GETXATTR, P(fd), P("user.none"), P(buf), sizeof(buf)) < 0);
    CHECK(CALL(SETXATTR, P(fd), P("nope.none"), P("x"), 1, 0) < 0);
    CHECK(CALL(SETXATTR, P(fd), P("user.none"), 0) < 0);
    CHECK(CALL(LISTXATTR, P(fd), P(buf), sizeof(buf)) >= 0);
    CHECK_EQ(CALL(IOCTL, P(fd), TIOCGWINSZ, P(buf), 8), -ENOTTY);
    CHECK_EQ(CALL(MKDIR, P(dfd), P("sub"), 0755), 0);
    CHECK_EQ(CALL(MKDIR, P(dfd), P("sub"), 0755), -EEXIST);
    CHECK_EQ(CALL(LINK, P(dfd), P("file"), P(dfd), P("link"), 0), 0);
    CHECK_EQ(CALL(SYMLINK, P("target"), P(dfd), P("sym")), 0);
    CHECK_EQ(CALL(READLINK, P(dfd), P("sym"), P(buf), sizeof(buf)), 6);
    CHECK(!memcmp(buf, "target", 6));
    CHECK_EQ(CALL(RENAME, P(dfd), P("link"), P(dfd), P("sub/moved"), 0), 0);
    CHECK_EQ(CALL(RENAME, P(dfd), P("file"), P(dfd), P("sym"), 1 /* NOREPLACE */), -EEXIST);
    CHECK_EQ(CALL(MKNOD, P(dfd), P("fifo"), S_IFIFO | 0600, 0), 0);
    CHECK(CALL(GETDENTS, P(dfd), P(buf), sizeof(buf)) > 100);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(CALL(UNLINK, P(dfd), P(((const char *[]){"fifo", "sym", "file"})[i]), 0), 0);
    CHECK_EQ(CALL(UNLINK, P(dfd), P("sub/moved"), 0), 0);
    CHECK_EQ(CALL(UNLINK, P(dfd), P("sub"), AT_REMOVEDIR), 0);
    CHECK_EQ(CALL(CLOSE, P(fd)), 0);
    CHECK_EQ(CALL(CLOSE, P(fd)), -EBADF);
    CHECK_EQ(CALL(CLOSE, P(dfd)), 0);
    rmdir(dir);
}

/* How many ticks wait; they are taken. */
static int ticks_waiting(const sigset_t *tick)
{
    const struct timespec none = {0};
    int n = 0;

    while (sigtimedwait(tick, NULL, &none) > 0)
        n++;
    return n;
}

/* An enclave that asks for ever would else leave its own vCPU with nothing but signals. */
static void interrupts_do_not_queue(void)
{
    sigset_t tick;

    sigemptyset(&tick);
    sigaddset(&tick, HOST_SIGNAL_TICK);
    pthread_sigmask(SIG_BLOCK, &tick, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(CALL(INTERRUPT, 0), 0);
    CHECK_EQ(ticks_waiting(&tick), 1);
    v->thread->poked = 0; /* its handler did not run */
    CHECK_EQ(CALL(INTERRUPT, 0), 0); /* the next one comes again */
    CHECK_EQ(ticks_waiting(&tick), 1);
    v->thread->poked = 0;
    pthread_sigmask(SIG_UNBLOCK, &tick, NULL);
    CHECK_EQ(CALL(INTERRUPT, 0), 0);
    CHECK_EQ(v->thread->poked, 0); /* it ran */
    v->thread->tick_pending = 0;
}

static void test_others(void)
{
    struct host_clock a, b;

    CHECK_EQ(CALL(CLOCK, P(&a)), 0);
    CHECK_EQ(CALL(CLOCK, P(&b)), 0);
    CHECK(b.tsc > a.tsc && b.monotonic_ns >= a.monotonic_ns && a.realtime_ns > a.monotonic_ns);
    CHECK_EQ(call(HOSTCALL_COUNT, (uint64_t[6]){0}), -ENOSYS);
    CHECK_EQ(CALL(KICK, 1), -EINVAL);
    CHECK_EQ(CALL(INTERRUPT, 77), -EINVAL);
    CHECK_EQ(CALL(START_VCPU, 0), -EINVAL);
    CHECK_EQ(CALL(START_VCPU, 64), -EINVAL);
    /* A tick that comes while a call is served waits for the entry. */
    v->thread->tick_pending = 0;
    uint32_t fired = v->shared->timer_fired;
    CHECK_EQ(CALL(TIMER, now_ns() + 1000000), 0);
    uint64_t end = now_ns() + 2000000000u;
    while (!v->thread->tick_pending)
        CHECK(now_ns() < end);
    CHECK(v->shared->timer_fired != fired);
    CHECK_EQ(CALL(TIMER, 0), 0);
    CHECK_EQ(v->thread->tick_pending, 0);
    /* One that another vCPU sends is not the timer's: setting it anew forgets nothing. */
    fired = v->shared->timer_fired;
    CHECK_EQ(CALL(INTERRUPT, 0), 0);
    CHECK_EQ(CALL(TIMER, 0), 0);
    CHECK_EQ(v->thread->tick_pending, TICK_POKE);
    v->thread->tick_pending = 0;
    v->thread->owed = 1; /* nor is one that was missed, and is to be repeated */
    CHECK_EQ(CALL(TIMER, 0), 0);
    CHECK_EQ(v->thread->tick_pending, TICK_POKE);
    CHECK_EQ(v->thread->owed, 0);
    CHECK_EQ(v->shared->timer_fired, fired);
    v->thread->tick_pending = 0;
    interrupts_do_not_queue();
    /* One that came before a wait ends it, too. */
    v->thread->kicked = 0;
    CHECK_EQ(CALL(TIMER, now_ns() + 1000000), 0);
    while (!v->thread->tick_pending)
        CHECK(now_ns() < end);
    uint64_t start = now_ns();
    CHECK(CALL(WAIT, 5000000000u, 1) >= 0);
    CHECK(now_ns() - start < 4000000000u);
    /* And so does one that comes meanwhile. */
    CHECK_EQ(CALL(TIMER, now_ns() + 2000000), 0);
    start = now_ns();
    CHECK(CALL(WAIT, 5000000000u, 1) >= 0);
    CHECK(now_ns() - start < 4000000000u);
    CHECK_EQ(CALL(TIMER, 0), 0);
    CHECK_EQ(CALL(EXIT, 3 << 8), 0);
    CHECK(machine.exited && machine.status == 3 << 8);
}

int main(void)
{
    static const char *const kinds[] = {"uring", "interp"};

    alarm(50);
    pthread_mutex_init(&machine.lock, NULL);
    machine.dev = &no_dev;
    machine.count = 2;
    v->machine = &machine;
    v->shared = &shared;
    CHECK_EQ(host_signals_init(&no_dev, &err), 0);
    CHECK_EQ(host_thread_new(&no_dev, &v->thread, &err), 0);
    v->thread->vcpu = v;
    v->thread->in_host = 1;
    v->running = 1;
    CHECK_EQ(vcpu_timer_new(v), 0);
    for (int i = 0; i < 2; i++) {
        setenv("OCCLUM_RING", kinds[i], 1);
        if (ring_init(&v->ring, &err)) {
            CHECK(i == 0);
            printf("%s\n", err.msg);
            continue;
        }
        CHECK_EQ(v->ring.map.features, i == 0);
        test_files();
        test_blocking();
        test_full();
        test_kick();
        printf("%s: ok\n", kinds[i]);
        if (i == 0)
            ring_fini(&v->ring);
    }
    test_forget();
    test_paths();
    test_others();
    ring_fini(&v->ring);
    host_thread_fini(&no_dev);
    host_thread_free(v->thread);
    host_signals_fini();
    puts("ok");
    return 0;
}
