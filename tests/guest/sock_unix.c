/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UNIX sockets: pairs, names, connections, datagrams, what poll and shutdown say, timeouts.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "tests/guest/test.h"

static socklen_t abstract(struct sockaddr_un *a, const char *name)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path + 1, name, strlen(name));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int events_of(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void stream_pair(void)
{
    int s[2], n = 0;
    char text[32];
    struct stat st;
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0, 0);
    expect(fcntl(s[0], F_GETFD), FD_CLOEXEC, 0);
    expect(fcntl(s[0], F_GETFL), O_RDWR | O_NONBLOCK, 0);
    expect(fstat(s[0], &st), 0, 0);
    expect(S_ISSOCK(st.st_mode) != 0, 1, 0);
    expect(lseek(s[0], 0, SEEK_SET), -1, ESPIPE);
    expect(read(s[0], text, 1), -1, EAGAIN);
    expect(events_of(s[0]), POLLOUT, 0);
    expect(write(s[1], "hello", 5), 5, 0);
    expect(write(s[1], " world", 6), 6, 0);
    expect(ioctl(s[0], FIONREAD, &n), 0, 0);
    expect(n, 11, 0);
    expect(events_of(s[0]), POLLIN | POLLOUT, 0);
    expect(recv(s[0], text, 32, MSG_PEEK), 11, 0);
    expect(recv(s[0], text, 3, MSG_DONTWAIT), 3, 0);
    expect(recv(s[0], text, 32, 0), 8, 0);
    expect(memcmp(text, "lo world", 8), 0, 0);
    expect(shutdown(s[1], SHUT_WR), 0, 0);
    expect(events_of(s[0]), POLLIN | POLLOUT | POLLRDHUP, 0);
    expect(read(s[0], text, 1), 0, 0);
    expect(send(s[1], "x", 1, MSG_NOSIGNAL), -1, EPIPE);
    expect(write(s[0], "back", 4), 4, 0);
    expect(read(s[1], text, 32), 4, 0);
    expect(close(s[1]), 0, 0);
    expect(events_of(s[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP, 0);
    expect(send(s[0], "x", 1, MSG_NOSIGNAL), -1, EPIPE);
    expect(close(s[0]), 0, 0);
    expect(socketpair(AF_UNIX, 99, 0, s), -1, EINVAL);
    expect(socketpair(AF_UNIX, 7, 0, s), -1, ESOCKTNOSUPPORT);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 77, s), -1, EPROTONOSUPPORT);
    expect(socketpair(AF_INET, SOCK_STREAM, 0, s), -1, EOPNOTSUPP);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL), -1, EFAULT);
    expect(send(0, "x", 1, 0), -1, ENOTSOCK);
    expect(send(999, "x", 1, 0), -1, EBADF);
}

static int pipe_signals;
static void on_pipe(int sig)
{
    pipe_signals++;
}

static void broken_pipes(void)
{
    int s[2];
    char byte;
    signal(SIGPIPE, on_pipe);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(write(s[0], "unread", 6), 6, 0);
    expect(close(s[1]), 0, 0);
    expect(read(s[0], &byte, 1), -1, ECONNRESET);
    expect(read(s[0], &byte, 1), 0, 0);
    expect(write(s[0], "x", 1), -1, EPIPE);
    expect(pipe_signals, 1, 0);
    expect(send(s[0], "x", 1, 0), -1, EPIPE);
    expect(pipe_signals, 2, 0);
    expect(send(s[0], "x", 1, MSG_NOSIGNAL), -1, EPIPE);
    expect(pipe_signals, 2, 0);
    expect(close(s[0]), 0, 0);
}

