/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Single operations, timed. The same binary runs natively and inside: `micro NAME...` prints
 * "NAME nanoseconds" for each, `micro` alone lists the names. Files stand in TEST_DIR or /tmp.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loopback.h"

struct benchmark {
    const char *name;
    void (*run)(long count);
    long count; /* per round, so that a round takes some milliseconds natively */
    void (*prepare)(void);
};

static volatile long sink;
static char path[4096];
static int file = -1;
static int pipes[2][2];
static char *megabyte;

static long now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- calls ---- */

static void getppid_libc(long count)
{
    while (count--)
        sink = getppid();
}

static long (*trap_site)(void);

/* A site that no patcher can rewrite: a jump lands on the instruction, and a conditional one on
 * the byte behind it, so that only its own two bytes are free. */
static void prepare_trap(void)
{
    static const uint8_t code[] = {
        0xb8, 0x6e, 0x00, 0x00, 0x00, /* mov $110, %eax */
        0xeb, 0x01,                   /* jmp 1f */
        0x90, 0x0f, 0x05,             /* 1: syscall */
        0x48, 0x85, 0xc0,             /* 2: test %rax, %rax */
        0x78, 0xfb,                   /* js 2b: never taken, getppid does not fail */
        0xc3,
    };
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        die("mmap");
    memcpy(page, code, sizeof(code));
    memcpy(&trap_site, &page, sizeof(page));
}

static void getppid_trap(long count)
{
    while (count--)
        sink = trap_site();
}

static void clock_vdso(long count)
{
    struct timespec ts;
    while (count--)
        clock_gettime(CLOCK_MONOTONIC, &ts);
    sink = ts.tv_nsec;
}

static void clock_syscall(long count)
{
    struct timespec ts;
    while (count--)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    sink = ts.tv_nsec;
}

static void yield(long count)
{
    while (count--)
        syscall(SYS_sched_yield);
}

/* ---- memory ---- */

static void map_and_touch(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    munmap(p, size);
}

static void mmap_4k(long count)
{
    while (count--)
        map_and_touch(4096);
}

static void mmap_64m(long count)
{
    while (count--)
        map_and_touch(64 << 20);
}

/* ---- files ---- */

static void prepare_file(void)
{
    if (file >= 0)
        return;
    const char *base = getenv("TEST_DIR");
    snprintf(path, sizeof(path), "%s/micro.%d", base ? base : "/tmp", (int)getpid());
    megabyte = malloc(1 << 20);
    if (!megabyte)
        die("malloc");
    memset(megabyte, 'x', 1 << 20);
    file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    if (file < 0 || write(file, megabyte, 1 << 20) != 1 << 20)
        die(path);
}

static void pread_4k(long count)
{
    while (count--)
        if (pread(file, megabyte, 4096, (count & 255) * 4096) != 4096)
            die("pread");
}

static void pwrite_4k(long count)
{
    while (count--)
        if (pwrite(file, megabyte, 4096, (count & 255) * 4096) != 4096)
            die("pwrite");
}

static void read_1m(long count)
{
    while (count--)
        if (lseek(file, 0, SEEK_SET) || read(file, megabyte, 1 << 20) != 1 << 20)
            die("read");
}

static void create_unlink(long count)
{
    char name[sizeof(path) + 32];
    while (count--) {
        snprintf(name, sizeof(name), "%s.%ld", path, count);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0 || close(fd) || unlink(name))
            die(name);
    }
}

static void open_close(long count)
{
    while (count--)
        close(open(path, O_RDONLY));
}

static void stat_file(long count)
{
    struct stat st;
    while (count--)
        if (stat(path, &st))
            die("stat");
}

/* ---- two at a time ---- */

/* Ping-pong: `at[0]` and `at[1]` are the CPUs of the two, out of those that there are. */
static int cpus[2], at[2];
static uint32_t turn;

