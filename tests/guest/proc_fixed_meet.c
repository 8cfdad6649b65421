/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parents with children by fork, each pair for itself at first, come to the same fixed
 * addresses: one pair to those of two others at once, and two pairs to each other's at the same
 * moment. Everybody keeps its own contents.
 */
#include <spawn.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define LOW      0x20000000ul
#define HIGH     0x20100000ul
#define PAGE     4096ul
#define PAGES    24ul
#define TO_HIGH  ((HIGH - LOW) / PAGE + PAGES) /* pages from LOW on that reach both */
#define CROSSING 12
#define CHILD    7000000ul /* what a child adds to its contents */

extern char **environ;

struct order {
    enum { MAP, FORK, CHECK } what;
    unsigned long at, pages, value;
};

struct part {
    unsigned long at, pages, value;
};

static struct part parts[8];
static unsigned count;

static unsigned long *page_of(const struct part *p, unsigned long i)
{
    return (unsigned long *)(p->at + i * PAGE);
}

static void fill(const struct part *p)
{
    for (unsigned long i = 0; i < p->pages; i++)
        page_of(p, i)[i] = p->value + i;
}

static char holds_all(void)
{
    char good = 'y';

    for (unsigned n = 0; n < count; n++) {
        for (unsigned long i = 0; i < parts[n].pages; i++) {
            if (page_of(&parts[n], i)[i] != parts[n].value + i || page_of(&parts[n], i)[511])
                good = 'n';
        }
    }
    return good;
}

/* Has other contents than its parent, and looks whether it still has when told to. */
static int child(int from, int to)
{
    char told, answer;

    for (unsigned n = 0; n < count; n++) {
        parts[n].value += CHILD;
        fill(&parts[n]);
    }
    while (read(from, &told, 1) == 1) {
        answer = holds_all();
        if (write(to, &answer, 1) != 1)
            return 1;
    }
    return 0;
}

static int to_child = -1, from_child = -1;

static char start_child(void)
{
    int in[2], out[2];

    if (pipe(in) || pipe(out))
        return 'n';
    pid_t pid = fork();
    if (!pid) {
        close(0);
        close(in[1]);
        _exit(child(in[0], out[1]));
    }
    close(in[0]);
    to_child = in[1];
    from_child = out[0];
    return pid > 0 ? 'y' : 'n';
}

static char map_part(const struct order *o)
{
    void *at = mmap((void *)o->at, o->pages * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (at == MAP_FAILED)
        return 'n';
    parts[count] = (struct part){o->at, o->pages, o->value};
    fill(&parts[count++]);
    return 'y';
}

static char check(void)
{
    char answer = holds_all(), childs = 'y';

    if (to_child >= 0 && (write(to_child, "?", 1) != 1 || read(from_child, &childs, 1) != 1))
        return 'n';
    return answer == 'y' ? childs : answer;
}

static int pair(void)
{
    struct order o;

    while (read(0, &o, sizeof(o)) == sizeof(o)) {
        char answer = o.what == MAP ? map_part(&o) : o.what == FORK ? start_child() : check();
        if (write(1, &answer, 1) != 1)
            return 1;
    }
    return 0;
}

/* ---- who gives the orders ---- */

struct peer {
    pid_t pid;
    int to, from;
};

static struct peer begin(char *self)
{
    char *args[] = {self, "pair", NULL};
    posix_spawn_file_actions_t actions;
    struct peer p = {0};
    int in[2], out[2];

    must(pipe2(in, O_CLOEXEC));
    must(pipe2(out, O_CLOEXEC));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    expect(posix_spawn(&p.pid, "/proc/self/exe", &actions, NULL, args, environ), 0, 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    p.to = in[1];
    p.from = out[0];
    return p;
}

static void end(struct peer *p)
{
    int status = -1;

    close(p->to);
    expect(waitpid(p->pid, &status, 0), p->pid, 0);
    expect(status, 0, 0);
    close(p->from);
}

static void tell(const struct peer *p, struct order o)
{
    expect(write(p->to, &o, sizeof(o)), sizeof(o), 0);
}

static char answer(const struct peer *p)
{
    char a = '?';

    expect(read(p->from, &a, 1), 1, 0);
    return a;
}

static void demand(const struct peer *p, struct order o)
{
    tell(p, o);
    expect(answer(p), 'y', 0);
}

static void check_all(const struct peer *p, int n)
{
    for (int i = 0; i < 2 * n; i++)
        demand(&p[i % n], (struct order){.what = CHECK});
}

static void one_meets_two(char *self)
{
    struct peer p[3] = {begin(self), begin(self), begin(self)};

    demand(&p[0], (struct order){MAP, LOW, PAGES, 1000});
    demand(&p[0], (struct order){.what = FORK});
    demand(&p[1], (struct order){MAP, HIGH, PAGES, 2000});
    demand(&p[1], (struct order){.what = FORK});
    demand(&p[2], (struct order){.what = FORK});
    demand(&p[2], (struct order){MAP, LOW, TO_HIGH, 3000});
    check_all(p, 3);
    end(&p[0]);
    check_all(p + 1, 2);
    end(&p[2]);
    check_all(p + 1, 1);
    end(&p[1]);
}

static void two_cross(char *self)
{
    struct peer p[2] = {begin(self), begin(self)};

    demand(&p[0], (struct order){MAP, LOW, PAGES, 1000});
    demand(&p[0], (struct order){.what = FORK});
    demand(&p[1], (struct order){MAP, HIGH, PAGES, 2000});
    demand(&p[1], (struct order){.what = FORK});
    tell(&p[0], (struct order){MAP, HIGH, PAGES, 3000});
    tell(&p[1], (struct order){MAP, LOW, PAGES, 4000});
    expect(answer(&p[0]), 'y', 0);
    expect(answer(&p[1]), 'y', 0);
    check_all(p, 2);
    end(&p[0]);
    end(&p[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return pair();
    one_meets_two(argv[0]);
    for (int i = 0; i < CROSSING; i++)
        two_cross(argv[0]);
    return test_end();
}
