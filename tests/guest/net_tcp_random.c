/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP connections to a server of the same program, in other threads and in another process:
 * both ends send and receive at once, in pieces of any size and by any call, and check each
 * byte. Ends that leave early may give their peer ECONNRESET and EPIPE, nothing else.
 * NET_SEED repeats one run.  TIMEOUT: 120
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "tests/guest/test.h"

#define CONNECTIONS 12
#define BYTES_MAX   600000u
#define PIECE_MAX   40000u

/* One end of a connection. */
struct end {
    int fd;
    uint64_t random;
    uint64_t sends, receives; /* seeds of the two streams */
    uint32_t to_send, sent, to_receive, received;
    bool leaves_early; /* this end, having sent half */
    bool peer_leaves;
};

static unsigned long base_seed = 1;
static struct sockaddr_in6 address;
static _Atomic int wrong;

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15ull;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ull;
    return x ^ x >> 32;
}

static uint32_t below(struct end *e, uint32_t n)
{
    return (uint32_t)(mix(++e->random) % n);
}

static unsigned char byte_of(uint64_t stream, uint32_t at)
{
    return (unsigned char)(mix(stream + at / 8) >> at % 8 * 8);
}

static void complain(const struct end *e, const char *what)
{
    if (atomic_fetch_add(&wrong, 1) < 8)
        fprintf(stderr, "%s (errno %d), sent %u of %u, received %u of %u, NET_SEED=%lu\n", what,
                errno, e->sent, e->to_send, e->received, e->to_receive, base_seed);
}

/* ---- one piece ---- */

static ssize_t send_piece(struct end *e, unsigned char *b, size_t n)
{
    struct iovec v[2] = {{b, n / 3}, {b + n / 3, n - n / 3}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

    switch (below(e, 4)) {
    case 0:
        return write(e->fd, b, n);
    case 1:
        return writev(e->fd, v, 2);
    case 2:
        return sendmsg(e->fd, &m, MSG_NOSIGNAL);
    default:
        return send(e->fd, b, n, MSG_NOSIGNAL | (below(e, 2) ? MSG_MORE : 0));
    }
}

static ssize_t receive_piece(struct end *e, unsigned char *b, size_t n)
{
    struct iovec v[2] = {{b, n / 3}, {b + n / 3, n - n / 3}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

    switch (below(e, 5)) {
    case 0:
        return read(e->fd, b, n);
    case 1:
        return readv(e->fd, v, 2);
    case 2:
        return recvmsg(e->fd, &m, MSG_DONTWAIT);
    case 3:
        if (recv(e->fd, b, n, MSG_PEEK) < 0)
            return -1;
        memset(b, 0xee, n);
        return recv(e->fd, b, n, 0);
    default:
        return recv(e->fd, b, n, below(e, 8) ? 0 : MSG_WAITALL);
    }
}

/* True if the connection is over for this end. */
static bool over(struct end *e, const char *what)
{
    if (errno == EAGAIN || errno == EINTR)
        return false;
    if (e->peer_leaves && (errno == ECONNRESET || errno == EPIPE))
        return true;
    complain(e, what);
    return true;
}

static bool send_some(struct end *e)
{
    static _Thread_local unsigned char b[PIECE_MAX];
    uint32_t n = 1 + below(e, below(e, 2) ? 100 : PIECE_MAX), left = e->to_send - e->sent;

    n = n < left ? n : left;
    for (uint32_t i = 0; i < n; i++)
        b[i] = byte_of(e->sends, e->sent + i);
    ssize_t did = send_piece(e, b, n);
    if (did < 0)
        return over(e, "send");
    e->sent += (uint32_t)did;
    if (e->sent == e->to_send && shutdown(e->fd, SHUT_WR) && !e->peer_leaves)
        complain(e, "shutdown");
    return e->leaves_early && e->sent > e->to_send / 2;
}

/* *ended: nothing more comes. */
static bool receive_some(struct end *e, bool *ended)
{
    static _Thread_local unsigned char b[PIECE_MAX];
    uint32_t n = 1 + below(e, below(e, 2) ? 100 : PIECE_MAX);
    ssize_t did = receive_piece(e, b, n);

    if (did < 0)
        return over(e, "receive");
    for (ssize_t i = 0; i < did; i++) {
        if (b[i] != byte_of(e->receives, e->received + (uint32_t)i)) {
            complain(e, "a byte differs");
            return true;
        }
    }
    e->received += (uint32_t)did;
    *ended = did == 0;
    if (e->received > e->to_receive)
        complain(e, "more than was sent");
    if (*ended && e->received < e->to_receive && !e->peer_leaves)
        complain(e, "less than was sent");
    return false;
}

/* ---- one end ---- */

static void converse(struct end *e)
{
    bool ended = false;

    fcntl(e->fd, F_SETFL, O_NONBLOCK);
    while (!ended || e->sent < e->to_send) {
        short events = (short)((ended ? 0 : POLLIN) | (e->sent < e->to_send ? POLLOUT : 0));
        struct pollfd p = {.fd = e->fd, .events = events};
        int n = poll(&p, 1, 20000);
        if (n != 1) {
            complain(e, "poll");
            break;
        }
        if (p.revents & POLLNVAL) {
            complain(e, "POLLNVAL");
            break;
        }
        if ((p.revents & (POLLOUT | POLLERR)) && e->sent < e->to_send && send_some(e))
            break;
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) && !ended && receive_some(e, &ended))
            break;
    }
    close(e->fd);
}

