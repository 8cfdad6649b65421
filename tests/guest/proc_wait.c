/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Children and their ends, without fork: wait4, waitid, SIGCHLD, stopping and continuing,
 * process groups, exec by a thread, vfork, scripts, bad programs. Starts itself with an
 * argument.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/guest/test.h"

extern char **environ;
static char self[4096];

static pid_t start(const char *what)
{
    char *argv[] = {self, (char *)what, NULL};
    pid_t pid = -1;
    expect(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0, 0);
    return pid;
}

static void *exec_again(void *arg)
{
    execl(self, self, "is-leader", (char *)NULL);
    _exit(99);
}

static void *sleep_forever(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

static void child(const char *what)
{
    pthread_t t;
    if (!strncmp(what, "exit", 4))
        _exit(atoi(what + 4));
    if (!strncmp(what, "kill", 4))
        raise(atoi(what + 4));
    if (!strcmp(what, "is-leader"))
        _exit(syscall(SYS_gettid) == getpid() ? 7 : 8);
    if (!strcmp(what, "thread-exec")) {
        for (int i = 0; i < 4; i++)
            pthread_create(&t, NULL, sleep_forever, NULL);
        pthread_create(&t, NULL, exec_again, NULL);
        sleep_forever(NULL);
    }
    if (!strcmp(what, "main-leaves")) {
        pthread_create(&t, NULL, exec_again, NULL);
        pthread_exit(NULL);
    }
    if (!strcmp(what, "orphan")) {
        start("exit0");
        _exit(getppid() == 1 ? 1 : 0);
    }
    if (!strcmp(what, "sleep"))
        sleep_forever(NULL);
    if (!strcmp(what, "burn"))
        for (;;)
            ;
    _exit(98);
}

static volatile sig_atomic_t chld, chld_code, chld_status;
static volatile pid_t chld_pid;

static void on_chld(int sig, siginfo_t *info, void *context)
{
    chld++;
    chld_pid = info->si_pid;
    chld_code = info->si_code;
    chld_status = info->si_status;
}

static void test_status(void)
{
    int status;
    struct rusage u;
    pid_t pid = start("exit5");
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 5 << 8, 0);
    pid = start("kill9");
    expect(wait4(-1, &status, 0, &u), pid, 0);
    expect(status, 9, 0);
    expect(u.ru_utime.tv_sec >= 0, 1, 0);
    pid = start("kill15");
    expect(waitpid(0, &status, 0), pid, 0);
    expect(status & 0x7f, 15, 0);
    expect(waitpid(-1, &status, WNOHANG), -1, ECHILD);
    expect(waitpid(pid, &status, 0), -1, ECHILD);
    expect(waitpid(-1, &status, 0x1000), -1, EINVAL);
    pid = start("thread-exec");
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 7 << 8, 0);
    pid = start("main-leaves");
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 7 << 8, 0);
    pid = start("orphan");
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
}

static void test_waitid(void)
{
    siginfo_t info = {0};
    pid_t pid = start("exit3");
    expect(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0, 0);
    expect(info.si_pid, pid, 0);
    expect(info.si_code, CLD_EXITED, 0);
    expect(info.si_status, 3, 0);
    expect(waitid(P_ALL, 0, &info, WEXITED), 0, 0);
    expect(waitid(P_ALL, 0, &info, WEXITED), -1, ECHILD);
    expect(waitid(P_ALL, 0, &info, 0), -1, EINVAL);
    pid = start("sleep");
    memset(&info, 1, sizeof(info));
    expect(waitid(P_PID, pid, &info, WEXITED | WNOHANG), 0, 0);
    expect(info.si_pid, 0, 0);
    kill(pid, SIGKILL);
    expect(waitid(P_PGID, getpgrp(), &info, WEXITED), 0, 0);
    expect(info.si_code, CLD_KILLED, 0);
    expect(info.si_status, SIGKILL, 0);
}

