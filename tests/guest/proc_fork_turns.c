/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many generations of one family live on and take turns, as a driver tells them at random (but
 * the same at each run): they write, unmap, map, protect and drop pages of one private area,
 * fork and end. Between that all only look for a while. What each must find is in shared
 * memory.
 */
#include <signal.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE     4096ul
#define PAGES    192u
#define MEMBERS  6u
#define ROUNDS   4
#define STEPS    80
#define LOOKS    6
#define UNMAPPED UINT32_MAX

struct command {
    char what;
    unsigned page, count, value;
};

static char *area;
static uint32_t (*expected)[PAGES]; /* a row for each member; what its words hold */
static int commands[MEMBERS][2], answers[2], spare[2];
static unsigned me, alive = 1; /* alive: a bit a member; the driver is the first */

static void store(unsigned page, uint32_t value)
{
    volatile uint32_t *word = (volatile uint32_t *)(area + page * PAGE);
    word[0] = word[511] = word[1023] = value;
    expected[me][page] = value;
}

static int wrong(unsigned page)
{
    const volatile uint32_t *word = (const volatile uint32_t *)(area + page * PAGE);
    uint32_t value = expected[me][page];
    if (value == UNMAPPED)
        return write(spare[1], area + page * PAGE, 1) != -1 || errno != EFAULT;
    return word[0] != value || word[511] != value || word[1023] != value || word[100];
}

static unsigned look(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PAGES; i++)
        n += (unsigned)wrong(i);
    return n;
}

static void expect_all(const struct command *c, uint32_t value)
{
    for (unsigned i = c->page; i < c->page + c->count; i++)
        expected[me][i] = value;
}

static void serve(void);

static void become(unsigned member)
{
    memcpy(expected[member], expected[me], sizeof(expected[me]));
    if (must(fork()))
        return;
    me = member;
    alarm(100);
    serve();
}

static int whole(const struct command *c)
{
    for (unsigned i = c->page; i < c->page + c->count; i++)
        if (expected[me][i] == UNMAPPED)
            return 0;
    return 1;
}

static unsigned obey(const struct command *c)
{
    char *at = area + c->page * PAGE;
    size_t size = c->count * PAGE;

    switch (c->what) {
    case 'w':
        for (unsigned i = c->page; i < c->page + c->count; i++)
            if (expected[me][i] != UNMAPPED)
                store(i, c->value);
        break;
    case 'u':
        must(munmap(at, size));
        expect_all(c, UNMAPPED);
        break;
    case 'm':
        must((long)mmap(at, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        expect_all(c, 0);
        break;
    case 'd':
        if (!whole(c))
            break;
        must(madvise(at, size, MADV_DONTNEED));
        expect_all(c, 0);
        break;
    case 'p':
        if (!whole(c))
            break;
        must(mprotect(at, size, PROT_READ));
        if (look())
            return 1;
        must(mprotect(at, size, PROT_READ | PROT_WRITE));
        break;
    case 'f':
        become(c->value);
        break;
    }
    return look();
}

static void serve(void)
{
    struct command c;

    while (read(commands[me][0], &c, sizeof(c)) == sizeof(c)) {
        unsigned bad = c.what == 'x' ? look() : obey(&c);
        if (write(answers[1], &bad, sizeof(bad)) != sizeof(bad) || c.what == 'x')
            break;
    }
    _exit(0);
}

static void tell(unsigned member, struct command c)
{
    unsigned bad = 0;

    if (!member) {
        bad = obey(&c);
    } else {
        must(write(commands[member][1], &c, sizeof(c)));
        expect(read(answers[0], &bad, sizeof(bad)), sizeof(bad), 0);
    }
    if (bad)
        fprintf(stderr, "member %u, after %c %u+%u\n", member, c.what, c.page, c.count);
    expect(bad, 0, 0);
}

static unsigned random_below(unsigned limit)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x >> 32) % limit;
}

static unsigned some_member(void)
{
    unsigned m = random_below(MEMBERS);
    while (!(alive >> m & 1))
        m = (m + 1) % MEMBERS;
    return m;
}

static void step(unsigned number)
{
    static const char what[] = "wwwwwwwwvvvvumdp";
    struct command c = {.what = what[random_below(sizeof(what) - 1)], .value = number + 1};
    unsigned member = some_member(), fresh = random_below(MEMBERS);

    c.count = 1 + random_below(random_below(8) ? 4 : 100);
    c.page = random_below(PAGES - c.count + 1);
    if (!(alive >> fresh & 1)) {
        c.what = 'f';
        c.value = fresh;
        alive |= 1u << fresh;
    } else if (fresh && random_below(12) == 0) {
        c.what = 'x';
        member = fresh;
        alive &= ~(1u << fresh);
    }
    tell(member, c);
}

static void all_look(void)
{
    for (unsigned m = 0; m < MEMBERS; m++)
        if (alive >> m & 1)
            tell(m, (struct command){.what = 'v'});
}

int main(void)
{
    unsigned end;

    signal(SIGCHLD, SIG_IGN);
    alarm(100);
    expected = mmap(NULL, MEMBERS * sizeof(*expected), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must((long)area);
    must((long)expected);
    must(pipe(answers));
    must(pipe(spare));
    for (unsigned i = 0; i < MEMBERS; i++)
        must(pipe(commands[i]));
    for (unsigned i = 0; i < PAGES; i++)
        store(i, i + 1);
    for (int round = 0; round < ROUNDS && !test_failures; round++) {
        for (int i = 0; i < STEPS && !test_failures; i++)
            step((unsigned)(round * STEPS + i));
        for (int i = 0; i < LOOKS && !test_failures; i++)
            all_look();
    }
    for (unsigned m = 1; m < MEMBERS; m++)
        if (alive >> m & 1)
            tell(m, (struct command){.what = 'x'});
    close(answers[1]);
    expect(read(answers[0], &end, sizeof(end)), 0, 0); /* all have ended */
    return test_end();
}
