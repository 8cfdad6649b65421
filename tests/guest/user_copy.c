/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies between kernel and program at every size and alignment, right up to a page that is not
 * there and beyond: what arrives is what was sent, nothing behind it changes, and a copy that
 * meets the missing page says how far it came.
 * RW: yes
 */
#include <stdbool.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define LONGEST 700
#define SPARE   64

#define expect_true(what) expect(!!(what), 1, 0)

static char pattern[2 * LONGEST];
static char *page_end; /* readable and writable below, nothing above */
static int file;

static bool same(const char *got, size_t at, size_t n)
{
    return !memcmp(got, pattern + at, n);
}

/* Whole copies: the file's bytes from `at`, to each alignment. */
static void whole(size_t n, unsigned align)
{
    static char buffer[LONGEST + 3 * SPARE] __attribute__((aligned(64)));
    char *to = buffer + SPARE + align;

    memset(buffer, 0x5a, sizeof(buffer));
    expect(pread(file, to, n, align), n, 0);
    expect_true(same(to, align, n));
    expect_true(to[-1] == 0x5a && to[n] == 0x5a);
}

/* The copy ends `missing` bytes behind the last page. */
static void cut(size_t n, size_t missing)
{
    char *to = page_end - (n - missing);

    memset(page_end - LONGEST, 0x5a, LONGEST);
    if (missing >= n) {
        expect(pread(file, page_end, n, 1), -1, EFAULT);
        return;
    }
    expect(pread(file, to, n, 1), n - missing, 0);
    expect_true(same(to, 1, n - missing));
    expect_true(to[-1] == 0x5a);
}

/* The same the other way. */
static void write_cut(size_t n, size_t missing)
{
    static char got[LONGEST];
    char *from = page_end - (n - missing);

    memcpy(page_end - LONGEST, pattern, LONGEST);
    ssize_t r = pwrite(file, from, n, 4 * LONGEST);
    /* File systems differ in how much of a page they take before they look further. */
    expect_true(r == -1 ? errno == EFAULT : r > 0 && (size_t)r <= n - missing);
    if (r > 0) {
        expect(pread(file, got, r, 4 * LONGEST), r, 0);
        expect_true(!memcmp(got, from, r));
    }
}

int main(void)
{
    char *pages =
        must(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    page_end = pages + 2 * 4096;
    expect(munmap(page_end, 4096), 0, 0);
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)(i * 31 + i / 251);
    test_dir();
    file = must(open("copy", O_CREAT | O_RDWR, 0600));
    expect(pwrite(file, pattern, sizeof(pattern), 0), sizeof(pattern), 0);

    for (size_t n = 1; n <= LONGEST; n += n < 80 ? 1 : 37) {
        for (unsigned align = 0; align < SPARE; align += n < 80 ? 1 : 5)
            whole(n, align);
        for (size_t missing = 1; missing <= n && missing < 80; missing++) {
            cut(n, missing);
            if (missing < n)
                write_cut(n, missing);
        }
    }
    return test_end();
}
