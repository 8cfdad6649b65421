/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAP_SHARED of a file: writes show in read(), writes by write() show in the mapping, two
 * mappings show each other's.
 */
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

int main(void)
{
    char text[8] = "";
    test_dir();
    int fd = must(open("shared", O_CREAT | O_RDWR, 0600));
    expect(ftruncate(fd, 2 * PAGE), 0, 0);
    char *a = must(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
    char *b = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
    expect(a[0] | a[PAGE], 0, 0);
    memcpy(a + PAGE, "hello", 6);
    expect(strcmp(b, "hello"), 0, 0);
    expect(pread(fd, text, 6, PAGE), 6, 0);
    expect(strcmp(text, "hello"), 0, 0);
    expect(pwrite(fd, "world", 5, PAGE), 5, 0);
    expect(strcmp(b, "world"), 0, 0);
    expect(msync(a, 2 * PAGE, MS_SYNC), 0, 0);
    expect(munmap(a, 2 * PAGE), 0, 0);
    memset(text, 0, sizeof(text));
    expect(pread(fd, text, 6, PAGE), 6, 0);
    expect(strcmp(text, "world"), 0, 0);
    expect(munmap(b, PAGE), 0, 0);
    expect(close(fd), 0, 0);
    a = must(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    a[0] = 1;
    expect(a[0], 1, 0);
    expect(munmap(a, PAGE), 0, 0);
    fd = must(memfd_create("m", MFD_CLOEXEC));
    expect(ftruncate(fd, PAGE), 0, 0);
    a = must(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    memcpy(a, "memfd", 6);
    expect(pread(fd, text, 6, 0), 6, 0);
    expect(strcmp(text, "memfd"), 0, 0);
    return test_end();
}
