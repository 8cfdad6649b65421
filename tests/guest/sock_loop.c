/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loopback between programs of one machine, as Linux has it: names, queues of listeners,
 * resets, urgent bytes, what options say, wildcards and both families, datagrams; beside
 * connections that take the host's way (SO_DONTROUTE says so to a library OS; a kernel does not
 * mind).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "tests/guest/test.h"

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union name v4_name(const char *address, int port)
{
    union name n = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    inet_pton(AF_INET, address, &n.v4.sin_addr);
    return n;
}

static union name v6_name(const char *address, int port)
{
    union name n = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
    inet_pton(AF_INET6, address, &n.v6.sin6_addr);
    return n;
}

static int port_of(int fd)
{
    union name n;
    socklen_t size = sizeof(n);
    must(getsockname(fd, &n.any, &size));
    return ntohs(n.v4.sin_port);
}

/* "address:port" of one end. */
static const char *end_of(int fd, int peer)
{
    static char text[4][80];
    static int turn;
    char address[INET6_ADDRSTRLEN] = "";
    union name n;
    socklen_t size = sizeof(n);
    char *out = text[turn++ % 4];
    if (peer ? getpeername(fd, &n.any, &size) : getsockname(fd, &n.any, &size))
        return strerror(errno);
    if (n.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &n.v4.sin_addr, address, sizeof(address));
    else
        inet_ntop(AF_INET6, &n.v6.sin6_addr, address, sizeof(address));
    snprintf(out, sizeof(text[0]), "%s:%d", address, ntohs(n.v4.sin_port));
    return out;
}

static int same(const char *got, const char *address, int port)
{
    char want[80];
    snprintf(want, sizeof(want), "%s:%d", address, port);
    if (strcmp(got, want) != 0)
        fprintf(stderr, "got %s, wanted %s\n", got, want);
    return !strcmp(got, want);
}

