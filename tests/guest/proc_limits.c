/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits that act on processes: RLIMIT_NPROC, RLIMIT_SIGPENDING, RLIMIT_CPU, RLIMIT_NOFILE,
 * RLIMIT_FSIZE, RLIMIT_STACK. Each part is a process of its own.
 * TIMEOUT: 240
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "tests/guest/test.h"

static void set(int which, rlim_t soft, rlim_t hard)
{
    struct rlimit r = {soft, hard};
    expect(setrlimit(which, &r), 0, 0);
}

/* As a user who has no other processes. */
static void processes(void)
{
    int n = 0, status, go[2];
    char c;
    pid_t pid;
    if (geteuid())
        return;
    set(RLIMIT_NPROC, 5, 5);
    expect(setresuid(54321, 54321, 54321), 0, 0);
    must(pipe(go));
    while (n < 20 && (pid = fork()) >= 0) {
        if (!pid) {
            close(go[1]);
            _exit(read(go[0], &c, 1) != 0);
        }
        n++;
    }
    expect(fork(), -1, EAGAIN);
    expect(n, 4, 0);
    close(go[1]);
    while (n-- > 0) {
        must(wait(&status));
        expect(status, 0, 0);
    }
    pid = must(fork()); /* there is room again */
    if (!pid)
        _exit(0);
    must(waitpid(pid, &status, 0));
}

static void queued(void)
{
    sigset_t block;
    union sigval v = {0};
    int n = 0;
    if (!geteuid())
        must(setresuid(54322, 54322, 54322));
    set(RLIMIT_SIGPENDING, 10, 10);
    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    while (n < 100 && sigqueue(getpid(), SIGRTMIN, v) == 0)
        n++;
    expect(sigqueue(getpid(), SIGRTMIN, v), -1, EAGAIN);
    /* Who cannot become a user of its own has what its other processes leave. */
    expect(geteuid() == 54322 ? n == 10 : n > 0 && n <= 10, 1, 0);
    expect(kill(getpid(), SIGUSR1), 0, 0); /* one of each kind always */
    expect(sigwaitinfo(&block, NULL), SIGUSR1, 0);
    expect(sigwaitinfo(&block, NULL), SIGRTMIN, 0);
    expect(sigqueue(getpid(), SIGRTMIN, v), 0, 0);
}

static volatile sig_atomic_t warned;

static void on_xcpu(int sig)
{
    warned++;
}

static void cpu(void)
{
    int status = -1;
    pid_t pid = must(fork());
    if (!pid) {
        set(RLIMIT_CPU, 1, 2);
        signal(SIGXCPU, on_xcpu);
        for (;;) {
            struct rusage u;
            getrusage(RUSAGE_SELF, &u);
            if (u.ru_utime.tv_sec + u.ru_stime.tv_sec >= 6)
                _exit(warned ? 1 : 2); /* nobody stopped it */
        }
    }
    must(waitpid(pid, &status, 0));
    expect(WIFSIGNALED(status) ? WTERMSIG(status) : -1, SIGKILL, 0);
}

static void files(void)
{
    set(RLIMIT_NOFILE, 10, 20);
    int fd = -1, last = -1;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    expect(dup(0), -1, EMFILE);
    expect(last, 9, 0);
    expect(dup2(0, 10), -1, EBADF);
    expect(fcntl(0, F_DUPFD, 10), -1, EINVAL);
    set(RLIMIT_NOFILE, 20, 20);
    expect(dup2(0, 19), 19, 0);
}

static volatile int signals;

static void count_signal(int sig)
{
    signals++;
}

static void sizes(void)
{
    test_dir();
    int fd = must(open("file", O_CREAT | O_RDWR, 0600));
    set(RLIMIT_FSIZE, 100, 100);
    signal(SIGXFSZ, SIG_IGN);
    expect(write(fd, "0123456789", 10), 10, 0);
    expect(pwrite(fd, "0123456789", 10, 95), 5, 0);
    expect(pwrite(fd, "0123456789", 10, 100), -1, EFBIG);
    expect(ftruncate(fd, 101), -1, EFBIG);
    expect(ftruncate(fd, 100), 0, 0);
    if (fallocate(fd, 0, 0, 100) == 0 || errno != EOPNOTSUPP) {
        struct stat st;
        expect(fallocate(fd, 0, 0, 100), 0, 0);
        signal(SIGXFSZ, count_signal);
        expect(fallocate(fd, 0, 0, 101), -1, EFBIG);
        expect(signals, 1, 0);
        must(fstat(fd, &st));
        expect(st.st_size, 100, 0);
    }
    signal(SIGXFSZ, SIG_DFL);
    int status = -1;
    pid_t pid = must(fork());
    if (!pid)
        _exit(pwrite(fd, "x", 1, 100) == 1);
    must(waitpid(pid, &status, 0));
    expect(WIFSIGNALED(status) ? WTERMSIG(status) : -1, SIGXFSZ, 0);
}

static volatile long depth_sink;

__attribute__((noinline)) static long deeper(long n)
{
    volatile char room[4096];
    room[0] = (char)n;
    return n ? deeper(n - 1) + room[0] : 0;
}

static int stack_child(const char *pages)
{
    depth_sink = deeper(atol(pages));
    return 0;
}

static void stack(void)
{
    static const struct {
        char *pages;
        int dies;
    } cases[] = {{"100", 0}, {"400", 1}};
    set(RLIMIT_STACK, 1 << 20, 64 << 20);
    for (int i = 0; i < 2; i++) {
        int status = -1;
        pid_t pid = must(fork());
        if (!pid) {
            execl("/proc/self/exe", "proc_limits", cases[i].pages, NULL);
            _exit(9);
        }
        must(waitpid(pid, &status, 0));
        expect(WIFSIGNALED(status) ? WTERMSIG(status) : status, cases[i].dies ? SIGSEGV : 0, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return stack_child(argv[1]);
    test_process(processes, "processes");
    test_process(queued, "queued");
    test_process(cpu, "cpu");
    test_process(files, "files");
    test_process(sizes, "sizes");
    test_process(stack, "stack");
    return test_end();
}
