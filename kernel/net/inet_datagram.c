/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams over the host: UDP, raw IP, and the routing part of netlink. Some are fetched
 * ahead; sending is a call, because its errors belong to the call.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/answer.h"
#include "net/inet.h"
#include "sched/hostio.h"

#define AHEAD_MAX 256u /* datagrams */

static void take_control(struct packet *p, const struct net_message *m)
{
    uint32_t size = answer_control(m->control, m->control_size);
    p->scm.raw = size ? kmalloc(size) : NULL;
    if (!p->scm.raw)
        return;
    memcpy(p->scm.raw, m->control, size);
    p->scm.raw_size = size;
}

static void deliver(struct inet_sock *i, struct net_op *op, uint32_t size,
                    struct packet_queue *q)
{
    struct net_message m;
    struct sock_name name;
    struct packet *p = packet_new(size);
    if (!p)
        return; /* as if it had been lost on the way */
    netop_message(op, &m);
    bounce_read(&op->bounce, BOUNCE_HEAD, p->data, size);
    p->flags = m.flags & (MSG_TRUNC | MSG_CTRUNC | MSG_EOR);
    p->flags |= q == &i->out ? MSG_ERRQUEUE : 0;
    bool named = answer_name(i->sock.family, m.name, m.name_size, &name);
    p->name = named ? net_name_new(&name) : NULL;
    take_control(p, &m);
    if (!queue_push(q, p))
        packet_free(p);
}

/* ---- errors of what was sent: IP_RECVERR ---- */

static void error_came(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, out_op);
    if (result >= 0)
        deliver(i, op, (uint32_t)result, &i->out);
    inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    i->out_busy = false;
    spin_unlock(&i->lock);
    if (result >= 0)
        wait_wake_all(&i->in_wait);
    inet_close_step(i);
    socket_put(&i->sock);
}

/* The next one, if the host has one; it answers at once. */
static void error_fetch(struct inet_sock *i)
{
    struct bounce b;
    if (!i->tells_errors || !bounce_get(&b, BOUNCE_LARGE))
        return;
    spin_lock(&i->lock);
    bool go = !i->out_busy && !i->closing && !atomic_load(&i->out.count);
    i->out_busy |= go;
    spin_unlock(&i->lock);
    if (!go) {
        inet_bounce_put(&b);
        return;
    }
    i->out_op.done = error_came;
    i->out_op.bounce = b;
    socket_get(&i->sock);
    netop_receive_message(&i->out_op, i->fd, true);
}

/* As on Linux, the socket's error is gone with the last one that stood here. */
static ssize_t error_receive(struct inet_sock *i, struct message *m)
{
    uint64_t freed = 0;
    for (int tries = 0; tries < 2; tries++) {
        ssize_t r = queue_receive_datagram(&i->out, m, 0, &freed);
        error_fetch(i);
        netop_flush();
        if (r >= 0 && !atomic_load(&i->out.count))
            atomic_store(&i->sock.error, 0);
        if (r != -EAGAIN)
            return r;
    }
    return -EAGAIN;
}

/* ---- receiving ---- */

static void received(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, in_op);
    bool again = result >= 0 || inet_transient(result);
    if (result >= 0 && !i->closing && !(i->down & 1))
        deliver(i, op, (uint32_t)result, &i->in);
    inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    i->in_busy = false;
    spin_unlock(&i->lock);
    if (!again) /* fetched ahead again when the program has seen it */
        atomic_store(&i->sock.error, -result);
    if (!again)
        error_fetch(i);
    wait_wake_all(&i->in_wait);
    if (again)
        datagram_arm(i);
    inet_close_step(i);
    socket_put(&i->sock);
}

void datagram_arm(struct inet_sock *i)
{
    spin_lock(&i->lock);
    bool go = !i->in_busy && !i->closing && !(i->down & 1) &&
              atomic_load(&i->in.charge) < i->in_max && atomic_load(&i->in.count) < AHEAD_MAX;
    i->in_busy |= go;
    spin_unlock(&i->lock);
    if (!go)
        return;
    i->in_op.done = received;
    if (inet_bounce_get(i, &i->in_op.bounce, BOUNCE_LARGE)) {
        socket_get(&i->sock);
        netop_receive_message(&i->in_op, i->fd, false);
        return;
    }
    spin_lock(&i->lock);
    i->in_busy = false;
    spin_unlock(&i->lock);
}