static int listen_at(union name n, int backlog)
{
    int l = must(socket(n.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must(bind(l, &n.any, sizeof(n)));
    must(listen(l, backlog));
    return l;
}

static int dial_flags(union name n, int flags)
{
    int c = must(socket(n.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (connect(c, &n.any, n.any.sa_family == AF_INET ? sizeof(n.v4) : sizeof(n.v6)) < 0 &&
        errno != EINPROGRESS) {
        close(c);
        return -1;
    }
    return c;
}

static int dial(union name n)
{
    return must(dial_flags(n, 0));
}

static int events(int fd, int timeout)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    poll(&p, 1, timeout);
    return p.revents;
}

static int wait_for(int fd, short wanted)
{
    struct pollfd p = {fd, wanted, 0};
    return poll(&p, 1, 20000) == 1 ? p.revents & wanted : -1;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, level, name, &value, &size) ? -errno : value;
}

static void set(int fd, int level, int name, int value)
{
    expect(setsockopt(fd, level, name, &value, sizeof(value)), 0, 0);
}

struct pair {
    int l, c, s;
};

static struct pair pair(void)
{
    struct pair p;
    p.l = listen_at(v4_name("127.0.0.1", 0), 8);
    p.c = dial(v4_name("127.0.0.1", port_of(p.l)));
    p.s = must(accept(p.l, NULL, NULL));
    return p;
}

static void pair_end(struct pair p)
{
    close(p.c);
    close(p.s);
    close(p.l);
}

static void names(void)
{
    int l = listen_at(v4_name("0.0.0.0", 0), 8), port = port_of(l);
    int c = dial(v4_name("127.0.0.7", port)), s = must(accept(l, NULL, NULL));
    expect(same(end_of(c, 1), "127.0.0.7", port), 1, 0);
    expect(same(end_of(c, 0), "127.0.0.1", port_of(c)), 1, 0);
    expect(same(end_of(s, 0), "127.0.0.7", port), 1, 0);
    expect(same(end_of(s, 1), "127.0.0.1", port_of(c)), 1, 0);
    expect(same(end_of(l, 0), "0.0.0.0", port), 1, 0);
    union name other = v4_name("127.0.0.9", port);
    expect(connect(c, &other.any, sizeof(other.v4)), -1, EISCONN);
    expect(listen(c, 1), -1, EINVAL);
    expect(accept(c, NULL, NULL), -1, EINVAL);
    other = v4_name("127.0.0.9", 0);
    expect(bind(s, &other.any, sizeof(other.v4)), -1, EINVAL);
    close(c);
    close(s);
    /* A client with a name of its own; and the address that stands for this machine. */
    c = must(socket(AF_INET, SOCK_STREAM, 0));
    must(bind(c, &other.any, sizeof(other.v4)));
    int mine = port_of(c);
    other = v4_name("0.0.0.0", port);
    must(connect(c, &other.any, sizeof(other.v4)));
    s = must(accept(l, NULL, NULL));
    expect(same(end_of(s, 1), "127.0.0.9", mine), 1, 0);
    close(c);
    close(s);
    close(l);
}

static void families(void)
{
    int l = socket(AF_INET6, SOCK_STREAM, 0);
    union name any = v6_name("::", 0);
    if (l < 0 || bind(l, &any.any, sizeof(any.v6)) < 0)
        return; /* the machine has none */
    must(listen(l, 8));
    int port = port_of(l), c = dial(v4_name("127.0.0.1", port)),
        s = must(accept(l, NULL, NULL));
    expect(same(end_of(s, 1), "::ffff:127.0.0.1", port_of(c)), 1, 0);
    expect(same(end_of(c, 1), "127.0.0.1", port), 1, 0);
    close(c);
    close(s);
    c = dial(v6_name("::1", port)), s = must(accept(l, NULL, NULL));
    expect(same(end_of(s, 1), "::1", port_of(c)), 1, 0);
    expect(same(end_of(s, 0), "::1", port), 1, 0);
    close(c);
    close(s);
    close(l);
    l = listen_at(v4_name("127.0.0.1", 0), 8);
    port = port_of(l);
    c = dial(v6_name("::ffff:127.0.0.1", port)), s = must(accept(l, NULL, NULL));
    expect(same(end_of(c, 0), "::ffff:127.0.0.1", port_of(c)), 1, 0);
    expect(same(end_of(s, 1), "127.0.0.1", port_of(c)), 1, 0);
    expect(write(s, "4", 1), 1, 0);
    expect(wait_for(c, POLLIN), POLLIN, 0);
    close(c);
    close(s);
    expect(dial_flags(v6_name("::1", port), 0), -1, ECONNREFUSED);
    close(l);
    l = must(socket(AF_INET6, SOCK_STREAM, 0));
    set(l, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    must(bind(l, &any.any, sizeof(any.v6)));
    must(listen(l, 8));
    expect(dial_flags(v4_name("127.0.0.1", port_of(l)), 0), -1, ECONNREFUSED);
    close(l);
}

static void not_waiting(void)
{
    int l = listen_at(v4_name("127.0.0.1", 0), 8);
    union name n = v4_name("127.0.0.1", port_of(l));
    int c = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    expect(connect(c, &n.any, sizeof(n.v4)), -1, EINPROGRESS);
    expect(wait_for(c, POLLOUT), POLLOUT, 0);
    expect(option(c, SOL_SOCKET, SO_ERROR), 0, 0);
    expect(connect(c, &n.any, sizeof(n.v4)), 0, 0);
    expect(connect(c, &n.any, sizeof(n.v4)), -1, EISCONN);
    int s = must(accept4(l, NULL, NULL, SOCK_NONBLOCK));
    expect(read(s, &n, 1), -1, EAGAIN);
    expect(events(s, 0), POLLOUT, 0);
    struct timeval t = {0, 20000};
    fcntl(s, F_SETFL, 0);
    expect(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0, 0);
    expect(read(s, &n, 1), -1, EAGAIN);
    close(c);
    close(s);
    close(l);
}

/* Watched for edges before it connects, as some runtimes do it. */
static void watched(void)
{
    int l = listen_at(v4_name("127.0.0.1", 0), 8), ep = must(epoll_create1(0));
    int c = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    union name n = v4_name("127.0.0.1", port_of(l));
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET}, got = {0};
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, c, &e), 0, 0);
    expect(epoll_wait(ep, &got, 1, 20000), 1, 0);
    expect(got.events, EPOLLOUT | EPOLLHUP, 0);
    expect(epoll_wait(ep, &got, 1, 0), 0, 0);
    expect(connect(c, &n.any, sizeof(n.v4)), -1, EINPROGRESS);
    expect(epoll_wait(ep, &got, 1, 20000), 1, 0);
    expect(got.events, EPOLLOUT, 0);
    close(ep);
    close(c);
    close(l);
}

