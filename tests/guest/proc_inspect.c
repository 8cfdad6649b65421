/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking into other processes and what they share: process_vm_readv, process_vm_writev, kcmp,
 * unshare, ioprio.
 */
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/test.h"

static char area[3 * 65536] __attribute__((aligned(4096)));
static char word[16] = "parent";

static long kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
    return syscall(SYS_kcmp, a, b, type, x, y);
}

/* The child keeps a changed copy of `word` and `area`, at the same addresses. */
static void memory(void)
{
    int to[2], from[2], status = -1;
    char c = 0, got[16] = "", big[sizeof(area)];
    must(pipe(to));
    must(pipe(from));
    pid_t pid = must(fork());
    if (!pid) {
        memcpy(word, "child", 6);
        for (size_t i = 0; i < sizeof(area); i++)
            area[i] = (char)(i / 7);
        expect(write(from[1], "r", 1), 1, 0);
        expect(read(to[0], &c, 1), 1, 0);
        expect(strcmp(word, "hello"), 0, 0);
        expect(area[sizeof(area) - 1], 99, 0);
        _exit(test_failures != 0);
    }
    expect(read(from[0], &c, 1), 1, 0);
    struct iovec local = {got, 6}, there = {word, 6};
    expect(process_vm_readv(pid, &local, 1, &there, 1, 0), 6, 0);
    expect(strcmp(got, "child"), 0, 0);
    expect(strcmp(word, "parent"), 0, 0);
    local = (struct iovec){big, sizeof(big)};
    there = (struct iovec){area, sizeof(area)};
    expect(process_vm_readv(pid, &local, 1, &there, 1, 0), sizeof(area), 0);
    int same = 1;
    for (size_t i = 0; i < sizeof(big); i++)
        same &= big[i] == (char)(i / 7);
    expect(same, 1, 0);
    expect(area[700], 0, 0);
    struct iovec two[2] = {{word, 3}, {word + 3, 3}}, one = {"hello", 6};
    expect(process_vm_writev(pid, &one, 1, two, 2, 0), 6, 0);
    big[0] = 99;
    one = (struct iovec){big, 1};
    there = (struct iovec){area + sizeof(area) - 1, 1};
    expect(process_vm_writev(pid, &one, 1, &there, 1, 0), 1, 0);
    expect(strcmp(word, "parent"), 0, 0);
    char *hole =
        must(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    expect(munmap(hole, 8192), 0, 0);
    there = (struct iovec){(void *)16, 6};
    expect(process_vm_readv(pid, &local, 1, &there, 1, 0), -1, EFAULT);
    local = (struct iovec){got, 6};
    expect(process_vm_readv(pid, &local, 1, &there, 1, 1), -1, EINVAL);
    expect(process_vm_readv(pid, &local, 0, &there, 1, 0), 0, 0);
    expect(process_vm_readv(pid, &local, 2000, &there, 1, 0), -1, EINVAL);
    there = (struct iovec){word, 6};
    expect(process_vm_readv(getpid(), &local, 1, &there, 1, 0), 6, 0);
    expect(strcmp(got, "parent"), 0, 0);
    expect(write(to[1], "g", 1), 1, 0);
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(process_vm_readv(pid, &local, 1, &there, 1, 0), -1, ESRCH);
}

static void comparing(void)
{
    pid_t me = getpid();
    int a = must(open("/dev/null", O_RDONLY)), b = must(dup(a));
    int c = must(open("/dev/null", O_RDONLY));
    if (kcmp(me, me, KCMP_VM, 0, 0) == -1 && errno == ENOSYS)
        return; /* not configured into this Linux */
    expect(kcmp(me, me, KCMP_FILE, a, b), 0, 0);
    long r = kcmp(me, me, KCMP_FILE, a, c);
    expect(r == 1 || r == 2, 1, 0);
    expect(kcmp(me, me, KCMP_FILE, c, a), 3 - r, 0);
    expect(kcmp(me, me, KCMP_FILE, a, 9999), -1, EBADF);
    expect(kcmp(me, me, 99, 0, 0), -1, EINVAL);
    pid_t pid = must(fork());
    if (!pid)
        for (;;)
            pause();
    expect(kcmp(me, pid, KCMP_FILE, a, b), 0, 0);
    expect(kcmp(me, pid, KCMP_VM, 0, 0) > 0, 1, 0);
    expect(kcmp(me, pid, KCMP_FILES, 0, 0) > 0, 1, 0);
    expect(kcmp(me, pid, KCMP_FS, 0, 0) > 0, 1, 0);
    expect(kcmp(me, pid, KCMP_SIGHAND, 0, 0) > 0, 1, 0);
    expect(kill(pid, SIGKILL), 0, 0);
    expect(waitpid(pid, NULL, 0), pid, 0);
    expect(kcmp(me, pid, KCMP_VM, 0, 0), -1, ESRCH);
    pid = (pid_t)must(syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
    if (!pid) {
        expect(kcmp(getpid(), me, KCMP_FILES, 0, 0), 0, 0);
        expect(kcmp(getpid(), me, KCMP_FS, 0, 0), 0, 0);
        expect(close(c), 0, 0);
        expect(chdir("/"), 0, 0);
        expect(unshare(CLONE_FILES | CLONE_FS), 0, 0);
        expect(kcmp(getpid(), me, KCMP_FILES, 0, 0) > 0, 1, 0);
        expect(kcmp(getpid(), me, KCMP_FS, 0, 0) > 0, 1, 0);
        expect(close(a), 0, 0);
        expect(chdir("/tmp"), 0, 0);
        _exit(test_failures != 0);
    }
    int status = -1;
    char cwd[4096];
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(close(c), -1, EBADF);
    expect(close(a), 0, 0);
    expect(strcmp(getcwd(cwd, sizeof(cwd)), "/"), 0, 0);
    close(b);
}

static void unsharing(void)
{
    expect(unshare(0), 0, 0);
    expect(unshare(1), -1, EINVAL);
    expect(unshare(CLONE_PARENT), -1, EINVAL);
    expect(unshare(CLONE_VM), 0, 0);
    expect(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM), 0, 0);
    expect(unshare(CLONE_SYSVSEM), 0, 0);
    expect(setns(-1, 0), -1, EBADF);
    expect(setns(0, 0), -1, EINVAL);
}

#define PRIO(c, n) ((c) << 13 | (n))

static void io_priority(void)
{
    expect(syscall(SYS_ioprio_get, 1, 0), 0, 0);
    expect(syscall(SYS_ioprio_set, 1, 0, PRIO(2, 3)), 0, 0);
    expect(syscall(SYS_ioprio_get, 1, 0), PRIO(2, 3), 0);
    pid_t pid = must(fork());
    if (!pid)
        _exit(syscall(SYS_ioprio_get, 1, getpid()) != PRIO(2, 3));
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(syscall(SYS_ioprio_set, 1, 0, PRIO(3, 7)), 0, 0);
    expect(syscall(SYS_ioprio_get, 1, 0), PRIO(3, 7), 0);
    expect(syscall(SYS_ioprio_set, 1, 0, PRIO(0, 1)), -1, EINVAL);
    expect(syscall(SYS_ioprio_set, 1, 0, PRIO(4, 1)), -1, EINVAL);
    expect(syscall(SYS_ioprio_set, 4, 0, PRIO(2, 1)), -1, EINVAL);
    expect(syscall(SYS_ioprio_get, 4, 0), -1, EINVAL);
    expect(syscall(SYS_ioprio_get, 1, 4000000), -1, ESRCH);
    expect(syscall(SYS_ioprio_set, 1, 0, 0), 0, 0);
    expect(syscall(SYS_ioprio_get, 1, 0), 0, 0);
}

int main(void)
{
    memory();
    comparing();
    unsharing();
    io_priority();
    return test_end();
}
