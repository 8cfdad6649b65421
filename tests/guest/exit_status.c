/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exit statuses as the parent sees them, for exit, _exit, a return of main's kind and signals.
 */
#include <signal.h>
#include <sys/resource.h>
#include "tests/guest/test.h"

static int run(void (*body)(int), int value)
{
    int status = -1;
    pid_t pid = must(fork());
    if (pid == 0) {
        body(value);
        _exit(99);
    }
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

static void leave(int value)
{
    _exit(value);
}

static void leave_by_exit(int value)
{
    exit(value);
}

static void leave_by_signal(int signal)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    raise(signal);
}

int main(void)
{
    static const int values[] = {0, 1, 127, 128, 255, 256, -1};
    static const int signals[] = {SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGPIPE, SIGABRT};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        expect(run(leave, values[i]), (values[i] & 0xff) << 8, 0);
        expect(run(leave_by_exit, values[i]), (values[i] & 0xff) << 8, 0);
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        expect(WTERMSIG(run(leave_by_signal, signals[i])), signals[i], 0);
    int status;
    expect(waitpid(-1, &status, 0), -1, ECHILD);
    expect(waitpid(-1, &status, 0x40000000 | 0x100), -1, EINVAL);
    return test_end();
}
