/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is sent beside the bytes on UNIX sockets: descriptors, also of sockets in circles, and
 * credentials; buffers that are too small, bad descriptors, the order of things.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "tests/guest/test.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * 256)];
};

static ssize_t send_fds(int s, const int *fds, int count, const char *text, int flags)
{
    union control c = {0};
    struct iovec part = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)count);
    return sendmsg(s, &m, flags);
}

/* Bytes; *count descriptors came, *flags of the message. */
static ssize_t receive_fds(int s, int *fds, int *count, size_t room, int flags, int *got)
{
    union control c = {0};
    char text[64];
    struct iovec part = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = room;
    ssize_t n = recvmsg(s, &m, flags);
    *count = 0;
    if (got)
        *got = m.msg_flags;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); n >= 0 && h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        *count = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(h), sizeof(int) * (size_t)*count);
    }
    return n;
}

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static void rights(int type)
{
    int s[2], p[2], fds[256], count, flags;
    char text[8];
    expect(socketpair(AF_UNIX, type, 0, s), 0, 0);
    expect(pipe(p), 0, 0);
    expect(send_fds(s[0], p, 2, "two", 0), 3, 0);
    expect(close(p[0]), 0, 0);
    expect(close(p[1]), 0, 0);
    expect(receive_fds(s[1], fds, &count, CMSG_SPACE(8), MSG_CMSG_CLOEXEC, &flags), 3, 0);
    expect(count, 2, 0);
    expect(flags & MSG_CTRUNC, 0, 0);
    expect(fcntl(fds[0], F_GETFD), FD_CLOEXEC, 0);
    expect(write(fds[1], "hello", 5), 5, 0);
    expect(read(fds[0], text, 8), 5, 0);
    /* Peeking gives descriptors of its own. */
    expect(send_fds(s[0], fds, 1, "peek", 0), 4, 0);
    int more[2];
    expect(receive_fds(s[1], more, &count, CMSG_SPACE(4), MSG_PEEK, NULL), 4, 0);
    expect(count, 1, 0);
    expect(close(more[0]), 0, 0);
    /* Room for one of two: the other is closed. */
    expect(receive_fds(s[1], more, &count, CMSG_SPACE(4), 0, NULL), 4, 0);
    expect(close(more[0]), 0, 0);
    expect(send_fds(s[0], fds, 2, "cut", 0), 3, 0);
    expect(receive_fds(s[1], more, &count, CMSG_LEN(4), 0, &flags), 3, 0);
    expect(count, 1, 0);
    expect(flags & MSG_CTRUNC, MSG_CTRUNC, 0);
    expect(close(more[0]), 0, 0);
    /* No room at all, and a plain read: dropped, the pipe ends when its last writer does. */
    expect(send_fds(s[0], fds + 1, 1, "drop", 0), 4, 0);
    expect(read(s[1], text, 8), 4, 0);
    expect(close(fds[1]), 0, 0);
    expect(read(fds[0], text, 1), 0, 0);
    expect(close(fds[0]), 0, 0);
    int bad = 999;
    expect(send_fds(s[0], &bad, 1, "bad", 0), -1, EBADF);
    for (int i = 0; i < 256; i++)
        fds[i] = 1;
    expect(send_fds(s[0], fds, 254, "many", 0), -1, EINVAL);
    expect(send_fds(s[0], fds, 253, "many", 0), 4, 0);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
}

/* Bytes with descriptors end a read; what came before and after are parts of their own. */
static void order(void)
{
    int s[2], fds[4], count;
    char text[8];
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(write(s[0], "aa", 2), 2, 0);
    expect(send_fds(s[0], s, 1, "bb", 0), 2, 0);
    expect(write(s[0], "cc", 2), 2, 0);
    expect(receive_fds(s[1], fds, &count, CMSG_SPACE(4), 0, NULL), 4, 0);
    expect(count, 1, 0);
    expect(close(fds[0]), 0, 0);
    expect(read(s[1], text, 8), 2, 0);
    expect(text[0], 'c', 0);
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
}