static void packets(int type)
{
    int s[2], n;
    char text[32];
    struct iovec parts[2] = {{"ab", 2}, {"cdef", 4}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    expect(socketpair(AF_UNIX, type, 0, s), 0, 0);
    expect(sendmsg(s[0], &m, 0), 6, 0);
    expect(write(s[0], "second", 6), 6, 0);
    expect(ioctl(s[1], FIONREAD, &n), 0, 0);
    expect(n, type == SOCK_DGRAM ? 6 : 12, 0);
    struct iovec in = {text, 4};
    m = (struct msghdr){.msg_iov = &in, .msg_iovlen = 1};
    expect(recvmsg(s[1], &m, MSG_PEEK | MSG_TRUNC), 6, 0);
    expect(recvmsg(s[1], &m, 0), 4, 0);
    expect(m.msg_flags & MSG_TRUNC, MSG_TRUNC, 0);
    expect(memcmp(text, "abcd", 4), 0, 0);
    expect(read(s[1], text, 32), 6, 0);
    expect(memcmp(text, "second", 6), 0, 0);
    expect(recv(s[1], text, 32, MSG_DONTWAIT), -1, EAGAIN);
    static char big[300000];
    expect(send(s[0], big, sizeof(big), 0), -1, EMSGSIZE);
    expect(close(s[0]), 0, 0);
    if (type == SOCK_SEQPACKET)
        expect(recv(s[1], text, 32, 0), 0, 0);
    expect(send(s[1], "x", 1, MSG_NOSIGNAL), -1, type == SOCK_DGRAM ? ECONNREFUSED : EPIPE);
    expect(close(s[1]), 0, 0);
}

static void *client(void *name)
{
    struct sockaddr_un a;
    socklen_t size = abstract(&a, name);
    char text[8];
    int c = must(socket(AF_UNIX, SOCK_STREAM, 0));
    expect(connect(c, (void *)&a, size), 0, 0);
    expect(write(c, "ping", 4), 4, 0);
    expect(read(c, text, 8), 4, 0);
    expect(memcmp(text, "pong", 4), 0, 0);
    expect(close(c), 0, 0);
    return NULL;
}

static void connections(void)
{
    struct sockaddr_un a, b;
    char name[32], text[8];
    pthread_t thread;
    snprintf(name, sizeof(name), "test-%d", getpid());
    socklen_t size = abstract(&a, name), got = sizeof(b);
    int l = must(socket(AF_UNIX, SOCK_STREAM, 0));
    expect(events_of(l), POLLOUT | POLLHUP, 0);
    expect(listen(l, 1), -1, EINVAL);
    expect(bind(l, (void *)&a, size), 0, 0);
    expect(bind(l, (void *)&a, size), -1, EINVAL);
    int other = must(socket(AF_UNIX, SOCK_STREAM, 0));
    expect(bind(other, (void *)&a, size), -1, EADDRINUSE);
    expect(connect(other, (void *)&a, size), -1, ECONNREFUSED);
    expect(listen(l, 1), 0, 0);
    expect(getsockname(l, (void *)&b, &got), 0, 0);
    expect(got, size, 0);
    expect(memcmp(&a, &b, size), 0, 0);
    expect(getpeername(l, (void *)&b, &got), -1, ENOTCONN);
    expect(pthread_create(&thread, NULL, client, name), 0, 0);
    got = sizeof(b);
    int c = must(accept4(l, (void *)&b, &got, SOCK_CLOEXEC));
    expect(got, 2, 0);
    expect(b.sun_family, AF_UNIX, 0);
    expect(read(c, text, 8), 4, 0);
    expect(write(c, "pong", 4), 4, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(read(c, text, 8), 0, 0);
    expect(close(c), 0, 0);
    /* The backlog: one more than asked for. */
    int waiting[3];
    for (int i = 0; i < 3; i++) {
        waiting[i] = must(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        expect(connect(waiting[i], (void *)&a, size), i < 2 ? 0 : -1, EAGAIN);
    }
    expect(events_of(l), POLLIN, 0);
    expect(close(l), 0, 0);
    expect(read(waiting[0], text, 1), -1, ECONNRESET);
    expect(connect(waiting[2], (void *)&a, size), -1, ECONNREFUSED);
    for (int i = 0; i < 3; i++)
        expect(close(waiting[i]), 0, 0);
    expect(close(other), 0, 0);
}

static void paths(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"}, b;
    socklen_t got = sizeof(b);
    struct stat st;
    int l = must(socket(AF_UNIX, SOCK_STREAM, 0)), c = must(socket(AF_UNIX, SOCK_STREAM, 0));
    expect(bind(l, (void *)&a, sizeof(a)), 0, 0);
    expect(stat("sock", &st), 0, 0);
    expect(S_ISSOCK(st.st_mode) != 0, 1, 0);
    expect(open("sock", O_RDONLY), -1, ENXIO);
    expect(bind(c, (void *)&a, sizeof(a)), -1, EADDRINUSE);
    expect(getsockname(l, (void *)&b, &got), 0, 0);
    expect(got, 2 + 5, 0);
    expect(strcmp(b.sun_path, "sock"), 0, 0);
    expect(listen(l, 5), 0, 0);
    expect(connect(c, (void *)&a, sizeof(a)), 0, 0);
    expect(connect(c, (void *)&a, sizeof(a)), -1, EISCONN);
    got = sizeof(b);
    expect(getpeername(c, (void *)&b, &got), 0, 0);
    expect(strcmp(b.sun_path, "sock"), 0, 0);
    int d = must(socket(AF_UNIX, SOCK_DGRAM, 0));
    expect(connect(d, (void *)&a, sizeof(a)), -1, EPROTOTYPE);
    expect(close(l), 0, 0);
    int e = must(socket(AF_UNIX, SOCK_STREAM, 0));
    expect(connect(e, (void *)&a, sizeof(a)), -1, ECONNREFUSED);
    expect(unlink("sock"), 0, 0);
    expect(connect(e, (void *)&a, sizeof(a)), -1, ENOENT);
    test_write_file("file", "x");
    memcpy(a.sun_path, "file", 5);
    expect(connect(e, (void *)&a, sizeof(a)), -1, ECONNREFUSED);
    a.sun_family = AF_INET;
    expect(connect(e, (void *)&a, sizeof(a)), -1, EINVAL);
    expect(close(c), 0, 0);
    expect(close(d), 0, 0);
    expect(close(e), 0, 0);
}

static void datagrams(void)
{
    struct sockaddr_un a, b;
    char name[32], text[16];
    snprintf(name, sizeof(name), "dgram-%d", getpid());
    socklen_t size = abstract(&a, name), got;
    int r = must(socket(AF_UNIX, SOCK_DGRAM, 0)), s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
    expect(bind(r, (void *)&a, size), 0, 0);
    expect(send(s, "x", 1, 0), -1, ENOTCONN);
    expect(sendto(s, "one", 3, 0, (void *)&a, size), 3, 0);
    got = sizeof(b);
    expect(recvfrom(r, text, 16, 0, (void *)&b, &got), 3, 0);
    expect(got, 0, 0);
    sa_family_t family = AF_UNIX;
    expect(bind(s, (void *)&family, sizeof(family)), 0, 0); /* a name is chosen */
    got = sizeof(b);
    expect(getsockname(s, (void *)&b, &got), 0, 0);
    expect(got, 2 + 6, 0);
    expect(connect(s, (void *)&a, size), 0, 0);
    expect(send(s, "two", 3, 0), 3, 0);
    expect(send(s, "", 0, 0), 0, 0);
    got = sizeof(b);
    expect(recvfrom(r, text, 16, 0, (void *)&b, &got), 3, 0);
    expect(got, 2 + 6, 0);
    expect(recv(r, text, 16, 0), 0, 0);
    expect(sendto(r, "back", 4, 0, (void *)&b, got), 4, 0);
    expect(recv(s, text, 16, 0), 4, 0);
    int count = 0;
    while (send(s, "fill", 4, MSG_DONTWAIT) == 4)
        count++;
    expect(count, 11, 0);
    expect(send(s, "fill", 4, MSG_DONTWAIT), -1, EAGAIN);
    expect(events_of(s), 0, 0);
    expect(recv(r, text, 16, 0), 4, 0);
    expect(events_of(s), POLLOUT, 0);
    expect(close(r), 0, 0);
    expect(send(s, "x", 1, 0), -1, ECONNREFUSED);
    expect(close(s), 0, 0);
}

static void timeouts(void)
{
    int s[2], on = 1;
    char c;
    struct timeval t = {0, 30000}, now;
    socklen_t size = sizeof(now);
    static char page[4096];
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0, 0);
    expect(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)), 0, 0);
    expect(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &now, &size), 0, 0);
    expect(now.tv_usec >= 30000 && now.tv_usec < 40000, 1, 0);
    expect(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, 4), -1, EINVAL);
    expect(recv(s[0], &c, 1, 0), -1, EAGAIN);
    expect(read(s[0], &c, 1), -1, EAGAIN);
    while (write(s[0], page, sizeof(page)) == sizeof(page))
        ;
    expect(send(s[0], page, 1, 0), -1, EAGAIN);
    expect(write(s[1], "abc", 3), 3, 0);
    expect(recv(s[0], page, 5, MSG_WAITALL), 3, 0);
    expect(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0, 0);
    expect(setsockopt(s[0], SOL_SOCKET, 9999, &on, sizeof(on)), -1, ENOPROTOOPT);
    expect(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &on, sizeof(on)), -1, ENOPROTOOPT);
    int type = 0;
    size = sizeof(type);
    expect(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &size), 0, 0);
    expect(type, SOCK_STREAM, 0);
    expect(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &type, &size), 0, 0);
    expect(type, AF_UNIX, 0);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
}

