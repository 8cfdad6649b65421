/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll beyond the simple: exclusive wake-ups, several waiters, nesting, inheritance across
 * fork, large sets of which little is ready, what ends with the last descriptor.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "tests/guest/test.h"

static int add(int ep, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void flags(void)
{
    int ep = must(epoll_create1(0)), other = must(epoll_create1(0)), ev = must(eventfd(0, 0));
    struct epoll_event e = {.events = EPOLLIN, .data.fd = ev};
    expect(add(ep, ev, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), -1, EINVAL);
    expect(add(ep, other, EPOLLIN | EPOLLEXCLUSIVE), -1, EINVAL);
    expect(add(ep, ev, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP), 0, 0);
    expect(epoll_ctl(ep, EPOLL_CTL_MOD, ev, &e), -1, EINVAL);
    expect(epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL), 0, 0);
    int file = must(open("/proc/self/exe", O_RDONLY));
    expect(add(ep, file, EPOLLIN), -1, EPERM);
    expect(close(file), 0, 0);
    expect(close(ep), 0, 0);
    expect(close(other), 0, 0);
    expect(close(ev), 0, 0);
}

static void nesting(void)
{
    struct epoll_event out;
    uint64_t one = 1;
    int inner = must(epoll_create1(0)), outer = must(epoll_create1(0)),
        ev = must(eventfd(0, 0));
    expect(add(inner, ev, EPOLLIN), 0, 0);
    expect(add(outer, inner, EPOLLIN), 0, 0);
    expect(add(inner, outer, EPOLLIN), -1, ELOOP);
    struct pollfd p = {outer, POLLIN, 0};
    expect(poll(&p, 1, 0), 0, 0);
    expect(write(ev, &one, 8), 8, 0);
    expect(poll(&p, 1, 0), 1, 0);
    expect(epoll_wait(outer, &out, 1, 1000), 1, 0);
    expect(out.data.fd, inner, 0);
    expect(epoll_wait(inner, &out, 1, 0), 1, 0);
    expect(read(ev, &one, 8), 8, 0);
    expect(epoll_wait(outer, &out, 1, 0), 0, 0);
    /* The last descriptor of a file takes it out of all sets. */
    int copy = must(dup(ev));
    expect(close(ev), 0, 0);
    expect(write(copy, &one, 8), 8, 0);
    expect(epoll_wait(inner, &out, 1, 0), 1, 0);
    expect(close(copy), 0, 0);
    expect(epoll_wait(inner, &out, 1, 0), 0, 0);
    expect(close(inner), 0, 0);
    expect(close(outer), 0, 0);
}

#define WAITERS 4
static int shared_ep;
static int woken;

static void *wait_once(void *arg)
{
    struct epoll_event out;
    uint64_t value;
    int ep = arg ? *(int *)arg : shared_ep;
    while (epoll_wait(ep, &out, 1, -1) != 1)
        ;
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    expect(read(out.data.fd, &value, 8), 8, 0); /* blocks if too many were woken */
    return NULL;
}

/* Each event goes to one of the waiters, and none is lost. */
static void several_waiters(int exclusive)
{
    pthread_t t[WAITERS];
    int own[WAITERS], ev = must(eventfd(0, EFD_SEMAPHORE));
    uint64_t one = 1;
    shared_ep = must(epoll_create1(0));
    woken = 0;
    if (!exclusive)
        expect(add(shared_ep, ev, EPOLLIN | EPOLLET), 0, 0);
    for (int i = 0; i < WAITERS; i++) {
        own[i] = must(epoll_create1(0));
        if (exclusive)
            expect(add(own[i], ev, EPOLLIN | EPOLLEXCLUSIVE), 0, 0);
        expect(pthread_create(&t[i], NULL, wait_once, exclusive ? &own[i] : NULL), 0, 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        expect(write(ev, &one, 8), 8, 0);
        if (!exclusive) /* edges that come together are one */
            while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) <= i)
                ;
    }
    for (int i = 0; i < WAITERS; i++) {
        expect(pthread_join(t[i], NULL), 0, 0);
        expect(close(own[i]), 0, 0);
    }
    expect(woken, WAITERS, 0);
    expect(close(ev), 0, 0);
    expect(close(shared_ep), 0, 0);
}

static void inheritance(void)
{
    struct epoll_event out;
    int s[2], status, ep = must(epoll_create1(0));
    char c;
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(add(ep, s[0], EPOLLIN), 0, 0);
    pid_t child = must(fork());
    if (child == 0) {
        int ok =
            epoll_wait(ep, &out, 1, 5000) == 1 && out.data.fd == s[0] && read(s[0], &c, 1) == 1;
        _exit(!ok);
    }
    expect(write(s[1], "x", 1), 1, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    expect(epoll_wait(ep, &out, 1, 0), 0, 0);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
    expect(close(ep), 0, 0);
}

static void large_set(void)
{
    struct rlimit limit;
    struct epoll_event out[8];
    uint64_t one = 1;
    expect(getrlimit(RLIMIT_NOFILE, &limit), 0, 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    int ep = must(epoll_create1(0)),
        count = (int)(limit.rlim_cur < 20100 ? limit.rlim_cur : 20100);
    int *fd = calloc((size_t)count, sizeof(int));
    count = count > 200 ? count - 100 : 100;
    for (int i = 0; i < count; i++) {
        fd[i] = must(eventfd(0, EFD_NONBLOCK));
        if (add(ep, fd[i], EPOLLIN) != 0)
            expect(i, count, 0);
    }
    expect(epoll_wait(ep, out, 8, 0), 0, 0);
    for (int round = 0; round < 1000; round++) {
        int pick = round * 37 % count;
        if (write(fd[pick], &one, 8) != 8 || epoll_wait(ep, out, 8, 1000) != 1 ||
            out[0].data.fd != fd[pick] || read(fd[pick], &one, 8) != 8)
            expect(round, -1, 0);
    }
    /* All of them at once, each told once. */
    struct epoll_event *all = calloc((size_t)count + 1, sizeof(*all));
    char *seen = calloc((size_t)count + 10000, 1);
    for (int i = 0; i < count; i++)
        (void)!write(fd[i], &one, 8);
    expect(epoll_wait(ep, all, count + 1, 1000), count, 0);
    for (int i = 0; i < count; i++)
        seen[all[i].data.fd]++;
    for (int i = 0; i < count; i++)
        if (seen[fd[i]] != 1)
            expect(seen[fd[i]], 1, 0);
    free(all);
    free(seen);
    for (int i = 0; i < count; i++)
        close(fd[i]);
    expect(epoll_wait(ep, out, 8, 0), 0, 0);
    expect(close(ep), 0, 0);
    free(fd);
}

int main(void)
{
    flags();
    nesting();
    several_waiters(0);
    several_waiters(1);
    inheritance();
    large_set();
    return test_end();
}
