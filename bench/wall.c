/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wall NAME SIDE COMMAND...: runs it and prints "NAME SIDE NANOSECONDS". For what is so short
 * that a shell's fork would count.
 */
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv)
{
    int status = -1;
    pid_t pid;

    if (argc < 4)
        return 2;
    long long start = now();
    if (posix_spawnp(&pid, argv[3], NULL, NULL, argv + 3, environ) ||
        waitpid(pid, &status, 0) != pid || status) {
        fprintf(stderr, "%s: failed %s\n", argv[1], argv[2]);
        return 1;
    }
    printf("%s %s %lld\n", argv[1], argv[2], now() - start);
    return 0;
}
