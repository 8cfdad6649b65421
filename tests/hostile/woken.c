/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that waits in every way there is and counts what it is woken for: between threads
 * (futex, pipe, socket pair), between processes, for time, for the host's files. Nothing may be
 * lost, doubled or too early: status 0, or 99 and a line.
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 60

static const char *path;

static void must(int holds, const char *what)
{
    if (holds)
        return;
    dprintf(2, "INVARIANT BROKEN: %s\n", what);
    _exit(99);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *echo(void *arg)
{
    const int *fd = arg;
    uint64_t value;

    while (read(fd[0], &value, sizeof(value)) == sizeof(value)) {
        value = value * 3 + 1;
        must(write(fd[1], &value, sizeof(value)) == sizeof(value), "an answer");
    }
    return arg;
}

/* Numbers go round through another thread or process. */
static void ask(int to, int from)
{
    for (uint64_t i = 0, value; i < ROUNDS; i++) {
        value = i;
        must(write(to, &value, sizeof(value)) == sizeof(value), "a question");
        must(read(from, &value, sizeof(value)) == sizeof(value), "its answer");
        must(value == i * 3 + 1, "the answer's value");
    }
}

static void *threads(void *arg)
{
    int there[2], back[2];
    pthread_t t;

    must(!pipe(there) && !socketpair(AF_UNIX, SOCK_STREAM, 0, back), "pipes");
    int ends[2] = {there[0], back[1]};
    must(!pthread_create(&t, NULL, echo, ends), "a thread");
    ask(there[1], back[0]);
    close(there[1]);
    must(!pthread_join(t, NULL), "its end");
    return arg;
}

static void *processes(void *arg)
{
    int there[2], back[2], status;

    must(!pipe(there) && !pipe(back), "pipes");
    pid_t child = fork();
    if (!child) {
        close(there[1]);
        int ends[2] = {there[0], back[1]};
        echo(ends);
        _exit(7);
    }
    close(there[0]);
    ask(there[1], back[0]);
    close(there[1]);
    must(waitpid(child, &status, 0) == child && status == 7 << 8, "the child's status");
    return arg;
}

static void *sleeper(void *arg)
{
    for (int i = 0; i < ROUNDS / 2; i++) {
        int64_t before = now_ns();
        if (i & 1) {
            must(poll(NULL, 0, 1) == 0, "poll");
        } else {
            struct timespec nap = {.tv_nsec = 1000000};
            must(!nanosleep(&nap, NULL), "a sleep");
        }
        must(now_ns() - before >= 1000000, "a sleep's length");
    }
    return arg;
}

static void *host_file(void *arg)
{
    char text[4096], got[4096];
    FILE *f = fopen(path, "r");

    must(f && fread(text, 1, sizeof(text), f) == sizeof(text), "a file");
    for (int i = 0; i < ROUNDS / 2; i++) {
        rewind(f);
        setvbuf(f, NULL, _IONBF, 0);
        must(fread(got, 1, sizeof(got), f) == sizeof(got), "a read");
        must(!memcmp(text, got, sizeof(got)), "what was read");
        must(fprintf(stdout, "line %d\n", i) > 0 && !fflush(stdout), "a write");
    }
    fclose(f);
    return arg;
}

static sem_t turn[2];
static int counted;

static void *counter(void *arg)
{
    int me = arg != NULL;

    for (int i = 0; i < ROUNDS; i++) {
        while (sem_wait(&turn[me]))
            ;
        must(counted == 2 * i + me, "whose turn it is");
        counted++;
        sem_post(&turn[!me]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*const all[])(void *) = {threads, processes, sleeper, host_file, counter, counter};
    pthread_t t[6];

    path = argv[0];
    sem_init(&turn[0], 0, 1);
    sem_init(&turn[1], 0, 0);
    for (int i = 0; i < 6; i++)
        must(!pthread_create(&t[i], NULL, all[i], i == 5 ? &turn : NULL), "a thread");
    for (int i = 0; i < 6; i++)
        must(!pthread_join(t[i], NULL), "a thread's end");
    must(counted == 2 * ROUNDS, "all turns");
    puts("all came");
    return argc > 9;
}
