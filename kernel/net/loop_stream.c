/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections inside the enclave. Two sockets hold references on each other from connect(2) on,
 * each until its own file goes, so that whoever works on one may use the other. A writer puts
 * packets into the reader's queue; what both have set as buffers limits what waits there.
 * Resets are what TCP would make of the same events.
 */
#include "net/loop.h"

#include "abi/errno.h"
#include "abi/poll.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "net/inet.h"

#define PART_MAX 32768u
#define PART_MIN 2048u

/* ---- connecting ---- */

static void wake(struct inet_sock *i)
{
    wait_wake_all(&i->in_wait);
    wait_wake_all(&i->out_wait);
}

static bool full(const struct inet_sock *listener)
{
    return listener->accepted_count > listener->backlog;
}

/* The server's end: what it has set on the listener holds for the connection. */
static struct inet_sock *answer_end(struct inet_sock *listener, struct inet_sock *i)
{
    struct inet_sock *c = inet_alloc(&loop_stream_ops, listener->sock.family, SOCK_STREAM);
    if (!c)
        return NULL;
    c->sock.protocol = listener->sock.protocol;
    c->state = INET_CONNECTED;
    c->here = i->there;
    c->there = i->here;
    c->untold = true;
    memcpy(c->set, listener->set, sizeof(c->set));
    c->set_count = listener->set_count;
    atomic_store(&c->in_max, listener->in_max);
    atomic_store(&c->out_max, listener->out_max);
    c->linger = listener->linger;
    c->inline_urgent = listener->inline_urgent;
    return c;
}

/* -ECONNREFUSED: it does not listen any more. */
static int enqueue(struct inet_sock *listener, struct inet_sock *i, struct inet_sock *c)
{
    spin_lock(&listener->lock);
    bool open = listener->state == INET_LISTENING && !listener->closing, wait = full(listener);
    if (open && wait)
        list_append(&listener->waiting, &c->accept_node);
    else if (open)
        list_append(&listener->accepted, &c->accept_node);
    listener->accepted_count += open && !wait;
    if (open && !wait) /* nobody waits for it yet, who would have to be woken */
        i->state = INET_CONNECTED;
    spin_unlock(&listener->lock);
    if (!open)
        return -ECONNREFUSED;
    wait_wake(&listener->in_wait, 1);
    return wait ? -EINPROGRESS : 0;
}

static int join(struct inet_sock *i, struct inet_sock *listener)
{
    int r = loop_port_take(i);
    if (r < 0)
        return r;
    struct inet_sock *c = answer_end(listener, i);
    if (!c) {
        loop_unlist(i);
        return -ENOBUFS;
    }
    c->other = inet_of(socket_get(&i->sock));
    i->other = inet_of(socket_get(&c->sock));
    atomic_store(&i->sock.ops, &loop_stream_ops);
    r = enqueue(listener, i, c);
    if (r == -ECONNREFUSED) {
        atomic_store(&i->sock.ops, &inet_stream_ops);
        loop_unlist(i);
        i->other = c->other = NULL;
        socket_put(&i->sock);
        socket_put(&c->sock);
        socket_put(&c->sock);
    }
    return r;
}

bool loop_connect(struct inet_sock *i, const struct sock_name *name, int *result)
{
    struct loop_end to, from, before = i->here;
    if (!loop_wants(i, name, &to) || !loop_source(i, &to, &from))
        return false;
    struct inet_sock *listener = loop_find(SOCK_STREAM, &to, &from);
    if (!listener)
        return false;
    i->here = from;
    i->there = to;
    *result = join(i, listener);
    if (*result < 0 && *result != -EINPROGRESS)
        i->here = before;
    socket_put(&listener->sock);
    if (*result == -ECONNREFUSED) /* it has stopped listening: the host knows what that means */
        return false;
    spin_lock(&i->lock);
    i->ctl_busy = false;
    spin_unlock(&i->lock);
    if (*result == 0) /* it may be watched already */
        wake(i);
    return true;
}

/* The client's end of a connection that waited, let in or sent away. */
static void settle(struct inet_sock *c, int error)
{
    struct inet_sock *i = c->other, *dropped = NULL;
    spin_lock(&i->lock);
    bool waits = i->state == INET_CONNECTING && !i->closing;
    if (waits)
        i->state = error ? INET_FRESH : INET_CONNECTED;
    if (waits && error) {
        atomic_store(&i->sock.ops, &inet_stream_ops);
        dropped = i->other;
        i->other = NULL;
    }
    spin_unlock(&i->lock);
    if (waits && error) {
        atomic_store(&i->sock.error, error);
        loop_unlist(i);
    }
    wait_wake_all(&i->in_wait);
    wait_wake_all(&i->out_wait);
    if (dropped)
        socket_put(&dropped->sock);
}