static void test_sigchld(void)
{
    struct sigaction a = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
    int status;
    must(sigaction(SIGCHLD, &a, NULL));
    chld = 0;
    pid_t pid = start("exit6");
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(chld, 1, 0);
    expect(chld_pid, pid, 0);
    expect(chld_code, CLD_EXITED, 0);
    expect(chld_status, 6, 0);
    /* Nobody wants to know: no zombie. */
    signal(SIGCHLD, SIG_IGN);
    start("exit0");
    expect(waitpid(-1, &status, 0), -1, ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void test_stop(void)
{
    int status = 0;
    pid_t pid = start("burn");
    usleep(10000);
    kill(pid, SIGSTOP);
    expect(waitpid(pid, &status, WUNTRACED), pid, 0);
    expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, 1, 0);
    expect(waitpid(pid, &status, WUNTRACED | WNOHANG), 0, 0);
    kill(pid, SIGCONT);
    expect(waitpid(pid, &status, WCONTINUED), pid, 0);
    expect(WIFCONTINUED(status) != 0, 1, 0);
    kill(pid, SIGSTOP);
    expect(waitpid(pid, &status, WUNTRACED), pid, 0);
    kill(pid, SIGKILL);
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, SIGKILL, 0);
}

static void test_groups(void)
{
    posix_spawnattr_t attr;
    char *argv[] = {self, (char *)"sleep", NULL};
    pid_t a, b;
    int status;
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    expect(posix_spawn(&a, self, NULL, &attr, argv, environ), 0, 0);
    posix_spawnattr_setpgroup(&attr, a);
    expect(posix_spawn(&b, self, NULL, &attr, argv, environ), 0, 0);
    expect(getpgid(a), a, 0);
    expect(getpgid(b), a, 0);
    expect(getsid(b), getsid(0), 0);
    expect(setpgid(b, b), -1, EACCES); /* it has called exec */
    expect(setpgid(0, 999999), -1, EPERM);
    expect(setpgid(999999, 0), -1, ESRCH);
    expect(setpgid(0, -1), -1, EINVAL);
    expect(waitpid(-a, &status, WNOHANG), 0, 0);
    expect(kill(-a, SIGTERM), 0, 0);
    expect(waitpid(-a, &status, 0) > 0, 1, 0);
    expect(waitpid(-a, &status, 0) > 0, 1, 0);
    expect(kill(-a, 0), -1, ESRCH);
    expect(kill(a, 0), -1, ESRCH);
}

static void test_vfork(void)
{
    volatile int seen = 0;
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        seen = 1;
        _exit(4);
    }
    expect(seen, 1, 0);
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 4 << 8, 0);
}

static void test_bad_exec(void)
{
    char *argv[] = {self, NULL};
    char *huge = malloc(200000);
    expect(execv("/nonexistent/program", argv), -1, ENOENT);
    expect(execv("/", argv), -1, EACCES);
    expect(execv("/etc/passwd", argv), -1, EACCES);
    expect(execv("/etc/passwd/x", argv), -1, ENOTDIR);
    expect(execv("", argv), -1, ENOENT);
    expect(syscall(SYS_execve, 8, argv, environ), -1, EFAULT);
    expect(syscall(SYS_execve, self, 8, environ), -1, EFAULT);
    memset(huge, 'a', 199999);
    huge[199999] = '\0';
    argv[0] = huge;
    expect(execv(self, argv), -1, E2BIG);
    expect(syscall(SYS_execveat, -1, "x", argv, environ, 0x40000), -1, EINVAL);
    expect(syscall(SYS_execveat, -1, "relative", NULL, NULL, 0), -1, EBADF);
    free(huge);
    expect(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), -1, EINVAL);
    expect(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), -1, EINVAL);
    expect(syscall(SYS_clone3, NULL, 8), -1, EINVAL);
    expect(syscall(SYS_clone3, NULL, 64), -1, EFAULT);
}

int main(int argc, char **argv)
{
    must(readlink("/proc/self/exe", self, sizeof(self) - 1));
    if (argc > 1)
        child(argv[1]);
    test_status();
    test_waitid();
    test_sigchld();
    test_stop();
    test_groups();
    test_vfork();
    test_bad_exec();
    return test_end();
}
