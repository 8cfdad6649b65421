/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes as files: pidfd_open, CLONE_PIDFD, waiting for and polling them, signals through
 * them, descriptors out of them; clone3's set_tid.
 */
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "tests/guest/test.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define NONBLOCK O_NONBLOCK

static int pidfd_open(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int pidfd_send(int fd, int sig, siginfo_t *info, unsigned flags)
{
    return (int)syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static int pidfd_getfd(int fd, int target, unsigned flags)
{
    return (int)syscall(SYS_pidfd_getfd, fd, target, flags);
}

static pid_t sleeper(void)
{
    pid_t pid = must(fork());
    if (!pid)
        for (;;)
            pause();
    return pid;
}

static void opening(void)
{
    expect(pidfd_open(-1, 0), -1, EINVAL);
    expect(pidfd_open(0, 0), -1, EINVAL);
    expect(pidfd_open(getpid(), 1), -1, EINVAL);
    pid_t gone = must(fork());
    if (!gone)
        _exit(0);
    must(waitpid(gone, NULL, 0));
    expect(pidfd_open(gone, 0), -1, ESRCH);
    int fd = must(pidfd_open(getpid(), 0));
    expect(fcntl(fd, F_GETFD), FD_CLOEXEC, 0);
    char c;
    expect(read(fd, &c, 1), -1, EINVAL);
    expect(write(fd, "x", 1), -1, EINVAL);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    expect(poll(&p, 1, 0), 0, 0);
    expect(close(fd), 0, 0);
}

static void the_end(void)
{
    siginfo_t info;
    pid_t pid = sleeper();
    int fd = must(pidfd_open(pid, 0)), quick = must(pidfd_open(pid, NONBLOCK));
    int ep = must(epoll_create1(0));
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd}, got;
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0, 0);
    expect(epoll_wait(ep, &got, 1, 0), 0, 0);
    memset(&info, 7, sizeof(info));
    expect(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG), 0, 0);
    expect(info.si_pid, 0, 0);
    expect(waitid(P_PIDFD, (id_t)quick, &info, WEXITED), -1, EAGAIN);
    expect(waitid(P_PIDFD, (id_t)ep, &info, WEXITED), -1, EBADF);
    expect(waitid(P_PIDFD, 9999, &info, WEXITED), -1, EBADF);
    expect(pidfd_send(fd, 0, NULL, 0), 0, 0);
    expect(pidfd_send(ep, 0, NULL, 0), -1, EBADF);
    expect(pidfd_send(fd, 100, NULL, 0), -1, EINVAL);
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    expect(pidfd_send(fd, SIGUSR2, &info, 0), -1, EINVAL);
    info.si_signo = SIGUSR2;
    info.si_code = SI_TKILL;
    expect(pidfd_send(fd, SIGUSR2, &info, 0), -1, EPERM);
    expect(pidfd_send(fd, SIGKILL, NULL, 0), 0, 0);
    expect(epoll_wait(ep, &got, 1, -1), 1, 0);
    expect(got.events & EPOLLIN, EPOLLIN, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    expect(poll(&p, 1, -1), 1, 0);
    expect(p.revents & POLLIN, POLLIN, 0);
    expect(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT), 0, 0);
    expect(info.si_pid == pid && info.si_status == SIGKILL && info.si_code == CLD_KILLED, 1, 0);
    expect(waitid(P_PIDFD, (id_t)quick, &info, WEXITED), 0, 0);
    expect(info.si_pid, pid, 0);
    expect(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), -1, ECHILD);
    expect(pidfd_send(fd, SIGKILL, NULL, 0), -1, ESRCH);
    expect(pidfd_getfd(fd, 0, 0), -1, ESRCH);
    expect(poll(&p, 1, 0), 1, 0);
    close(fd);
    close(quick);
    close(ep);
}

static volatile sig_atomic_t value, sender;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    value = info->si_value.sival_int;
    sender = info->si_pid;
}

static void own_signals(void)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    sigaction(SIGUSR1, &sa, NULL);
    int fd = must(pidfd_open(getpid(), 0));
    expect(pidfd_send(fd, SIGUSR1, NULL, 0), 0, 0);
    expect(sender, getpid(), 0);
    info.si_value.sival_int = 77;
    expect(pidfd_send(fd, SIGUSR1, &info, 0), 0, 0);
    expect(value, 77, 0);
    close(fd);
}

