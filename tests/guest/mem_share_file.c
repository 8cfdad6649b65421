/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAP_SHARED of a file by processes that are no relatives in memory (each has called exec):
 * all see each other's changes and those by write(), and truncation takes pages from all.
 * RW: yes
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/guest/test.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

static sigjmp_buf jump;

static void on_signal(int sig)
{
    siglongjmp(jump, sig);
}

/* The signal that reading, or writing if `w`, there gives; 0: none. */
static int touch(volatile char *at, int w)
{
    int sig = sigsetjmp(jump, 1);
    if (!sig) {
        char c = *at;
        if (w)
            *at = c;
    }
    return sig;
}

static void put(char *at, const char *text)
{
    memcpy(at, text, strlen(text) + 1);
}

/* Two processes that take turns over a pair of pipes. */
static int to_other, from_other;

static void turn(char c)
{
    char got = 0;
    expect(write(to_other, &c, 1), 1, 0);
    expect(read(from_other, &got, 1), 1, 0);
    expect(got, c, 0);
}

static void await(char c)
{
    char got = 0;
    expect(read(from_other, &got, 1), 1, 0);
    expect(got, c, 0);
}

static void answer(char c)
{
    expect(write(to_other, &c, 1), 1, 0);
}

static int other(const char *name)
{
    int fd = must(open(name, O_RDWR));
    char text[16] = "";
    await('a');
    char *all = must(mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0));
    expect(strcmp(all + PAGE, "from the first"), 0, 0);
    put(all + 5 * PAGE, "from the second");
    answer('a');
    await('b');
    expect(strcmp(all + 2 * PAGE, "by write"), 0, 0);
    expect(pwrite(fd, "written", 8, 3 * PAGE + 100), 8, 0);
    expect(pread(fd, text, 9, 5 * PAGE + 5), 9, 0);
    expect(strcmp(text, "the first"), 0, 0);
    answer('b');
    await('c'); /* now the file has two pages */
    expect(touch(all + PAGE, 0), 0, 0);
    expect(touch(all + 2 * PAGE, 0), SIGBUS, 0);
    expect(touch(all + 5 * PAGE, 1), SIGBUS, 0);
    expect(strcmp(all + PAGE, "from t"), 0, 0);
    expect(all[PAGE + 10], 0, 0);
    answer('c');
    await('d'); /* it has eight again */
    expect(all[5 * PAGE], 0, 0);
    __atomic_store_n((int *)(all + 6 * PAGE), 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add((int *)(all + 6 * PAGE + 64), 1, __ATOMIC_SEQ_CST);
    answer('d');
    await('e');
    expect(munmap(all, 8 * PAGE), 0, 0);
    return test_failures != 0;
}

static pid_t start_other(const char *name)
{
    int to[2], from[2];
    char in[16], out[16];
    must(pipe(to));
    must(pipe(from));
    pid_t pid = must(fork());
    if (!pid) {
        snprintf(in, sizeof(in), "%d", to[0]);
        snprintf(out, sizeof(out), "%d", from[1]);
        close(to[1]);
        close(from[0]);
        execl("/proc/self/exe", "other", name, in, out, NULL);
        _exit(3);
    }
    close(to[0]);
    close(from[1]);
    to_other = to[1];
    from_other = from[0];
    return pid;
}

static void two_processes(void)
{
    int status = -1;
    int fd = must(open("shared", O_CREAT | O_RDWR, 0600));
    expect(ftruncate(fd, 8 * PAGE), 0, 0);
    pid_t pid = start_other("shared");
    char *part = must(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));
    char *rest = must(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE));
    put(part + PAGE, "from the first");
    turn('a');
    expect(strcmp(rest + PAGE, "from the second"), 0, 0);
    expect(mprotect(rest, 4 * PAGE, RW), 0, 0);
    memcpy(rest + PAGE + 5, "the first", 10);
    expect(pwrite(fd, "by write", 9, 2 * PAGE), 9, 0);
    turn('b');
    expect(strcmp(part + 3 * PAGE + 100, "written"), 0, 0);
    expect(ftruncate(fd, PAGE + 6), 0, 0);
    turn('c');
    expect(touch(part + PAGE, 1), 0, 0);
    expect(touch(part + 2 * PAGE, 0), SIGBUS, 0);
    expect(ftruncate(fd, 8 * PAGE), 0, 0);
    expect(rest[PAGE], 0, 0);
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add((int *)(rest + 2 * PAGE + 64), 1, __ATOMIC_SEQ_CST);
    turn('d');
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add((int *)(rest + 2 * PAGE + 64), 1, __ATOMIC_SEQ_CST);
    expect(*(int *)(rest + 2 * PAGE), 1, 0);
    expect(*(int *)(rest + 2 * PAGE + 64), 3000, 0);
    expect(munmap(part, 4 * PAGE), 0, 0);
    answer('e');
    must(waitpid(pid, &status, 0));
    expect(status, 0, 0);
    int n = 0;
    expect(pread(fd, &n, 4, 6 * PAGE + 64), 4, 0);
    expect(n, 3000, 0);
    expect(munmap(rest, 4 * PAGE), 0, 0);
    expect(close(fd), 0, 0);
    expect(unlink("shared"), 0, 0);
}

