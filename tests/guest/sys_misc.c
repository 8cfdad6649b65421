/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small calls: identity, randomness, limits, sysinfo, devices, the futex call's refusals.
 */
#include <linux/futex.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include "tests/guest/test.h"

static void randomness(void)
{
    unsigned char a[256], b[256], all = 0;
    expect(getrandom(a, 256, 0), 256, 0);
    expect(getrandom(b, 256, GRND_NONBLOCK), 256, 0);
    expect(memcmp(a, b, 256) != 0, 1, 0);
    for (int i = 0; i < 256; i++)
        all |= a[i];
    expect(all, 255, 0);
    expect(getrandom(a, 256, 0x100), -1, EINVAL);
    int fd = must(open("/dev/urandom", O_RDONLY));
    expect(read(fd, b, 256), 256, 0);
    expect(memcmp(a, b, 256) != 0, 1, 0);
    close(fd);
}

static void devices(void)
{
    char text[16] = "x";
    int fd = must(open("/dev/null", O_RDWR));
    expect(write(fd, text, 16), 16, 0);
    expect(read(fd, text, 16), 0, 0);
    close(fd);
    fd = must(open("/dev/zero", O_RDWR));
    expect(read(fd, text, 16), 16, 0);
    expect(text[0], 0, 0);
    close(fd);
    fd = must(open("/dev/full", O_RDWR));
    expect(write(fd, text, 1), -1, ENOSPC);
    close(fd);
    expect(isatty(fd), 0, 0);
}

static void identity(void)
{
    struct sysinfo info;
    struct rusage usage;
    struct rlimit limit;
    expect(getpid() > 0, 1, 0);
    expect(syscall(SYS_gettid), getpid(), 0);
    expect(getppid() >= 0, 1, 0);
    expect(getpgid(0), getpgrp(), 0);
    expect(getsid(0) >= 0, 1, 0);
    expect(getgroups(0, NULL) >= 0, 1, 0);
    expect(sysinfo(&info), 0, 0);
    expect(info.totalram > 0, 1, 0);
    expect(getrusage(RUSAGE_SELF, &usage), 0, 0);
    expect(getrusage(99, &usage), -1, EINVAL);
    expect(getrlimit(RLIMIT_STACK, &limit), 0, 0);
    expect(limit.rlim_cur >= 65536, 1, 0);
    expect(getrlimit(99, &limit), -1, EINVAL);
    expect(sysconf(_SC_NPROCESSORS_ONLN) >= 1, 1, 0);
    expect(sysconf(_SC_PAGESIZE), 4096, 0);
    expect(getpriority(PRIO_PROCESS, 0) >= -20, 1, 0);
}

static void futexes(void)
{
    static int word = 5;
    struct timespec brief = {0, 2000000};
    expect(syscall(SYS_futex, &word, FUTEX_WAIT, 4, NULL, NULL, 0), -1, EAGAIN);
    expect(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &brief, NULL, 0), -1, ETIMEDOUT);
    expect(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &brief, NULL, 0), -1, ETIMEDOUT);
    expect(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0), 0, 0);
    expect(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAKE, 1, NULL, NULL, 0), -1, EINVAL);
    expect(syscall(SYS_futex, &word, 99, 1, NULL, NULL, 0), -1, ENOSYS);
    expect(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), -1, EINVAL);
    brief.tv_nsec = 1000000000;
    expect(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &brief, NULL, 0), -1, EINVAL);
}

int main(void)
{
    randomness();
    devices();
    identity();
    futexes();
    return test_end();
}
