/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets of the host: what streams and datagrams share. Data is fetched ahead and sent behind
 * by operations on the vCPUs' rings, so that a program's calls need no exit: they read from
 * and write to queues in the enclave, and readiness is the state of these. What comes from the
 * host is bounded here and otherwise believed as little as any network.
 */
#include "net/inet.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/answer.h"
#include "net/net.h"
#include "sched/gather.h"
#include "sched/task.h"

#define CLOSE_NS       1000000000u
#define IPPROTO_TCP    6
#define IPPROTO_UDP    17
#define PORTS_RESERVED 1024u

/* ---- sockets that found the pool of buffers empty ---- */

static struct spinlock starved_lock = SPINLOCK_INIT(RANK_PIPE);
static struct list starved = LIST_INIT(starved);
static _Atomic uint32_t starved_count;

static void arm(struct inet_sock *i)
{
    if (i->sock.type != SOCK_STREAM) {
        datagram_arm(i);
        return;
    }
    stream_arm(i);
    stream_push(i);
}

bool inet_bounce_get(struct inet_sock *i, struct bounce *b, uint32_t size)
{
    if (bounce_get(b, size))
        return true;
    spin_lock(&starved_lock);
    if (list_empty(&i->starved_node)) {
        socket_get(&i->sock);
        list_append(&starved, &i->starved_node);
        atomic_fetch_add(&starved_count, 1);
    }
    spin_unlock(&starved_lock);
    return false;
}

void inet_bounce_put(struct bounce *b)
{
    struct list *n = NULL;
    bounce_put(b);
    if (likely(!atomic_load(&starved_count)))
        return;
    spin_lock(&starved_lock);
    if ((n = list_pop(&starved)) != NULL)
        atomic_fetch_sub(&starved_count, 1);
    spin_unlock(&starved_lock);
    if (!n)
        return;
    struct inet_sock *i = list_entry(n, struct inet_sock, starved_node);
    arm(i);
    socket_put(&i->sock);
}

/* ---- life ---- */

static _Atomic uint32_t lingering; /* closed by the program, not yet at the host */
static struct wait_queue lingering_wait = {SPINLOCK_INIT(RANK_WAIT),
                                           LIST_INIT(lingering_wait.waiters)};

struct inet_sock *inet_alloc(const struct socket_ops *ops, uint32_t family, uint32_t type)
{
    struct inet_sock *i = kzalloc(sizeof(*i));
    if (!i)
        return NULL;
    socket_init(&i->sock, ops, family, type);
    i->fd = -1;
    queue_init(&i->in);
    queue_init(&i->out);
    atomic_store(&i->in_max, INET_MAX);
    atomic_store(&i->out_max, INET_MAX);
    wait_queue_init(&i->in_wait);
    wait_queue_init(&i->out_wait);
    spin_init(&i->lock, RANK_NET);
    list_init(&i->accepted);
    list_init(&i->accept_node);
    list_init(&i->starved_node);
    list_init(&i->port_node);
    list_init(&i->waiting);
    return i;
}

void inet_free(struct socket *s)
{
    struct inet_sock *i = inet_of(s);
    queue_fini(&i->in);
    queue_fini(&i->out);
    if (i->spare)
        socket_put(&i->spare->sock);
    kfree(i);
}

static int check_type(uint32_t family, uint32_t type, uint32_t protocol)
{
    if (family == AF_NETLINK) {
        if (type != SOCK_RAW && type != SOCK_DGRAM)
            return -ESOCKTNOSUPPORT;
        return protocol == 0 ? 0 : -EPROTONOSUPPORT; /* LIMIT: NETLINK_ROUTE only */
    }
    if (type == SOCK_RAW)
        return cred_can(fs_cred(), CAP_NET_RAW) ? 0 : -EPERM;
    return type == SOCK_STREAM || type == SOCK_DGRAM ? 0 : -ESOCKTNOSUPPORT;
}

