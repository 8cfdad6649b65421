/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that fork at random, live beside each other at the same addresses, and write, map,
 * unmap, protect, drop and move the same pages in any order. Each keeps a model of what its
 * pages hold and looks whether they do. FORK_SEED repeats one run; FORK_ROUNDS makes more.
 * TIMEOUT: 120
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include "tests/guest/test.h"

#define PAGE       4096ul
#define PAGES      384u
#define OPERATIONS 250u
#define ALIVE_MAX  10
#define DEPTH_MAX  4

enum state { READ_WRITE, READ_ONLY, NO_ACCESS, UNMAPPED };

static struct model {
    uint64_t value; /* 0: zeroes */
    enum state state;
} model[PAGES];
static unsigned char *area;
static uint64_t seed;
static struct shared {
    _Atomic int alive;
    _Atomic int wrong;
    _Atomic long operations;
} *shared;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull >> 11;
}

static unsigned below(unsigned n)
{
    return (unsigned)(random_bits() % n);
}

static uint64_t *word(unsigned i, unsigned at)
{
    return (uint64_t *)(area + i * PAGE + at);
}

/* ---- looking ---- */

static void wrong(unsigned i, const char *what)
{
    if (atomic_fetch_add(&shared->wrong, 1) < 8)
        fprintf(stderr, "process %d, page %u: %s\n", getpid(), i, what);
}

static void look(unsigned i)
{
    static const unsigned places[] = {0, 1024, 2048, 4088};

    if (model[i].state > READ_ONLY)
        return;
    for (unsigned k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
        uint64_t want = model[i].value ? model[i].value + places[k] : 0;
        if (*word(i, places[k]) != want) {
            wrong(i, "what it holds is not what this process wrote");
            return;
        }
    }
}

static void look_at_all(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        look(i);
}

/* ---- what is done to a run of pages ---- */

static void write_page(unsigned i)
{
    if (model[i].state != READ_WRITE)
        return;
    model[i].value = random_bits() | 1;
    for (unsigned at = 0; at < PAGE; at += 8)
        *word(i, at) = model[i].value + at;
}

/* The kernel writes for the program. */
static void read_zeroes(unsigned i)
{
    int fd = open("/dev/zero", O_RDONLY);
    ssize_t want = model[i].state == READ_WRITE ? (ssize_t)PAGE : -1;

    if (read(fd, area + i * PAGE, PAGE) != want)
        wrong(i, "read gives something else");
    close(fd);
    if (want > 0)
        model[i].value = 0;
}

static void set_state(unsigned i, unsigned count, enum state state)
{
    for (unsigned k = i; k < i + count; k++)
        model[k].state = state;
}

static void protect(unsigned i, unsigned count)
{
    static const int prot[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    enum state to = below(3);

    for (unsigned k = i; k < i + count; k++) {
        if (model[k].state == UNMAPPED)
            return;
    }
    if (mprotect(area + i * PAGE, count * PAGE, prot[to]))
        wrong(i, "mprotect");
    set_state(i, count, to);
}

static void forget(unsigned i, unsigned count)
{
    for (unsigned k = i; k < i + count; k++)
        model[k].value = 0;
}

static void map_again(unsigned i, unsigned count)
{
    void *at = area + i * PAGE;

    if (mmap(at, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0) != at)
        wrong(i, "mmap");
    set_state(i, count, READ_WRITE);
    forget(i, count);
}

static void unmap(unsigned i, unsigned count)
{
    if (munmap(area + i * PAGE, count * PAGE))
        wrong(i, "munmap");
    set_state(i, count, UNMAPPED);
}

static void drop(unsigned i, unsigned count)
{
    for (unsigned k = i; k < i + count; k++) {
        if (model[k].state == UNMAPPED)
            return;
    }
    if (madvise(area + i * PAGE, count * PAGE, MADV_DONTNEED))
        wrong(i, "madvise");
    forget(i, count);
}

static void move(unsigned from, unsigned to)
{
    void *there = area + to * PAGE;

    if (from == to || model[from].state == UNMAPPED)
        return;
    if (mremap(area + from * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there) != there)
        wrong(from, "mremap");
    model[to] = model[from];
    model[from].state = UNMAPPED;
}

static void wait_a_bit(void)
{
    struct timespec t = {.tv_nsec = (long)below(300) * 1000};

    if (below(2))
        sched_yield();
    else
        nanosleep(&t, NULL);
}

/* ---- processes ---- */

static void live(unsigned depth);

static void fork_one(unsigned depth)
{
    uint64_t fresh = random_bits() | 1;

    if (depth == DEPTH_MAX || atomic_fetch_add(&shared->alive, 1) >= ALIVE_MAX) {
        if (depth < DEPTH_MAX)
            atomic_fetch_sub(&shared->alive, 1);
        return;
    }
    pid_t child = fork();
    if (child > 0)
        return;
    if (child < 0) {
        atomic_fetch_sub(&shared->alive, 1);
        wrong(0, "fork");
        return;
    }
    seed = fresh;
    live(depth + 1);
    look_at_all();
    atomic_fetch_sub(&shared->alive, 1);
    while (wait(NULL) > 0)
        ;
    _exit(0);
}

static void operate(unsigned depth)
{
    unsigned i = below(PAGES);
    unsigned count = 1 + below(PAGES - i < 40 ? PAGES - i : 40);

    switch (below(24)) {
    case 0:
        fork_one(depth);
        break;
    case 1:
        protect(i, count);
        break;
    case 2:
        map_again(i, count);
        break;
    case 3:
        unmap(i, 1);
        break;
    case 4:
        drop(i, count);
        break;
    case 5:
        move(i, below(PAGES));
        break;
    case 6:
        read_zeroes(i);
        break;
    case 7:
    case 8:
    case 9:
        wait_a_bit();
        break;
    case 10:
    case 11:
        for (unsigned k = i; k < i + count; k++)
            write_page(k);
        break;
    default:
        below(3) ? look(i) : write_page(i);
    }
}

static void live(unsigned depth)
{
    unsigned much = depth ? OPERATIONS / 2 + below(OPERATIONS) : OPERATIONS;

    for (unsigned n = 0; n < much && !atomic_load(&shared->wrong); n++) {
        operate(depth);
        atomic_fetch_add(&shared->operations, 1);
        if (n % 32 == 0)
            look_at_all();
    }
}

static void one_round(uint64_t of)
{
    seed = of * 0x9e3779b97f4a7c15ull | 1;
    area = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0));
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < PAGES; i += 1 + below(2))
        write_page(i);
    atomic_store(&shared->alive, 1);
    live(0);
    while (wait(NULL) > 0)
        ;
    look_at_all();
    if (atomic_load(&shared->wrong))
        fprintf(stderr, "with FORK_SEED=%llu\n", (unsigned long long)of);
    munmap(area, PAGES * PAGE);
}

int main(void)
{
    const char *text = getenv("FORK_SEED"), *rounds = getenv("FORK_ROUNDS");
    uint64_t first = text ? strtoull(text, NULL, 10) : 1;
    uint64_t count = rounds ? strtoull(rounds, NULL, 10) : text ? 1 : 2;

    shared = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (uint64_t i = 0; i < count && !atomic_load(&shared->wrong); i++)
        one_round(first + i);
    expect(atomic_load(&shared->wrong), 0, 0);
    expect(atomic_load(&shared->operations) > 0, 1, 0);
    return test_end();
}
