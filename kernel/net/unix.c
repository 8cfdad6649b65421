/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UNIX sockets (unix(7)): who is connected to whom. They live in the enclave alone. A connected
 * stream is two sockets that hold references on each other; a socket waiting to be accepted is
 * one without a file. Not here: the host's UNIX sockets.
 */
#include "net/unix.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

struct spinlock unix_lock = SPINLOCK_INIT(RANK_NET);
static const struct socket_ops unix_ops;

struct unix_sock *unix_alloc(uint32_t type)
{
    struct unix_sock *u = kzalloc(sizeof(*u));
    if (!u)
        return NULL;
    socket_init(&u->sock, &unix_ops, AF_UNIX, type);
    queue_init(&u->in);
    wait_queue_init(&u->in_wait);
    wait_queue_init(&u->out_wait);
    wait_queue_init(&u->room_wait);
    atomic_store(&u->send_buffer, UNIX_SNDBUF);
    atomic_store(&u->receive_buffer, UNIX_SNDBUF);
    u->backlog = UNIX_DGRAM_MAX;
    u->peer_cred = (struct abi_ucred){0, UINT32_MAX, UINT32_MAX};
    struct list *lists[] = {&u->name_node,    &u->senders,       &u->sender_node, &u->pending,
                            &u->pending_node, &u->inflight_node, &u->work_node};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        list_init(lists[i]);
    return u;
}

struct abi_ucred unix_current_cred(void)
{
    const struct cred *c = fs_cred();
    return (struct abi_ucred){current->tgid, c->euid, c->egid};
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
    spin_lock(&unix_lock);
    struct unix_sock *p = u->peer;
    if (p)
        socket_get(&p->sock);
    spin_unlock(&unix_lock);
    return p;
}

int unix_socket_new(uint32_t type, uint32_t protocol, struct socket **out)
{
    struct unix_sock *u = unix_alloc(type);
    (void)protocol; /* 0, and AF_UNIX for the same */
    if (!u)
        return -ENOMEM;
    *out = &u->sock;
    return 0;
}

static void wake_all_of(struct unix_sock *u)
{
    wait_wake_all(&u->in_wait);
    wait_wake_all(&u->out_wait);
    wait_wake_all(&u->room_wait);
}

/* Both are each other's; unix_lock held, or nobody knows them yet. */
static void join(struct unix_sock *a, struct unix_sock *b)
{
    a->peer = unix_of(socket_get(&b->sock));
    b->peer = unix_of(socket_get(&a->sock));
    if (a->sock.type != SOCK_DGRAM)
        a->state = b->state = UNIX_CONNECTED;
}

int unix_socket_pair(uint32_t type, uint32_t protocol, struct socket *out[2])
{
    struct unix_sock *a = unix_alloc(type), *b = unix_alloc(type);
    (void)protocol;
    if (!a || !b) {
        if (a)
            socket_put(&a->sock);
        if (b)
            socket_put(&b->sock);
        return -ENOMEM;
    }
    a->cred = b->cred = a->peer_cred = b->peer_cred = unix_current_cred();
    join(a, b);
    out[0] = &a->sock;
    out[1] = &b->sock;
    return 0;
}

static int unix_listen(struct socket *s, uint32_t backlog)
{
    struct unix_sock *u = unix_of(s);
    int r = 0;
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    struct abi_ucred cred = unix_current_cred();
    spin_lock(&unix_lock);
    if (!u->name || (u->state != UNIX_FRESH && u->state != UNIX_LISTENING)) {
        r = -EINVAL;
    } else {
        u->state = UNIX_LISTENING;
        u->backlog = MIN(backlog, SOMAXCONN);
        u->cred = u->peer_cred = cred;
    }
    spin_unlock(&unix_lock);
    if (r == 0)
        wait_wake_all(&u->room_wait);
    return r;
}

static int unix_accept(struct socket *s, struct socket **out)
{
    struct unix_sock *u = unix_of(s);
    int r = 0;
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    spin_lock(&unix_lock);
    if (u->state != UNIX_LISTENING || (atomic_load(&u->down) & 1)) {
        r = -EINVAL;
    } else if (list_empty(&u->pending)) {
        r = -EAGAIN;
    } else {
        struct unix_sock *c = list_entry(list_pop(&u->pending), struct unix_sock, pending_node);
        u->pending_count--;
        *out = &c->sock;
    }
    spin_unlock(&unix_lock);
    if (r == 0)
        wait_wake_all(&u->room_wait);
    return r;
}

/* `c` is to stand for `u` at the listener's side. */
static int connect_locked(struct unix_sock *u, struct unix_sock *listener, struct unix_sock *c)
{
    if (listener->state != UNIX_LISTENING || (atomic_load(&listener->down) & 1))
        return -ECONNREFUSED;
    if (listener->pending_count > listener->backlog)
        return -EAGAIN;
    if (u->state != UNIX_FRESH)
        return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
    c->name = net_name_get(listener->name);
    c->cred = listener->cred;
    u->peer_cred = listener->cred;
    c->peer_cred = u->cred;
    atomic_store(&c->sock.pass_cred, atomic_load(&listener->sock.pass_cred));
    join(u, c);
    list_append(&listener->pending, &c->pending_node);
    listener->pending_count++;
    return 0;
}

