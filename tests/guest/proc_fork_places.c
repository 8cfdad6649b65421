/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What parent and children map and unmap after a fork is nobody else's, wherever it lies: at
 * the place of something that another one still has, or where only one has something.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define SIZE   (64u << 10)
#define ROUNDS 6

static sigjmp_buf jump;
static int to_child[2], to_parent[2];

static void say(int fd)
{
    expect(write(fd, "x", 1), 1, 0);
}

static void hear(int fd)
{
    char c;
    expect(read(fd, &c, 1), 1, 0);
}

static char *map(void *at, int flags)
{
    return mmap(at, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

static int all(const char *p, char value)
{
    for (size_t i = 0; i < SIZE; i++) {
        if (p[i] != value)
            return 0;
    }
    return 1;
}

/* Both have something at `place`, and something more of their own that comes and goes. */
static void live(char *place, char mine, int from, int to, int first)
{
    char *more = NULL;

    for (int i = 0; i < ROUNDS; i++) {
        if (!first || i)
            hear(from);
        expect(all(place, (char)(mine + i)), 1, 0);
        if (more) {
            expect(all(more, (char)(mine - i)), 1, 0);
            expect(munmap(more, SIZE), 0, 0);
        }
        more = map(NULL, MAP_PRIVATE);
        expect(more != MAP_FAILED && all(more, 0), 1, 0);
        memset(more, mine - i - 1, SIZE);
        if (i % 2) { /* anew, at the same place */
            expect(map(place, MAP_PRIVATE | MAP_FIXED) == place, 1, 0);
            expect(all(place, 0), 1, 0);
        }
        memset(place, mine + i + 1, SIZE);
        say(to);
    }
}

static void on_fault(int sig)
{
    siglongjmp(jump, sig);
}

static int faults(volatile char *at)
{
    int sig = sigsetjmp(jump, 1);
    if (!sig)
        (void)*at;
    return sig;
}

static int child(char *place, char *gone, char *shared)
{
    expect(signal(SIGSEGV, on_fault) != SIG_ERR, 1, 0);
    expect(munmap(gone, SIZE), 0, 0);
    say(to_parent[1]);
    hear(to_child[0]);
    expect(faults(gone), SIGSEGV, 0); /* whatever the parent has there */
    expect(munmap(shared + SIZE, SIZE), 0, 0);
    live(place, 10, to_child[0], to_parent[1], 0);
    /* The freed places may be used again, by itself. */
    for (int i = 0; i < 20; i++) {
        char *p = map(NULL, MAP_PRIVATE);
        expect(p != MAP_FAILED && all(p, 0), 1, 0);
        memset(p, 99, SIZE);
    }
    expect(map(gone, MAP_PRIVATE | MAP_FIXED) == gone, 1, 0);
    expect(all(gone, 0), 1, 0);
    memset(gone, 98, SIZE);
    memset(shared, 42, SIZE);
    return test_end();
}

int main(void)
{
    int status = -1;
    char *place = map(NULL, MAP_PRIVATE), *gone = map(NULL, MAP_PRIVATE);
    char *shared =
        mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    must(pipe(to_child));
    must(pipe(to_parent));
    memset(place, 10, SIZE);
    memset(gone, 20, SIZE);
    memset(shared, 30, 2 * SIZE);
    pid_t pid = must(fork());
    if (!pid)
        _exit(child(place, gone, shared));
    hear(to_parent[0]);
    expect(all(gone, 20), 1, 0);
    say(to_child[1]);
    memset(place, 50, SIZE);
    live(place, 50, to_parent[0], to_child[1], 1);
    hear(to_parent[0]);
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(all(gone, 20), 1, 0);
    expect(all(shared, 42), 1, 0);
    expect(all(shared + SIZE, 30), 1, 0);
    return test_end();
}
