/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passes through UNIX sockets. A sender puts packets into the receiver's queue; the
 * sender's SO_SNDBUF limits what waits there. A writer that found no room waits until three
 * quarters of it are free again, so that it does not wake for every byte.
 */
#include "net/unix.h"

#include "abi/errno.h"
#include "abi/poll.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define PART_MAX 32768u /* bytes of a stream in one packet */

static bool writable(struct unix_sock *u, struct unix_sock *to)
{
    return !to || atomic_load(&to->in.charge) * 4 <= atomic_load(&u->send_buffer);
}

/* Datagrams from several senders: some may wait at the receiver, no more. */
static bool crowded(struct unix_sock *u, struct unix_sock *to)
{
    return to->peer != u && atomic_load(&to->in.count) > UNIX_DGRAM_MAX;
}

/* Builds the packet from the message, whose ancillary data moves into it. */
static int make_packet(struct unix_sock *u, struct message *m, uint32_t size,
                       struct packet **out)
{
    struct packet *p = packet_new(size);
    if (!p)
        return -ENOBUFS;
    if (iter_copy_from(m->data, p->data, size) < size) {
        packet_free(p);
        return -EFAULT;
    }
    spin_lock(&unix_lock);
    p->name = net_name_get(u->name);
    spin_unlock(&unix_lock);
    p->scm = m->scm;
    m->scm = (struct scm){0};
    if (!p->scm.has_cred) {
        p->scm.has_cred = true;
        p->scm.cred = unix_current_cred();
    }
    *out = p;
    return 0;
}

/* On failure the ancillary data is the message's again. */
static int deliver(struct unix_sock *to, struct packet *p, struct message *m)
{
    int r = 0;
    if (p->scm.files)
        r = unix_push_files(&to->in, p);
    else if (!queue_push(&to->in, p))
        r = -EPIPE;
    if (r < 0) {
        m->scm = p->scm;
        p->scm = (struct scm){0};
        packet_free(p);
        return r;
    }
    wait_wake_all(&to->in_wait);
    return 0;
}

static ssize_t send_stream(struct unix_sock *u, struct unix_sock *to, struct message *m)
{
    ssize_t done = 0;
    while (m->data->remaining) {
        struct iter saved = *m->data;
        struct packet *p;
        uint32_t size = (uint32_t)MIN(m->data->remaining, (size_t)PART_MAX);
        int r = 0;
        if (atomic_load(&u->down) & 2)
            r = -EPIPE;
        else if (atomic_load(&to->in.charge) >= atomic_load(&u->send_buffer))
            r = -EAGAIN;
        if (r == 0)
            r = make_packet(u, m, size, &p);
        if (r == 0)
            r = deliver(to, p, m);
        if (r < 0) {
            iter_revert(m->data, &saved);
            return done ? done : r;
        }
        done += size;
    }
    return done;
}

/* A destination that is gone is no destination any more. */
static int refuse(struct unix_sock *u, struct unix_sock *to)
{
    spin_lock(&unix_lock);
    bool was = u->peer == to && u->sock.type == SOCK_DGRAM;
    if (was) {
        u->peer = NULL;
        if (!list_empty(&u->sender_node))
            list_remove(&u->sender_node);
    }
    spin_unlock(&unix_lock);
    if (was)
        unix_put(to);
    return u->sock.type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
}

static ssize_t send_datagram(struct unix_sock *u, struct unix_sock *to, struct message *m)
{
    struct iter saved = *m->data;
    struct packet *p;
    size_t size = m->data->remaining;
    uint32_t limit = atomic_load(&u->send_buffer);
    if (size > limit - 32)
        return -EMSGSIZE;
    if (to->state == UNIX_GONE)
        return refuse(u, to);
    if (u->sock.type == SOCK_DGRAM && to->peer && to->peer != u)
        return -EPERM;
    if ((atomic_load(&u->down) & 2) || (atomic_load(&to->down) & 1))
        return -EPIPE;
    if ((u->sock.type == SOCK_DGRAM && crowded(u, to)) ||
        (atomic_load(&to->in.count) && atomic_load(&to->in.charge) + size > limit))
        return -EAGAIN;
    int r = make_packet(u, m, (uint32_t)size, &p);
    if (r < 0)
        return r;
    r = deliver(to, p, m);
    if (r < 0) {
        iter_revert(m->data, &saved);
        return r == -EPIPE ? refuse(u, to) : r;
    }
    return (ssize_t)size;
}

