/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A crowd of programs linked at the same fixed addresses, as a parallel build has it: drivers
 * that start one worker after the other and wait, all coming and going at the same time. Nobody
 * may see what another one has written. TIMEOUT: 180 FLAGS: -static -no-pie
 */
#include <spawn.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define WORKERS     10 /* of each driver */
#define DATA_WORDS  20000
#define HEAP_BYTES  (256u << 10)
#define SPIN_ROUNDS 20
#define TURNS       400 /* that a driver takes, perhaps alone, before the next worker */

extern char **environ;
static uint64_t data[DATA_WORDS] = {1};

static uint64_t word(uint64_t seed, uint64_t i)
{
    return (seed + 1) * 0x9e3779b97f4a7c15ull ^ i * 0xff51afd7ed558ccdull;
}

static void fill(uint64_t *at, size_t words, uint64_t seed)
{
    for (size_t i = 0; i < words; i++)
        at[i] = word(seed, i);
}

static int holds(const uint64_t *at, size_t words, uint64_t seed)
{
    for (size_t i = 0; i < words; i++) {
        if (at[i] != word(seed, i))
            return 0;
    }
    return 1;
}

static int worker(uint64_t seed)
{
    size_t words = HEAP_BYTES / sizeof(uint64_t);
    uint64_t stack[512], *heap = malloc(HEAP_BYTES);
    uint64_t *map =
        mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!heap || map == MAP_FAILED || data[0] != 1 || data[DATA_WORDS - 1])
        return 2;
    if (map[0] || map[words - 1])
        return 3;
    fill(data, DATA_WORDS, seed);
    fill(heap, words, seed + 1);
    fill(map, words, seed + 2);
    fill(stack, 512, seed + 3);
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        size_t from = (size_t)i * 100;
        if (data[from] != word(seed, from) || heap[from] != word(seed + 1, from) ||
            stack[i] != word(seed + 3, (uint64_t)i))
            return 4;
        sched_yield();
    }
    if (!holds(data, DATA_WORDS, seed) || !holds(heap, words, seed + 1) ||
        !holds(map, words, seed + 2) || !holds(stack, 512, seed + 3))
        return 5;
    return 0;
}

static pid_t start(char *self, const char *role, uint64_t seed)
{
    char number[24];
    char *args[] = {self, (char *)role, number, NULL};
    pid_t pid = -1;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
    int e = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
    return e ? -1 : pid;
}

static int driver(char *self, uint64_t seed)
{
    uint64_t stack[512];

    fill(data, DATA_WORDS, seed);
    fill(stack, 512, seed + 1);
    for (uint64_t i = 0; i < WORKERS; i++) {
        int status = -1;
        pid_t pid = start(self, "worker", seed + 100 * (i + 1));
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
            return WIFEXITED(status) ? 10 + WEXITSTATUS(status) : 20 + (status & 127);
        for (uint64_t n = 0; n < TURNS; n++) {
            uint64_t at = n * 97 % DATA_WORDS;
            if (data[at] != word(seed, at) || stack[n % 512] != word(seed + 1, n % 512))
                return 6;
            data[at] = word(seed, at);
            sched_yield();
        }
        if (!holds(data, DATA_WORDS, seed) || !holds(stack, 512, seed + 1))
            return 7;
    }
    return 0;
}

/* The shell is no relative of theirs: again and again one of the crowd is alone. */
int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "worker"))
        return worker(strtoull(argv[2], NULL, 10));
    if (argc > 2)
        return driver(argv[0], strtoull(argv[2], NULL, 10));
    execl("/bin/sh", "sh", "-c",
          "for i in 1 2 3; do \"$0\" driver ${i}0000 & all=\"$all $!\"; done; failed=0\n"
          "for p in $all; do wait $p || { failed=$?; echo \"driver $p: status $failed\"; }; "
          "done; exit $failed",
          argv[0], NULL);
    perror("/bin/sh");
    return 1;
}