int inet_socket_new(uint32_t family, uint32_t type, uint32_t protocol, struct socket **out)
{
    int r = check_type(family, type, protocol);
    if (r < 0)
        return r;
    bool stream = type == SOCK_STREAM;
    struct inet_sock *i =
        inet_alloc(stream ? &inet_stream_ops : &inet_datagram_ops, family, type);
    if (!i)
        return -ENOMEM;
    i->fd = host_socket(family, type, protocol);
    for (int tries = 0; i->fd == -ENFILE && atomic_load(&lingering) && tries < 3; tries++) {
        netop_flush(); /* some may be about to be closed */
        i->fd = host_socket(family, type, protocol);
    }
    if (i->fd < 0) {
        r = i->fd;
        socket_put(&i->sock);
        return r;
    }
    i->sock.protocol = protocol;
    if (!protocol && family != AF_NETLINK)
        i->sock.protocol = stream ? IPPROTO_TCP : IPPROTO_UDP;
    *out = &i->sock;
    return 0;
}

/* Whether the host's side has come further, it would have to be asked. */
void inet_describe(struct socket *s, struct socket_state *out)
{
    enum { ESTABLISHED = 1, SYN_SENT, FIN_WAIT2 = 5, CLOSE = 7, CLOSE_WAIT, LAST_ACK, LISTEN };
    static const uint8_t number[] = {CLOSE, LISTEN, SYN_SENT, ESTABLISHED};
    struct inet_sock *i = inet_of(s);
    spin_lock(&i->lock);
    *out = (struct socket_state){.number = number[i->state],
                                 .listening = i->state == INET_LISTENING,
                                 .in = (uint32_t)atomic_load(&i->in.bytes),
                                 .out = (uint32_t)atomic_load(&i->out.bytes)};
    if (out->listening) {
        out->in = i->accepted_count;
        out->out = i->backlog;
    } else if (i->state == INET_CONNECTED && s->type == SOCK_STREAM) {
        bool sends = !(i->down & 2);
        out->number = i->eof ? (sends ? CLOSE_WAIT : CLOSE) : sends ? ESTABLISHED : FIN_WAIT2;
    }
    spin_unlock(&i->lock);
}

bool inet_transient(int result)
{
    return result == -EINTR || result == -EAGAIN || result == -ECANCELED;
}

void inet_fail(struct inet_sock *i, int error)
{
    spin_lock(&i->lock);
    i->eof = true;
    i->down |= 2;
    spin_unlock(&i->lock);
    if (error != EPIPE)
        atomic_store(&i->sock.error, error);
    wait_wake_all(&i->in_wait);
    wait_wake_all(&i->out_wait);
}

static void control_done(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, ctl_op);
    (void)result;
    spin_lock(&i->lock);
    i->ctl_busy = false;
    bool over = i->closed;
    spin_unlock(&i->lock);
    if (!over)
        inet_close_step(i);
    else if (atomic_fetch_sub(&lingering, 1) == 1)
        wait_wake_all(&lingering_wait);
    if (over)
        wait_wake_all(&i->out_wait);
    socket_put(&i->sock);
}

void inet_close_step(struct inet_sock *i)
{
    enum { NOTHING, END_RECEIVING, CLOSE, SHUT } todo = NOTHING;
    spin_lock(&i->lock);
    if (i->closing || i->shut_write)
        gather_eager();
    bool idle = !i->out_busy && !i->ctl_busy && !atomic_load(&i->out.count);
    if (idle && i->closing && !i->closed && i->in_busy && !i->shut_sent)
        todo = END_RECEIVING;
    else if (idle && i->closing && !i->closed && !i->in_busy)
        todo = CLOSE;
    else if (idle && i->shut_write && !i->closing)
        todo = SHUT;
    i->shut_sent |= todo == END_RECEIVING;
    i->closed |= todo == CLOSE;
    if (todo == SHUT)
        i->shut_write = false;
    i->ctl_busy |= todo != NOTHING;
    spin_unlock(&i->lock);
    if (todo == NOTHING)
        return;
    socket_get(&i->sock);
    i->ctl_op.done = control_done;
    if (todo == CLOSE)
        netop_close(&i->ctl_op, i->fd);
    else if (todo == END_RECEIVING && netop_cancellable(&i->in_op))
        netop_cancel(&i->ctl_op, &i->in_op);
    else
        netop_shutdown(&i->ctl_op, i->fd,
                       todo == SHUT && i->state == INET_CONNECTED ? SHUT_WR : SHUT_RDWR);
}

