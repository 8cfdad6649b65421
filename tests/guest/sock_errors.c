/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP_RECVERR and IPV6_RECVERR: what the network said of datagrams that nobody wanted is read
 * with MSG_ERRQUEUE, with the bytes, where they went and who said so; and what poll says
 * meanwhile.
 */
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include "tests/guest/test.h"

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A port of this machine at which nobody listens, and that is given to nobody by itself. */
static union name nobody(int family)
{
    union name n = {.any.sa_family = (sa_family_t)family};
    socklen_t size = family == AF_INET ? sizeof(n.v4) : sizeof(n.v6);
    int s = socket(family, SOCK_DGRAM, 0), bound = -1;
    unsigned start = 0;
    must(getrandom(&start, 2, 0));
    if (family == AF_INET)
        n.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        n.v6.sin6_addr = in6addr_loopback;
    for (int i = 0; s >= 0 && bound < 0 && i < 100; i++) {
        n.v4.sin_port = htons((uint16_t)(10000 + (start + (unsigned)i * 7919) % 20000));
        bound = bind(s, &n.any, size);
    }
    if (bound < 0)
        n.any.sa_family = AF_UNSPEC; /* the machine has no such addresses */
    close(s);
    return n;
}

static int wait_for(int fd, short wanted)
{
    struct pollfd p = {fd, wanted, 0};
    return poll(&p, 1, 20000) == 1 ? p.revents & (wanted | POLLERR) : -1;
}

static ssize_t take_error(int s, union name *from, struct sock_extended_err *e, char *bytes,
                          int *flags)
{
    union {
        struct cmsghdr align;
        char bytes[512];
    } control;
    struct iovec part = {bytes, 32};
    struct msghdr m = {.msg_name = from,
                       .msg_namelen = sizeof(*from),
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(s, &m, MSG_ERRQUEUE);
    struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    memset(e, 0, sizeof(*e));
    for (; h; h = CMSG_NXTHDR(&m, h)) {
        if ((h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_RECVERR) ||
            (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_RECVERR))
            memcpy(e, CMSG_DATA(h), sizeof(*e));
    }
    *flags = m.msg_flags;
    return n;
}

static void refused(int family, int connected)
{
    union name to = nobody(family), from;
    struct sock_extended_err e;
    char bytes[32] = "";
    int flags = 0, on = 1, level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    socklen_t size = family == AF_INET ? sizeof(to.v4) : sizeof(to.v6);
    if (to.any.sa_family == AF_UNSPEC)
        return;
    int s = must(socket(family, SOCK_DGRAM, 0));
    expect(take_error(s, &from, &e, bytes, &flags), -1, EAGAIN);
    expect(setsockopt(s, level, family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)),
           0, 0);
    expect(take_error(s, &from, &e, bytes, &flags), -1, EAGAIN);
    if (connected)
        expect(connect(s, &to.any, size), 0, 0);
    expect(sendto(s, "wanted?", 7, 0, connected ? NULL : &to.any, connected ? 0 : size), 7, 0);
    expect(wait_for(s, POLLERR), POLLERR, 0);
    expect(take_error(s, &from, &e, bytes, &flags), 7, 0);
    expect(memcmp(bytes, "wanted?", 7), 0, 0);
    expect(flags & MSG_ERRQUEUE, MSG_ERRQUEUE, 0);
    expect(e.ee_errno, ECONNREFUSED, 0);
    expect(e.ee_origin, family == AF_INET ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6, 0);
    expect(from.v4.sin_port, to.v4.sin_port, 0);
    expect(take_error(s, &from, &e, bytes, &flags), -1, EAGAIN);
    expect(recv(s, bytes, 32, MSG_DONTWAIT), -1, EAGAIN);
    /* The error itself first: what is told of it stays. */
    expect(sendto(s, "again", 5, 0, connected ? NULL : &to.any, connected ? 0 : size), 5, 0);
    expect(wait_for(s, POLLERR), POLLERR, 0);
    expect(recv(s, bytes, 32, 0), -1, ECONNREFUSED);
    expect(wait_for(s, POLLERR), POLLERR, 0);
    expect(take_error(s, &from, &e, bytes, &flags), 5, 0);
    expect(take_error(s, &from, &e, bytes, &flags), -1, EAGAIN);
    close(s);
}

int main(void)
{
    refused(AF_INET, 0);
    refused(AF_INET, 1);
    refused(AF_INET6, 0);
    refused(AF_INET6, 1);
    return test_end();
}
