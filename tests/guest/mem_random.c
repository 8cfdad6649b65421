/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where things lie is random: over 1,000 starts, stack, mappings and the program each have 28
 * bits of it. What is measured is the sum of the single bits' entropies, which noise in so few
 * samples makes a little less.
 * FLAGS: -static-pie
 * LIBS: -lm
 * TIMEOUT: 240
 */
/*
 * Where things lie is random: over 1,000 starts, stack, mappings and the program each have 28
 * bits of it. What is measured is the sum of the entropies of the single bits.
 * FLAGS: -static-pie
 * LIBS: -lm
 * TIMEOUT: 180
 */
#include <math.h>
#include <spawn.h>
#include <sys/mman.h>

#include "tests/guest/test.h"

#define STARTS 1000
#define KINDS  3

extern char **environ;
static const char *const names[KINDS] = {"stack", "mapping", "program"};
static uint64_t seen[KINDS][STARTS];

static int report(void)
{
    uint64_t here[KINDS] = {
        (uint64_t)__builtin_frame_address(0),
        (uint64_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        (uint64_t)report};
    return write(1, here, sizeof(here)) != sizeof(here);
}

static double entropy(const uint64_t *v, unsigned bit)
{
    int ones = 0;
    for (int i = 0; i < STARTS; i++)
        ones += v[i] >> bit & 1;
    double p = (double)ones / STARTS;
    return ones == 0 || ones == STARTS ? 0 : -p * log2(p) - (1 - p) * log2(1 - p);
}

int main(int argc, char **argv)
{
    int fds[2], status;
    char *args[] = {"mem_random", "report", NULL};
    posix_spawn_file_actions_t actions;
    if (argc == 2)
        return report();
    must(pipe(fds));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    for (int i = 0; i < STARTS; i++) {
        pid_t pid;
        uint64_t got[KINDS];
        expect(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ), 0, 0);
        expect(read(fds[0], got, sizeof(got)), sizeof(got), 0);
        expect(waitpid(pid, &status, 0), pid, 0);
        for (int k = 0; k < KINDS; k++)
            seen[k][i] = got[k];
    }
    for (int k = 0; k < KINDS; k++) {
        double sum = 0;
        for (unsigned bit = 4; bit < 48; bit++)
            sum += entropy(seen[k], bit);
        printf("%s: %.2f bits\n", names[k], sum);
        expect(sum >= 27.9, 1, 0);
    }
    return test_end();
}
