/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private mappings of a file that is cut off: what lay behind its new end goes, changed or not,
 * and reads as the file does when that grows again. RW: yes
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/guest/test.h"

#define PAGE 4096l

static sigjmp_buf back;

static void on_bus(int sig)
{
    siglongjmp(back, sig);
}

/* The byte there, or -1: SIGBUS. */
static int peek(const volatile unsigned char *at)
{
    return sigsetjmp(back, 1) ? -1 : *at;
}

static int open_file(int memory)
{
    static unsigned char page[PAGE];
    int fd =
        must(memory ? memfd_create("cut", 0) : open("cut", O_RDWR | O_CREAT | O_TRUNC, 0600));
    memset(page, 'f', PAGE);
    for (int i = 0; i < 4; i++)
        expect(write(fd, page, PAGE), PAGE, 0);
    return fd;
}

static void cut(int memory)
{
    int fd = open_file(memory);
    unsigned char *p = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    unsigned char *q = must(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE));
    memset(p, 'm', 3 * PAGE);
    expect(p[3 * PAGE] + q[PAGE], 2 * 'f', 0);

    expect(ftruncate(fd, PAGE), 0, 0);
    expect(p[0], 'm', 0);
    expect(peek(p + PAGE), -1, 0);
    expect(peek(p + 3 * PAGE), -1, 0);
    expect(peek(q), -1, 0);

    expect(ftruncate(fd, 3 * PAGE), 0, 0);
    expect(p[0] + p[PAGE - 1], 2 * 'm', 0);
    expect(peek(p + PAGE), 0, 0);
    expect(peek(p + 3 * PAGE - 1), 0, 0);
    expect(peek(q), 0, 0);
    expect(peek(p + 3 * PAGE), -1, 0);
    p[PAGE] = 'n';

    expect(ftruncate(fd, PAGE + 1), 0, 0); /* the page of the end stays as it is */
    expect(p[PAGE], 'n', 0);
    expect(peek(q), -1, 0);
    expect(ftruncate(fd, 0), 0, 0);
    expect(peek(p), -1, 0);
    munmap(p, 4 * PAGE);
    munmap(q, 2 * PAGE);
    close(fd);
}

/* Beside it lies memory that is none of the file's, and mappings of another file. */
static void others(void)
{
    int fd = open_file(1), other = open_file(1);
    unsigned char *p = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    unsigned char *q =
        must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, other, 0));
    unsigned char *m = must(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    memset(p, 'm', 4 * PAGE);
    memset(q, 'q', 4 * PAGE);
    expect(ftruncate(fd, 0), 0, 0);
    expect(m[0] + m[PAGE - 1], 2 * 'm', 0);
    expect(q[0] + q[4 * PAGE - 1], 2 * 'q', 0);
    expect(peek(p), -1, 0);
    expect(peek(p + 2 * PAGE), -1, 0);
    munmap(p, 4 * PAGE);
    munmap(q, 4 * PAGE);
    close(fd);
    close(other);
}

int main(void)
{
    test_dir();
    signal(SIGBUS, on_bus);
    cut(0);
    cut(1);
    others();
    return test_end();
}
