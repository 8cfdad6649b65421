/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pipes and waiting for them: capacity, ends, atomic writes, poll, select, epoll, eventfd.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include "tests/guest/test.h"

static void pipes(void)
{
    int p[2], n;
    char text[16];
    static char page[4096];
    expect(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0, 0);
    expect(fcntl(p[0], F_GETFD), FD_CLOEXEC, 0);
    expect(read(p[0], text, 1), -1, EAGAIN);
    expect(write(p[1], "hello", 5), 5, 0);
    expect(ioctl(p[0], FIONREAD, &n), 0, 0);
    expect(n, 5, 0);
    expect(read(p[0], text, 2), 2, 0);
    expect(read(p[0], text, 16), 3, 0);
    expect(text[0], 'l', 0);
    expect(lseek(p[0], 0, SEEK_SET), -1, ESPIPE);
    expect(pread(p[0], text, 1, 0), -1, ESPIPE);
    expect(read(p[1], text, 1), -1, EBADF);
    expect(write(p[0], text, 1), -1, EBADF);
    long total = 0, got;
    while ((got = write(p[1], page, sizeof(page))) > 0)
        total += got;
    expect(write(p[1], page, 1), -1, EAGAIN);
    expect(total, 65536, 0);
    expect(read(p[0], page, 100), 100, 0);
    /* Less than a page's room: a write of a page is all or nothing. */
    expect(write(p[1], page, sizeof(page)), -1, EAGAIN);
    while ((got = read(p[0], page, sizeof(page))) > 0)
        ;
    expect(write(p[1], "x", 1), 1, 0);
    expect(close(p[1]), 0, 0);
    expect(read(p[0], text, 16), 1, 0);
    expect(read(p[0], text, 16), 0, 0);
    expect(close(p[0]), 0, 0);
    signal(SIGPIPE, SIG_IGN);
    expect(pipe(p), 0, 0);
    expect(close(p[0]), 0, 0);
    expect(write(p[1], "x", 1), -1, EPIPE);
    expect(close(p[1]), 0, 0);
    expect(pipe2(p, 0x1), -1, EINVAL);
}

static void polling(void)
{
    int p[2];
    expect(pipe(p), 0, 0);
    struct pollfd fds[3] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    expect(poll(NULL, 0, 0), 0, 0); /* a way to sleep */
    expect(poll(fds, 3, 0), 1, 0);
    expect(fds[0].revents, 0, 0);
    expect(fds[1].revents, POLLOUT, 0);
    expect(write(p[1], "x", 1), 1, 0);
    expect(poll(fds, 1, -1), 1, 0);
    expect(fds[0].revents, POLLIN, 0);
    fd_set in;
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    struct timeval none = {0, 0};
    expect(select(p[0] + 1, &in, NULL, NULL, &none), 1, 0);
    expect(FD_ISSET(p[0], &in) != 0, 1, 0);
    char c;
    expect(read(p[0], &c, 1), 1, 0);
    expect(select(p[0] + 1, &in, NULL, NULL, &none), 0, 0);
    expect(poll(fds, 1, 20), 0, 0);
    expect(close(p[1]), 0, 0);
    expect(poll(fds, 1, -1), 1, 0);
    expect(fds[0].revents, POLLHUP, 0);
    fds[0].fd = 999;
    expect(poll(fds, 1, -1), 1, 0);
    expect(fds[0].revents, POLLNVAL, 0);
    expect(close(p[0]), 0, 0);
}

static void epolling(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, out[4];
    uint64_t value = 0;
    int ep = must(epoll_create1(EPOLL_CLOEXEC));
    int ev = must(eventfd(3, EFD_NONBLOCK));
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &event), 0, 0);
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &event), -1, EEXIST);
    expect(epoll_ctl(ep, EPOLL_CTL_MOD, 999, &event), -1, EBADF);
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), -1, EINVAL);
    expect(epoll_wait(ep, out, 4, 0), 1, 0);
    expect(out[0].data.u64, 77, 0);
    expect(out[0].events, EPOLLIN, 0);
    expect(epoll_wait(ep, out, 0, 0), -1, EINVAL);
    expect(read(ev, &value, 8), 8, 0);
    expect(value, 3, 0);
    expect(read(ev, &value, 8), -1, EAGAIN);
    expect(read(ev, &value, 4), -1, EINVAL);
    expect(epoll_wait(ep, out, 4, 0), 0, 0);
    expect(epoll_wait(ep, out, 4, 20), 0, 0);
    event.events = EPOLLIN | EPOLLET;
    expect(epoll_ctl(ep, EPOLL_CTL_MOD, ev, &event), 0, 0);
    value = 1;
    expect(write(ev, &value, 8), 8, 0);
    expect(epoll_wait(ep, out, 4, -1), 1, 0);
    expect(epoll_wait(ep, out, 4, 0), 0, 0);
    expect(write(ev, &value, 8), 8, 0);
    expect(epoll_wait(ep, out, 4, 0), 1, 0);
    event.events = EPOLLIN | EPOLLONESHOT;
    expect(epoll_ctl(ep, EPOLL_CTL_MOD, ev, &event), 0, 0);
    expect(epoll_wait(ep, out, 4, 0), 1, 0);
    expect(epoll_wait(ep, out, 4, 0), 0, 0);
    expect(epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL), 0, 0);
    expect(epoll_ctl(ep, EPOLL_CTL_DEL, ev, NULL), -1, ENOENT);
    expect(close(ev), 0, 0);
    expect(close(ep), 0, 0);
}

static void *writer(void *end)
{
    static char data[300000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i % 251);
    expect(write((int)(long)end, data, sizeof(data)), sizeof(data), 0);
    expect(close((int)(long)end), 0, 0);
    return NULL;
}

static void blocking(void)
{
    int p[2];
    char part[1000];
    pthread_t thread;
    size_t total = 0;
    int wrong = 0;
    expect(pipe(p), 0, 0);
    expect(pthread_create(&thread, NULL, writer, (void *)(long)p[1]), 0, 0);
    for (ssize_t got; (got = read(p[0], part, sizeof(part))) > 0; total += (size_t)got)
        for (ssize_t i = 0; i < got; i++)
            wrong += part[i] != (char)((total + (size_t)i) % 251);
    expect(total, 300000, 0);
    expect(wrong, 0, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(close(p[0]), 0, 0);
}

int main(void)
{
    pipes();
    polling();
    epolling();
    blocking();
    return test_end();
}
