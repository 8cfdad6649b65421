/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locked memory and its limit, RLIMIT_DATA, what fork leaves out (MADV_DONTFORK, WIPEONFORK),
 * mappings that grow down, large reservations that are used in parts.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/guest/test.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif
#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf jump;

static void on_signal(int sig)
{
    siglongjmp(jump, sig);
}

static int touch(volatile char *at)
{
    int sig = sigsetjmp(jump, 1);
    if (!sig)
        *at = 1;
    return sig;
}

/* A number from /proc/self/status, in KiB. */
static long status_of(const char *what)
{
    char line[256];
    long value = -1;
    FILE *f = must(fopen("/proc/self/status", "r"));
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, what, strlen(what)))
            value = atol(line + strlen(what) + 1);
    }
    fclose(f);
    return value;
}

static void locking(void)
{
    char *p = must(mmap(NULL, 8 * PAGE, RW, ANON, -1, 0));
    unsigned char in[8];
    expect(mlock(p + PAGE, 2 * PAGE), 0, 0);
    expect(mincore(p, 8 * PAGE, in), 0, 0);
    expect((in[1] & 1) && (in[2] & 1), 1, 0);
    expect(status_of("VmLck:"), 8, 0);
    expect(madvise(p + PAGE, PAGE, MADV_DONTNEED), -1, EINVAL);
    expect(madvise(p + 4 * PAGE, PAGE, MADV_DONTNEED), 0, 0);
    expect(mlock(p + 10, 1), 0, 0);
    expect(status_of("VmLck:"), 12, 0);
    expect(munlock(p, 8 * PAGE), 0, 0);
    expect(status_of("VmLck:"), 0, 0);
    expect(munmap(p + 6 * PAGE, 2 * PAGE), 0, 0);
    expect(mlock(p, 8 * PAGE), -1, ENOMEM);
    expect(munlock(p, 8 * PAGE), -1, ENOMEM);
    expect(mlock(p, 0), 0, 0);
    expect(mlock((void *)-PAGE, 2 * PAGE), -1, EINVAL);
    expect(syscall(SYS_mlock2, p, PAGE, 2), -1, EINVAL);
    expect(syscall(SYS_mlock2, p, PAGE, 1), 0, 0);
    expect(munlockall(), 0, 0);
    expect(status_of("VmLck:"), 0, 0);
    expect(mlockall(0), -1, EINVAL);
    expect(mlockall(8), -1, EINVAL);
    expect(munmap(p, 6 * PAGE), 0, 0);
}

static void lock_limit(void)
{
    struct rlimit r = {4 * PAGE, 4 * PAGE};
    char *p = must(mmap(NULL, 8 * PAGE, RW, ANON, -1, 0));
    expect(setrlimit(RLIMIT_MEMLOCK, &r), 0, 0);
    if (!geteuid())
        expect(mlock(p, 8 * PAGE), 0, 0); /* root may */
    expect(munlock(p, 8 * PAGE), 0, 0);
    if (setresuid(65534, 65534, 65534))
        return;
    expect(mlock(p, 5 * PAGE), -1, ENOMEM);
    expect(mlock(p, 4 * PAGE), 0, 0);
    expect(mlock(p, 4 * PAGE), 0, 0); /* counted once */
    expect(mlock(p + 4 * PAGE, 1), -1, ENOMEM);
    expect((long)mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0), -1, EAGAIN);
    expect(munlock(p, PAGE), 0, 0);
    char *q = must(mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
    expect(munmap(q, PAGE), 0, 0);
    expect(mlock(p, PAGE), 0, 0);
    expect(mlockall(MCL_CURRENT), -1, ENOMEM);
    r.rlim_cur = 0;
    expect(setrlimit(RLIMIT_MEMLOCK, &r), 0, 0);
    expect(mlock(p, PAGE), -1, EPERM);
}