void loop_admit(struct inet_sock *listener)
{
    struct inet_sock *c = NULL;
    spin_lock(&listener->lock);
    if (!list_empty(&listener->waiting) && !full(listener)) {
        c = list_entry(list_pop(&listener->waiting), struct inet_sock, accept_node);
        socket_get(&c->sock);
        list_append(&listener->accepted, &c->accept_node);
        listener->accepted_count++;
    }
    spin_unlock(&listener->lock);
    if (!c)
        return;
    settle(c, 0);
    wait_wake(&listener->in_wait, 1);
    socket_put(&c->sock);
}

static struct inet_sock *next_waiting(struct inet_sock *listener)
{
    spin_lock(&listener->lock);
    struct list *n = list_pop(&listener->waiting);
    spin_unlock(&listener->lock);
    return n ? list_entry(n, struct inet_sock, accept_node) : NULL;
}

void loop_refuse(struct inet_sock *listener)
{
    struct inet_sock *c, *i;
    while ((c = next_waiting(listener)) != NULL) {
        i = c->other;
        settle(c, ECONNREFUSED);
        queue_close(&c->in);
        c->other = NULL;
        socket_put(&i->sock);
        socket_put(&c->sock);
    }
}

/* ---- the end ---- */

/* Both have said that they send no more, or it was reset. */
static bool over(const struct inet_sock *i)
{
    return i->eof && (i->down & 2);
}

static void was_reset(struct inet_sock *i)
{
    spin_lock(&i->lock);
    bool already = over(i), half = i->eof;
    i->eof = true;
    i->down |= 2;
    spin_unlock(&i->lock);
    if (!already)
        atomic_store(&i->sock.error, half ? EPIPE : ECONNRESET);
}

void loop_end(struct inet_sock *i, bool reset)
{
    spin_lock(&i->lock);
    struct inet_sock *to = i->other;
    i->other = NULL;
    i->closing = true;
    spin_unlock(&i->lock);
    queue_close(&i->in);
    if (to && to->state == INET_CONNECTED) {
        if (reset)
            was_reset(to);
        to->eof = true;
        to->lost = true;
        wake(to);
    }
    loop_unlist(i);
    if (i->fd >= 0)
        inet_end(i);
    if (to)
        socket_put(&to->sock);
}

static void loop_release(struct socket *s)
{
    struct inet_sock *i = inet_of(s);
    bool abort = i->linger.on && !i->linger.seconds;
    s->file = NULL;
    loop_end(i, abort || atomic_load(&i->in.count));
}

static int loop_shutdown(struct socket *s, int how)
{
    struct inet_sock *i = inet_of(s), *to = i->other;
    if (i->state != INET_CONNECTED || over(i))
        return -ENOTCONN;
    spin_lock(&i->lock);
    i->down |= (uint32_t)how + 1;
    spin_unlock(&i->lock);
    if (how != SHUT_RD) {
        to->eof = true;
        wake(to);
    }
    wake(i);
    return 0;
}

/* ---- data ---- */

/* Bytes that may still be put before `to`. */
static uint64_t room(const struct inet_sock *i, const struct inet_sock *to)
{
    uint64_t limit = (uint64_t)i->out_max + to->in_max;
    uint64_t used = atomic_load(&to->in.charge);
    return used < limit ? limit - used : 0;
}

/* Its file is gone, or says that it neither sends nor receives any more. */
static bool nowhere(const struct inet_sock *i, const struct inet_sock *to)
{
    return i->lost || to->down == 3;
}

static bool writable(const struct inet_sock *i, const struct inet_sock *to)
{
    /* A third is free. */
    return nowhere(i, to) || room(i, to) >= atomic_load(&to->in.charge) / 2;
}

/* Nobody is there: TCP would take the first bytes, be told by a reset, and take no more. */
static ssize_t send_nowhere(struct inet_sock *i, struct message *m)
{
    size_t size = m->data->remaining;
    was_reset(i);
    wake(i);
    iter_advance(m->data, size);
    return (ssize_t)size;
}

static int put(struct inet_sock *to, struct message *m, uint32_t size)
{
    struct packet *p = packet_new(size);
    if (!p)
        return -ENOBUFS;
    int r = iter_copy_from(m->data, p->data, size) < size ? -EFAULT : 0;
    if (r == 0 && !queue_push(&to->in, p))
        r = -EPIPE;
    if (r < 0)
        packet_free(p);
    else
        wait_wake_all(&to->in_wait);
    return r;
}

static int may_send(struct inet_sock *i)
{
    int e = socket_error(&i->sock);
    if (e)
        return e;
    if (i->state != INET_CONNECTED)
        return i->state == INET_CONNECTING ? -EAGAIN : -EPIPE;
    return i->down & 2 ? -EPIPE : 0;
}

