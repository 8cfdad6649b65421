/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams inside the enclave: into the queue of whoever is bound there. What nobody inside
 * hears goes over the host, and so does what either end has set options for that only the host
 * can honour; the host's answers then are as ever.
 */
#include "abi/errno.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet.h"

#define PAYLOAD_MAX 65507u

/* As Linux does it with the first datagram of a socket without a name. */
static bool bind_somewhere(struct inet_sock *i)
{
    struct sock_name any;
    struct loop_end none = {0};
    if (i->here.port)
        return true;
    loop_name_of(i->sock.family, &none, &any);
    (void)!host_bind(i->fd, any.bytes, any.size); /* fails where it has been done already */
    loop_list(i);
    if (i->here.port)
        datagram_arm(i);
    return i->here.port;
}

static bool destination(const struct inet_sock *i, const struct message *m, struct loop_end *to)
{
    if (m->name.size)
        return loop_wants(i, &m->name, to);
    *to = i->there;
    return i->heard_only && i->inside && !i->outside;
}

static int deliver(struct inet_sock *to, const struct loop_end *from, struct message *m)
{
    struct sock_name name;
    uint32_t size = (uint32_t)m->data->remaining;
    uint64_t used = atomic_load(&to->in.charge);
    if (used && used + size + PACKET_OVERHEAD > to->in_max) {
        iter_advance(m->data, size); /* lost on the way */
        return 0;
    }
    loop_name_of(to->sock.family, from, &name);
    struct packet *p = packet_new(size);
    if (!p)
        return -ENOBUFS;
    p->name = net_name_new(&name);
    if (iter_copy_from(m->data, p->data, size) < size) {
        packet_free(p);
        return -EFAULT;
    }
    if (!queue_push(&to->in, p))
        packet_free(p); /* it is closing */
    else
        wait_wake_all(&to->in_wait);
    return 0;
}

ssize_t loop_send_datagram(struct inet_sock *i, struct message *m, uint32_t flags)
{
    struct loop_end to, from;
    size_t size = m->data->remaining;
    if (i->sock.type != SOCK_DGRAM || m->scm.raw_size || size > PAYLOAD_MAX ||
        (flags & (MSG_DONTROUTE | MSG_MORE)) || !destination(i, m, &to))
        return -EHOSTUNREACH;
    if (!loop_source(i, &to, &from))
        return -EHOSTUNREACH;
    from.port = i->here.port;
    struct inet_sock *r = loop_find(SOCK_DGRAM, &to, &from);
    if (!r)
        return -EHOSTUNREACH;
    ssize_t done = -EHOSTUNREACH;
    if (bind_somewhere(i)) {
        from.port = i->here.port;
        done = deliver(r, &from, m);
    }
    socket_put(&r->sock);
    return done < 0 ? done : (ssize_t)size;
}