static void prepare(struct end *e, int fd, unsigned long number, bool server)
{
    uint64_t both = mix(base_seed * 1000 + number);
    uint32_t lengths[2] = {(uint32_t)(mix(both) % BYTES_MAX),
                           (uint32_t)(mix(both + 1) % 50000)};
    bool leaves[2] = {number % 4 == 1, number % 4 == 3};

    *e = (struct end){.fd = fd, .random = mix(both + server)};
    e->sends = mix(both + 10 + server);
    e->receives = mix(both + 10 + !server);
    e->to_send = lengths[server ^ (number & 1)];
    e->to_receive = lengths[!server ^ (number & 1)];
    e->leaves_early = leaves[server];
    e->peer_leaves = leaves[!server];
}

static void *serve(void *argument)
{
    struct end *e = argument;
    uint32_t number;

    if (recv(e->fd, &number, sizeof(number), MSG_WAITALL) != sizeof(number))
        complain(e, "no number");
    else {
        prepare(e, e->fd, number, true);
        converse(e);
    }
    free(e);
    return NULL;
}

static void *call(void *argument)
{
    uint32_t number = (uint32_t)(uintptr_t)argument;
    struct end e;
    int s = must(socket(AF_INET6, SOCK_STREAM, 0)), one = 1;

    prepare(&e, s, number, false);
    if (number % 3 == 0) {
        int small = 8192;
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        setsockopt(s, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    must(connect(s, (struct sockaddr *)&address, sizeof(address)));
    if (send(s, &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number))
        complain(&e, "the number");
    converse(&e);
    return NULL;
}

static void call_all(uint32_t from)
{
    pthread_t threads[CONNECTIONS / 2];

    for (uint32_t i = 0; i < CONNECTIONS / 2; i++)
        pthread_create(&threads[i], NULL, call, (void *)(uintptr_t)(from + i));
    for (uint32_t i = 0; i < CONNECTIONS / 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    socklen_t size = sizeof(address);
    pthread_t threads[CONNECTIONS], caller;
    const char *text = getenv("NET_SEED");

    base_seed = text ? strtoul(text, NULL, 10) : 1;
    signal(SIGPIPE, SIG_IGN);
    int s = must(socket(AF_INET6, SOCK_STREAM, 0));
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    must(bind(s, (struct sockaddr *)&address, size));
    must(getsockname(s, (struct sockaddr *)&address, &size));
    must(listen(s, 64));
    pid_t child = must(fork());
    if (child == 0) {
        close(s);
        call_all(CONNECTIONS / 2);
        _exit(atomic_load(&wrong) != 0);
    }
    pthread_create(&caller, NULL, (void *(*)(void *))(void *)call_all, NULL);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct end *e = calloc(1, sizeof(*e));
        e->fd = must(accept(s, NULL, NULL));
        pthread_create(&threads[i], NULL, serve, e);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(caller, NULL);
    int status;
    expect(waitpid(child, &status, 0) == child && status == 0, 1, 0);
    expect(atomic_load(&wrong), 0, 0);
    return test_end();
}
