/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork: parent and child have the same addresses and their own contents.
 */
#include <signal.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

static int global = 1;

static int status_of(pid_t pid)
{
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

static void contents(void)
{
    int on_stack = 2, *heap = malloc(1 << 20);
    int *shared = must(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                            0));
    int p[2];
    char c;
    expect(pipe(p), 0, 0);
    *heap = 3;
    pid_t pid = must(fork());
    if (pid == 0) {
        int good = global == 1 && on_stack == 2 && *heap == 3;
        global = on_stack = *heap = 10;
        *shared = 20;
        good = good && write(p[1], "x", 1) == 1;
        _exit(good ? 0 : 1);
    }
    expect(read(p[0], &c, 1), 1, 0);
    expect(status_of(pid), 0, 0);
    expect(global, 1, 0);
    expect(on_stack, 2, 0);
    expect(*heap, 3, 0);
    expect(*shared, 20, 0);
    free(heap);
}

static void ping_pong(void)
{
    int to[2], from[2], wrong = 0;
    char c = 0;
    expect(pipe(to), 0, 0);
    expect(pipe(from), 0, 0);
    pid_t pid = must(fork());
    if (pid == 0) {
        for (int i = 0; i < 200; i++)
            if (read(to[0], &c, 1) != 1 || write(from[1], &c, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < 200; i++) {
        char sent = (char)i;
        wrong += write(to[1], &sent, 1) != 1 || read(from[0], &c, 1) != 1 || c != sent;
    }
    expect(wrong, 0, 0);
    expect(status_of(pid), 0, 0);
}

static void generations(void)
{
    pid_t pid = must(fork());
    if (pid == 0) {
        pid_t inner = fork();
        if (inner == 0)
            _exit(global == 1 ? 5 : 6);
        int status = 0;
        waitpid(inner, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    expect(status_of(pid), 5 << 8, 0);
    for (int i = 0; i < 20; i++) {
        pid = must(fork());
        if (pid == 0)
            _exit(i);
        expect(status_of(pid), i << 8, 0);
    }
}

int main(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid < 0 && errno == ENOSYS)
        return test_skip("fork is not there yet");
    expect(status_of(pid), 0, 0);
    contents();
    ping_pong();
    generations();
    return test_end();
}