static void permissions(void)
{
    int fd = must(open("perm", O_CREAT | O_RDWR, 0600)), n = 0;
    expect(ftruncate(fd, 4 * PAGE), 0, 0);
    int ro = must(open("perm", O_RDONLY));
    expect((long)mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), -1, EACCES);
    char *r = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
    expect(touch(r, 1), SIGSEGV, 0);
    expect(mprotect(r, PAGE, RW), -1, EACCES);
    expect(munmap(r, PAGE), 0, 0);
    r = must(mmap(NULL, PAGE, PROT_NONE, MAP_SHARED, fd, 0));
    expect(touch(r, 0), SIGSEGV, 0);
    expect(mprotect(r, PAGE, RW), 0, 0);
    r[0] = 5;
    expect(mprotect(r, PAGE, PROT_READ), 0, 0);
    expect(r[0], 5, 0);
    expect(touch(r, 1), SIGSEGV, 0);
    expect(mprotect(r, PAGE, PROT_NONE), 0, 0);
    expect(pread(fd, &n, 1, 0), 1, 0);
    expect(n, 5, 0);
    expect(pwrite(fd, "\7", 1, 0), 1, 0);
    expect(touch(r, 0), SIGSEGV, 0);
    expect(mprotect(r, PAGE, RW), 0, 0);
    expect(r[0], 7, 0);
    expect(munmap(r, PAGE), 0, 0);
    expect(touch(r, 0), SIGSEGV, 0);
    expect(close(ro), 0, 0);
    expect(close(fd), 0, 0);
}

static void places(void)
{
    int fd = must(open("places", O_CREAT | O_RDWR, 0600));
    expect(ftruncate(fd, 64 * PAGE), 0, 0);
    char *hole = must(mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *a = must(mmap(hole + 8 * PAGE, 8 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
    expect(a == hole + 8 * PAGE, 1, 0);
    char *b = must(mmap(a + 8 * PAGE, 8 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 8 * PAGE));
    put(a + 7 * PAGE, "seven");
    put(b, "eight");
    expect(pwrite(fd, "SEVEN", 5, 7 * PAGE), 5, 0);
    expect(strcmp(a + 7 * PAGE, "SEVEN"), 0, 0);
    char *over =
        must(mmap(a + 4 * PAGE, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    expect(over[3 * PAGE], 0, 0);
    over[3 * PAGE] = 1;
    char text[6] = "";
    expect(pread(fd, text, 5, 7 * PAGE), 5, 0);
    expect(strcmp(text, "SEVEN"), 0, 0);
    expect(munmap(hole, 64 * PAGE), 0, 0);
    expect(pread(fd, text, 5, 8 * PAGE), 5, 0);
    expect(strcmp(text, "eight"), 0, 0);
    a = must(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 4 * PAGE));
    put(a, "moves");
    a = must(mremap(a, 4 * PAGE, 60 * PAGE, MREMAP_MAYMOVE));
    expect(strcmp(a, "moves"), 0, 0);
    expect(strcmp(a + 4 * PAGE, "eight"), 0, 0);
    a[59 * PAGE] = 'x';
    expect(pread(fd, text, 1, 63 * PAGE), 1, 0);
    expect(text[0], 'x', 0);
    expect(munmap(a, 60 * PAGE), 0, 0);
    expect(close(fd), 0, 0);
}

static void relatives(void)
{
    int status = -1;
    int fd = must(open("family", O_CREAT | O_RDWR, 0600));
    expect(ftruncate(fd, 2 * PAGE), 0, 0);
    char *a = must(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
    put(a, "before");
    pid_t pid = must(fork());
    if (!pid) {
        expect(strcmp(a, "before"), 0, 0);
        put(a + PAGE, "child");
        expect(pwrite(fd, "x", 1, 3), 1, 0);
        expect(munmap(a, PAGE), 0, 0);
        _exit(test_failures != 0);
    }
    must(waitpid(pid, &status, 0));
    expect(status, 0, 0);
    expect(strcmp(a, "befxre"), 0, 0);
    expect(strcmp(a + PAGE, "child"), 0, 0);
    expect(munmap(a, 2 * PAGE), 0, 0);
    expect(close(fd), 0, 0);
}

/* What is written through a mapping changes the file's times, at msync at the latest. */
static void times(void)
{
    struct timespec past[2] = {{1000, 0}, {1000, 0}};
    struct stat st;
    test_write_file("times", "content");
    int fd = must(open("times", O_RDWR));
    expect(futimens(fd, past), 0, 0);
    char *p = must(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    p[0] = 'C';
    expect(msync(p, PAGE, MS_SYNC), 0, 0);
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_mtime > 1000, 1, 0);
    expect(mlock(p, PAGE), 0, 0);
    expect(msync(p, PAGE, MS_SYNC | MS_INVALIDATE), -1, EBUSY);
    expect(munlock(p, PAGE), 0, 0);
    expect(msync(p, PAGE, MS_SYNC | MS_INVALIDATE), 0, 0);
    expect(munmap(p, PAGE), 0, 0);
    expect(close(fd), 0, 0);
}

int main(int argc, char **argv)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    if (argc == 4) {
        from_other = atoi(argv[2]);
        to_other = atoi(argv[3]);
        return other(argv[1]);
    }
    test_dir();
    times();
    two_processes();
    permissions();
    places();
    relatives();
    return test_end();
}
