/* SPDX-License-Identifier: BSD-3-Clause */
/* POSIX message queues: order, sizes, waiting, time, polling, notification, limits. */
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/guest/test.h"

static char name[64], buffer[8192];

static mqd_t fresh(int flags, long count, long size)
{
    struct mq_attr a = {.mq_maxmsg = count, .mq_msgsize = size};
    return must(mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a));
}

static int next_is(mqd_t q, const char *text, unsigned priority)
{
    unsigned got = 0;
    ssize_t n = mq_receive(q, buffer, sizeof(buffer), &got);
    return n == (ssize_t)strlen(text) && !memcmp(buffer, text, (size_t)n) && got == priority;
}

static void names(void)
{
    struct mq_attr a = {.mq_maxmsg = 0, .mq_msgsize = 8};
    expect(mq_open("/none.such", O_RDWR), -1, ENOENT);
    expect(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL), -1, EACCES);
    expect(mq_open(name, O_RDWR | O_CREAT, 0600, &a), -1, EINVAL);
    expect(mq_unlink("/none.such"), -1, ENOENT);
    mqd_t q = must(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0640, NULL));
    expect(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), -1, EEXIST);
    expect(fcntl(q, F_GETFD), FD_CLOEXEC, 0);
    expect(mq_getattr(q, &a), 0, 0);
    expect(a.mq_maxmsg == 10 && a.mq_msgsize == 8192 && !a.mq_curmsgs && !a.mq_flags, 1, 0);
    struct stat st;
    expect(fstat(q, &st), 0, 0);
    expect(st.st_mode & 0777, 0640, 0);
    mqd_t r = must(mq_open(name, O_RDONLY)), w = must(mq_open(name, O_WRONLY));
    expect(mq_send(r, "x", 1, 0), -1, EBADF);
    expect(mq_receive(w, buffer, sizeof(buffer), NULL), -1, EBADF);
    expect(mq_send(0, "x", 1, 0), -1, EBADF);
    expect(mq_unlink(name), 0, 0);
    expect(mq_send(w, "still", 5, 3), 0, 0);
    expect(next_is(r, "still", 3), 1, 0);
    expect(mq_open(name, O_RDWR), -1, ENOENT);
    mq_close(q);
    mq_close(r);
    mq_close(w);
}

static void order(void)
{
    struct mq_attr a = {.mq_flags = O_NONBLOCK}, old;
    mqd_t q = fresh(O_NONBLOCK, 4, 16);
    expect(mq_receive(q, buffer, sizeof(buffer), NULL), -1, EAGAIN);
    expect(mq_receive(q, buffer, 15, NULL), -1, EMSGSIZE);
    expect(mq_send(q, buffer, 17, 0), -1, EMSGSIZE);
    expect(mq_send(q, "x", 1, 32768), -1, EINVAL);
    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    expect(poll(&p, 1, 0), 1, 0);
    expect(p.revents, POLLOUT, 0);
    expect(mq_send(q, "low", 3, 1), 0, 0);
    expect(mq_send(q, "high", 4, 32767), 0, 0);
    expect(mq_send(q, "low too", 7, 1), 0, 0);
    expect(mq_send(q, "middle", 6, 5), 0, 0);
    expect(mq_send(q, "full", 4, 5), -1, EAGAIN);
    expect(poll(&p, 1, 0), 1, 0);
    expect(p.revents, POLLIN, 0);
    expect(mq_getattr(q, &old), 0, 0);
    expect(old.mq_curmsgs == 4 && old.mq_flags == O_NONBLOCK, 1, 0);
    expect(next_is(q, "high", 32767), 1, 0);
    expect(next_is(q, "middle", 5), 1, 0);
    expect(next_is(q, "low", 1), 1, 0);
    expect(next_is(q, "low too", 1), 1, 0);
    a.mq_flags = 0;
    expect(mq_setattr(q, &a, &old), 0, 0);
    expect(old.mq_flags, O_NONBLOCK, 0);
    expect(fcntl(q, F_GETFL) & O_NONBLOCK, 0, 0);
    a.mq_flags = O_APPEND;
    expect(mq_setattr(q, &a, &old), -1, EINVAL);
    char text[200] = "";
    expect(mq_send(q, "four", 4, 0), 0, 0);
    expect(pread(q, text, sizeof(text) - 1, 0) > 0, 1, 0);
    expect(memcmp(text, "QSIZE:4 ", 8), 0, 0);
    expect(mq_unlink(name), 0, 0);
    mq_close(q);
}