/* More than the queue takes: the last one waits until somebody is accepted. */
static void backlog(void)
{
    int l = listen_at(v4_name("127.0.0.1", 0), 1), c[3], s;
    union name n = v4_name("127.0.0.1", port_of(l));
    char got;
    for (int k = 0; k < 3; k++)
        c[k] = must(dial_flags(n, SOCK_NONBLOCK));
    for (int k = 0; k < 2; k++) {
        expect(wait_for(c[k], POLLOUT), POLLOUT, 0);
        expect(write(c[k], &"01"[k], 1), 1, 0);
    }
    expect(events(c[2], 0), 0, 0);
    expect(getpeername(c[2], &n.any, &(socklen_t){sizeof(n)}), -1, ENOTCONN);
    for (int k = 0; k < 3; k++) { /* in order */
        s = must(accept(l, NULL, NULL));
        if (k == 0) {
            expect(wait_for(c[2], POLLOUT), POLLOUT, 0);
            expect(option(c[2], SOL_SOCKET, SO_ERROR), 0, 0);
            expect(write(c[2], "2", 1), 1, 0);
        }
        expect(read(s, &got, 1), 1, 0);
        expect(got, '0' + k, 0);
        close(s);
        close(c[k]);
    }
    close(l);
}

static void resets(void)
{
    char text[32];
    struct pair p = pair();
    /* The peer closes: what it wrote counts, then the end; the first bytes go nowhere. */
    expect(write(p.s, "last", 4), 4, 0);
    close(p.s);
    expect(wait_for(p.c, POLLRDHUP), POLLRDHUP, 0);
    expect(events(p.c, 0), POLLIN | POLLOUT | POLLRDHUP, 0);
    expect(read(p.c, text, 32), 4, 0);
    expect(read(p.c, text, 32), 0, 0);
    expect(write(p.c, "x", 1), 1, 0);
    expect(wait_for(p.c, POLLHUP), POLLHUP, 0);
    expect(events(p.c, 0), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR, 0);
    expect(write(p.c, "x", 1), -1, EPIPE);
    expect(read(p.c, text, 1), 0, 0);
    expect(shutdown(p.c, SHUT_WR), -1, ENOTCONN);
    expect(strcmp(end_of(p.c, 1), strerror(ENOTCONN)), 0, 0);
    pair_end(p);
    /* It had not read all: a reset, behind what it wrote. */
    p = pair();
    expect(write(p.c, "unread", 6), 6, 0);
    expect(write(p.s, "last", 4), 4, 0);
    expect(wait_for(p.s, POLLIN), POLLIN, 0);
    close(p.s);
    expect(wait_for(p.c, POLLHUP), POLLHUP, 0);
    expect(read(p.c, text, 32), 4, 0);
    expect(read(p.c, text, 32), -1, ECONNRESET);
    expect(read(p.c, text, 32), 0, 0);
    expect(write(p.c, "x", 1), -1, EPIPE);
    pair_end(p);
    /* It asked for one. */
    p = pair();
    expect(setsockopt(p.s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, 8), 0, 0);
    close(p.s);
    expect(wait_for(p.c, POLLHUP), POLLHUP, 0);
    expect(option(p.c, SOL_SOCKET, SO_ERROR), ECONNRESET, 0);
    expect(option(p.c, SOL_SOCKET, SO_ERROR), 0, 0);
    pair_end(p);
    /* Never accepted. */
    p = pair();
    int waiting = dial(v4_name("127.0.0.1", port_of(p.l)));
    close(p.l);
    expect(wait_for(waiting, POLLHUP), POLLHUP, 0);
    expect(read(waiting, text, 1), -1, ECONNRESET);
    close(waiting);
    pair_end(p);
}

