/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad pointers give EFAULT in every call that takes one, and never end the program: nothing
 * mapped, read-only for output, a kernel-like address, the end of a page with nothing behind
 * it.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include "tests/guest/test.h"

#define PAGE 4096L

static int zero, file, folder, pipe_ends[2];

static void outputs(void *bad)
{
    expect(read(zero, bad, 16), -1, EFAULT);
    expect(pread(file, bad, 16, 0), -1, EFAULT);
    expect(syscall(SYS_fstat, file, bad), -1, EFAULT);
    expect(syscall(SYS_stat, "/", bad), -1, EFAULT);
    expect(syscall(SYS_newfstatat, AT_FDCWD, "/", bad, 0), -1, EFAULT);
    expect(syscall(SYS_statx, AT_FDCWD, "/", 0, 0x7ff, bad), -1, EFAULT);
    expect(syscall(SYS_pipe, bad), -1, EFAULT);
    expect(syscall(SYS_pipe2, bad, 0), -1, EFAULT);
    expect(syscall(SYS_getcwd, bad, 4096), -1, EFAULT);
    expect(syscall(SYS_readlink, "/proc/self/exe", bad, 64), -1, EFAULT);
    expect(syscall(SYS_uname, bad), -1, EFAULT);
    expect(syscall(SYS_sysinfo, bad), -1, EFAULT);
    expect(syscall(SYS_getrlimit, RLIMIT_NOFILE, bad), -1, EFAULT);
    expect(syscall(SYS_getrusage, RUSAGE_SELF, bad), -1, EFAULT);
    expect(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad), -1, EFAULT);
    expect(syscall(SYS_gettimeofday, bad, NULL), -1, EFAULT);
    expect(syscall(SYS_getrandom, bad, 16, 0), -1, EFAULT);
    expect(syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad, 8), -1, EFAULT);
    expect(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, bad, 8), -1, EFAULT);
    expect(syscall(SYS_sigaltstack, NULL, bad), -1, EFAULT);
    expect(syscall(SYS_getitimer, ITIMER_REAL, bad), -1, EFAULT);
    expect(syscall(SYS_getdents64, folder, bad, 1024), -1, EFAULT);
    expect(syscall(SYS_sched_getaffinity, 0, 128, bad), -1, EFAULT);
    expect(syscall(SYS_times, bad), -1, EFAULT);
    expect(syscall(SYS_statfs, "/", bad), -1, EFAULT);
}

static void inputs(void *bad)
{
    struct iovec inside = {bad, 16};
    expect(open(bad, O_RDONLY), -1, EFAULT);
    expect(access(bad, F_OK), -1, EFAULT);
    expect(chdir(bad), -1, EFAULT);
    expect(mkdir(bad, 0700), -1, EFAULT);
    expect(rename(bad, "x"), -1, EFAULT);
    expect(unlink(bad), -1, EFAULT);
    expect(syscall(SYS_stat, bad, &inside), -1, EFAULT);
    expect(write(pipe_ends[1], bad, 16), -1, EFAULT);
    expect(syscall(SYS_writev, pipe_ends[1], bad, 1), -1, EFAULT);
    expect(writev(pipe_ends[1], &inside, 1), -1, EFAULT);
    expect(syscall(SYS_poll, bad, 1, 0), -1, EFAULT);
    expect(syscall(SYS_nanosleep, bad, NULL), -1, EFAULT);
    expect(syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8), -1, EFAULT);
    expect(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8), -1, EFAULT);
    expect(syscall(SYS_futex, bad, 0, 0, NULL, NULL, 0), -1, EFAULT);
    expect(syscall(SYS_execve, bad, NULL, NULL), -1, EFAULT);
    expect(syscall(SYS_setitimer, ITIMER_REAL, bad, NULL), -1, EFAULT);
    expect(syscall(SYS_setrlimit, RLIMIT_CORE, bad), -1, EFAULT);
}

int main(void)
{
    zero = must(open("/dev/zero", O_RDONLY));
    file = must(open("/proc/self/exe", O_RDONLY));
    must(pipe(pipe_ends));
    char *p = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0));
    expect(munmap(p + PAGE, PAGE), 0, 0);
    void *const bad[] = {(void *)8, p + PAGE, p + PAGE + 8, (void *)(1UL << 62), (void *)-8UL,
                         (void *)0x7ffffffff000, (void *)0xffffffff80000000};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int before = test_failures;
        folder = must(open("/", O_RDONLY | O_DIRECTORY));
        outputs(bad[i]);
        inputs(bad[i]);
        expect(close(folder), 0, 0);
        if (test_failures != before)
            fprintf(stderr, "    with the pointer %p\n", bad[i]);
    }
    return test_end();
}