static void waiting(void)
{
    int status = -1;
    struct timespec past = {1, 0}, bad = {1, -1}, soon;
    mqd_t q = fresh(0, 2, 64);
    expect(mq_timedreceive(q, buffer, 64, NULL, &past), -1, ETIMEDOUT);
    expect(mq_timedreceive(q, buffer, 64, NULL, &bad), -1, EINVAL);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 30000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    expect(mq_timedreceive(q, buffer, 64, NULL, &soon), -1, ETIMEDOUT);
    pid_t pid = must(fork());
    if (!pid) {
        mqd_t mine = must(mq_open(name, O_RDONLY));
        for (int i = 0; i < 100; i++) {
            int n = -1;
            expect(mq_receive(mine, buffer, 64, NULL), 4, 0);
            memcpy(&n, buffer, 4);
            expect(n, i, 0);
        }
        _exit(test_failures != 0);
    }
    for (int i = 0; i < 100; i++)
        expect(mq_send(q, (char *)&i, 4, 0), 0, 0);
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(mq_send(q, "a", 1, 0), 0, 0);
    expect(mq_send(q, "b", 1, 0), 0, 0);
    expect(mq_timedsend(q, "c", 1, 0, &past), -1, ETIMEDOUT);
    expect(mq_unlink(name), 0, 0);
    mq_close(q);
}

static volatile sig_atomic_t heard, code, value;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    heard++;
    code = info->si_code;
    value = info->si_value.sival_int;
}

static void notification(void)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    ev.sigev_value.sival_int = 42;
    sigaction(SIGUSR1, &sa, NULL);
    mqd_t q = fresh(0, 4, 16);
    expect(mq_notify(q, &ev), 0, 0);
    expect(mq_notify(q, &ev), -1, EBUSY);
    expect(mq_send(q, "x", 1, 0), 0, 0);
    expect(heard == 1 && code == SI_MESGQ && value == 42, 1, 0);
    expect(mq_send(q, "x", 1, 0), 0, 0);
    expect(heard, 1, 0);
    expect(mq_notify(q, &ev), 0, 0);
    expect(mq_send(q, "x", 1, 0), 0, 0); /* it was not empty */
    expect(heard, 1, 0);
    expect(mq_notify(q, NULL), 0, 0);
    for (int i = 0; i < 3; i++)
        expect(mq_receive(q, buffer, 16, NULL), 1, 0);
    expect(mq_send(q, "x", 1, 0), 0, 0);
    expect(heard, 1, 0);
    ev.sigev_signo = 100;
    expect(mq_notify(q, &ev), -1, EINVAL);
    mqd_t second = must(mq_open(name, O_RDWR)); /* closing it ends what it was asked for */
    ev.sigev_signo = SIGUSR1;
    expect(mq_notify(second, &ev), 0, 0);
    expect(mq_close(second), 0, 0);
    ev.sigev_signo = 0; /* registered, and nobody hears of it */
    expect(mq_notify(q, &ev), 0, 0);
    expect(mq_notify(q, NULL), 0, 0);
    ev.sigev_signo = SIGUSR1;
    pid_t pid = must(fork());
    if (!pid)
        _exit(mq_notify(q, &ev) != 0); /* ends with it */
    expect(waitpid(pid, NULL, 0), pid, 0);
    expect(mq_notify(q, &ev), 0, 0);
    expect(mq_unlink(name), 0, 0);
    mq_close(q);
}

static void limit(void)
{
    struct rlimit old, small = {4096, 0};
    struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    expect(getrlimit(RLIMIT_MSGQUEUE, &old), 0, 0);
    small.rlim_max = old.rlim_max;
    expect(setrlimit(RLIMIT_MSGQUEUE, &small), 0, 0);
    expect(mq_open(name, O_CREAT | O_RDWR, 0600, &a), -1, EMFILE);
    expect(setrlimit(RLIMIT_MSGQUEUE, &old), 0, 0);
    mqd_t q = must(mq_open(name, O_CREAT | O_RDWR, 0600, &a));
    expect(mq_unlink(name), 0, 0);
    mq_close(q);
}

int main(void)
{
    snprintf(name, sizeof(name), "/test.%d", getpid());
    mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, NULL);
    if (q < 0 && errno == ENOSYS)
        return test_skip("this Linux has no message queues");
    mq_unlink(name);
    mq_close(q);
    names();
    order();
    waiting();
    notification();
    limit();
    return test_end();
}