static int tcp_state(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    expect(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0, 0);
    return info.tcpi_state;
}

static void halves(void)
{
    char text[32];
    struct pair p = pair();
    expect(tcp_state(p.c), TCP_ESTABLISHED, 0);
    expect(write(p.c, "end", 3), 3, 0);
    expect(shutdown(p.c, SHUT_WR), 0, 0);
    expect(write(p.c, "x", 1), -1, EPIPE);
    expect(wait_for(p.s, POLLRDHUP), POLLRDHUP, 0);
    expect(tcp_state(p.s), TCP_CLOSE_WAIT, 0);
    int state = tcp_state(p.c);
    expect(state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2, 1, 0);
    expect(read(p.s, text, 32), 3, 0);
    expect(read(p.s, text, 32), 0, 0);
    expect(write(p.s, "back", 4), 4, 0);
    expect(read(p.c, text, 32), 4, 0);
    expect(shutdown(p.s, SHUT_WR), 0, 0);
    expect(read(p.c, text, 32), 0, 0);
    expect(wait_for(p.c, POLLHUP), POLLHUP, 0);
    expect(shutdown(p.c, SHUT_WR), -1, ENOTCONN);
    pair_end(p);
    p = pair();
    expect(shutdown(p.s, SHUT_RD), 0, 0);
    expect(read(p.s, text, 1), 0, 0);
    expect(write(p.c, "still", 5), 5, 0);
    expect(wait_for(p.s, POLLIN), POLLIN, 0);
    expect(shutdown(p.s, 7), -1, EINVAL);
    pair_end(p);
    p = pair();
    expect(shutdown(p.s, SHUT_RDWR), 0, 0);
    expect(wait_for(p.c, POLLRDHUP), POLLRDHUP, 0);
    expect(write(p.c, "nobody reads", 12), 12, 0);
    expect(wait_for(p.c, POLLHUP), POLLHUP, 0);
    expect(write(p.c, "x", 1), -1, EPIPE);
    pair_end(p);
}

static void urgent(void)
{
    char text[16] = "", mark = 0;
    int at = -1;
    struct pair p = pair();
    expect(recv(p.s, text, 1, MSG_OOB), -1, EINVAL);
    expect(send(p.c, "before!", 7, MSG_OOB), 7, 0);
    expect(send(p.c, "after", 5, 0), 5, 0);
    expect(wait_for(p.s, POLLPRI), POLLPRI, 0);
    expect(ioctl(p.s, SIOCATMARK, &at), 0, 0);
    expect(at, 0, 0);
    expect(recv(p.s, text, 16, 0), 6, 0); /* a read ends at the mark */
    expect(memcmp(text, "before", 6), 0, 0);
    expect(ioctl(p.s, SIOCATMARK, &at), 0, 0);
    expect(at, 1, 0);
    expect(recv(p.s, &mark, 1, MSG_OOB | MSG_PEEK), 1, 0);
    expect(recv(p.s, &mark, 1, MSG_OOB), 1, 0);
    expect(mark, '!', 0);
    expect(recv(p.s, &mark, 1, MSG_OOB), -1, EINVAL);
    expect(events(p.s, 0) & POLLPRI, 0, 0);
    expect(recv(p.s, text, 16, 0), 5, 0);
    expect(memcmp(text, "after", 5), 0, 0);
    set(p.s, SOL_SOCKET, SO_OOBINLINE, 1);
    expect(send(p.c, "ab", 2, MSG_OOB), 2, 0);
    expect(wait_for(p.s, POLLPRI), POLLPRI, 0);
    expect(recv(p.s, text, 16, MSG_OOB), -1, EINVAL);
    expect(recv(p.s, text, 16, 0), 1, 0);
    expect(recv(p.s, text, 16, 0), 1, 0);
    expect(text[0], 'b', 0);
    pair_end(p);
}

