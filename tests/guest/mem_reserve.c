/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Terabytes of addresses without memory: reserved, twice to have a piece that is aligned, used
 * here and there, given back in parts, and seen by a child.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/guest/test.h"

#define TB      (1ul << 40)
#define PAGE    4096ul
#define RW      (PROT_READ | PROT_WRITE)
#define RESERVE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* A few places, far from each other and not on any round boundary. */
static char *place(char *all, unsigned i)
{
    return all + i * (TB - 7 * PAGE) + 3 * PAGE;
}

int main(void)
{
    char *first = must(mmap(NULL, 8 * TB, PROT_NONE, RESERVE, -1, 0));
    char *all = must(mmap(NULL, 8 * TB + 4096 * PAGE, PROT_NONE, RESERVE, -1, 0));

    expect(munmap(first, 8 * TB), 0, 0);

    for (unsigned i = 0; i < 8; i++) {
        char *p = place(all, i);
        expect(mprotect(p, 4 * PAGE, RW), 0, 0);
        expect(p[PAGE], 0, 0);
        memset(p, (int)i + 1, 4 * PAGE);
    }
    /* Small ones are found beside it. */
    char *other = must(mmap(NULL, 64 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    expect(other + 64 * PAGE <= all || other >= all + 8 * TB, 1, 0);
    other[0] = 1;

    pid_t child = must(fork());
    if (!child) {
        for (unsigned i = 0; i < 8; i++) {
            char *p = place(all, i);
            expect(p[0], (int)i + 1, 0);
            p[0] = 99;
        }
        _exit(0);
    }
    int status;
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    for (unsigned i = 0; i < 8; i++)
        expect(place(all, i)[0], (int)i + 1, 0);

    expect(madvise(all, 4 * TB, MADV_DONTNEED), 0, 0);
    expect(place(all, 2)[0], 0, 0);
    expect(place(all, 6)[4 * PAGE - 1], 7, 0);
    expect(munmap(all + 2 * TB, 3 * TB), 0, 0);
    expect(mprotect(all + TB, 2 * TB, PROT_READ), -1, ENOMEM);
    expect(place(all, 6)[0], 7, 0);
    must(mmap(all + 3 * TB, TB, PROT_NONE, RESERVE | MAP_FIXED, -1, 0));
    expect(munmap(all, 8 * TB + 4096 * PAGE), 0, 0);
    expect(mprotect(place(all, 6), PAGE, RW), -1, ENOMEM);
    return 0;
}
