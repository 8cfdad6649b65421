/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * madvise, mincore, msync, mlock: what programs rely on. RW: yes
 */
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

int main(void)
{
    unsigned char resident[4];
    char back;
    test_dir();
    char *p = must(mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(p, 1, 4 * PAGE);
    expect(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED), 0, 0);
    expect(p[PAGE - 1], 1, 0);
    expect(p[PAGE], 0, 0);
    expect(p[3 * PAGE - 1], 0, 0);
    expect(p[3 * PAGE], 1, 0);
    p[PAGE] = 2;
    expect(p[PAGE], 2, 0);
    expect(madvise(p, 4 * PAGE, MADV_WILLNEED), 0, 0);
    expect(madvise(p, 4 * PAGE, MADV_NORMAL), 0, 0);
    expect(madvise(p, 4 * PAGE, MADV_RANDOM), 0, 0);
    expect(madvise(p, 4 * PAGE, MADV_SEQUENTIAL), 0, 0);
    expect(madvise(p, 4 * PAGE, 9999), -1, EINVAL);
    expect(madvise(p + 1, PAGE, MADV_DONTNEED), -1, EINVAL);
    expect(madvise(p, 0, MADV_DONTNEED), 0, 0);
    memset(p, 3, 4 * PAGE);
    expect(madvise(p, 4 * PAGE, MADV_FREE), 0, 0);
    expect(p[0] == 3 || p[0] == 0, 1, 0);
    p[0] = 4;
    expect(p[0], 4, 0);

    memset(p, 1, 4 * PAGE);
    expect(mincore(p, 4 * PAGE, resident), 0, 0);
    expect(resident[0] & 1, 1, 0);
    expect(resident[3] & 1, 1, 0);
    expect(mincore(p + 1, PAGE, resident), -1, EINVAL);
    expect(munmap(p + 2 * PAGE, PAGE), 0, 0);
    expect(mincore(p, 4 * PAGE, resident), -1, ENOMEM);
    expect(madvise(p, 4 * PAGE, MADV_DONTNEED), -1, ENOMEM);
    expect(msync(p, 4 * PAGE, MS_SYNC), -1, ENOMEM);
    expect(msync(p + 1, PAGE, MS_SYNC), -1, EINVAL);
    expect(msync(p, PAGE, MS_SYNC | MS_ASYNC), -1, EINVAL);
    expect(msync(p, 2 * PAGE, MS_SYNC), 0, 0);
    expect(mlock(p, PAGE), 0, 0);
    expect(munlock(p, PAGE), 0, 0);

    /* Private file pages come back from the file. */
    test_write_file("f", "abcdefgh");
    int fd = must(open("f", O_RDWR));
    char *f = must(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
    f[0] = 'X';
    expect(madvise(f, PAGE, MADV_DONTNEED), 0, 0);
    expect(f[0], 'a', 0);
    expect(pread(fd, &back, 1, 0), 1, 0);
    expect(back, 'a', 0);
    expect(close(fd), 0, 0);
    return test_end();
}