static void options(void)
{
    struct linger linger = {0};
    socklen_t size = sizeof(linger);
    int l = listen_at(v4_name("127.0.0.1", 0), 8);
    set(l, IPPROTO_TCP, TCP_NODELAY, 1);
    set(l, SOL_SOCKET, SO_KEEPALIVE, 5);
    set(l, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set(l, SOL_SOCKET, SO_RCVBUF, 30000);
    int c = dial(v4_name("127.0.0.1", port_of(l))), s = must(accept(l, NULL, NULL));
    expect(option(s, IPPROTO_TCP, TCP_NODELAY), 1, 0);
    expect(option(s, SOL_SOCKET, SO_KEEPALIVE), 1, 0);
    expect(option(s, IPPROTO_TCP, TCP_KEEPIDLE), 77, 0);
    expect(option(s, SOL_SOCKET, SO_RCVBUF), 60000, 0);
    expect(option(s, SOL_SOCKET, SO_ACCEPTCONN), 0, 0);
    expect(option(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM, 0);
    expect(option(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP, 0);
    expect(option(c, IPPROTO_TCP, TCP_NODELAY), 0, 0);
    set(c, IPPROTO_TCP, TCP_NODELAY, 7);
    expect(option(c, IPPROTO_TCP, TCP_NODELAY), 1, 0);
    set(s, IPPROTO_TCP, TCP_NODELAY, 0);
    expect(option(s, IPPROTO_TCP, TCP_NODELAY), 0, 0);
    expect(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){1}, 2), -1, EINVAL);
    expect(setsockopt(s, IPPROTO_TCP, 12345, &(int){1}, 4), -1, ENOPROTOOPT);
    expect(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &(int){0}, 4), -1, EINVAL);
    set(s, IPPROTO_IP, IP_TOS, 0x10);
    expect(option(s, IPPROTO_IP, IP_TOS), 0x10, 0);
    expect(setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 3}, 8), 0, 0);
    expect(getsockopt(s, SOL_SOCKET, SO_LINGER, &linger, &size), 0, 0);
    expect(linger.l_onoff == 1 && linger.l_linger == 3, 1, 0);
    int n = -1;
    expect(write(c, "12345", 5), 5, 0);
    expect(wait_for(s, POLLIN), POLLIN, 0);
    expect(ioctl(s, FIONREAD, &n), 0, 0);
    expect(n, 5, 0);
    expect(ioctl(c, TIOCOUTQ, &n), 0, 0);
    expect(n, 0, 0);
    expect(ioctl(s, 0x1234, &n), -1, ENOTTY);
    close(c);
    close(s);
    close(l);
}

static void *fill(void *fd)
{
    static char page[65536];
    ssize_t r;
    while ((r = write((int)(long)fd, page, sizeof(page))) > 0)
        ;
    return (void *)(long)errno;
}

/* A writer that waits for room hears that nobody will make any. */
static void stuck_writer(int how)
{
    struct pair p = pair();
    pthread_t thread;
    void *error = NULL;
    int n = 0;
    expect(pthread_create(&thread, NULL, fill, (void *)(long)p.c), 0, 0);
    for (int before = -1; n != before; usleep(20000)) { /* until no more comes */
        before = n;
        must(ioctl(p.s, FIONREAD, &n));
    }
    if (how < 0)
        expect(close(p.s), 0, 0);
    else
        expect(shutdown(p.s, how), 0, 0);
    expect(pthread_join(thread, &error), 0, 0);
    expect((long)error == EPIPE || (long)error == ECONNRESET, 1, 0);
    pair_end(p);
}

/* Fills what small buffers take, then empties it; nothing is lost, and room is announced. */
static void room(void)
{
    static char page[65536];
    int l = listen_at(v4_name("127.0.0.1", 0), 8), c, s, ep = must(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLOUT | EPOLLET}, got;
    size_t in = 0, out = 0;
    set(l, SOL_SOCKET, SO_RCVBUF, 8192);
    c = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    set(c, SOL_SOCKET, SO_SNDBUF, 8192);
    union name n = v4_name("127.0.0.1", port_of(l));
    expect(connect(c, &n.any, sizeof(n.v4)), -1, EINPROGRESS);
    expect(wait_for(c, POLLOUT), POLLOUT, 0);
    s = must(accept(l, NULL, NULL));
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, c, &e), 0, 0);
    expect(epoll_wait(ep, &got, 1, 20000), 1, 0);
    for (int rounds = 0; rounds < 20; rounds++) {
        ssize_t r;
        while ((r = write(c, page, sizeof(page))) > 0)
            in += (size_t)r;
        int full = errno;
        expect(full, EAGAIN, 0);
        expect(in - out < 1000000, 1, 0);
        while (out < in && (r = read(s, page, sizeof(page))) > 0)
            out += (size_t)r;
        expect(out, in, 0);
        expect(epoll_wait(ep, &got, 1, 20000), 1, 0);
    }
    close(ep);
    close(c);
    close(s);
    close(l);
}