/* Signals go through a folder of /proc, too, and nothing else. */
static void folders(void)
{
    char path[40];
    pid_t pid = sleeper();
    snprintf(path, sizeof(path), "/proc/%d", pid);
    int fd = must(open(path, O_RDONLY | O_DIRECTORY)), place = must(open(path, O_PATH));
    expect(pidfd_send(fd, 0, NULL, 0), 0, 0);
    expect(pidfd_send(place, 0, NULL, 0), -1, EBADF);
    expect(pidfd_getfd(fd, 0, 0), -1, EBADF);
    siginfo_t info;
    expect(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), -1, EBADF);
    int other = must(openat(fd, "status", O_RDONLY));
    expect(pidfd_send(other, 0, NULL, 0), -1, EBADF);
    close(other);
    other = must(openat(fd, "task", O_RDONLY));
    expect(pidfd_send(other, 0, NULL, 0), -1, EBADF);
    close(other);
    other = must(open("/proc", O_RDONLY));
    expect(pidfd_send(other, 0, NULL, 0), -1, EBADF);
    close(other);
    int self = must(open("/proc/self", O_RDONLY));
    expect(pidfd_send(self, SIGUSR1, NULL, 0), 0, 0);
    expect(sender, getpid(), 0);
    close(self);
    expect(pidfd_send(fd, SIGKILL, NULL, 0), 0, 0);
    int status = 0;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, 1, 0);
    expect(pidfd_send(fd, 0, NULL, 0), -1, ESRCH);
    close(fd);
    close(place);
}

static void descriptors(void)
{
    int sync[2], back[2];
    char c = 0, text[8] = "";
    must(pipe(sync));
    must(pipe(back));
    pid_t pid = must(fork());
    if (!pid) {
        int secret[2];
        must(pipe(secret));
        expect(dup2(secret[0], 100), 100, 0);
        expect(write(secret[1], "inside", 7), 7, 0);
        expect(write(sync[1], "r", 1), 1, 0);
        expect(read(back[0], &c, 1), 1, 0);
        _exit(test_failures != 0);
    }
    expect(read(sync[0], &c, 1), 1, 0);
    int fd = must(pidfd_open(pid, 0));
    expect(pidfd_getfd(fd, 100, 1), -1, EINVAL);
    expect(pidfd_getfd(fd, 101, 0), -1, EBADF);
    expect(pidfd_getfd(sync[0], 100, 0), -1, EBADF);
    int mine = must(pidfd_getfd(fd, 100, 0));
    expect(fcntl(mine, F_GETFD), FD_CLOEXEC, 0);
    expect(read(mine, text, 7), 7, 0);
    expect(strcmp(text, "inside"), 0, 0);
    expect(write(back[1], "g", 1), 1, 0);
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    close(fd);
    close(mine);
}

static long clone3(struct clone_args *a)
{
    return syscall(SYS_clone3, a, sizeof(*a));
}

static void cloning(void)
{
    int lowest = must(dup(0)), fd = -1, status = -1;
    close(lowest);
    struct clone_args a = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)&fd, .exit_signal = SIGCHLD};
    long pid = must(clone3(&a));
    if (!pid)
        _exit(fcntl(lowest, F_GETFD) < 0 ? 9 : 1); /* the parent's alone */
    expect(fd, lowest, 0);
    expect(fcntl(fd, F_GETFD), FD_CLOEXEC, 0);
    siginfo_t info;
    expect(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), 0, 0);
    expect(info.si_pid == pid && info.si_status == 9, 1, 0);
    expect(close(fd), 0, 0);
    a.flags = CLONE_PIDFD | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    a.exit_signal = 0;
    a.pidfd = 0;
    expect(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0), -1,
           EINVAL);
    a = (struct clone_args){.flags = CLONE_PIDFD, .pidfd = 8, .exit_signal = SIGCHLD};
    expect(clone3(&a), -1, EFAULT);
    fd = must(open("/dev/null", O_RDONLY));
    expect(fd, lowest, 0); /* nothing is left of it */
    close(fd);
    pid_t want = 23456;
    a = (struct clone_args){
        .set_tid = (uint64_t)&want, .set_tid_size = 1, .exit_signal = SIGCHLD};
    pid = clone3(&a);
    if (!pid)
        _exit(getpid() == 23456 ? 0 : 1);
    if (pid > 0) {
        expect(pid, want, 0);
        expect(waitpid(want, &status, 0), want, 0);
        expect(status, 0, 0);
        want = getpid();
        expect(clone3(&a), -1, EEXIST);
    } else {
        expect(errno == EPERM || errno == EEXIST ? 0 : errno, 0, 0);
    }
    want = 0;
    expect(clone3(&a), -1, EINVAL);
    a.set_tid = 0;
    expect(clone3(&a), -1, EINVAL);
}

int main(void)
{

    opening();
    the_end();
    own_signals();
    folders();
    descriptors();
    cloning();
    return test_end();
}