/* The ends of a pipe travel in sockets that nobody can reach any more: the pipe must end. */
static void circles(void)
{
    int p[2], s[2], t[2], fds[2];
    char c;
    expect(pipe(p), 0, 0);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(socketpair(AF_UNIX, SOCK_DGRAM, 0, t), 0, 0);
    fds[0] = s[1];
    fds[1] = p[1];
    expect(send_fds(s[0], fds, 2, "self", 0), 4, 0); /* s[1] in its own queue */
    fds[0] = t[1];
    expect(send_fds(s[0], fds, 1, "other", 0), 5, 0);
    fds[0] = s[0];
    expect(send_fds(t[0], fds, 1, "back", 0), 4, 0); /* s[0] in t[1]'s queue */
    expect(close(t[0]), 0, 0);
    expect(close(t[1]), 0, 0);
    expect(close(p[1]), 0, 0);
    expect(close(s[0]), 0, 0);
    struct pollfd q = {p[0], POLLIN, 0};
    expect(poll(&q, 1, 0), 0, 0); /* still held */
    expect(close(s[1]), 0, 0);
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(close(s[0]), 0, 0); /* sockets that end make the kernel look */
    expect(close(s[1]), 0, 0);
    expect(poll(&q, 1, 5000), 1, 0);
    expect(read(p[0], &c, 1), 0, 0);
    expect(close(p[0]), 0, 0);
}

/* A chain of sockets, each in the next one's queue, falls as a whole. */
static void chain(void)
{
    int p[2], s[2], held, other;
    char c;
    expect(pipe(p), 0, 0);
    held = p[1];
    for (int i = 0; i < 500; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) || send_fds(s[0], &held, 1, "x", 0) != 1) {
            expect(i, 500, 0);
            break;
        }
        close(held);
        other = s[0];
        held = s[1];
        close(other);
    }
    expect(close(held), 0, 0);
    struct pollfd q = {p[0], POLLIN, 0};
    expect(poll(&q, 1, 5000), 1, 0);
    expect(read(p[0], &c, 1), 0, 0);
    expect(close(p[0]), 0, 0);
}

static void credentials(void)
{
    int s[2], on = 1;
    struct ucred u = {0}, sent = {getpid(), getuid(), getgid()};
    socklen_t size = sizeof(u);
    expect(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0, 0);
    expect(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &size), 0, 0);
    expect(u.pid, getpid(), 0);
    expect(u.uid, geteuid(), 0);
    expect(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0, 0);
    union control c = {0};
    char text[8];
    struct iovec part = {"cred", 4};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = CMSG_SPACE(sizeof(sent));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){CMSG_LEN(sizeof(sent)), SOL_SOCKET, SCM_CREDENTIALS};
    memcpy(CMSG_DATA(h), &sent, sizeof(sent));
    expect(sendmsg(s[0], &m, 0), 4, 0);
    sent.pid = getppid();
    memcpy(CMSG_DATA(h), &sent, sizeof(sent));
    if (geteuid() != 0)
        expect(sendmsg(s[0], &m, 0), -1, EPERM);
    h->cmsg_len = 8;
    expect(sendmsg(s[0], &m, 0), -1, EINVAL);
    expect(write(s[0], "plain", 5), 5, 0);
    for (int i = 0; i < 2; i++) {
        struct iovec in = {text, 8};
        memset(&c, 0, sizeof(c));
        m = (struct msghdr){.msg_iov = &in, .msg_iovlen = 1, .msg_control = &c};
        m.msg_controllen = sizeof(c);
        expect(recvmsg(s[1], &m, 0), 4 + i, 0);
        h = CMSG_FIRSTHDR(&m);
        expect(h && h->cmsg_type == SCM_CREDENTIALS, 1, 0);
        if (h)
            memcpy(&u, CMSG_DATA(h), sizeof(u));
        expect(u.pid, getpid(), 0);
        expect(u.uid, getuid(), 0);
    }
    expect(close(s[0]), 0, 0);
    expect(close(s[1]), 0, 0);
}

/* To another process, which uses what it gets. */
static void across_processes(void)
{
    int s[2], p[2], fd, count, status;
    char text[8];
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, 0);
    expect(pipe(p), 0, 0);
    pid_t child = must(fork());
    if (child == 0) {
        close(p[0]);
        close(p[1]);
        close(s[0]);
        if (receive_fds(s[1], &fd, &count, CMSG_SPACE(4), 0, NULL) != 4 || count != 1)
            _exit(1);
        _exit(write(fd, "child", 5) == 5 ? 0 : 2);
    }
    expect(close(s[1]), 0, 0);
    expect(send_fds(s[0], p + 1, 1, "take", 0), 4, 0);
    expect(close(p[1]), 0, 0);
    expect(read(p[0], text, 8), 5, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    expect(read(p[0], text, 8), 0, 0);
    expect(is_open(p[0]), 1, 0);
    expect(close(p[0]), 0, 0);
    expect(close(s[0]), 0, 0);
}

int main(void)
{
    rights(SOCK_STREAM);
    rights(SOCK_DGRAM);
    order();
    circles();
    chain();
    credentials();
    across_processes();
    return test_end();
}