static void *sender(void *end)
{
    static char data[1000000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i % 251);
    expect(write((int)(long)end, data, sizeof(data)), sizeof(data), 0);
    expect(close((int)(long)end), 0, 0);
    return NULL;
}

static void bulk(void)
{
    int s[2], wrong = 0;
    static char part[100000];
    pthread_t thread;
    size_t total = 0;
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(pthread_create(&thread, NULL, sender, (void *)(long)s[1]), 0, 0);
    for (ssize_t got; (got = recv(s[0], part, sizeof(part), MSG_WAITALL)) > 0;
         total += (size_t)got)
        for (ssize_t i = 0; i < got; i++)
            wrong += part[i] != (char)((total + (size_t)i) % 251);
    expect(total, 1000000, 0);
    expect(wrong, 0, 0);
    expect(pthread_join(thread, NULL), 0, 0);
    expect(close(s[0]), 0, 0);
}

static void many(void)
{
    int s[2];
    char text[4][4] = {"one", "two", "six"}, in[4][4];
    struct iovec out_parts[3], in_parts[4];
    struct mmsghdr out[3] = {0}, got[4] = {0};
    for (int i = 0; i < 4; i++) {
        in_parts[i] = (struct iovec){in[i], 4};
        got[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
        if (i == 3)
            break;
        out_parts[i] = (struct iovec){text[i], (size_t)i + 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
    }
    expect(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0, 0);
    expect(sendmmsg(s[0], out, 3, 0), 3, 0);
    expect(out[2].msg_len, 3, 0);
    expect(recvmmsg(s[1], got, 4, MSG_WAITFORONE, NULL), 3, 0);
    expect(got[0].msg_len == 1 && got[1].msg_len == 2 && got[2].msg_len == 3, 1, 0);
    expect(memcmp(in[2], "six", 3), 0, 0);
    expect(recvmmsg(s[1], got, 4, MSG_DONTWAIT, NULL), -1, EAGAIN);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
}

int main(void)
{
    test_dir();
    stream_pair();
    broken_pipes();
    packets(SOCK_DGRAM);
    packets(SOCK_SEQPACKET);
    connections();
    paths();
    datagrams();
    timeouts();
    bulk();
    many();
    return test_end();
}
