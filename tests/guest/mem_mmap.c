/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmap, munmap and mprotect of anonymous memory and files: flags, splitting, refusals. RW: yes
 */
#include <stdint.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void anonymous(void)
{
    char *p = must(mmap(NULL, 16 * PAGE, RW, ANON, -1, 0));
    expect((uintptr_t)p % PAGE, 0, 0);
    for (int i = 0; i < 16; i++)
        expect(p[i * PAGE + i], 0, 0);
    memset(p, 1, 16 * PAGE);
    expect(munmap(p + 4 * PAGE, 4 * PAGE), 0, 0);
    expect(munmap(p + 4 * PAGE, 4 * PAGE), 0, 0);
    expect(p[3 * PAGE], 1, 0);
    expect(p[8 * PAGE], 1, 0);
    char *q = must(mmap(p + 4 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0));
    expect(q == p + 4 * PAGE, 1, 0);
    expect(q[0], 0, 0);
    expect(q[4 * PAGE - 1], 0, 0);
    /* MAP_FIXED replaces what is there. */
    must(mmap(p, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0));
    expect(p[0], 0, 0);
    expect(p[2 * PAGE], 1, 0);
    expect(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), -1, EEXIST);
    expect(munmap(p, 16 * PAGE), 0, 0);
    expect(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p, 1, 0);
    expect(munmap(p, PAGE), 0, 0);
}

static void hints(void)
{
    char *p = must(mmap(NULL, 8 * PAGE, RW, ANON, -1, 0));
    expect(munmap(p, 8 * PAGE), 0, 0);
    char *q = must(mmap(p, 2 * PAGE, RW, ANON, -1, 0));
    expect(q == p, 1, 0);
    char *r = must(mmap(p, 2 * PAGE, RW, ANON, -1, 0));
    expect(r != p, 1, 0);
    r[0] = q[0] = 1;
    expect(munmap(q, 2 * PAGE), 0, 0);
    expect(munmap(r, 2 * PAGE), 0, 0);
}

static void refusals(void)
{
    expect(mmap(NULL, 0, RW, ANON, -1, 0), -1, EINVAL);
    expect(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), -1, EINVAL);
    expect(mmap((void *)0x1001, PAGE, RW, ANON | MAP_FIXED, -1, 0), -1, EINVAL);
    expect(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), -1, EBADF);
    expect(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0), -1, EBADF);
    expect(mmap(NULL, (size_t)1 << 62, RW, ANON, -1, 0), -1, ENOMEM);
    expect(mmap(NULL, -1UL, RW, ANON, -1, 0), -1, ENOMEM);
    expect(munmap((void *)1, PAGE), -1, EINVAL);
    expect(munmap(NULL, 0), -1, EINVAL);
    expect(munmap((void *)(1UL << 62), PAGE), -1, EINVAL);
    expect(mprotect((void *)1, PAGE, PROT_READ), -1, EINVAL);
    char *p = must(mmap(NULL, 3 * PAGE, RW, ANON, -1, 0));
    expect(munmap(p + PAGE, PAGE), 0, 0);
    expect(mprotect(p, 3 * PAGE, PROT_READ), -1, ENOMEM);
    expect(munmap(p, 3 * PAGE), 0, 0);
    expect(mprotect(p, PAGE, PROT_READ), -1, ENOMEM);
}

static void files(void)
{
    char data[2 * PAGE];
    int fd = must(open("map", O_CREAT | O_RDWR, 0600));
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    expect(write(fd, data, PAGE + 100), PAGE + 100, 0);
    char *p = must(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));
    expect(memcmp(p, data, PAGE + 100), 0, 0);
    expect(p[PAGE + 100], 0, 0);
    expect(p[2 * PAGE - 1], 0, 0);
    p[5] = 99;
    char back;
    expect(pread(fd, &back, 1, 5), 1, 0);
    expect(back, data[5], 0);
    char *second = must(mmap(NULL, 100, PROT_READ, MAP_PRIVATE, fd, PAGE));
    expect(memcmp(second, data + PAGE, 100), 0, 0);
    expect(close(fd), 0, 0);
    expect(memcmp(p + PAGE, data + PAGE, 100), 0, 0);
    expect(munmap(p, 2 * PAGE), 0, 0);
    expect(munmap(second, PAGE), 0, 0);
    fd = must(open("map", O_RDONLY));
    expect(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), -1, EACCES);
    expect(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), -1, EINVAL);
    p = must(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
    p[0] = 1;
    expect(munmap(p, PAGE), 0, 0);
    expect(close(fd), 0, 0);
    /* For persistent memory only; unknown flags count with MAP_SHARED_VALIDATE alone. */
    fd = must(open("map", O_RDWR));
    expect(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), -1, EOPNOTSUPP);
    expect(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | 1 << 23, fd, 0), -1, EOPNOTSUPP);
    expect(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), -1, EINVAL);
    for (int shared = MAP_SHARED; shared <= MAP_SHARED_VALIDATE; shared += 2) {
        int more = shared == MAP_SHARED ? 1 << 23 : MAP_NORESERVE | MAP_POPULATE;
        char *p = must(mmap(NULL, PAGE, RW, shared | more, fd, 0));
        p[0]++;
        expect(munmap(p, PAGE), 0, 0);
    }
    expect(close(fd), 0, 0);
    fd = must(open("map", O_WRONLY));
    expect(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), -1, EACCES);
    expect(close(fd), 0, 0);
}

static void many(void)
{
    enum { COUNT = 2000 };
    static char *maps[COUNT];
    for (int i = 0; i < COUNT; i++) {
        maps[i] = must(mmap(NULL, PAGE, i % 2 ? RW : PROT_READ, ANON, -1, 0));
        if (i % 2)
            maps[i][i] = 1;
    }
    for (int i = 0; i < COUNT; i += 3)
        expect(munmap(maps[i], PAGE), 0, 0);
    for (int i = 1; i < COUNT; i += 2)
        if (i % 3)
            expect(maps[i][i], 1, 0);
    for (int i = 0; i < COUNT; i++)
        if (i % 3)
            expect(munmap(maps[i], PAGE), 0, 0);
    /* Reserving costs nothing: runtimes take far more than there is. */
    size_t large = (size_t)64 << 30;
    char *p = must(mmap(NULL, large, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    expect(mprotect(p + large / 2, 16 * PAGE, RW), 0, 0);
    p[large / 2] = 1;
    expect(munmap(p, large), 0, 0);
}

int main(void)
{
    test_dir();
    anonymous();
    hints();
    refusals();
    files();
    many();
    return test_end();
}
