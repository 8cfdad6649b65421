/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mremap: growing in place and by moving, shrinking, to a fixed place, refusals.
 */
#include <stdint.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char *filled(size_t pages)
{
    char *p = must(mmap(NULL, pages * PAGE, RW, ANON, -1, 0));
    for (size_t i = 0; i < pages; i++)
        memset(p + i * PAGE, (int)(i + 1), PAGE);
    return p;
}

static void check(const char *p, size_t pages)
{
    for (size_t i = 0; i < pages; i++)
        expect(p[i * PAGE] == (char)(i + 1) && p[i * PAGE + PAGE - 1] == (char)(i + 1), 1, 0);
}

int main(void)
{
    /* Free room behind it, which the fixed mappings below rely on. */
    char *room = must(mmap(NULL, 64 * PAGE, PROT_NONE, ANON, -1, 0));
    char *p = must(mremap(filled(4), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room));
    expect(munmap(p + 4 * PAGE, 60 * PAGE), 0, 0);
    expect(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p, 1, 0);
    check(p, 2);
    expect(mprotect(p + 2 * PAGE, PAGE, PROT_READ), -1, ENOMEM);
    expect(mremap(p, 2 * PAGE, 4 * PAGE, 0) == p, 1, 0);
    expect(p[3 * PAGE], 0, 0);
    check(p, 2);

    /* Something stands behind it. */
    char *block = must(mmap(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    expect(mremap(p, 4 * PAGE, 8 * PAGE, 0), -1, ENOMEM);
    char *q = must(mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE));
    expect(q != p, 1, 0);
    check(q, 2);
    expect(q[63 * PAGE], 0, 0);
    expect(mprotect(p, PAGE, RW), -1, ENOMEM);
    expect(munmap(block, PAGE), 0, 0);
    expect(munmap(q, 64 * PAGE), 0, 0);

    p = filled(4);
    char *place = must(mmap(NULL, 8 * PAGE, RW, ANON, -1, 0));
    memset(place, 77, 8 * PAGE);
    q = must(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 2 * PAGE));
    expect(q == place + 2 * PAGE, 1, 0);
    check(q, 4);
    expect(place[2 * PAGE - 1], 77, 0);
    expect(place[6 * PAGE], 77, 0);

    /* A part of a mapping. */
    p = filled(6);
    q = must(mremap(p + 2 * PAGE, PAGE, 3 * PAGE, MREMAP_MAYMOVE));
    expect(q[0], 3, 0);
    expect(q[PAGE], 0, 0);
    expect(p[PAGE], 2, 0);
    expect(p[3 * PAGE], 4, 0);

    expect(mremap((void *)1, PAGE, PAGE, 0), -1, EINVAL);
    expect(mremap(p, PAGE, 0, 0), -1, EINVAL);
    expect(mremap(p, PAGE, PAGE, MREMAP_FIXED, place), -1, EINVAL);
    expect(mremap(p, PAGE, PAGE, 64), -1, EINVAL);
    expect(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), -1, EINVAL);
    expect(munmap(q, 3 * PAGE), 0, 0);
    expect(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), -1, EFAULT);

    /* realloc of something large goes by mremap. */
    size_t size = 1 << 20;
    char *heap = malloc(size);
    memset(heap, 5, size);
    for (int i = 0; i < 6; i++) {
        heap = realloc(heap, size * 2);
        expect(heap != NULL && heap[size - 1] == 5, 1, 0);
        memset(heap + size, 5, size);
        size *= 2;
    }
    free(heap);
    return test_end();
}