/* The last byte of what is left is urgent. */
static int send_urgent(struct inet_sock *to, struct message *m)
{
    uint8_t byte;
    struct iter copy = *m->data;
    if (iter_copy_from(&copy, &byte, 1) < 1)
        return -EFAULT;
    spin_lock(&to->lock);
    to->urgent_ahead = atomic_load(&to->in.bytes);
    to->urgent_byte = byte;
    to->urgent_state = URGENT_THERE;
    spin_unlock(&to->lock);
    if (to->inline_urgent)
        return put(to, m, 1);
    iter_advance(m->data, 1);
    wait_wake_all(&to->in_wait);
    return 0;
}

/* How much of what is left goes into the next packet; the urgent byte is one of its own. */
static size_t part(const struct message *m, uint64_t free, bool urgent)
{
    size_t left = m->data->remaining, most = (size_t)MIN(MAX(free, PART_MIN), PART_MAX);
    if (urgent && left > 1)
        left--;
    return MIN(left, most);
}

static ssize_t loop_send(struct socket *s, struct message *m, uint32_t flags)
{
    struct inet_sock *i = inet_of(s), *to = i->other;
    ssize_t done = 0;
    int r = may_send(i);
    while (r == 0 && m->data->remaining) {
        uint64_t free = room(i, to);
        size_t size = part(m, free, flags & MSG_OOB);
        if (nowhere(i, to))
            return done + send_nowhere(i, m);
        if (!free)
            r = -EAGAIN;
        else if ((flags & MSG_OOB) && m->data->remaining == 1)
            r = send_urgent(to, m);
        else
            r = put(to, m, (uint32_t)size);
        if (r == -EPIPE) { /* it went just now */
            i->lost = true;
            return done + (ssize_t)size + send_nowhere(i, m);
        }
        done += r == 0 ? (ssize_t)size : 0;
    }
    return done ? done : r;
}

/* A read ends at the mark; *limit is how many bytes lie in front of it. */
static bool ahead_of_mark(struct inet_sock *i, uint64_t *limit)
{
    spin_lock(&i->lock);
    if (i->urgent_state && !i->urgent_ahead)
        i->urgent_state = URGENT_NONE; /* a read from the mark on passes it */
    *limit = i->urgent_ahead;
    bool marked = i->urgent_state;
    spin_unlock(&i->lock);
    return marked;
}

static ssize_t receive_marked(struct inet_sock *i, struct message *m, uint32_t flags,
                              uint64_t *freed)
{
    uint64_t limit;
    if (!atomic_load(&i->in.count))
        return -EAGAIN;
    if (!ahead_of_mark(i, &limit))
        return queue_receive_stream(&i->in, m, flags, freed);
    size_t wanted = m->data->remaining, part = MIN(wanted, (size_t)limit);
    m->data->remaining = part;
    ssize_t r = queue_receive_stream(&i->in, m, flags, freed);
    m->data->remaining += wanted - part;
    spin_lock(&i->lock);
    if (r > 0 && !(flags & MSG_PEEK))
        i->urgent_ahead -= MIN((uint64_t)r, i->urgent_ahead);
    spin_unlock(&i->lock);
    return r;
}

static ssize_t receive_urgent(struct inet_sock *i, struct message *m, uint32_t flags)
{
    spin_lock(&i->lock);
    uint8_t byte = i->urgent_byte, state = i->urgent_state;
    bool there = state == URGENT_THERE && !i->inline_urgent;
    if (there && !(flags & MSG_PEEK))
        i->urgent_state = URGENT_READ;
    spin_unlock(&i->lock);
    if (!there)
        return -EINVAL;
    m->flags |= MSG_OOB;
    if (!m->data->remaining)
        return 0;
    return iter_copy_to(m->data, &byte, 1) == 1 ? 1 : -EFAULT;
}

static ssize_t loop_receive(struct socket *s, struct message *m, uint32_t flags)
{
    struct inet_sock *i = inet_of(s);
    uint64_t freed = 0;
    if (flags & MSG_OOB)
        return receive_urgent(i, m, flags);
    if ((flags & MSG_ERRQUEUE) || i->state == INET_CONNECTING)
        return -EAGAIN;
    bool ends = i->eof || (i->down & 1); /* before looking: what came last counts */
    ssize_t r = i->urgent_state ? receive_marked(i, m, flags, &freed)
                                : queue_receive_stream(&i->in, m, flags, &freed);
    if (freed && writable(i->other, i))
        wait_wake_all(&i->other->out_wait);
    if (r != -EAGAIN)
        return r;
    int e = socket_error(s);
    if (e)
        return e;
    if (i->state != INET_CONNECTED && !ends)
        return -ENOTCONN;
    return ends ? 0 : -EAGAIN;
}