/* From inside and over the host's network, to the same listener. */
static void both_ways(void)
{
    int l = listen_at(v4_name("127.0.0.1", 0), 16), c[8];
    char text[8];
    for (int k = 0; k < 8; k++) {
        c[k] = must(socket(AF_INET, SOCK_STREAM, 0));
        if (k % 2)
            set(c[k], SOL_SOCKET, SO_DONTROUTE, 1);
        union name n = v4_name("127.0.0.1", port_of(l));
        must(connect(c[k], &n.any, sizeof(n.v4)));
    }
    for (int k = 0; k < 8; k++) {
        union name n;
        socklen_t size = sizeof(n);
        int s = must(accept(l, &n.any, &size)), from = -1;
        for (int j = 0; j < 8; j++)
            if (c[j] >= 0 && port_of(c[j]) == ntohs(n.v4.sin_port))
                from = j;
        expect(from >= 0, 1, 0);
        if (from >= 0) {
            expect(write(c[from], "ping", 4), 4, 0);
            expect(recv(s, text, 4, MSG_WAITALL), 4, 0);
            expect(write(s, "pong", 4), 4, 0);
            expect(recv(c[from], text, 4, MSG_WAITALL), 4, 0);
            close(c[from]);
            c[from] = -1;
            expect(read(s, text, 1), 0, 0);
        }
        close(s);
    }
    close(l);
}

/* Two listeners on one port: each connection belongs to one of them. */
static void shared_port(void)
{
    int l[2], port = 0, got[2] = {0}, c[40];
    for (int k = 0; k < 2; k++) {
        union name n = v4_name("127.0.0.1", port);
        l[k] = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        set(l[k], SOL_SOCKET, SO_REUSEPORT, 1);
        must(bind(l[k], &n.any, sizeof(n.v4)));
        must(listen(l[k], 64));
        port = port_of(l[k]);
    }
    for (int k = 0; k < 40; k++)
        c[k] = dial(v4_name("127.0.0.1", port));
    while (got[0] + got[1] < 40) {
        struct pollfd p[2] = {{l[0], POLLIN, 0}, {l[1], POLLIN, 0}};
        if (poll(p, 2, 20000) <= 0)
            break;
        for (int k = 0, s; k < 2; k++) {
            for (; (s = accept(l[k], NULL, NULL)) >= 0; got[k]++)
                close(s);
        }
    }
    expect(got[0] + got[1], 40, 0);
    expect(got[0] > 0 && got[1] > 0, 1, 0);
    for (int k = 0; k < 40; k++)
        close(c[k]);
    close(l[0]);
    close(l[1]);
}

#define BULK 4000000
static void *bulk_writer(void *fd)
{
    static char data[BULK];
    for (size_t i = 0; i < BULK; i++)
        data[i] = (char)(i % 251);
    expect(write((int)(long)fd, data, BULK), BULK, 0);
    expect(shutdown((int)(long)fd, SHUT_WR), 0, 0);
    return NULL;
}