static void data_limit(void)
{
    struct rlimit r = {64L << 20, 64L << 20};
    expect(setrlimit(RLIMIT_DATA, &r), 0, 0);
    expect((long)mmap(NULL, 80L << 20, RW, ANON, -1, 0), -1, ENOMEM);
    char *p = must(mmap(NULL, 80L << 20, PROT_READ, ANON, -1, 0));
    expect(mprotect(p, 80L << 20, RW), -1, ENOMEM);
    expect(mprotect(p, 16L << 20, RW), 0, 0);
    must(mmap(NULL, 80L << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    r.rlim_cur = r.rlim_max = (unsigned long)status_of("VmSize:") * 1024 + (8L << 20);
    expect(setrlimit(RLIMIT_AS, &r), 0, 0);
    expect((long)mmap(NULL, 16L << 20, PROT_NONE, ANON, -1, 0), -1, ENOMEM);
    must(mmap(NULL, 4L << 20, PROT_NONE, ANON, -1, 0));
}

static void peak(void)
{
    long before = status_of("VmSize:");
    char *p = must(mmap(NULL, 256L << 20, PROT_NONE, ANON, -1, 0));
    long with = status_of("VmSize:");
    expect(with >= before + 256 * 1024, 1, 0);
    expect(munmap(p, 256L << 20), 0, 0);
    expect(status_of("VmPeak:") >= with, 1, 0);
    expect(status_of("VmSize:") < with, 1, 0);
}

static void forking(void)
{
    int status = -1;
    char *p = must(mmap(NULL, 8 * PAGE, RW, ANON, -1, 0));
    memset(p, 'a', 8 * PAGE);
    expect(madvise(p + 2 * PAGE, PAGE, MADV_DONTFORK), 0, 0);
    expect(madvise(p + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK), 0, 0);
    expect(madvise(p + 5 * PAGE, PAGE, MADV_KEEPONFORK), 0, 0);
    expect(mprotect(p + 4 * PAGE, PAGE, PROT_READ), 0, 0);
    char *shared = must(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    expect(madvise(shared, PAGE, MADV_WIPEONFORK), -1, EINVAL);
    for (int round = 0; round < 2; round++) {
        pid_t pid = must(fork());
        if (!pid) {
            expect(touch(p + 2 * PAGE), SIGSEGV, 0);
            expect(p[PAGE] == 'a' && p[3 * PAGE] == 'a' && p[5 * PAGE] == 'a', 1, 0);
            expect(p[4 * PAGE], 0, 0);
            p[PAGE] = 'b';
            pid_t deeper = must(fork());
            if (!deeper)
                _exit(p[4 * PAGE] || p[PAGE] != 'b');
            expect(waitpid(deeper, &status, 0), deeper, 0);
            expect(status, 0, 0);
            _exit(test_failures != 0);
        }
        expect(p[2 * PAGE] == 'a' && p[4 * PAGE] == 'a' && p[PAGE] == 'a', 1, 0);
        expect(waitpid(pid, &status, 0), pid, 0);
        expect(status, 0, 0);
        expect(p[2 * PAGE] == 'a' && p[4 * PAGE] == 'a' && p[PAGE] == 'a', 1, 0);
    }
    expect(madvise(p + 2 * PAGE, PAGE, MADV_DOFORK), 0, 0);
    pid_t pid = must(fork());
    if (!pid)
        _exit(p[2 * PAGE] != 'a');
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(munmap(p, 8 * PAGE), 0, 0);
}

static void growing(void)
{
    char *area = must(mmap(NULL, 64L << 20, PROT_NONE, ANON, -1, 0));
    expect(munmap(area, 64L << 20), 0, 0);
    char *top = area + (48L << 20);
    char *p = must(mmap(top, 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
    expect(p == top, 1, 0);
    expect(touch(p), 0, 0);
    for (long at = 1; at <= 64; at++)
        expect(touch(p - at * PAGE), 0, 0);
    expect(p[-64 * PAGE], 1, 0);
    char *wall = must(mmap(top - (4L << 20), PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    expect(touch(wall + PAGE), SIGSEGV, 0); /* too close to another mapping */
    expect(munmap(wall, PAGE), 0, 0);
    expect(munmap(p - 64 * PAGE, 66 * PAGE), 0, 0);
    expect(touch(p - 70 * PAGE), SIGSEGV, 0);
}

static void large(void)
{
    size_t size = 64UL << 30;
    char *p = must(mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    for (size_t at = 0; at < size; at += 4UL << 30) {
        expect(mprotect(p + at, 1 << 20, RW), 0, 0);
        p[at] = (char)(at >> 32);
        p[at + (1 << 20) - 1] = 7;
    }
    char *again =
        must(mmap(p + (2UL << 30), 1 << 20, RW, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0));
    again[0] = 5;
    for (size_t at = 0; at < size; at += 4UL << 30)
        expect(p[at] == (char)(at >> 32) && p[at + (1 << 20) - 1] == 7, 1, 0);
    expect(madvise(p, 1 << 20, MADV_DONTNEED), 0, 0);
    expect(p[(1 << 20) - 1], 0, 0);
    expect(mprotect(p, 1 << 20, PROT_NONE), 0, 0);
    expect(touch(p), SIGSEGV, 0);
    expect((long)mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), -1, EEXIST);
    expect((long)mmap(NULL, 2 << 20, RW, ANON | MAP_HUGETLB, -1, 0), -1, ENOMEM);
    expect(munmap(p, size), 0, 0);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &sa, NULL);
    test_process(locking, "locking");
    test_process(lock_limit, "lock_limit");
    test_process(data_limit, "data_limit");
    test_process(peak, "peak");
    test_process(forking, "forking");
    test_process(growing, "growing");
    test_process(large, "large");
    return test_end();
}
