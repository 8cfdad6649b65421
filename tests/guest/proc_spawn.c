/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting programs without fork: posix_spawn, vfork and exec; what the child inherits; waiting
 * in all its forms; signals between processes. The program starts itself.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

extern char **environ;
static volatile int children;

static pid_t start(char *what, char *argument, posix_spawn_file_actions_t *actions)
{
    char *argv[] = {"proc_spawn", what, argument, NULL};
    pid_t pid = -1;
    expect(posix_spawn(&pid, "/proc/self/exe", actions, NULL, argv, environ), 0, 0);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

/* ---- the children ---- */

static int child(const char *what, const char *argument)
{
    char text[64] = "";
    if (!strcmp(what, "exit"))
        return atoi(argument);
    if (!strcmp(what, "echo"))
        return write(1, argument, strlen(argument)) < 0;
    if (!strcmp(what, "upper")) {
        for (ssize_t n; (n = read(0, text, sizeof(text))) > 0;) {
            for (ssize_t i = 0; i < n; i++)
                text[i] -= text[i] >= 'a' && text[i] <= 'z' ? 32 : 0;
            if (write(1, text, (size_t)n) != n)
                return 1;
        }
        return 0;
    }
    if (!strcmp(what, "parent"))
        return getppid() == atoi(argument) ? 0 : 1;
    if (!strcmp(what, "descriptor"))
        return fcntl(atoi(argument), F_GETFD) < 0 ? 1 : 0;
    if (!strcmp(what, "wait"))
        for (;;)
            pause();
    if (!strcmp(what, "signals")) {
        /* A handler does not outlive exec, ignoring does; the mask is inherited. */
        struct sigaction one, two;
        sigset_t mask;
        sigaction(SIGUSR1, NULL, &one);
        sigaction(SIGUSR2, NULL, &two);
        sigprocmask(SIG_BLOCK, NULL, &mask);
        return one.sa_handler != SIG_DFL || two.sa_handler != SIG_IGN ||
               !sigismember(&mask, SIGHUP) || sigismember(&mask, SIGINT);
    }
    if (!strcmp(what, "environment"))
        return getenv("PASSED") && !strcmp(getenv("PASSED"), argument) ? 0 : 1;
    if (!strcmp(what, "group"))
        return getpgrp() == getpid() ? 0 : 1;
    return 99;
}

/* ---- the tests ---- */

static void on_child(int signal)
{
    children++;
}

static void statuses(void)
{
    siginfo_t info;
    int status;
    expect(status_of(start("exit", "7", NULL)), 7 << 8, 0);
    expect(status_of(start("nonsense", "", NULL)), 99 << 8, 0);
    char own[16];
    snprintf(own, sizeof(own), "%d", getpid());
    expect(status_of(start("parent", own, NULL)), 0, 0);
    pid_t pid = start("wait", "", NULL);
    expect(waitpid(pid, &status, WNOHANG), 0, 0);
    expect(kill(pid, 0), 0, 0);
    expect(kill(pid, SIGTERM), 0, 0);
    expect(WTERMSIG(status_of(pid)), SIGTERM, 0);
    expect(kill(pid, 0), -1, ESRCH);
    expect(waitpid(pid, &status, 0), -1, ECHILD);
    pid = start("exit", "3", NULL);
    expect(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0, 0);
    expect(info.si_pid, pid, 0);
    expect(info.si_code, CLD_EXITED, 0);
    expect(info.si_status, 3, 0);
    expect(status_of(pid), 3 << 8, 0);
    char *argv[] = {"x", NULL};
    expect(posix_spawn(&pid, "/none/such", NULL, NULL, argv, environ), ENOENT, 0);
    expect(posix_spawn(&pid, "/etc/passwd", NULL, NULL, argv, environ), EACCES, 0);
    /* Several at once, in whatever order they end. */
    int sum = 0;
    for (int i = 1; i <= 5; i++) {
        char value[4];
        snprintf(value, sizeof(value), "%d", i);
        start("exit", value, NULL);
    }
    for (int i = 0; i < 5; i++) {
        expect(wait(&status) > 0, 1, 0);
        sum += WEXITSTATUS(status);
    }
    expect(sum, 15, 0);
    expect(wait(&status), -1, ECHILD);
}

static void pipes(void)
{
    int in[2], out[2];
    char text[64] = "";
    posix_spawn_file_actions_t actions;
    expect(pipe2(in, O_CLOEXEC), 0, 0);
    expect(pipe2(out, O_CLOEXEC), 0, 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    pid_t pid = start("upper", "", &actions);
    expect(close(in[0]), 0, 0);
    expect(close(out[1]), 0, 0);
    expect(write(in[1], "hello", 5), 5, 0);
    expect(read(out[0], text, sizeof(text)), 5, 0);
    expect(strcmp(text, "HELLO"), 0, 0);
    expect(close(in[1]), 0, 0);
    expect(read(out[0], text, sizeof(text)), 0, 0);
    expect(status_of(pid), 0, 0);
    expect(close(out[0]), 0, 0);
    posix_spawn_file_actions_destroy(&actions);
    int kept = must(dup(1)), closed = must(fcntl(1, F_DUPFD_CLOEXEC, 0));
    snprintf(text, sizeof(text), "%d", kept);
    expect(status_of(start("descriptor", text, NULL)), 0, 0);
    snprintf(text, sizeof(text), "%d", closed);
    expect(status_of(start("descriptor", text, NULL)), 1 << 8, 0);
    close(kept);
    close(closed);
}

static void inheritance(void)
{
    sigset_t mask, old;
    signal(SIGUSR1, on_child);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, &old);
    expect(status_of(start("signals", "", NULL)), 0, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    setenv("PASSED", "a value", 1);
    expect(status_of(start("environment", "a value", NULL)), 0, 0);
    posix_spawnattr_t attr;
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    char *argv[] = {"proc_spawn", "group", "", NULL};
    pid_t pid;
    expect(posix_spawn(&pid, "/proc/self/exe", NULL, &attr, argv, environ), 0, 0);
    expect(status_of(pid), 0, 0);
    posix_spawnattr_destroy(&attr);
}

/* The parent stands still until the child has called exec, and sees what it wrote. */
static void by_vfork(void)
{
    static volatile int seen;
    char *argv[] = {"proc_spawn", "exit", "4", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        seen = 1;
        execve("/proc/self/exe", argv, environ);
        _exit(98);
    }
    expect(pid > 0, 1, 0);
    expect(seen, 1, 0);
    expect(status_of(pid), 4 << 8, 0);
    pid = vfork();
    if (pid == 0)
        _exit(execve("/none/such", argv, environ) == -1 && errno == ENOENT ? 5 : 6);
    expect(status_of(pid), 5 << 8, 0);
}

static void child_signal(void)
{
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    children = 0;
    pid_t pid = start("exit", "0", NULL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    expect(children, 1, 0);
    /* Nobody waits for children if the signal is ignored. */
    signal(SIGCHLD, SIG_IGN);
    pid = start("exit", "0", NULL);
    expect(waitpid(pid, NULL, 0), -1, ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void *spawn_many(void *arg)
{
    for (int i = 0; i < 10; i++)
        expect(status_of(start("exit", "9", NULL)), 9 << 8, 0);
    return arg;
}

static void from_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        expect(pthread_create(&threads[i], NULL, spawn_many, NULL), 0, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return child(argv[1], argv[2]);
    statuses();
    pipes();
    inheritance();
    by_vfork();
    child_signal();
    from_threads();
    return test_end();
}
