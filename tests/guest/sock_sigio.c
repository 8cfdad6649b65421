/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGIO: O_ASYNC by fcntl and FIOASYNC, with F_SETOWN and F_SETSIG, on sockets and pipes.
 */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "tests/guest/test.h"

static void take(sigset_t *set, int signal, int fd)
{
    siginfo_t info = {0};
    struct timespec limit = {5, 0};
    expect(sigtimedwait(set, &info, &limit), signal, 0);
    if (signal == SIGIO) {
        expect(info.si_code, SI_KERNEL, 0);
        return;
    }
    expect(info.si_fd, fd, 0);
    expect(info.si_band & POLLIN, POLLIN, 0);
}

static void drain(sigset_t *set)
{
    struct timespec none = {0, 0};
    while (sigtimedwait(set, NULL, &none) > 0)
        ;
}

int main(void)
{
    sigset_t set;
    struct timespec none = {0, 0};
    int s[2], p[2], on = 1;
    char c;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGRTMIN);
    expect(sigprocmask(SIG_BLOCK, &set, NULL), 0, 0);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(pipe(p), 0, 0);
    expect(fcntl(s[0], F_SETOWN, getpid()), 0, 0);
    expect(fcntl(s[0], F_GETOWN), getpid(), 0);
    expect(write(s[1], "x", 1), 1, 0);
    expect(sigtimedwait(&set, NULL, &none), -1, EAGAIN);
    expect(ioctl(s[0], FIOASYNC, &on), 0, 0);
    expect(fcntl(s[0], F_GETFL) & O_ASYNC, O_ASYNC, 0);
    expect(write(s[1], "y", 1), 1, 0);
    take(&set, SIGIO, s[0]);
    drain(&set);
    expect(fcntl(s[0], F_SETSIG, SIGRTMIN), 0, 0);
    expect(write(s[1], "z", 1), 1, 0);
    take(&set, SIGRTMIN, s[0]);
    expect(fcntl(s[0], F_SETFL, 0), 0, 0);
    drain(&set);
    expect(write(s[1], "w", 1), 1, 0);
    expect(sigtimedwait(&set, NULL, &none), -1, EAGAIN);
    expect(fcntl(p[0], F_SETOWN, getpid()), 0, 0);
    expect(fcntl(p[0], F_SETFL, O_ASYNC), 0, 0);
    expect(write(p[1], "x", 1), 1, 0);
    take(&set, SIGIO, p[0]);
    expect(read(p[0], &c, 1), 1, 0);
    expect(close(p[0]), 0, 0);
    expect(close(p[1]), 0, 0);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
    return test_end();
}