/* A child that connects by itself; many bytes; a server that has gone meanwhile. */
static void processes(void)
{
    static char part[50000];
    int l = listen_at(v4_name("127.0.0.1", 0), 8), port = port_of(l), status, wrong = 0;
    size_t total = 0;
    pid_t child = must(fork());
    if (child == 0) {
        pthread_t thread;
        int c = dial(v4_name("127.0.0.1", port));
        pthread_create(&thread, NULL, bulk_writer, (void *)(long)c);
        pthread_join(thread, NULL);
        _exit(read(c, part, 1) != 1 || test_failures);
    }
    int s = must(accept(l, NULL, NULL));
    for (ssize_t got; (got = read(s, part, sizeof(part))) > 0; total += (size_t)got)
        for (ssize_t i = 0; i < got; i++)
            wrong += part[i] != (char)((total + (size_t)i) % 251);
    expect(total, BULK, 0);
    expect(wrong, 0, 0);
    expect(write(s, "k", 1), 1, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    close(s);
    close(l);
    expect(dial_flags(v4_name("127.0.0.1", port), 0), -1, ECONNREFUSED);
}

static int datagram_at(union name n)
{
    int s = must(socket(n.any.sa_family, SOCK_DGRAM, 0));
    must(bind(s, &n.any, n.any.sa_family == AF_INET ? sizeof(n.v4) : sizeof(n.v6)));
    return s;
}

static void datagrams(void)
{
    char text[32], big[2000] = "";
    union name from, to;
    socklen_t size = sizeof(from);
    int r = datagram_at(v4_name("127.0.0.1", 0)), s = must(socket(AF_INET, SOCK_DGRAM, 0));
    to = v4_name("127.0.0.1", port_of(r));
    expect(sendto(s, "one", 3, 0, &to.any, sizeof(to.v4)), 3, 0);
    expect(recvfrom(r, text, 32, 0, &from.any, &size), 3, 0);
    expect(size, sizeof(from.v4), 0);
    expect(from.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK), 0);
    expect(ntohs(from.v4.sin_port), port_of(s), 0);
    expect(sendto(r, "back", 4, 0, &from.any, size), 4, 0);
    expect(recv(s, text, 32, 0), 4, 0);
    /* Who is connected hears that one alone. */
    expect(connect(r, &from.any, size), 0, 0);
    int other = must(socket(AF_INET, SOCK_DGRAM, 0));
    expect(sendto(other, "stranger", 8, 0, &to.any, sizeof(to.v4)), 8, 0);
    expect(sendto(s, "friend", 6, 0, &to.any, sizeof(to.v4)), 6, 0);
    expect(recv(r, text, 32, 0), 6, 0);
    expect(send(r, "answer", 6, 0), 6, 0);
    expect(recv(s, text, 32, 0), 6, 0);
    expect(connect(r, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)), 0,
           0);
    expect(send(r, "x", 1, 0), -1, EDESTADDRREQ);
    close(r);
    r = datagram_at(v4_name("127.0.0.1", 0));
    to = v4_name("127.0.0.1", port_of(r));
    /* What does not fit is lost, as on any network; some does. */
    set(r, SOL_SOCKET, SO_RCVBUF, 65536);
    int sent = 0, came = 0;
    for (int k = 0; k < 500; k++)
        sent += sendto(s, big, sizeof(big), 0, &to.any, sizeof(to.v4)) == sizeof(big);
    expect(sent, 500, 0);
    while (recv(r, big, sizeof(big), MSG_DONTWAIT) == sizeof(big))
        came++;
    expect(came > 10 && came < 500, 1, 0);
    close(other);
    close(s);
    close(r);
    /* Both families at one socket. */
    r = socket(AF_INET6, SOCK_DGRAM, 0);
    to = v6_name("::", 0);
    if (r < 0 || bind(r, &to.any, sizeof(to.v6)) < 0)
        return;
    to = v4_name("127.0.0.1", port_of(r));
    s = must(socket(AF_INET, SOCK_DGRAM, 0));
    expect(connect(s, &to.any, sizeof(to.v4)), 0, 0);
    expect(send(s, "four", 4, 0), 4, 0);
    size = sizeof(from);
    expect(recvfrom(r, text, 32, 0, &from.any, &size), 4, 0);
    expect(size, sizeof(from.v6), 0);
    expect(IN6_IS_ADDR_V4MAPPED(&from.v6.sin6_addr), 1, 0);
    expect(sendto(r, "six", 3, 0, &from.any, size), 3, 0);
    expect(recv(s, text, 32, 0), 3, 0);
    close(s);
    close(r);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    names();
    families();
    not_waiting();
    watched();
    backlog();
    resets();
    halves();
    urgent();
    stuck_writer(-1);
    stuck_writer(SHUT_RDWR);
    options();
    room();
    both_ways();
    shared_port();
    processes();
    datagrams();
    return test_end();
}
