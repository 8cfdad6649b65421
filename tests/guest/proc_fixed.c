/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that are linked at the same fixed addresses, side by side: each has its own data,
 * and so do their children by fork. FLAGS: -static -no-pie
 */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <time.h>
#include "tests/guest/test.h"

#define PEERS    4
#define SPAWNERS 4
#define VISITS   20

extern char **environ;
static int data[3000] = {1};

/* Adds what comes in to its own sum and answers with it, until the input ends. */
static int peer(int start)
{
    int value;
    data[2000] = start;
    while (read(0, &value, sizeof(value)) == sizeof(value)) {
        int child_sum = 0, pipes[2];
        data[2000] += value;
        if (pipe(pipes))
            return 1;
        pid_t pid = fork();
        if (!pid) {
            data[2000] += data[0];
            _exit(write(pipes[1], &data[2000], sizeof(int)) != sizeof(int));
        }
        if (read(pipes[0], &child_sum, sizeof(int)) != sizeof(int) ||
            waitpid(pid, NULL, 0) != pid || child_sum != data[2000] + 1)
            return 2;
        close(pipes[0]);
        close(pipes[1]);
        if (write(1, &data[2000], sizeof(int)) != sizeof(int))
            return 3;
    }
    return 0;
}

static void begin(int i, char *self, pid_t *pid, int *to, int *from)
{
    char number[16];
    char *args[] = {self, number, NULL};
    posix_spawn_file_actions_t actions;
    int in[2], out[2];
    snprintf(number, sizeof(number), "%d", i);
    must(pipe2(in, O_CLOEXEC));
    must(pipe2(out, O_CLOEXEC));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    expect(posix_spawn(pid, "/proc/self/exe", &actions, NULL, args, environ), 0, 0);
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
}

/* Comes, sleeps among others that come and go, and finds its data as they were. */
static int visitor(void)
{
    struct timespec nap = {0, 50000};

    for (int i = 1; i < 3000; i++)
        data[i] = getpid() + i;
    for (int i = 0; i < 3; i++)
        nanosleep(&nap, NULL);
    for (int i = 1; i < 3000; i++) {
        if (data[i] != getpid() + i)
            return 8;
    }
    return 7;
}

static void *spawner(void *bad)
{
    char *args[] = {"visitor", "visit", NULL};
    int status;
    pid_t pid;

    for (int i = 0; i < VISITS; i++) {
        if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ) ||
            waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            atomic_fetch_add((atomic_int *)bad, 1);
    }
    return NULL;
}

/* Memories join and leave at the same addresses all the time, from several vCPUs. */
static void crowd(void)
{
    pthread_t thread[SPAWNERS];
    atomic_int bad = 0;

    for (int i = 0; i < SPAWNERS; i++)
        expect(pthread_create(&thread[i], NULL, spawner, (void *)&bad), 0, 0);
    for (int i = 0; i < SPAWNERS; i++)
        pthread_join(thread[i], NULL);
    expect(bad, 0, 0);
}

int main(int argc, char **argv)
{
    pid_t pid[PEERS];
    int to[PEERS], from[PEERS];
    if (argc > 1 && !strcmp(argv[1], "visit"))
        return visitor();
    if (argc > 1)
        return peer(1000 * atoi(argv[1]));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PEERS; i++)
            begin(i, argv[0], &pid[i], &to[i], &from[i]);
        for (int n = 1, sum = 1; n <= 8; n++, sum += n) {
            for (int i = 0; i < PEERS; i++)
                expect(write(to[i], &n, sizeof(n)), sizeof(n), 0);
            for (int i = 0; i < PEERS; i++) {
                int got = -1;
                expect(read(from[i], &got, sizeof(got)), sizeof(got), 0);
                expect(got, 1000 * i + sum, 0);
            }
        }
        for (int i = 0; i < PEERS; i++) {
            int status = -1;
            close(to[i]);
            expect(waitpid(pid[i], &status, 0), pid[i], 0);
            expect(status, 0, 0);
            close(from[i]);
        }
        expect(data[2000], 0, 0);
    }
    crowd();
    return test_end();
}
