/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INET sockets on the loopback: connections, what poll and shutdown say, options, datagrams,
 * what is refused; many bytes and many connections. All of it twice: the second time sockets
 * ask for the host's way, where a library OS has a shorter one of its own.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "tests/guest/test.h"

static int outside;

static int new_socket(int family, int type)
{
    int s = socket(family, type, 0);
    if (s >= 0 && outside)
        must(setsockopt(s, SOL_SOCKET, SO_DONTROUTE, &outside, sizeof(outside)));
    return s;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listener(struct sockaddr_in *a)
{
    socklen_t size = sizeof(*a);
    int l = must(new_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC));
    *a = loopback(0);
    must(bind(l, (void *)a, sizeof(*a)));
    must(listen(l, 64));
    must(getsockname(l, (void *)a, &size));
    return l;
}

static int dial(const struct sockaddr_in *a)
{
    int c = must(new_socket(AF_INET, SOCK_STREAM));
    must(connect(c, (const void *)a, sizeof(*a)));
    return c;
}

static int events_of(int fd, int timeout)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&p, 1, timeout);
    return p.revents;
}

/* Until what is asked for is among them. */
static int wait_events(int fd, short wanted)
{
    struct pollfd p = {fd, wanted, 0};
    return poll(&p, 1, 5000) == 1 ? p.revents & wanted : -1;
}

