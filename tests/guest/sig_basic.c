/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals to oneself: handlers, masks, pending, order, restart, waiting for them, signalfd.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include "tests/guest/test.h"

static volatile int got, last, value, nested;

static void count(int signal)
{
    got++;
    last = signal;
}

static void count_info(int signal, siginfo_t *info, void *context)
{
    got++;
    last = signal;
    value = info->si_value.sival_int;
}

static void set(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    expect(sigaction(signal, &action, NULL), 0, 0);
}

static void handlers(void)
{
    struct sigaction old;
    set(SIGUSR1, count, 0);
    expect(sigaction(SIGUSR1, NULL, &old), 0, 0);
    expect(old.sa_handler == count, 1, 0);
    expect(raise(SIGUSR1), 0, 0);
    expect(got, 1, 0);
    expect(kill(getpid(), SIGUSR1), 0, 0);
    expect(got, 2, 0);
    expect(kill(getpid(), 0), 0, 0);
    expect(kill(getpid(), 99), -1, EINVAL);
    set(SIGUSR1, SIG_IGN, 0);
    expect(raise(SIGUSR1), 0, 0);
    expect(got, 2, 0);
    set(SIGUSR1, count, SA_RESETHAND);
    expect(raise(SIGUSR1), 0, 0);
    expect(sigaction(SIGUSR1, NULL, &old), 0, 0);
    expect(old.sa_handler == SIG_DFL, 1, 0);
    struct sigaction action = {.sa_handler = count};
    expect(sigaction(SIGKILL, &action, NULL), -1, EINVAL);
    expect(sigaction(SIGSTOP, &action, NULL), -1, EINVAL);
    expect(sigaction(65, &action, NULL), -1, EINVAL);
    expect(sigaction(0, &action, NULL), -1, EINVAL);
    expect(raise(SIGCHLD), 0, 0);
    expect(raise(SIGWINCH), 0, 0);
}

static void masks(void)
{
    sigset_t set1, old, pending;
    set(SIGUSR1, count, 0);
    set(SIGUSR2, count, 0);
    sigemptyset(&set1);
    sigaddset(&set1, SIGUSR1);
    sigaddset(&set1, SIGUSR2);
    expect(sigprocmask(SIG_BLOCK, &set1, &old), 0, 0);
    expect(sigismember(&old, SIGUSR1), 0, 0);
    got = 0;
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR2);
    expect(got, 0, 0);
    expect(sigpending(&pending), 0, 0);
    expect(sigismember(&pending, SIGUSR1), 1, 0);
    expect(sigismember(&pending, SIGUSR2), 1, 0);
    expect(sigismember(&pending, SIGHUP), 0, 0);
    expect(sigprocmask(SIG_SETMASK, &old, NULL), 0, 0);
    expect(got, 2, 0);
    expect(sigprocmask(99, &old, NULL), -1, EINVAL);
    /* KILL and STOP cannot be blocked. */
    sigfillset(&set1);
    expect(sigprocmask(SIG_BLOCK, &set1, NULL), 0, 0);
    expect(sigprocmask(SIG_BLOCK, NULL, &set1), 0, 0);
    expect(sigismember(&set1, SIGKILL), 0, 0);
    expect(sigismember(&set1, SIGTERM), 1, 0);
    expect(sigprocmask(SIG_SETMASK, &old, NULL), 0, 0);
}

static void inner(int signal)
{
    nested++;
    if (nested == 1)
        raise(signal);
    last = nested;
}

static void nesting(void)
{
    set(SIGUSR1, inner, 0);
    raise(SIGUSR1);
    expect(nested, 2, 0);
    expect(last, 2, 0);
    nested = 0;
    set(SIGUSR1, inner, SA_NODEFER);
    raise(SIGUSR1);
    expect(nested, 2, 0);
}

static void queueing(void)
{
    struct sigaction action = {.sa_sigaction = count_info, .sa_flags = SA_SIGINFO};
    union sigval v = {.sival_int = 42};
    sigset_t rt, old;
    siginfo_t info;
    struct timespec none = {0, 0}, brief = {0, 5000000};
    expect(sigaction(SIGRTMIN, &action, NULL), 0, 0);
    expect(sigqueue(getpid(), SIGRTMIN, v), 0, 0);
    expect(value, 42, 0);
    sigemptyset(&rt);
    sigaddset(&rt, SIGRTMIN);
    sigaddset(&rt, SIGUSR1);
    expect(sigprocmask(SIG_BLOCK, &rt, &old), 0, 0);
    for (int i = 0; i < 3; i++) {
        v.sival_int = i;
        expect(sigqueue(getpid(), SIGRTMIN, v), 0, 0);
    }
    raise(SIGUSR1);
    expect(sigtimedwait(&rt, &info, &none), SIGUSR1, 0);
    for (int i = 0; i < 3; i++) {
        expect(sigtimedwait(&rt, &info, &none), SIGRTMIN, 0);
        expect(info.si_value.sival_int, i, 0);
        expect(info.si_code, SI_QUEUE, 0);
        expect(info.si_pid, getpid(), 0);
    }
    expect(sigtimedwait(&rt, &info, &brief), -1, EAGAIN);
    int fd = must(signalfd(-1, &rt, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo fdinfo;
    expect(read(fd, &fdinfo, sizeof(fdinfo)), -1, EAGAIN);
    raise(SIGUSR1);
    expect(read(fd, &fdinfo, sizeof(fdinfo)), sizeof(fdinfo), 0);
    expect(fdinfo.ssi_signo, SIGUSR1, 0);
    close(fd);
    expect(sigprocmask(SIG_SETMASK, &old, NULL), 0, 0);
}

static void *interrupt(void *thread)
{
    for (int i = 0; i < 100 && !got; i++) {
        usleep(5000);
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
    }
    return NULL;
}

static void *interrupt_then_write(void *arg)
{
    void **args = arg;
    interrupt(args[0]);
    usleep(5000);
    expect(write(*(int *)args[1], "x", 1), 1, 0);
    return NULL;
}

static void interruption(void)
{
    pthread_t self = pthread_self(), other;
    int p[2];
    char c;
    expect(pipe(p), 0, 0);
    set(SIGUSR1, count, 0);
    got = 0;
    expect(pthread_create(&other, NULL, interrupt, &self), 0, 0);
    expect(read(p[0], &c, 1), -1, EINTR);
    pthread_join(other, NULL);
    set(SIGUSR1, count, SA_RESTART);
    got = 0;
    void *args[2] = {&self, &p[1]};
    expect(pthread_create(&other, NULL, interrupt_then_write, args), 0, 0);
    expect(read(p[0], &c, 1), 1, 0);
    expect(got > 0, 1, 0);
    pthread_join(other, NULL);
    /* Sleeping ends early in either case, and says how much was left. */
    struct timespec ts = {5, 0}, rest = {0, 0};
    got = 0;
    expect(pthread_create(&other, NULL, interrupt, &self), 0, 0);
    expect(nanosleep(&ts, &rest), -1, EINTR);
    expect(rest.tv_sec == 4 && rest.tv_nsec > 0, 1, 0);
    pthread_join(other, NULL);
    sigset_t none;
    sigemptyset(&none);
    got = 0;
    expect(pthread_create(&other, NULL, interrupt, &self), 0, 0);
    expect(sigsuspend(&none), -1, EINTR);
    pthread_join(other, NULL);
}

int main(void)
{
    handlers();
    masks();
    nesting();
    queueing();
    interruption();
    return test_end();
}