ssize_t unix_send(struct socket *s, struct message *m, uint32_t flags)
{
    struct unix_sock *u = unix_of(s), *to = NULL;
    int e = 0;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->type == SOCK_DGRAM && atomic_load(&s->pass_cred) && !u->name)
        e = unix_autobind(u);
    if (e < 0)
        return e;
    if (m->name.size && s->type == SOCK_STREAM)
        return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (m->name.size && s->type == SOCK_DGRAM)
        e = unix_find(&m->name, SOCK_DGRAM, &to);
    else
        to = unix_peer_get(u);
    if (e < 0)
        return e;
    if (!to)
        return -ENOTCONN;
    ssize_t r = s->type == SOCK_STREAM ? send_stream(u, to, m) : send_datagram(u, to, m);
    unix_put(to);
    return r;
}

/* Room has come at `u`: tells those who wait for it. */
static void room_made(struct unix_sock *u)
{
    struct unix_sock *peer = NULL, *sender;
    wait_wake_all(&u->room_wait);
    spin_lock(&unix_lock);
    if (u->peer && writable(u->peer, u))
        peer = unix_of(socket_get(&u->peer->sock));
    list_for_each (sender, &u->senders, sender_node) {
        wait_wake_all(&sender->out_wait);
    }
    spin_unlock(&unix_lock);
    if (peer)
        wait_wake_all(&peer->out_wait);
    unix_put(peer);
}

ssize_t unix_receive(struct socket *s, struct message *m, uint32_t flags)
{
    struct unix_sock *u = unix_of(s);
    uint64_t freed = 0;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (s->type != SOCK_DGRAM && u->state != UNIX_CONNECTED)
        return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
    bool over = atomic_load(&u->down) & 1; /* before looking: what came last counts */
    ssize_t r = s->type == SOCK_STREAM ? queue_receive_stream(&u->in, m, flags, &freed)
                                       : queue_receive_datagram(&u->in, m, flags, &freed);
    if (freed)
        room_made(u);
    if (r != -EAGAIN)
        return r;
    int e = socket_error(s);
    return e ? e : over ? 0 : -EAGAIN;
}

uint32_t unix_poll(struct socket *s, struct poll_table *t)
{
    struct unix_sock *u = unix_of(s);
    uint32_t down, events = 0;
    poll_add(t, &u->in_wait);
    poll_add(t, &u->out_wait);
    struct unix_sock *peer = unix_peer_get(u);
    down = atomic_load(&u->down);
    if (atomic_load(&s->error))
        events |= POLLERR;
    if (down == 3 || (s->type != SOCK_DGRAM && u->state == UNIX_FRESH))
        events |= POLLHUP;
    if (down & 1)
        events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (atomic_load(&u->in.count) || u->pending_count)
        events |= POLLIN | POLLRDNORM;
    bool full = s->type == SOCK_DGRAM && peer && crowded(u, peer);
    if (u->state != UNIX_LISTENING && !full && writable(u, peer))
        events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    unix_put(peer);
    return events;
}

static bool may_connect(struct unix_sock *to)
{
    return to->state != UNIX_LISTENING || to->pending_count <= to->backlog;
}

static bool may_send(struct unix_sock *u, struct unix_sock *to)
{
    return to->state == UNIX_GONE || (atomic_load(&to->down) & 1) ||
           (atomic_load(&u->down) & 2) || (!crowded(u, to) && writable(u, to));
}

int unix_wait_peer(struct socket *s, const struct sock_name *name, uint64_t deadline_ns)
{
    struct unix_sock *u = unix_of(s), *to = NULL;
    int r = 0;
    if (name->size)
        r = unix_find(name, s->type, &to);
    else
        to = unix_peer_get(u);
    if (r < 0 || !to)
        return 0; /* another try tells what is wrong */
    if (s->type == SOCK_DGRAM)
        r = wait_event(&to->room_wait, may_send(u, to), deadline_ns);
    else if (u->state == UNIX_CONNECTED)
        r = wait_event(&u->out_wait, (atomic_load(&u->down) & 2) || writable(u, to),
                       deadline_ns);
    else
        r = wait_event(&to->room_wait, may_connect(to), deadline_ns);
    unix_put(to);
    return r;
}

int64_t unix_ioctl(struct socket *s, uint32_t request, uaddr_t arg)
{
    struct unix_sock *u = unix_of(s);
    int32_t n;
    if (request == SIOCINQ) {
        if (u->state == UNIX_LISTENING)
            return -EINVAL;
        n = s->type == SOCK_DGRAM ? (int32_t)queue_first_size(&u->in)
                                  : (int32_t)atomic_load(&u->in.bytes);
        return put_user(arg, n);
    }
    if (request != SIOCOUTQ)
        return net_interface_ioctl(request, arg);
    struct unix_sock *peer = unix_peer_get(u);
    n = peer ? (int32_t)atomic_load(&peer->in.charge) : 0;
    unix_put(peer);
    return put_user(arg, n);
}
