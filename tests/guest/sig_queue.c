/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queued signals and their order, waiting for them, who gets them, alternate stacks, flags of
 * sigaction, what becomes of interrupted calls.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "tests/guest/test.h"

static int order[32], values[32];
static volatile sig_atomic_t count;
static pthread_t handled_by;

static void record(int sig, siginfo_t *info, void *context)
{
    if (count < 32) {
        order[count] = sig;
        values[count] = info->si_value.sival_int;
    }
    count++;
    handled_by = pthread_self();
}

static void handle(int sig, int flags)
{
    struct sigaction a = {.sa_sigaction = record, .sa_flags = SA_SIGINFO | flags};
    must(sigaction(sig, &a, NULL));
}

static sigset_t set_of(int a, int b, int c)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    sigaddset(&s, b);
    sigaddset(&s, c);
    return s;
}

static void test_queue(void)
{
    sigset_t s = set_of(SIGRTMIN + 2, SIGRTMIN + 1, SIGUSR1), pending;
    handle(SIGRTMIN + 1, 0);
    handle(SIGRTMIN + 2, 0);
    handle(SIGUSR1, 0);
    must(sigprocmask(SIG_BLOCK, &s, NULL));
    for (int i = 1; i <= 3; i++)
        expect(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}), 0, 0);
    expect(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 4}), 0, 0);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    expect(sigpending(&pending), 0, 0);
    expect(sigismember(&pending, SIGRTMIN + 2) && sigismember(&pending, SIGUSR1), 1, 0);
    count = 0;
    must(sigprocmask(SIG_UNBLOCK, &s, NULL));
    expect(count, 5, 0);
    /* Frames nest: the last one built runs first; of one signal the first sent comes first. */
    int at2 = 0;
    for (int i = 0; i < 5; i++) {
        if (order[i] == SIGRTMIN + 2)
            expect(values[i], ++at2, 0);
    }
    expect(at2, 3, 0);
    expect(sigqueue(getpid(), 0, (union sigval){0}), 0, 0);
    expect(sigqueue(999999, SIGUSR1, (union sigval){0}), -1, ESRCH);
    expect(kill(getpid(), 65), -1, EINVAL);
    expect(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1), -1, ESRCH);
    expect(syscall(SYS_tgkill, -1, 1, SIGUSR1), -1, EINVAL);
}

static void test_wait(void)
{
    sigset_t s = set_of(SIGUSR2, SIGRTMIN + 3, SIGCHLD);
    struct timespec t = {0, 20000000}, none = {0, 0};
    siginfo_t info;
    must(sigprocmask(SIG_BLOCK, &s, NULL));
    expect(sigtimedwait(&s, &info, &none), -1, EAGAIN);
    expect(sigtimedwait(&s, &info, &t), -1, EAGAIN);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 5});
    kill(getpid(), SIGUSR2);
    expect(sigtimedwait(&s, &info, &t), SIGUSR2, 0);
    expect(info.si_code, SI_USER, 0);
    expect(info.si_pid, getpid(), 0);
    expect(sigwaitinfo(&s, &info), SIGRTMIN + 3, 0);
    expect(info.si_code, SI_QUEUE, 0);
    expect(info.si_int, 5, 0);
    must(sigprocmask(SIG_UNBLOCK, &s, NULL));
    t.tv_nsec = 2000000000;
    expect(sigtimedwait(&s, &info, &t), -1, EINVAL);
}

static atomic_int stop;

static void *idle(void *arg)
{
    while (!stop)
        usleep(1000);
    return NULL;
}

static void test_threads(void)
{
    pthread_t t;
    sigset_t s = set_of(SIGUSR1, SIGUSR1, SIGUSR1);
    stop = 0;
    must(-pthread_create(&t, NULL, idle, NULL));
    must(sigprocmask(SIG_BLOCK, &s, NULL));
    count = 0;
    kill(getpid(), SIGUSR1); /* only the other thread can take it */
    for (int i = 0; i < 2000 && !count; i++)
        usleep(1000);
    expect(count, 1, 0);
    expect(pthread_equal(handled_by, t) != 0, 1, 0);
    must(sigprocmask(SIG_UNBLOCK, &s, NULL));
    count = 0;
    expect(pthread_kill(t, SIGUSR1), 0, 0);
    for (int i = 0; i < 2000 && !count; i++)
        usleep(1000);
    expect(pthread_equal(handled_by, t) != 0, 1, 0);
    stop = 1;
    pthread_join(t, NULL);
}

static char *alt;
static volatile int on_alt, flags_inside;

static void on_stack(int sig)
{
    char here;
    stack_t s;
    on_alt = &here >= alt && &here < alt + 65536;
    sigaltstack(NULL, &s);
    flags_inside = s.ss_flags;
    s.ss_flags = 0;
    errno = 0;
    expect(sigaltstack(&s, NULL), -1, EPERM);
}