/* Whoever closes a socket with a name may want the name again, and means it: it is the host's
 * no longer when close(2) returns. Connections end behind the program's back. */
static void wait_for_name(struct inet_sock *i)
{
    uint64_t deadline = clock_monotonic_ns() + CLOSE_NS;
    struct waiter w = {0};
    if (i->sock.type == SOCK_STREAM && i->state == INET_CONNECTED)
        return;
    netop_flush();
    do { /* whoever is killed closes no sooner */
        wait_prepare(&i->out_wait, &w, TASK_UNINTERRUPTIBLE);
    } while ((!i->closed || i->ctl_busy) && schedule_until(deadline));
    wait_finish(&i->out_wait, &w);
}

/* Unread bytes at the end: the peer is told by a reset, as Linux does. */
static void reset_at_close(struct inet_sock *i)
{
    const uint16_t nobody = AF_UNSPEC;
    if (i->sock.type == SOCK_STREAM && i->state == INET_CONNECTED && !i->eof &&
        atomic_load(&i->in.count))
        (void)!host_connect(i->fd, &nobody, sizeof(nobody));
}

void inet_end(struct inet_sock *i)
{
    atomic_fetch_add(&lingering, 1);
    spin_lock(&i->lock);
    i->closing = true;
    spin_unlock(&i->lock);
    inet_close_step(i);
}

void inet_release(struct socket *s)
{
    struct inet_sock *i = inet_of(s);
    struct list accepted = LIST_INIT(accepted), *n;
    reset_at_close(i);
    s->file = NULL;
    loop_unlist(i);
    if (s->type != SOCK_STREAM)
        queue_close(&i->out);
    inet_end(i);
    wait_for_name(i);
    spin_lock(&i->lock);
    while ((n = list_pop(&i->accepted)) != NULL)
        list_append(&accepted, n);
    spin_unlock(&i->lock);
    queue_close(&i->in);
    while ((n = list_pop(&accepted)) != NULL) {
        struct inet_sock *c = list_entry(n, struct inet_sock, accept_node);
        if (c->other)
            loop_end(c, true);
        else
            inet_end(c);
        socket_put(&c->sock);
    }
    loop_refuse(i);
}

void net_drain(uint64_t deadline_ns)
{
    (void)!wait_event(&lingering_wait, !atomic_load(&lingering), deadline_ns);
}

/* ---- names ---- */

int inet_name(struct socket *s, bool peer, struct sock_name *out)
{
    struct inet_sock *i = inet_of(s);
    if (peer && i->peer.size) {
        *out = i->peer;
        return 0;
    }
    uint8_t bytes[HOST_NAME_MAX];
    ssize_t r = host_sockname(i->fd, peer, bytes);
    if (r < 0)
        return (int)r;
    return answer_name(s->family, bytes, (uint32_t)r, out) ? 0 : -EIO;
}

/* The host would let us do what its own user may: the program's user decides. */
static bool may_bind(const struct sock_name *name)
{
    bool inet = name->family == AF_INET || name->family == AF_INET6;
    uint32_t port = (uint32_t)name->bytes[2] << 8 | name->bytes[3]; /* big-endian */
    return !inet || port == 0 || port >= PORTS_RESERVED ||
           cred_can(fs_cred(), CAP_NET_BIND_SERVICE);
}

int inet_bind(struct socket *s, const struct sock_name *name)
{
    struct inet_sock *i = inet_of(s);
    if (!may_bind(name))
        return -EACCES;
    int r = host_bind(i->fd, name->bytes, name->size);
    if (r < 0)
        return r;
    i->named = loop_end_of(name, &i->here);
    if (s->type == SOCK_DGRAM)
        loop_list(i);
    if (s->type != SOCK_STREAM)
        datagram_arm(i);
    return 0;
}
