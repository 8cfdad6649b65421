/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs linked at the same fixed address, many at a time: each keeps its code, its constants
 * and its variables while others start, fork, end and start again at the very same addresses.
 * FLAGS: -no-pie -fno-pie
 * TIMEOUT: 90
 */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include "tests/guest/test.h"

extern char **environ;

#define K 1024
/* Constants in the file, so that pages come in from it one window after the other. */
static const unsigned char constants[4][256 * K] = {
    {[0 ... 256 * K - 1] = 0x11},
    {[0 ... 256 * K - 1] = 0x22},
    {[0 ... 256 * K - 1] = 0x44},
    {[0 ... 256 * K - 1] = 0x88},
};
static unsigned char data[256 * K] = {[0 ... 256 * K - 1] = 0x5a}; /* written in part */
static unsigned zeros[256 * K];

static int check_constants(void)
{
    for (int i = 0; i < 4; i++)
        for (unsigned at = 0; at < 256 * K; at += 64)
            if (constants[i][at] != 0x11 << i)
                return 1;
    return 0;
}

static int check_variables(unsigned seed, unsigned rounds)
{
    char *heap = malloc(64 * K);

    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < 256 * K; i += 256)
            zeros[i] = seed + i + r;
        for (unsigned i = 0; i < 128 * K; i += 256)
            data[i] = (unsigned char)(seed + r);
        memset(heap, (int)(seed + r), 64 * K);
        sched_yield();
        for (unsigned i = 0; i < 256 * K; i += 256)
            if (zeros[i] != seed + i + r || zeros[i + 1])
                return 2;
        for (unsigned i = 0; i < 256 * K; i += 256)
            if (data[i] != (i < 128 * K ? (unsigned char)(seed + r) : 0x5a))
                return 3;
        for (unsigned i = 0; i < 64 * K; i += 100)
            if (heap[i] != (char)(seed + r))
                return 4;
    }
    free(heap);
    return 0;
}

static int work(unsigned seed, unsigned rounds)
{
    int wrong = check_variables(seed, rounds);

    return wrong ? wrong : check_constants();
}

static pid_t start(const char *what, unsigned seed)
{
    char number[16];
    char *argv[] = {"proc_fixed", (char *)what, number, NULL};
    pid_t pid = -1;

    snprintf(number, sizeof(number), "%u", seed);
    expect(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0, 0);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = -1;

    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

/* ---- what the started ones do ---- */

static int forks(unsigned seed)
{
    int wrong = work(seed, 2);

    for (unsigned i = 0; i < 3 && !wrong; i++) {
        pid_t pid = fork();
        if (!pid)
            _exit(work(seed + i + 1, 2));
        wrong = work(seed, 2);
        if (status_of(pid))
            wrong = wrong ? wrong : 5;
    }
    return wrong;
}

static int child(const char *what, unsigned seed)
{
    if (!strcmp(what, "work"))
        return work(seed, 1 + seed % 5);
    if (!strcmp(what, "forks"))
        return forks(seed);
    return 9;
}

/* ---- tests ---- */

/* `live` at a time, one more whenever one ends. */
static void many(const char *what, unsigned live, unsigned total)
{
    unsigned started = 0, running = 0;

    while (started < total || running) {
        if (started < total && running < live) {
            start(what, ++started);
            running++;
            continue;
        }
        int status = -1;
        expect(wait(&status) > 0, 1, 0);
        expect(status, 0, 0);
        running--;
    }
}

/* Killed at any point, nothing of them stays behind. */
static void killed(void)
{
    for (unsigned i = 0; i < 8; i++) {
        pid_t one = start("forks", i), two = start("work", i);
        for (unsigned n = 0; n < i; n++)
            sched_yield();
        kill(one, SIGKILL);
        int status = status_of(one);
        expect(status == 0 || status == SIGKILL, 1, 0);
        expect(status_of(two), 0, 0);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return child(argv[1], (unsigned)atoi(argv[2]));
    many("work", 4, 20);
    many("forks", 3, 6);
    killed();
    expect(check_constants(), 0, 0);
    return test_end();
}