static void test_altstack(void)
{
    struct sigaction a = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    stack_t s = {.ss_size = 65536}, old;
    alt = s.ss_sp = malloc(65536);
    expect(sigaltstack(&s, &old), 0, 0);
    expect(old.ss_flags, SS_DISABLE, 0);
    must(sigaction(SIGUSR2, &a, NULL));
    raise(SIGUSR2);
    expect(on_alt, 1, 0);
    expect(flags_inside, SS_ONSTACK, 0);
    a.sa_flags = 0;
    must(sigaction(SIGUSR2, &a, NULL));
    on_alt = 1;
    s.ss_flags = SS_DISABLE;
    expect(sigaltstack(&s, NULL), 0, 0);
    s.ss_flags = 0;
    s.ss_size = 100;
    expect(sigaltstack(&s, NULL), -1, ENOMEM);
    s.ss_flags = 0x100;
    s.ss_size = 65536;
    expect(sigaltstack(&s, NULL), -1, EINVAL);
    free(alt);
}

static volatile int depth, deepest;

static void nest(int sig)
{
    if (++depth > deepest)
        deepest = depth;
    if (depth < 3)
        raise(sig);
    depth--;
}

static void test_flags(void)
{
    struct sigaction a = {.sa_handler = nest, .sa_flags = SA_NODEFER}, got;
    must(sigaction(SIGUSR2, &a, NULL));
    raise(SIGUSR2);
    expect(deepest, 3, 0);
    a.sa_flags = SA_RESETHAND;
    deepest = 0;
    depth = 2;
    must(sigaction(SIGUSR2, &a, NULL));
    raise(SIGUSR2);
    must(sigaction(SIGUSR2, NULL, &got));
    expect(got.sa_handler == SIG_DFL, 1, 0);
    expect(sigaction(SIGKILL, &a, NULL), -1, EINVAL);
    expect(sigaction(SIGSTOP, &a, NULL), -1, EINVAL);
    expect(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), -1, EINVAL);
    expect(syscall(SYS_rt_sigprocmask, 7, &a, NULL, 8), -1, EINVAL);
    expect(syscall(SYS_rt_sigprocmask, 0, NULL, NULL, 4), -1, EINVAL);
    /* Becoming ignored throws a pending signal away. */
    sigset_t s = set_of(SIGUSR2, SIGUSR2, SIGUSR2), pending;
    must(sigprocmask(SIG_BLOCK, &s, NULL));
    raise(SIGUSR2);
    signal(SIGUSR2, SIG_IGN);
    must(sigpending(&pending));
    expect(sigismember(&pending, SIGUSR2), 0, 0);
    must(sigprocmask(SIG_UNBLOCK, &s, NULL));
}

static void start_alarm(int usec)
{
    struct itimerval v = {.it_value.tv_usec = usec};
    must(setitimer(ITIMER_REAL, &v, NULL));
}

static void *write_later(void *arg)
{
    usleep(60000);
    must(write(*(int *)arg, "x", 1));
    return NULL;
}

static void test_interrupted(void)
{
    int p[2];
    char c;
    pthread_t t;
    sigset_t none;
    struct timespec second = {1, 0};
    must(pipe(p));
    handle(SIGALRM, 0);
    start_alarm(10000);
    expect(read(p[0], &c, 1), -1, EINTR);
    handle(SIGALRM, SA_RESTART);
    count = 0;
    start_alarm(10000);
    sigset_t blocked = set_of(SIGALRM, SIGALRM, SIGALRM);
    must(sigprocmask(SIG_BLOCK, &blocked, NULL));
    must(-pthread_create(&t, NULL, write_later, &p[1]));
    must(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
    expect(read(p[0], &c, 1), 1, 0); /* repeated after the handler */
    expect(count, 1, 0);
    pthread_join(t, NULL);
    start_alarm(10000);
    struct pollfd f = {p[0], POLLIN, 0};
    expect(poll(&f, 1, 1000), -1, EINTR); /* whatever SA_RESTART says */
    start_alarm(10000);
    expect(nanosleep(&second, NULL), -1, EINTR);
    /* The mask of ppoll is in force during the call, and is gone after it. */
    must(sigprocmask(SIG_BLOCK, &blocked, NULL));
    sigemptyset(&none);
    count = 0;
    start_alarm(10000);
    expect(ppoll(&f, 1, &second, &none), -1, EINTR);
    expect(count, 1, 0);
    start_alarm(10000);
    expect(sigsuspend(&none), -1, EINTR);
    expect(count, 2, 0);
    must(sigprocmask(SIG_SETMASK, NULL, &none));
    expect(sigismember(&none, SIGALRM), 1, 0);
    must(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
    close(p[0]);
    close(p[1]);
}

static sigjmp_buf out;

static void jump(int sig)
{
    siglongjmp(out, sig);
}

static void test_jumps(void)
{
    volatile int faults = 0, i;
    signal(SIGSEGV, jump);
    for (i = 0; i < 1000; i++) {
        if (sigsetjmp(out, 1) == 0)
            *(volatile int *)8 = 1;
        else
            faults++;
    }
    expect(faults, 1000, 0);
    signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
    test_queue();
    test_wait();
    test_threads();
    test_altstack();
    test_flags();
    test_interrupted();
    test_jumps();
    return test_end();
}