static void find_cpus(void)
{
    cpu_set_t all;
    int count = 0;
    if (sched_getaffinity(0, sizeof(all), &all))
        die("sched_getaffinity");
    for (int i = 0; i < CPU_SETSIZE && count < 2; i++)
        if (CPU_ISSET(i, &all))
            cpus[count++] = i;
    if (count == 1)
        cpus[1] = cpus[0];
}

static void stay_on(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one))
        die("sched_setaffinity");
}

/* Runs `other(count)` on a thread of its own beside `mine(count)`, then lets go of the CPUs. */
static void pair(void *(*other)(void *), void (*mine)(long), long count, int two_cpus)
{
    pthread_t thread;
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof(all), &all))
        die("sched_getaffinity");
    find_cpus();
    at[0] = cpus[0];
    at[1] = cpus[two_cpus];
    stay_on(at[0]);
    if (pthread_create(&thread, NULL, other, &count))
        die("pthread_create");
    mine(count);
    pthread_join(thread, NULL);
    if (sched_setaffinity(0, sizeof(all), &all))
        die("sched_setaffinity");
}

static void prepare_pipes(void)
{
    if (pipe(pipes[0]) || pipe(pipes[1]))
        die("pipe");
}

static void *echo(void *arg)
{
    char c;
    stay_on(at[1]);
    for (long n = *(long *)arg; n; n--)
        if (read(pipes[0][0], &c, 1) != 1 || write(pipes[1][1], &c, 1) != 1)
            die("echo");
    return NULL;
}

static void call_out(long count)
{
    char c = 1;
    while (count--)
        if (write(pipes[0][1], &c, 1) != 1 || read(pipes[1][0], &c, 1) != 1)
            die("pipe");
}

static void pipe_one_cpu(long count)
{
    pair(echo, call_out, count, 0);
}

static void pipe_two_cpus(long count)
{
    pair(echo, call_out, count, 1);
}

static void take_turns(uint32_t mine, long count)
{
    while (count--) {
        uint32_t now;
        while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) % 2 != mine)
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
        __atomic_fetch_add(&turn, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *second_turn(void *arg)
{
    stay_on(at[1]);
    take_turns(1, *(long *)arg);
    return NULL;
}

static void first_turn(long count)
{
    take_turns(0, count);
}

static void futex_one_cpu(long count)
{
    turn = 0;
    pair(second_turn, first_turn, count, 0);
}

static void futex_two_cpus(long count)
{
    turn = 0;
    pair(second_turn, first_turn, count, 1);
}

/* ---- sockets and readiness ---- */

/* The two ends of one pair stand where the pipes' would. */
static void prepare_sockets(void)
{
    int s[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
        die("socketpair");
    pipes[0][0] = pipes[1][1] = s[1];
    pipes[0][1] = pipes[1][0] = s[0];
}

/* The same over the loopback. */
static void prepare_tcp(void)
{
    prepare_listener();
    pipes[0][0] = pipes[1][1] = dial();
    pipes[0][1] = pipes[1][0] = accept(listening, NULL, NULL);
}

#define WATCHED 10000
#define ACTIVE  10
static int watch = -1, watched[WATCHED];

static void prepare_epoll(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    watch = epoll_create1(0);
    for (int i = 0; i < WATCHED; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = i};
        watched[i] = eventfd(i % (WATCHED / ACTIVE) == 0, EFD_NONBLOCK);
        if (watched[i] < 0 || epoll_ctl(watch, EPOLL_CTL_ADD, watched[i], &e))
            die("epoll");
    }
}

static void epoll_some(long count)
{
    struct epoll_event out[64];
    while (count--)
        if (epoll_wait(watch, out, 64, -1) != ACTIVE)
            die("epoll_wait");
}

/* A mebibyte through a pipe, in pieces of `piece` bytes. */
static size_t piece;

static void *pour(void *arg)
{
    static char buffer[65536];
    stay_on(at[1]);
    for (long left = *(long *)arg << 20; left > 0;) {
        ssize_t n = write(pipes[0][1], buffer, piece);
        if (n < 0)
            die("write");
        left -= n;
    }
    return NULL;
}

static void drink(long count)
{
    static char buffer[65536];
    for (long left = count << 20; left > 0;) {
        ssize_t n = read(pipes[0][0], buffer, piece);
        if (n <= 0)
            die("read");
        left -= n;
    }
}

static void pipe_4k(long count)
{
    piece = 4096;
    pair(pour, drink, count, 0);
}

static void pipe_64k(long count)
{
    piece = 65536;
    pair(pour, drink, count, 0);
}

/* ---- many at a time ---- */

static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;
static long rounds_each;

static void *lock_often(void *arg)
{
    for (long n = rounds_each; n; n--) {
        pthread_mutex_lock(&contended);
        for (int i = 0; i < 20; i++)
            sink++;
        pthread_mutex_unlock(&contended);
    }
    return arg;
}

/* `count` acquisitions, shared out among `threads`. */
static void lock_with(int threads, long count)
{
    pthread_t thread[256];
    rounds_each = count / threads;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, lock_often, NULL))
            die("pthread_create");
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
}