static void streams(void)
{
    struct sockaddr_in a, b;
    socklen_t size = sizeof(b);
    char text[32];
    int n, l = listener(&a), c = dial(&a);
    expect(getpeername(l, (void *)&b, &size), -1, ENOTCONN);
    int s = must(accept4(l, (void *)&b, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    expect(size, sizeof(b), 0);
    expect(b.sin_addr.s_addr, htonl(INADDR_LOOPBACK), 0);
    struct sockaddr_in mine;
    expect(getsockname(c, (void *)&mine, &size), 0, 0);
    expect(mine.sin_port, b.sin_port, 0);
    expect(fcntl(s, F_GETFL) & O_NONBLOCK, O_NONBLOCK, 0);
    expect(read(s, text, 1), -1, EAGAIN);
    expect(events_of(s, 0), POLLOUT, 0);
    expect(write(c, "hello", 5), 5, 0);
    expect(send(c, " world", 6, MSG_MORE), 6, 0);
    expect(wait_events(s, POLLIN), POLLIN, 0);
    expect(recv(s, text, 5, MSG_WAITALL | MSG_PEEK), 5, 0);
    expect(fcntl(s, F_SETFL, 0), 0, 0);
    expect(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, 4), 0, 0);
    expect(recv(s, text, 11, MSG_WAITALL), 11, 0);
    expect(memcmp(text, "hello world", 11), 0, 0);
    expect(ioctl(s, FIONREAD, &n), 0, 0);
    expect(n, 0, 0);
    expect(shutdown(c, SHUT_WR), 0, 0);
    expect(write(c, "x", 1), -1, EPIPE);
    expect(read(s, text, 1), 0, 0);
    expect(events_of(s, 0), POLLIN | POLLOUT | POLLRDHUP, 0);
    expect(write(s, "back", 4), 4, 0);
    expect(recv(c, text, 32, 0), 4, 0);
    expect(close(s), 0, 0);
    expect(read(c, text, 1), 0, 0);
    expect(wait_events(c, POLLHUP), POLLHUP, 0);
    expect(close(c), 0, 0);
    expect(close(l), 0, 0);
}

static void refusals(void)
{
    struct sockaddr_in a;
    char text[4];
    int l = listener(&a);
    int s = must(new_socket(AF_INET, SOCK_STREAM));
    expect(events_of(s, 0), POLLOUT | POLLHUP, 0);
    expect(read(s, text, 1), -1, ENOTCONN);
    expect(write(s, "x", 1), -1, EPIPE);
    expect(shutdown(s, SHUT_RD), -1, ENOTCONN);
    expect(accept(s, NULL, NULL), -1, EINVAL);
    expect(bind(s, (void *)&a, sizeof(a)), -1, EADDRINUSE);
    expect(bind(s, (void *)&a, 4), -1, EINVAL);
    expect(close(l), 0, 0);
    expect(connect(s, (void *)&a, sizeof(a)), -1, ECONNREFUSED);
    expect(fcntl(s, F_SETFL, O_NONBLOCK), 0, 0);
    int r = connect(s, (void *)&a, sizeof(a));
    int error = errno, value = 0;
    expect(r == -1 && (error == EINPROGRESS || error == ECONNREFUSED), 1, 0);
    if (error == EINPROGRESS) {
        socklen_t size = sizeof(value);
        expect(wait_events(s, POLLOUT), POLLOUT, 0);
        expect(getsockopt(s, SOL_SOCKET, SO_ERROR, &value, &size), 0, 0);
        expect(value, ECONNREFUSED, 0);
    }
    expect(close(s), 0, 0);
    expect(socket(AF_INET, 77, 0), -1, EINVAL);
    expect(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -1, EPROTONOSUPPORT);
    expect(socket(99, SOCK_STREAM, 0), -1, EAFNOSUPPORT);
}

static void nonblocking(void)
{
    struct sockaddr_in a;
    int value = -1, l = listener(&a);
    socklen_t size = sizeof(value);
    expect(fcntl(l, F_SETFL, O_NONBLOCK), 0, 0);
    expect(accept(l, NULL, NULL), -1, EAGAIN);
    int c = must(new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
    int r = connect(c, (void *)&a, sizeof(a)), error = errno;
    expect(r == -1 && error == EINPROGRESS, 1, 0);
    expect(wait_events(c, POLLOUT), POLLOUT, 0);
    expect(getsockopt(c, SOL_SOCKET, SO_ERROR, &value, &size), 0, 0);
    expect(value, 0, 0);
    r = connect(c, (void *)&a, sizeof(a)), error = errno;
    expect(r == 0 || error == EISCONN, 1, 0); /* once it is told that it is */
    expect(wait_events(l, POLLIN), POLLIN, 0);
    int s = must(accept(l, NULL, NULL));
    static char page[65536];
    size_t total = 0, got = 0;
    for (ssize_t n; (n = write(c, page, sizeof(page))) > 0; total += (size_t)n)
        ;
    expect(write(c, page, 1), -1, EAGAIN);
    expect(total > 65536, 1, 0);
    expect(events_of(c, 0) & POLLOUT, 0, 0);
    while (got < total) {
        ssize_t n = read(s, page, sizeof(page));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    expect(got, total, 0);
    expect(wait_events(c, POLLOUT), POLLOUT, 0);
    expect(close(c), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

/* SO_SNDBUF and SO_RCVBUF bound what is on its way, wherever it waits. */
static void small_buffers(void)
{
    static char block[1024];
    struct sockaddr_in a;
    int l = listener(&a), c = must(new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
    int size = 4096;
    size_t total = 0, got = 0;
    expect(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0, 0);
    expect(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0, 0);
    expect(connect(c, (void *)&a, sizeof(a)), -1, EINPROGRESS);
    int s = must(accept(l, NULL, NULL));
    while (total < 1 << 20 && (events_of(c, 200) & POLLOUT)) {
        ssize_t n = write(c, block, sizeof(block));
        total += n > 0 ? (size_t)n : 0;
    }
    expect(total > 2048, 1, 0);
    expect(total < 96 << 10, 1, 0);
    while (got < total) {
        ssize_t n = read(s, block, sizeof(block));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    expect(got, total, 0);
    expect(wait_events(c, POLLOUT), POLLOUT, 0);
    size = 1 << 20; /* more again */
    expect(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0, 0);
    for (total = 0; total < 100 << 10 && (events_of(c, 200) & POLLOUT);) {
        ssize_t n = write(c, block, sizeof(block));
        total += n > 0 ? (size_t)n : 0;
    }
    expect(total >= 100 << 10, 1, 0);
    expect(close(c), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

static void options(void)
{
    struct sockaddr_in a;
    struct tcp_info info;
    struct timeval t = {0, 30000};
    int value = 0, l = listener(&a), c = dial(&a);
    socklen_t size = sizeof(value);
    char byte;
    expect(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0, 0);
    expect(value, 1, 0);
    expect(getsockopt(c, SOL_SOCKET, SO_PROTOCOL, &value, &size), 0, 0);
    expect(value, IPPROTO_TCP, 0);
    expect(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, 4), 0, 0);
    expect(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0, 0);
    expect(value, 1, 0);
    expect(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, 1), -1, EINVAL);
    expect(setsockopt(c, IPPROTO_TCP, 12345, &value, 4), -1, ENOPROTOOPT);
    expect(setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &value, 4), 0, 0);
    expect(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &(int){50000}, 4), 0, 0);
    expect(getsockopt(c, SOL_SOCKET, SO_SNDBUF, &value, &size), 0, 0);
    expect(value, 100000, 0);
    size = sizeof(info);
    expect(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &size), 0, 0);
    expect(info.tcpi_state, TCP_ESTABLISHED, 0);
    expect(setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0, 0);
    expect(recv(c, &byte, 1, 0), -1, EAGAIN);
    expect(read(c, &byte, 1), -1, EAGAIN);
    /* Unread bytes when it is closed: the other side gets a reset. */
    int s = must(accept(l, NULL, NULL));
    expect(write(c, "unread", 6), 6, 0);
    expect(wait_events(s, POLLIN), POLLIN, 0);
    expect(close(s), 0, 0);
    expect(wait_events(c, POLLIN), POLLIN, 0);
    expect(read(c, &byte, 1), -1, ECONNRESET);
    expect(close(c), 0, 0);
    expect(close(l), 0, 0);
}

static void datagrams(void)
{
    struct sockaddr_in a = loopback(0), b;
    socklen_t size = sizeof(a);
    static char big[70000];
    char text[32];
    int r = must(new_socket(AF_INET, SOCK_DGRAM)), s = must(new_socket(AF_INET, SOCK_DGRAM));
    expect(bind(r, (void *)&a, sizeof(a)), 0, 0);
    expect(getsockname(r, (void *)&a, &size), 0, 0);
    expect(send(s, "x", 1, 0), -1, EDESTADDRREQ);
    expect(recv(r, text, 32, MSG_DONTWAIT), -1, EAGAIN);
    expect(sendto(s, "one", 3, 0, (void *)&a, sizeof(a)), 3, 0);
    expect(sendto(s, NULL, 0, 0, (void *)&a, sizeof(a)), 0, 0);
    size = sizeof(b);
    expect(recvfrom(r, text, 2, MSG_TRUNC, (void *)&b, &size), 3, 0);
    expect(size, sizeof(b), 0);
    expect(recv(r, text, 32, 0), 0, 0);
    expect(sendto(r, "back", 4, 0, (void *)&b, sizeof(b)), 4, 0);
    expect(recv(s, text, 32, 0), 4, 0);
    expect(connect(s, (void *)&a, sizeof(a)), 0, 0);
    expect(send(s, big, 60000, 0), 60000, 0);
    expect(recv(r, big, sizeof(big), 0), 60000, 0);
    expect(send(s, big, sizeof(big), 0), -1, EMSGSIZE);
    /* Ancillary data: where it arrived. */
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec part = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    m.msg_controllen = sizeof(control);
    expect(setsockopt(r, IPPROTO_IP, IP_PKTINFO, &(int){1}, 4), 0, 0);
    expect(send(s, "info", 4, 0), 4, 0);
    expect(recvmsg(r, &m, 0), 4, 0);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    expect(h && h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO, 1, 0);
    expect(close(r), 0, 0);
    expect(send(s, "x", 1, 0), 1, 0);
    expect(wait_events(s, POLLERR), POLLERR, 0);
    expect(recv(s, text, 1, 0), -1, ECONNREFUSED);
    expect(close(s), 0, 0);
}

static void interfaces(void)
{
    struct ifaddrs *all, *one;
    struct ifreq r = {.ifr_name = "lo"};
    int s = must(new_socket(AF_INET, SOCK_DGRAM)), found = 0;
    expect(ioctl(s, SIOCGIFFLAGS, &r), 0, 0);
    expect(r.ifr_flags & IFF_LOOPBACK, IFF_LOOPBACK, 0);
    char table[4096];
    struct ifconf c = {.ifc_len = sizeof(table), .ifc_buf = table};
    expect(ioctl(s, SIOCGIFCONF, &c), 0, 0);
    for (struct ifreq *i = c.ifc_req; (char *)(i + 1) <= table + c.ifc_len; i++)
        found += !strcmp(i->ifr_name, "lo");
    expect(found, 1, 0);
    found = 0;
    if (getifaddrs(&all) == 0) {
        for (one = all; one; one = one->ifa_next)
            found += !strcmp(one->ifa_name, "lo");
        freeifaddrs(all);
        expect(found > 0, 1, 0);
    }
    expect(close(s), 0, 0);
    s = must(socket(AF_UNIX, SOCK_STREAM, 0)); /* any socket will do */
    expect(ioctl(s, SIOCGIFFLAGS, &r), 0, 0);
    expect(ioctl(s, 0x1234, &r), -1, ENOTTY);
    expect(close(s), 0, 0);
}

#define BULK 3000000
static void *bulk_writer(void *fd)
{
    static char data[BULK];
    for (size_t i = 0; i < BULK; i++)
        data[i] = (char)(i % 251);
    expect(write((int)(long)fd, data, BULK), BULK, 0);
    expect(close((int)(long)fd), 0, 0);
    return NULL;
}

static void bulk(void)
{
    struct sockaddr_in a;
    static char part[100000];
    pthread_t thread;
    size_t total = 0;
    int wrong = 0, l = listener(&a), c = dial(&a), s = must(accept(l, NULL, NULL));
    expect(pthread_create(&thread, NULL, bulk_writer, (void *)(long)c), 0, 0);
    for (ssize_t got; (got = read(s, part, sizeof(part))) > 0; total += (size_t)got)
        for (ssize_t i = 0; i < got; i++)
            wrong += part[i] != (char)((total + (size_t)i) % 251);
    expect(total, BULK, 0);
    expect(wrong, 0, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

/* Small and large ones behind each other; some begin when nothing is on its way, since what was
 * before has been answered. */
static const size_t pieces[] = {200, 35149, 1,   4096, 4097,  3, 4095,   1, 70000, 8192, 8193,
                                7,   2048,  513, 511,  65536, 5, 300001, 9, 131072};
#define PIECES     200
#define PIECES_MAX 300001
static void *piece_writer(void *arg)
{
    static char data[PIECES_MAX + 251];
    int fd = (int)(long)arg;
    size_t total = 0, count = sizeof(pieces) / sizeof(pieces[0]);
    char answer;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i % 251);
    for (size_t k = 0; k < PIECES; k++) {
        size_t size = pieces[(k * 7 + k / count) % count];
        expect(write(fd, data + total % 251, size), (long)size, 0);
        total += size;
        if (k % 5 == 4) {
            expect(write(fd, (void *)8, 100), -1, EFAULT);
            expect(write(fd, "\377", 1), 1, 0); /* which nothing else has in it */
            total++;
            expect(read(fd, &answer, 1), 1, 0);
        }
    }
    expect(close(fd), 0, 0);
    return NULL;
}

static void in_pieces(void)
{
    struct sockaddr_in a;
    static char part[50000];
    pthread_t thread;
    size_t total = 0;
    int wrong = 0, l = listener(&a), c = dial(&a), s = must(accept(l, NULL, NULL));
    expect(pthread_create(&thread, NULL, piece_writer, (void *)(long)c), 0, 0);
    for (ssize_t got; (got = read(s, part, sizeof(part))) > 0; total += (size_t)got) {
        int asked = part[got - 1] == '\377';
        for (ssize_t i = 0; i < got - asked; i++)
            wrong += part[i] != (char)((total + (size_t)i) % 251);
        if (asked)
            expect(write(s, "!", 1), 1, 0);
    }
    expect(wrong, 0, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

#define MANY 300
static void many(void)
{
    struct sockaddr_in a;
    struct epoll_event out[16];
    int l = listener(&a), ep = must(epoll_create1(0)), c[MANY], s[MANY], hits = 0;
    for (int i = 0; i < MANY; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        c[i] = dial(&a);
        s[i] = must(accept(l, NULL, NULL));
        expect(epoll_ctl(ep, EPOLL_CTL_ADD, s[i], &e), 0, 0);
    }
    expect(epoll_wait(ep, out, 16, 0), 0, 0);
    for (int i = 0; i < MANY; i += 50)
        expect(write(c[i], "ping", 4), 4, 0);
    while (hits < MANY / 50) {
        int n = epoll_wait(ep, out, 16, 5000);
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++) {
            char text[8];
            expect(out[i].data.u32 % 50, 0, 0);
            expect(read(s[out[i].data.u32], text, 8), 4, 0);
            hits++;
        }
    }
    expect(hits, MANY / 50, 0);
    for (int i = 0; i < MANY; i++) {
        expect(close(c[i]), 0, 0);
        expect(close(s[i]), 0, 0);
    }
    expect(close(ep), 0, 0);
    expect(close(l), 0, 0);
}

/* Whoever is killed has let go of its names when it is waited for. */
static void killed(void)
{
    struct sockaddr_in a = loopback(9999);
    struct timespec now;
    int s, status;
    clock_gettime(CLOCK_REALTIME, &now); /* an address that nobody else uses now */
    a.sin_addr.s_addr = htonl(0x7f010000 | ((uint32_t)now.tv_nsec & 0x7ffff) << 4 | 1);
    for (int k = 0; k < 20; k++) {
        int ready[2];
        char c;
        must(pipe(ready));
        pid_t child = must(fork());
        if (!child) {
            s = must(new_socket(AF_INET, SOCK_DGRAM));
            must(bind(s, (void *)&a, sizeof(a)));
            expect(write(ready[1], "!", 1), 1, 0);
            for (;;)
                pause();
        }
        expect(close(ready[1]), 0, 0);
        expect(read(ready[0], &c, 1), 1, 0);
        expect(kill(child, SIGKILL), 0, 0);
        expect(waitpid(child, &status, 0), child, 0);
        s = must(new_socket(AF_INET, SOCK_DGRAM));
        expect(bind(s, (void *)&a, sizeof(a)), 0, 0);
        expect(close(s), 0, 0);
        expect(close(ready[0]), 0, 0);
    }
}

/* A server that forks: the child serves the connection, the parent the next one. */
static void forking(void)
{
    struct sockaddr_in a;
    char text[8];
    int status, l = listener(&a);
    pid_t child = must(fork());
    if (child == 0) {
        int s = accept(l, NULL, NULL);
        int ok = read(s, text, 8) == 4 && write(s, "pong", 4) == 4;
        _exit(!ok);
    }
    int c = dial(&a);
    expect(write(c, "ping", 4), 4, 0);
    expect(read(c, text, 8), 4, 0);
    expect(read(c, text, 8), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    expect(close(c), 0, 0);
    expect(close(l), 0, 0);
}

static void from_files(void)
{
    struct sockaddr_in a;
    char text[32];
    FILE *f = tmpfile();
    int l = listener(&a), c = dial(&a), s = must(accept(l, NULL, NULL));
    expect(f != NULL, 1, 0);
    expect(write(fileno(f), "from a file", 11), 11, 0);
    off_t at = 5;
    expect(sendfile(c, fileno(f), &at, 100), 6, 0);
    expect(at, 11, 0);
    expect(recv(s, text, 6, MSG_WAITALL), 6, 0);
    expect(memcmp(text, "a file", 6), 0, 0);
    fclose(f);
    expect(close(c), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

static void version_six(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, b;
    socklen_t size = sizeof(a);
    char text[8];
    int l = new_socket(AF_INET6, SOCK_STREAM);
    if (l < 0 || bind(l, (void *)&a, sizeof(a)) < 0)
        return; /* the machine has none */
    must(listen(l, 1));
    must(getsockname(l, (void *)&a, &size));
    int c = must(new_socket(AF_INET6, SOCK_STREAM));
    expect(connect(c, (void *)&a, sizeof(a)), 0, 0);
    size = sizeof(b);
    int s = must(accept(l, (void *)&b, &size));
    expect(size, sizeof(b), 0);
    expect(memcmp(&b.sin6_addr, &a.sin6_addr, 16), 0, 0);
    expect(write(s, "six", 3), 3, 0);
    expect(read(c, text, 8), 3, 0);
    expect(close(c), 0, 0);
    expect(close(s), 0, 0);
    expect(close(l), 0, 0);
}

/* An urgent byte behind what was written before, in line where that is asked for. */
static void urgent(void)
{
    struct sockaddr_in a;
    char got[8] = "";
    int on = 1, l = listener(&a), c = dial(&a), s = must(accept(l, NULL, NULL));
    must(setsockopt(s, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
    expect(send(c, "one", 3, 0), 3, 0);
    expect(send(c, "two", 3, MSG_OOB), 3, 0);
    expect(recv(s, got, 6, MSG_WAITALL) > 0, 1, 0);
    size_t n = strlen(got); /* a read ends at the mark */
    while (n > 0 && n < 6) {
        ssize_t r = recv(s, got + n, 6 - n, 0);
        n = r > 0 ? n + (size_t)r : 0;
    }
    expect(memcmp(got, "onetwo", 6), 0, 0);
    close(c);
    close(s);
    close(l);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (outside = 0; outside < 2; outside++) {
        streams();
        urgent();
        refusals();
        nonblocking();
        small_buffers();
        options();
        datagrams();
        interfaces();
        bulk();
        in_pieces();
        many();
        killed();
        forking();
        from_files();
        version_six();
    }
    return test_end();
}
