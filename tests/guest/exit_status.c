/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exit statuses as the parent sees them: exit, _exit, the last thread, signals. The program
 * starts itself, with what to do as its argument.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "tests/guest/test.h"

extern char **environ;

static int run(const char *how, int value)
{
    int status = -1;
    pid_t pid;
    char number[16], *argv[] = {"exit_status", (char *)how, number, NULL};
    snprintf(number, sizeof(number), "%d", value);
    expect(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0, 0);
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

static void *leave_the_group(void *value)
{
    usleep(1000);
    syscall(SYS_exit_group, (int)(long)value);
    return NULL;
}

static void leave(const char *how, int value)
{
    struct rlimit none = {0, 0};
    pthread_t thread;
    setrlimit(RLIMIT_CORE, &none);
    if (!strcmp(how, "_exit"))
        _exit(value);
    if (!strcmp(how, "exit"))
        exit(value);
    if (!strcmp(how, "signal"))
        raise(value);
    if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, leave_the_group, (void *)(long)value);
        for (;;)
            pause();
    }
    if (!strcmp(how, "last")) {
        pthread_create(&thread, NULL, leave_the_group, (void *)(long)value);
        syscall(SYS_exit, 55);
    }
    if (!strcmp(how, "segv"))
        *(volatile int *)8 = 1;
    if (!strcmp(how, "fpe"))
        __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "rax", "rcx", "rdx");
    _exit(99);
}

int main(int argc, char **argv)
{
    static const int values[] = {0, 1, 127, 128, 255, 256, -1};
    static const int signals[] = {SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGPIPE, SIGABRT, 40};
    if (argc == 3)
        leave(argv[1], atoi(argv[2]));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        expect(run("_exit", values[i]), (values[i] & 0xff) << 8, 0);
        expect(run("exit", values[i]), (values[i] & 0xff) << 8, 0);
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        expect(WTERMSIG(run("signal", signals[i])), signals[i], 0);
    expect(run("thread", 17), 17 << 8, 0);
    expect(run("last", 18), 18 << 8, 0);
    expect(WTERMSIG(run("segv", 0)), SIGSEGV, 0);
    expect(WTERMSIG(run("fpe", 0)), SIGFPE, 0);
    int status;
    expect(waitpid(-1, &status, 0), -1, ECHILD);
    expect(waitpid(-1, &status, 0x40000000 | 0x100), -1, EINVAL);
    return test_end();
}