static uint32_t loop_poll(struct socket *s, struct poll_table *t)
{
    struct inet_sock *i = inet_of(s);
    uint32_t events = 0;
    poll_add(t, &i->in_wait);
    poll_add(t, &i->out_wait);
    bool ends = i->eof || (i->down & 1);
    if (atomic_load(&i->in.count) || ends)
        events |= POLLIN | POLLRDNORM;
    if (ends)
        events |= POLLRDHUP;
    if (i->urgent_state == URGENT_THERE)
        events |= POLLPRI;
    if (atomic_load(&s->error))
        events |= POLLERR | POLLIN | POLLRDNORM;
    if (i->state == INET_FRESH || (ends && (i->down & 2)))
        events |= POLLHUP;
    if (i->state == INET_FRESH || (i->down & 2) ||
        (i->state == INET_CONNECTED && writable(i, i->other)))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

/* ---- what it says of itself ---- */

static int loop_name(struct socket *s, bool peer, struct sock_name *out)
{
    struct inet_sock *i = inet_of(s);
    bool known = i->untold || (i->state == INET_CONNECTED && !over(i));
    if (peer)
        i->untold = false;
    if (peer && !known)
        return -ENOTCONN;
    loop_name_of(s->family, peer ? &i->there : &i->here, out);
    return 0;
}

static int loop_bind(struct socket *s, const struct sock_name *name)
{
    (void)s;
    (void)name;
    return -EINVAL; /* has a name, and keeps it */
}

/* TCP's number of the state. */
static uint8_t state_of(const struct inet_sock *i)
{
    enum { ESTABLISHED = 1, SYN_SENT, FIN_WAIT2 = 5, CLOSE = 7, CLOSE_WAIT };
    bool sends = !(i->down & 2);
    if (i->state != INET_CONNECTED)
        return i->state == INET_CONNECTING ? SYN_SENT : CLOSE;
    return i->eof ? (sends ? CLOSE_WAIT : CLOSE) : sends ? ESTABLISHED : FIN_WAIT2;
}

static void loop_describe(struct socket *s, struct socket_state *out)
{
    struct inet_sock *i = inet_of(s);
    *out =
        (struct socket_state){.number = state_of(i), .in = (uint32_t)atomic_load(&i->in.bytes)};
}

uint32_t loop_tcp_info(struct inet_sock *i, uint8_t *out, uint32_t size)
{
    struct {
        uint8_t state, ca_state, retransmits, probes, backoff, options, scale, flags;
        uint32_t rto, ato, send_mss, receive_mss, counts[5], last[4], pmtu, receive_threshold;
        uint32_t rtt, rtt_variance, send_threshold, window, advertised_mss, reordering;
        uint32_t receive_rtt, receive_space, retransmitted;
    } info = {.state = state_of(i),
              .options = 7, /* time stamps, selective acknowledgements, scaled windows */
              .scale = 0x77,
              .rto = 201000,
              .ato = 40000,
              .send_mss = 32768,
              .receive_mss = 536,
              .pmtu = 65535,
              .receive_threshold = 65483,
              .rtt = 10,
              .rtt_variance = 5,
              .send_threshold = INT32_MAX,
              .window = 10,
              .advertised_mss = 65483,
              .reordering = 3,
              .receive_space = 65483};
    _Static_assert(sizeof(info) == 104, "as Linux's first version of it");
    size = MIN(size, (uint32_t)sizeof(info));
    memcpy(out, &info, size);
    return size;
}

static int64_t loop_ioctl(struct socket *s, uint32_t request, uaddr_t arg)
{
    enum { SIOCATMARK = 0x8905 };
    struct inet_sock *i = inet_of(s);
    switch (request) {
    case SIOCINQ:
        return put_user(arg, (int32_t)atomic_load(&i->in.bytes));
    case SIOCOUTQ: /* it has arrived */
        return put_user(arg, (int32_t)0);
    case SIOCATMARK:
        return put_user(arg, (int32_t)(i->urgent_state && !i->urgent_ahead));
    default:
        return net_interface_ioctl(request, arg);
    }
}

static int loop_accept(struct socket *s, struct socket **out)
{
    (void)s;
    (void)out;
    return -EINVAL;
}

static int loop_listen(struct socket *s, uint32_t backlog)
{
    (void)s;
    (void)backlog;
    return -EINVAL;
}

const struct socket_ops loop_stream_ops = {
    .bind = loop_bind,
    .listen = loop_listen,
    .accept = loop_accept,
    .connect = stream_connect,
    .name = loop_name,
    .send = loop_send,
    .receive = loop_receive,
    .poll = loop_poll,
    .shutdown = loop_shutdown,
    .getopt = inet_getopt,
    .setopt = inet_setopt,
    .ioctl = loop_ioctl,
    .describe = loop_describe,
    .release = loop_release,
    .free = inet_free,
};
