/* SPDX-License-Identifier: BSD-3-Clause */
/* timer_create, timerfd, signalfd, setitimer, clock_nanosleep, CPU-time clocks. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>

#include "tests/guest/test.h"

static volatile sig_atomic_t alarms, seen_value, seen_code;

static void on_alarm(int sig, siginfo_t *info, void *context)
{
    alarms++;
    seen_value = info->si_value.sival_int;
    seen_code = info->si_code;
}

/* Blocked while it is looked at, so that none is lost between the look and the sleep. */
static void wait_for_alarms(int count)
{
    sigset_t all, old;
    sigfillset(&all);
    must(sigprocmask(SIG_BLOCK, &all, &old));
    while (alarms < count)
        sigsuspend(&old);
    must(sigprocmask(SIG_SETMASK, &old, NULL));
}

static void handle(int sig)
{
    struct sigaction a = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    must(sigaction(sig, &a, NULL));
}

static long long now_ns(clockid_t clock)
{
    struct timespec t;
    must(clock_gettime(clock, &t));
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void test_posix_timer(void)
{
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
    struct itimerspec once = {.it_value.tv_nsec = 5000000};
    struct itimerspec often = {{0, 2000000}, {0, 2000000}}, left;
    timer_t id;
    handle(SIGRTMIN);
    must(timer_create(CLOCK_MONOTONIC, &e, &id));
    expect(timer_gettime(id, &left), 0, 0);
    expect(left.it_value.tv_nsec, 0, 0);
    expect(timer_settime(id, 0, &once, NULL), 0, 0);
    wait_for_alarms(1);
    expect(alarms, 1, 0);
    expect(seen_value, 77, 0);
    expect(seen_code, SI_TIMER, 0);
    expect(timer_settime(id, 0, &often, NULL), 0, 0);
    wait_for_alarms(6);
    expect(timer_gettime(id, &left), 0, 0);
    expect(left.it_interval.tv_nsec, 2000000, 0);

    /* Blocked: one signal waits, the rest is overrun. */
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    usleep(30000);
    expect(sigwaitinfo(&set, &info), SIGRTMIN, 0);
    expect(info.si_overrun >= 3, 1, 0);
    expect(timer_delete(id), 0, 0);
    expect(syscall(SYS_timer_delete, 12345), -1, EINVAL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    expect(timer_create(99, &e, &id), -1, EINVAL);
    e.sigev_signo = 100;
    expect(timer_create(CLOCK_MONOTONIC, &e, &id), -1, EINVAL);
}

static void test_timerfd(void)
{
    struct itimerspec v = {{0, 3000000}, {0, 3000000}}, old;
    struct timespec t;
    uint64_t n = 0;
    int fd = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    expect(read(fd, &n, 8), -1, EAGAIN);
    expect(timerfd_settime(fd, 0, &v, NULL), 0, 0);
    struct pollfd p = {fd, POLLIN, 0};
    expect(poll(&p, 1, 2000), 1, 0);
    usleep(20000);
    expect(read(fd, &n, 8), 8, 0);
    expect(n >= 4, 1, 0);
    expect(read(fd, &n, 4), -1, EINVAL);
    expect(timerfd_gettime(fd, &old), 0, 0);
    expect(old.it_interval.tv_nsec, 3000000, 0);
    must(clock_gettime(CLOCK_MONOTONIC, &t));
    v = (struct itimerspec){.it_value = {t.tv_sec, t.tv_nsec}};
    expect(timerfd_settime(fd, TFD_TIMER_ABSTIME, &v, &old), 0, 0);
    expect(poll(&p, 1, 2000), 1, 0);
    expect(read(fd, &n, 8), 8, 0);
    expect(n, 1, 0);
    expect(poll(&p, 1, 0), 0, 0);
    close(fd);
    expect(timerfd_create(77, 0), -1, EINVAL);
    int pipes[2];
    must(pipe(pipes));
    expect(timerfd_settime(pipes[0], 0, &v, NULL), -1, EINVAL);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_signalfd(void)
{
    sigset_t set;
    struct signalfd_siginfo info[2];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = must(signalfd(-1, &set, SFD_NONBLOCK));
    struct pollfd p = {fd, POLLIN, 0};
    expect(read(fd, info, sizeof(info)), -1, EAGAIN);
    expect(poll(&p, 1, 0), 0, 0);
    kill(getpid(), SIGUSR1);
    expect(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 9}), 0, 0);
    expect(poll(&p, 1, 1000), 1, 0);
    expect(read(fd, info, sizeof(info)), 2 * sizeof(info[0]), 0);
    expect(info[0].ssi_signo, SIGUSR1, 0);
    expect(info[0].ssi_pid, getpid(), 0);
    expect(info[1].ssi_signo, SIGRTMIN + 1, 0);
    expect(info[1].ssi_int, 9, 0);
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void spin_ns(clockid_t clock, long long ns)
{
    long long until = now_ns(clock) + ns;
    while (now_ns(clock) < until)
        ;
}

static void test_itimers(void)
{
    struct itimerval v = {.it_value.tv_usec = 20000}, o;
    alarms = 0;
    handle(SIGVTALRM);
    handle(SIGPROF);
    expect(setitimer(ITIMER_VIRTUAL, &v, NULL), 0, 0);
    while (!alarms)
        ;
    alarms = 0;
    expect(setitimer(ITIMER_PROF, &v, NULL), 0, 0);
    while (!alarms)
        getppid();
    expect(getitimer(ITIMER_PROF, &o), 0, 0);
    expect(o.it_value.tv_usec, 0, 0);
    expect(getitimer(5, &o), -1, EINVAL);
    v.it_value.tv_usec = 2000000;
    expect(setitimer(ITIMER_REAL, &v, NULL), -1, EINVAL);
    expect(alarm(100), 0, 0);
    expect(alarm(0), 100, 0);
}

static void test_cpu_time(void)
{
    struct rusage u;
    struct tms tms;
    struct timespec t = {0, 30000000};
    long long before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    spin_ns(CLOCK_THREAD_CPUTIME_ID, 30000000);
    expect(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 29000000, 1, 0);
    expect(getrusage(RUSAGE_SELF, &u), 0, 0);
    expect(u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec >= 29000, 1,
           0);
    expect(getrusage(7, &u), -1, EINVAL);
    expect(times(&tms) > 0, 1, 0);
    expect(tms.tms_utime + tms.tms_stime >= 2, 1, 0);
    /* Sleeping costs next to nothing; on a busy machine one of a few tries shows it. */
    long long least = 1000000000;
    for (int i = 0; i < 5 && least >= 25000000; i++) {
        before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        expect(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL), 0, 0);
        long long used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
        least = used < least ? used : least;
    }
    expect(least < 25000000, 1, 0);
    expect(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL, 0);
    clockid_t id;
    expect(pthread_getcpuclockid(pthread_self(), &id), 0, 0);
    expect(now_ns(id) > 20000000, 1, 0);
    expect(clock_getcpuclockid(getpid(), &id), 0, 0);
    expect(now_ns(id) > 20000000, 1, 0);
}

static void test_sleep_interrupted(void)
{
    struct itimerval v = {.it_value.tv_usec = 10000};
    struct timespec want = {0, 60000000}, left = {9, 9}, until, lengthy = {0, 900000000};
    long long start = now_ns(CLOCK_MONOTONIC);
    alarms = 0;
    handle(SIGALRM);
    must(setitimer(ITIMER_REAL, &v, NULL));
    expect(nanosleep(&lengthy, &left), -1, EINTR);
    expect(left.tv_sec == 0 && left.tv_nsec > 100000000 && left.tv_nsec < 891000000, 1, 0);
    expect(alarms, 1, 0);
    /* An ignored signal does not end a sleep. */
    signal(SIGALRM, SIG_IGN);
    start = now_ns(CLOCK_MONOTONIC);
    must(setitimer(ITIMER_REAL, &v, NULL));
    expect(nanosleep(&want, NULL), 0, 0);
    expect(now_ns(CLOCK_MONOTONIC) - start >= 59000000, 1, 0);
    must(clock_gettime(CLOCK_REALTIME, &until));
    until.tv_nsec += 5000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    expect(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0, 0);
    want.tv_nsec = -1;
    expect(nanosleep(&want, NULL), -1, EINVAL);
}

int main(void)
{
    test_posix_timer();
    test_timerfd();
    test_signalfd();
    test_itimers();
    test_cpu_time();
    test_sleep_interrupted();
    return test_end();
}