static void mutex_2(long count)
{
    lock_with(2, count);
}

static void mutex_16(long count)
{
    lock_with(16, count);
}

static void mutex_256(long count)
{
    lock_with(256, count);
}

static void *nothing(void *arg)
{
    return arg;
}

static void thread_create_join(long count)
{
    pthread_t thread;
    while (count--) {
        if (pthread_create(&thread, NULL, nothing, NULL))
            die("pthread_create");
        pthread_join(thread, NULL);
    }
}

/* ---- processes and signals ---- */

static void wait_for(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
        die("child");
}

static void fork_wait(long count)
{
    while (count--) {
        pid_t pid = fork();
        if (!pid)
            _exit(0);
        wait_for(pid);
    }
}

/* With memory in use; the child writes to all of it or to none. */
static char *in_use;
static size_t in_use_bytes;

static void use_memory(size_t mib)
{
    if (in_use)
        munmap(in_use, in_use_bytes);
    in_use_bytes = mib << 20;
    in_use =
        mmap(NULL, in_use_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (in_use == MAP_FAILED)
        die("mmap");
    memset(in_use, 1, in_use_bytes);
}

static void use_1m(void)
{
    use_memory(1);
}

static void use_16m(void)
{
    use_memory(16);
}

static void use_128m(void)
{
    use_memory(128);
}

static void use_none(void)
{
    if (in_use)
        munmap(in_use, in_use_bytes);
    in_use = NULL;
    in_use_bytes = 0;
}

static void fork_work(long count)
{
    while (count--) {
        pid_t pid = fork();
        for (size_t i = 0; !pid && i < in_use_bytes; i += 4096)
            in_use[i]++;
        if (!pid)
            _exit(0);
        wait_for(pid);
    }
}

/* ---- a pool of workers: forked, and then alive side by side ---- */

#define WORKERS       4
#define WORKER_PAGES  256 /* that each writes when it starts, at the same addresses */
#define REQUEST_PAGES 32  /* that it writes at each request */

static int requests[WORKERS][2], replies[2];
static pid_t workers[WORKERS];

static void use_32m(void)
{
    use_memory(32);
}

static void work(int from)
{
    char byte;
    for (int i = 0; i < WORKER_PAGES; i++)
        in_use[i * 4096]++;
    while (read(from, &byte, 1) == 1) {
        for (int i = 0; i < REQUEST_PAGES; i++)
            in_use[i * 4096 + 64]++;
        for (size_t i = 0; i < 4 << 20; i += 64)
            sink += in_use[i];
        if (write(replies[1], &byte, 1) != 1)
            break;
    }
    _exit(0);
}

/* `queues`: how many pipes they take requests from; so many requests are under way. */
static void pool(long count, int number, int queues)
{
    char byte = 1;
    for (int i = 0; i < queues; i++)
        if (pipe2(requests[i], O_CLOEXEC))
            die("pipe");
    if (pipe2(replies, O_CLOEXEC))
        die("pipe");
    for (int i = 0; i < number; i++) {
        workers[i] = fork();
        for (int j = 0; !workers[i] && j < queues; j++)
            close(requests[j][1]);
        if (!workers[i])
            work(requests[i % queues][0]);
    }
    for (long done = 0, sent = 0; done < count; done++) {
        for (; sent < count && sent < done + WORKERS; sent++)
            if (write(requests[sent % queues][1], &byte, 1) != 1)
                die("write");
        if (read(replies[0], &byte, 1) != 1)
            die("read");
        in_use[done % WORKER_PAGES * 4096]++;
    }
    for (int i = 0; i < queues; i++)
        close(requests[i][1]), close(requests[i][0]);
    for (int i = 0; i < number; i++)
        wait_for(workers[i]);
    close(replies[0]);
    close(replies[1]);
}

static void pool_each(long count)
{
    pool(count, WORKERS, WORKERS);
}

static void pool_queue(long count)
{
    pool(count, 2, 1);
}

/* The static program lies beside this one. */
static const char *program = "/bin/true";
static char static_program[4096];

static void spawn(long count)
{
    char *argv[] = {"true", NULL};
    while (count--) {
        pid_t pid = -1;
        if (posix_spawn(&pid, program, NULL, NULL, argv, environ))
            die("posix_spawn");
        wait_for(pid);
    }
}

static void vfork_exec(long count)
{
    while (count--) {
        pid_t pid = vfork();
        if (!pid) {
            execl(program, "true", NULL);
            _exit(127);
        }
        wait_for(pid);
    }
}

static void fork_exec(long count)
{
    while (count--) {
        pid_t pid = fork();
        if (!pid) {
            execl(program, "true", NULL);
            _exit(127);
        }
        wait_for(pid);
    }
}

static void take_dynamic(void)
{
    use_none();
    program = "/bin/true";
}

static void take_static(void)
{
    ssize_t n = readlink("/proc/self/exe", static_program, sizeof(static_program) - 16);
    char *slash = n > 0 ? strrchr(static_program, '/') : NULL;
    if (slash)
        memcpy(slash, "/static", sizeof("/static"));
    use_none();
    program = static_program;
}

static void on_signal(int signal)
{
    sink = signal;
}

static void prepare_signal(void)
{
    signal(SIGUSR1, on_signal);
}

static void signal_self(long count)
{
    while (count--)
        raise(SIGUSR1);
}

/* ---- computing ---- */

static void cpu_integer(long count)
{
    uint64_t x = 88172645463325252;
    while (count--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    sink = (long)x;
}

static void cpu_float(long count)
{
    double x = 1;
    while (count--)
        x = x * 0.999999 + 1 / x;
    sink = (long)x;
}

static void cpu_memory(long count)
{
    static uint32_t table[1 << 20];
    uint32_t at = 1;
    while (count--) {
        at = at * 1664525 + 1013904223;
        table[at >> 12]++;
    }
    sink = table[at >> 12];
}

static const struct benchmark benchmarks[] = {
    {"getppid", getppid_libc, 100000, NULL},
    {"getppid-trap", getppid_trap, 2000, prepare_trap},
    {"clock_gettime", clock_vdso, 200000, NULL},
    {"clock_gettime-syscall", clock_syscall, 50000, NULL},
    {"sched_yield", yield, 20000, NULL},
    {"mmap-4K", mmap_4k, 2000, NULL},
    {"mmap-64M", mmap_64m, 1, NULL},
    {"pread-4K", pread_4k, 20000, prepare_file},
    {"pwrite-4K", pwrite_4k, 10000, prepare_file},
    {"read-1M", read_1m, 200, prepare_file},
    {"open+close", open_close, 5000, prepare_file},
    {"stat", stat_file, 10000, prepare_file},
    {"create+unlink", create_unlink, 5000, prepare_file},
    {"futex-ping-pong", futex_one_cpu, 5000, NULL},
    {"futex-ping-pong-2cpu", futex_two_cpus, 2000, NULL},
    {"pipe-ping-pong", pipe_one_cpu, 5000, prepare_pipes},
    {"pipe-ping-pong-2cpu", pipe_two_cpus, 2000, prepare_pipes},
    {"pipe-1M-by-4K", pipe_4k, 20, prepare_pipes},
    {"pipe-1M-by-64K", pipe_64k, 20, prepare_pipes},
    {"unix-ping-pong", pipe_one_cpu, 5000, prepare_sockets},
    {"unix-ping-pong-2cpu", pipe_two_cpus, 2000, prepare_sockets},
    {"unix-1M-by-64K", pipe_64k, 20, prepare_sockets},
    {"tcp-ping-pong", pipe_one_cpu, 5000, prepare_tcp},
    {"tcp-ping-pong-2cpu", pipe_two_cpus, 2000, prepare_tcp},
    {"tcp-1M-by-64K", pipe_64k, 20, prepare_tcp},
    {"tcp-connect", tcp_connect, 200, prepare_listener},
    {"epoll-10-of-10000", epoll_some, 5000, prepare_epoll},
    {"mutex-2", mutex_2, 256000, NULL},
    {"mutex-16", mutex_16, 256000, NULL},
    {"mutex-256", mutex_256, 256000, NULL},
    {"thread-create+join", thread_create_join, 300, NULL},
    {"fork+exit+wait", fork_wait, 50, use_none},
    {"fork+exit-1M", fork_wait, 50, use_1m},
    {"fork+work-1M", fork_work, 20, use_1m},
    {"fork+exit-16M", fork_wait, 20, use_16m},
    {"fork+work-16M", fork_work, 4, use_16m},
    {"fork+exit-128M", fork_wait, 5, use_128m},
    {"fork+work-128M", fork_work, 1, use_128m},
    {"pool-of-4", pool_each, 400, use_32m},
    {"pool-queue", pool_queue, 400, use_32m},
    {"posix_spawn-true", spawn, 20, take_dynamic},
    {"vfork+exec-true", vfork_exec, 20, take_dynamic},
    {"fork+exec-true", fork_exec, 20, take_dynamic},
    {"posix_spawn-static", spawn, 20, take_static},
    {"vfork+exec-static", vfork_exec, 20, take_static},
    {"fork+exec-static", fork_exec, 20, take_static},
    {"signal-self", signal_self, 5000, prepare_signal},
    {"cpu-integer", cpu_integer, 20000000, NULL},
    {"cpu-float", cpu_float, 5000000, NULL},
    {"cpu-memory", cpu_memory, 10000000, NULL},
};

#define BENCHMARKS (sizeof(benchmarks) / sizeof(benchmarks[0]))

static void measure(const struct benchmark *b)
{
    double best = 0;
    b->run(b->count / 10 + 1);
    for (int i = 0; i < 3; i++) {
        long start = now_ns();
        b->run(b->count);
        double each = (double)(now_ns() - start) / (double)b->count;
        if (!i || each < best)
            best = each;
    }
    printf("%s %.2f\n", b->name, best);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < BENCHMARKS; i++) {
        int wanted = 0;
        if (argc == 1)
            puts(benchmarks[i].name);
        for (int j = 1; j < argc; j++)
            wanted |= !strcmp(argv[j], benchmarks[i].name) || !strcmp(argv[j], "all");
        if (wanted && benchmarks[i].prepare)
            benchmarks[i].prepare();
        if (wanted)
            measure(&benchmarks[i]);
    }
    if (path[0])
        unlink(path);
    return 0;
}
