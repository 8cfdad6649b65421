/* SPDX-License-Identifier: BSD-3-Clause */
/* Where things lie at a thousand starts: stack, mappings and a position-independent program. */
#include <spawn.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define STARTS 1000

extern char **environ;

struct places {
    unsigned long stack, mapping, program;
};

static int tell(void)
{
    struct places p = {(unsigned long)&p, 0, (unsigned long)tell};
    void *m = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p.mapping = (unsigned long)m;
    return write(1, &p, sizeof(p)) != sizeof(p);
}

static int compare(const void *a, const void *b)
{
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return x < y ? -1 : x > y;
}

/* Bits `from` to `to` are all as often set as not, and hardly a place comes twice. */
static void judge(const char *what, unsigned long *at, int from, int to)
{
    int lame = 0, twice = 0;
    for (int bit = from; bit <= to; bit++) {
        int ones = 0;
        for (int i = 0; i < STARTS; i++)
            ones += (int)(at[i] >> bit & 1);
        if (ones < STARTS / 4 || ones > STARTS * 3 / 4) {
            fprintf(stderr, "%s: bit %d is set %d times\n", what, bit, ones);
            lame++;
        }
    }
    qsort(at, STARTS, sizeof(*at), compare);
    for (int i = 1; i < STARTS; i++)
        twice += at[i] >> 12 == at[i - 1] >> 12;
    expect(lame, 0, 0);
    expect(twice < 5, 1, 0);
}

int main(int argc, char **argv)
{
    static unsigned long stack[STARTS], mapping[STARTS], program[STARTS];
    char *args[] = {argv[0], "tell", NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2];
    if (argc > 1)
        return tell();
    must(pipe(pipes));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    for (int i = 0; i < STARTS; i++) {
        struct places p = {0};
        pid_t pid = -1;
        int status = -1;
        if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ) ||
            waitpid(pid, &status, 0) != pid || status ||
            read(pipes[0], &p, sizeof(p)) != sizeof(p)) {
            expect(status, 0, 0);
            return test_end();
        }
        stack[i] = p.stack;
        mapping[i] = p.mapping;
        program[i] = p.program;
    }
    judge("stack", stack, 12, 33);
    judge("mapping", mapping, 12, 38);
    judge("program", program, 12, 38);
    return test_end();
}