static int connect_stream(struct unix_sock *u, const struct sock_name *name)
{
    struct unix_sock *listener, *c = unix_alloc(u->sock.type);
    if (!c)
        return -ENOMEM;
    int r = unix_find(name, u->sock.type, &listener);
    if (r == 0) {
        struct abi_ucred cred = unix_current_cred();
        spin_lock(&unix_lock);
        if (u->state == UNIX_FRESH)
            u->cred = cred;
        r = connect_locked(u, listener, c);
        spin_unlock(&unix_lock);
        if (r == 0)
            wait_wake(&listener->in_wait, 1);
        unix_put(listener);
    }
    if (r < 0)
        socket_put(&c->sock);
    return r;
}

/* Datagrams: the default destination, and the only sender that is heard. AF_UNSPEC: nobody. */
static int connect_datagram(struct unix_sock *u, const struct sock_name *name)
{
    struct unix_sock *to = NULL, *old;
    int r = name->family == AF_UNSPEC ? 0 : unix_find(name, SOCK_DGRAM, &to);
    if (r < 0)
        return r;
    spin_lock(&unix_lock);
    if (to && to->peer && to->peer != u)
        r = -EPERM;
    old = u->peer;
    if (r == 0) {
        if (!list_empty(&u->sender_node))
            list_remove(&u->sender_node);
        if (to)
            list_append(&to->senders, &u->sender_node);
        u->peer = to;
    }
    spin_unlock(&unix_lock);
    if (r == 0)
        wait_wake_all(&u->out_wait);
    unix_put(r == 0 ? old : to);
    return r;
}

static int unix_connect(struct socket *s, const struct sock_name *name, uint32_t file_flags)
{
    struct unix_sock *u = unix_of(s);
    (void)file_flags;
    if (name->size < sizeof(name->family))
        return -EINVAL;
    if (atomic_load(&s->pass_cred) && !u->name) {
        int r = unix_autobind(u);
        if (r < 0)
            return r;
    }
    return s->type == SOCK_DGRAM ? connect_datagram(u, name) : connect_stream(u, name);
}

static int unix_shutdown(struct socket *s, int how)
{
    struct unix_sock *u = unix_of(s), *peer = NULL;
    uint32_t down = (uint32_t)how + 1;
    spin_lock(&unix_lock);
    atomic_fetch_or(&u->down, down);
    if (s->type != SOCK_DGRAM && u->peer) {
        peer = unix_of(socket_get(&u->peer->sock));
        atomic_fetch_or(&peer->down, (down & 1 ? 2u : 0) | (down & 2 ? 1u : 0));
    }
    spin_unlock(&unix_lock);
    wake_all_of(u);
    if (peer)
        wake_all_of(peer);
    unix_put(peer);
    return 0;
}

/* Tells those who are connected to `u`, which is gone. */
static void part(struct unix_sock *u, struct unix_sock *peer, bool lost)
{
    if (peer && u->sock.type != SOCK_DGRAM) {
        atomic_fetch_or(&peer->down, 3);
        if (lost)
            atomic_store(&peer->sock.error, ECONNRESET);
        wake_all_of(peer);
    }
    unix_put(peer);
}

void unix_end(struct unix_sock *u, bool never_accepted)
{
    struct list pending = LIST_INIT(pending), *n;
    unix_unname(u);
    spin_lock(&unix_lock);
    struct unix_sock *peer = u->peer, *sender;
    u->peer = NULL;
    u->state = UNIX_GONE;
    u->sock.file = NULL;
    if (!list_empty(&u->sender_node))
        list_remove(&u->sender_node);
    while ((n = list_pop(&u->pending)) != NULL)
        list_append(&pending, n);
    u->pending_count = 0;
    while ((n = list_pop(&u->senders)) != NULL) {
        sender = list_entry(n, struct unix_sock, sender_node);
        wait_wake_all(&sender->out_wait);
    }
    spin_unlock(&unix_lock);
    bool lost = never_accepted || atomic_load(&u->in.count);
    queue_close(&u->in);
    wake_all_of(u);
    part(u, peer, lost);
    while ((n = list_pop(&pending)) != NULL) {
        struct unix_sock *c = list_entry(n, struct unix_sock, pending_node);
        unix_end(c, true); /* has nobody pending itself */
        unix_put(c);
    }
}

static void unix_release(struct socket *s)
{
    unix_end(unix_of(s), false);
    unix_collect();
}

static void unix_free(struct socket *s)
{
    struct unix_sock *u = unix_of(s);
    queue_fini(&u->in);
    unix_put(u->peer);
    net_name_put(u->name);
    kfree(u);
}

static void unix_describe(struct socket *s, struct socket_state *out)
{
    enum { SS_UNCONNECTED = 1, SS_CONNECTED = 3 };
    struct unix_sock *u = unix_of(s);
    spin_lock(&unix_lock);
    *out = (struct socket_state){.number =
                                     u->state == UNIX_CONNECTED ? SS_CONNECTED : SS_UNCONNECTED,
                                 .listening = u->state == UNIX_LISTENING,
                                 .in = (uint32_t)atomic_load(&u->in.bytes)};
    spin_unlock(&unix_lock);
}

static const struct socket_ops unix_ops = {
    .bind = unix_bind,
    .listen = unix_listen,
    .accept = unix_accept,
    .connect = unix_connect,
    .name = unix_name,
    .send = unix_send,
    .receive = unix_receive,
    .poll = unix_poll,
    .wait_peer = unix_wait_peer,
    .shutdown = unix_shutdown,
    .getopt = unix_getopt,
    .setopt = unix_setopt,
    .ioctl = unix_ioctl,
    .describe = unix_describe,
    .release = unix_release,
    .free = unix_free,
};