static ssize_t datagram_receive(struct socket *s, struct message *m, uint32_t flags)
{
    struct inet_sock *i = inet_of(s);
    uint64_t freed = 0;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (flags & MSG_ERRQUEUE)
        return error_receive(i, m);
    bool over = i->down & 1;
    ssize_t r = queue_receive_datagram(&i->in, m, flags, &freed);
    if (r == -EAGAIN && !over) {
        int e = socket_error(s);
        if (e)
            return e;
    }
    if (freed || r == -EAGAIN)
        datagram_arm(i);
    return r == -EAGAIN && over ? 0 : r;
}

static ssize_t datagram_send(struct socket *s, struct message *m, uint32_t flags)
{
    static const uint32_t known = MSG_DONTROUTE | MSG_CONFIRM | MSG_MORE | MSG_EOR;
    struct inet_sock *i = inet_of(s);
    struct iter saved = *m->data;
    size_t size = m->data->remaining;
    int e = socket_error(s);
    if (e)
        return e;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (i->down & 2)
        return -EPIPE;
    if (size > HOST_MESSAGE_MAX)
        return -EMSGSIZE;
    ssize_t inside = loop_send_datagram(i, m, flags);
    if (inside != -EHOSTUNREACH) {
        if (inside < 0)
            iter_revert(m->data, &saved);
        return inside;
    }
    void *data = kmalloc(MAX(size, (size_t)1));
    if (!data)
        return -ENOBUFS;
    ssize_t r = iter_copy_from(m->data, data, size) < size ? -EFAULT : 0;
    if (r == 0) {
        struct host_message h = {.name = m->name.bytes,
                                 .data = data,
                                 .control = m->scm.raw,
                                 .name_size = m->name.size,
                                 .data_size = (uint32_t)size,
                                 .control_size = m->scm.raw_size};
        r = host_sendmsg(i->fd, &h, flags & known);
    }
    kfree(data);
    if (r < 0)
        iter_revert(m->data, &saved);
    else
        datagram_arm(i);
    return r;
}

/* Full at the host: it tells when there is room. */
static int datagram_wait(struct socket *s, const struct sock_name *name, uint64_t deadline_ns)
{
    int r = hostio_poll(inet_of(s)->fd, POLLOUT, deadline_ns);
    (void)name;
    return r < 0 ? r : 0;
}

/* From now on it hears that one alone; the host may have chosen a new name for it. */
static void connected_inside(struct inet_sock *i, const struct sock_name *name)
{
    if (i->sock.type != SOCK_DGRAM)
        return;
    loop_unlist(i);
    i->there = (struct loop_end){0};
    i->inside = loop_wants(i, name, &i->there);
    i->heard_only = name->family != AF_UNSPEC;
    if (!i->named)
        i->here = (struct loop_end){0};
    if (i->heard_only || i->named)
        loop_list(i);
}

static int datagram_connect(struct socket *s, const struct sock_name *name, uint32_t file_flags)
{
    struct inet_sock *i = inet_of(s);
    (void)file_flags;
    if (name->size < sizeof(name->family))
        return -EINVAL;
    int r = host_connect(i->fd, name->bytes, name->size);
    if (r < 0)
        return r;
    connected_inside(i, name);
    spin_lock(&i->lock);
    i->state = name->family == AF_UNSPEC ? INET_FRESH : INET_CONNECTED;
    spin_unlock(&i->lock);
    datagram_arm(i);
    return 0;
}

static int datagram_shutdown(struct socket *s, int how)
{
    struct inet_sock *i = inet_of(s);
    spin_lock(&i->lock);
    bool joined = i->state == INET_CONNECTED;
    if (joined)
        i->down |= (uint32_t)how + 1;
    spin_unlock(&i->lock);
    wait_wake_all(&i->in_wait);
    return joined ? 0 : -ENOTCONN;
}

static uint32_t datagram_poll(struct socket *s, struct poll_table *t)
{
    struct inet_sock *i = inet_of(s);
    uint32_t events = POLLOUT | POLLWRNORM | POLLWRBAND;
    poll_add(t, &i->in_wait);
    if (atomic_load(&s->error) || atomic_load(&i->out.count))
        events |= POLLERR;
    else
        datagram_arm(i);
    if (atomic_load(&i->in.count) || (i->down & 1))
        events |= POLLIN | POLLRDNORM;
    if (i->down & 1)
        events |= POLLRDHUP;
    if (i->down == 3)
        events |= POLLHUP;
    return events;
}

const struct socket_ops inet_datagram_ops = {
    .bind = inet_bind,
    .connect = datagram_connect,
    .name = inet_name,
    .send = datagram_send,
    .receive = datagram_receive,
    .poll = datagram_poll,
    .wait_peer = datagram_wait,
    .shutdown = datagram_shutdown,
    .getopt = inet_getopt,
    .setopt = inet_setopt,
    .ioctl = inet_ioctl,
    .describe = inet_describe,
    .release = inet_release,
    .free = inet_free,
};
