/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP over the host. A connection always has one receive on its way, unless enough waits for
 * the program: into a small piece of host memory while little comes, so that many idle
 * connections cost little, into a large one while it comes fast. What the program writes is
 * gathered into one send at a time. A listening socket has one accept on its way.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "enclave/host.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/answer.h"
#include "net/inet.h"
#include "sched/gather.h"

#define PART_MAX     (64u * 1024)
#define ACCEPT_AHEAD 128u

static void accept_arm(struct inet_sock *i);

/* ---- receiving ---- */

static void deliver(struct inet_sock *i, struct net_op *op, uint32_t size)
{
    struct packet *p = packet_new(size);
    if (!p) { /* bytes of a stream cannot be left out */
        inet_fail(i, ENOBUFS);
        return;
    }
    bounce_read(&op->bounce, 0, p->data, size);
    if (!queue_push(&i->in, p))
        packet_free(p);
}

static void received(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, in_op);
    if (result > 0) {
        i->large = (uint32_t)result == op->bounce.size || (uint32_t)result > BOUNCE_SMALL;
        deliver(i, op, (uint32_t)result);
    }
    inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    i->in_busy = false;
    i->eof |= result == 0;
    spin_unlock(&i->lock);
    if (result < 0 && !inet_transient(result))
        inet_fail(i, -result);
    wait_wake_all(&i->in_wait);
    stream_arm(i);
    inet_close_step(i);
    socket_put(&i->sock);
}

void stream_arm(struct inet_sock *i)
{
    if (i->state == INET_LISTENING) {
        accept_arm(i);
        return;
    }
    spin_lock(&i->lock);
    bool go = i->state == INET_CONNECTED && !i->in_busy && !i->eof && !i->closing &&
              atomic_load(&i->in.charge) < i->in_max;
    i->in_busy |= go;
    spin_unlock(&i->lock);
    if (!go)
        return;
    i->in_op.done = received;
    bool large = i->large && i->in_max >= BOUNCE_LARGE;
    if ((large && bounce_get(&i->in_op.bounce, BOUNCE_LARGE)) ||
        inet_bounce_get(i, &i->in_op.bounce, BOUNCE_SMALL)) {
        socket_get(&i->sock);
        netop_receive(&i->in_op, i->fd);
        return;
    }
    spin_lock(&i->lock);
    i->in_busy = false;
    spin_unlock(&i->lock);
}

static ssize_t stream_receive(struct socket *s, struct message *m, uint32_t flags)
{
    struct inet_sock *i = inet_of(s);
    uint64_t freed = 0;
    if (flags & MSG_OOB)
        return -EINVAL; /* LIMIT: fetching ahead passes the byte: in line or not at all */
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (i->state == INET_CONNECTING)
        return -EAGAIN;
    bool over = i->eof || (i->down & 1); /* before looking: what came last counts */
    ssize_t r = queue_receive_stream(&i->in, m, flags, &freed);
    if (freed || r == -EAGAIN)
        stream_arm(i);
    if (r != -EAGAIN)
        return r;
    int e = socket_error(s);
    if (e)
        return e;
    if (i->state != INET_CONNECTED && !over)
        return -ENOTCONN;
    return over ? 0 : -EAGAIN;
}

/* ---- sending ---- */

static void sent(struct net_op *op, int result);

/* So much is on its way that what comes now had better go straight behind it. */
static bool bulk_on_its_way(const struct inet_sock *i)
{
    const struct bounce *b = &i->out_op.bounce;
    if (!i->out_busy || b->size <= BOUNCE_SMALL)
        return false;
    return i->out_open ? b->used == b->size : b->used >= BOUNCE_LARGE / 2;
}

/* Enough of it that a writer is worth waking. */
static bool stream_room(struct inet_sock *i)
{
    return !bulk_on_its_way(i) && atomic_load(&i->out.charge) <= i->out_max / 2;
}

static void gather(void *op, const void *data, uint32_t size)
{
    bounce_append(&((struct net_op *)op)->bounce, data, size);
}

static bool send_buffer(struct inet_sock *i, struct bounce *b, size_t size)
{
    uint32_t fits = size > BOUNCE_LARGE / 4 ? BOUNCE_BULK : BOUNCE_LARGE;
    return (size > BOUNCE_SMALL && bounce_get(b, fits)) || inet_bounce_get(i, b, BOUNCE_SMALL);
}

/* For whoever has made it busy: true, or it is so no longer. */
static bool send_begin(struct inet_sock *i, size_t size)
{
    i->out_op.done = sent;
    i->out_op.progress = 0;
    if (send_buffer(i, &i->out_op.bounce, size))
        return true;
    spin_lock(&i->lock);
    i->out_busy = false;
    spin_unlock(&i->lock);
    return false;
}

static void choose_pace(struct inet_sock *i)
{
    bool bulk = i->out_op.bounce.size > BOUNCE_SMALL; /* its writer may wait, on another vCPU */
    if (bulk || atomic_load(&i->out.count) || i->closing || i->shut_write)
        gather_eager();
    else
        gather_lazy();
}

/* Gives the host what is queued, if it has not something of it already. */
void stream_push(struct inet_sock *i)
{
    spin_lock(&i->lock);
    bool more = !i->closed && atomic_load(&i->out.count), go = more && !i->out_busy;
    i->out_busy |= go;
    spin_unlock(&i->lock);
    if (more && !go)
        gather_eager(); /* goes out when the host has told of what is on its way */
    if (!go || !send_begin(i, atomic_load(&i->out.bytes)))
        return;
    queue_drain(&i->out, i->out_op.bounce.size, gather, &i->out_op);
    choose_pace(i);
    socket_get(&i->sock);
    netop_send(&i->out_op, i->fd, 0);
}

static void sent(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, out_op);
    op->progress += result > 0 ? (uint32_t)result : 0;
    if (op->progress < op->bounce.used && (result > 0 || inet_transient(result))) {
        netop_send(op, i->fd, 0);
        return;
    }
    inet_bounce_put(&op->bounce);
    if (result <= 0)
        queue_drain(&i->out, UINT32_MAX, NULL, NULL);
    spin_lock(&i->lock);
    i->out_busy = false;
    spin_unlock(&i->lock);
    if (result <= 0)
        inet_fail(i, result ? -result : EIO);
    else if (stream_room(i))
        wait_wake_all(&i->out_wait);
    stream_push(i);
    inet_close_step(i);
    socket_put(&i->sock);
}

static int may_send(struct inet_sock *i)
{
    int e = socket_error(&i->sock);
    if (e)
        return e;
    if (i->state == INET_CONNECTING)
        return -EAGAIN;
    return i->state != INET_CONNECTED || (i->down & 2) ? -EPIPE : 0;
}

/* A call, with nothing queued before it: the host marks the last byte. */
static ssize_t send_urgent(struct inet_sock *i, struct message *m)
{
    struct iter saved = *m->data;
    uint32_t size = (uint32_t)MIN(m->data->remaining, (size_t)HOST_MESSAGE_MAX);
    if (i->out_busy || atomic_load(&i->out.count))
        netop_flush();
    if (i->out_busy || atomic_load(&i->out.count))
        return -EAGAIN;
    void *data = kmalloc(MAX(size, 1u));
    if (!data)
        return -ENOBUFS;
    struct host_message h = {.data = data, .data_size = size};
    ssize_t r =
        iter_copy_from(m->data, data, size) < size ? -EFAULT : host_sendmsg(i->fd, &h, MSG_OOB);
    kfree(data);
    iter_revert(m->data, &saved);
    if (r > 0)
        iter_advance(m->data, (size_t)r);
    return r;
}

/* ---- bytes that go straight into what will be sent with the next exit ---- */

static bool sealed(struct net_op *op)
{
    struct inet_sock *i = container_of(op, struct inet_sock, out_op);
    spin_lock(&i->lock);
    bool now = !i->out_filling;
    i->out_open &= !now;
    i->out_missed |= !now;
    spin_unlock(&i->lock);
    return now;
}

/* What little there is moves on when more comes than its piece can hold. */
static void grow(struct inet_sock *i, size_t more)
{
    struct bounce *b = &i->out_op.bounce, wide;
    uint32_t used = b->used;
    uint8_t *data;
    if (b->size > BOUNCE_SMALL || more <= b->size - used || !bounce_get(&wide, BOUNCE_BULK))
        return;
    if ((data = kmalloc(BOUNCE_SMALL)) == NULL) {
        bounce_put(&wide);
        return;
    }
    bounce_read(b, 0, data, used);
    bounce_append(&wide, data, used);
    kfree(data);
    inet_bounce_put(b);
    *b = wide;
}

/* By way of the kernel's memory: programs' bytes are not aligned as the host's must be. */
static uint32_t fill(struct bounce *b, struct iter *from)
{
    enum { STEP = 4096, SMALL_STEP = 512 };
    uint8_t small[SMALL_STEP], *step = small;
    uint32_t most = SMALL_STEP, n, before = b->used;
    if (from->remaining > SMALL_STEP && (step = kmalloc(STEP)) != NULL)
        most = STEP;
    else
        step = small;
    do {
        uint32_t room = b->size - b->used;
        n = (uint32_t)iter_copy_from(from, step, MIN(most, room));
        bounce_append(b, step, n);
    } while (n == most && b->used < b->size && from->remaining);
    if (step != small)
        kfree(step);
    return b->used - before;
}

enum { NOT_NOW, BEGINS, GOES_ON };

static int may_fill(struct inet_sock *i)
{
    int how = NOT_NOW;
    spin_lock(&i->lock);
    if (!i->closed && !atomic_load(&i->out.count) && !i->out_filling) {
        if (!i->out_busy && i->out_max >= INET_MAX)
            how = BEGINS;
        else if (i->out_busy && i->out_open)
            how = GOES_ON;
    }
    i->out_busy |= how != NOT_NOW;
    i->out_filling |= how != NOT_NOW;
    spin_unlock(&i->lock);
    return how;
}

/* Bytes; 0: not now; -EFAULT. */
static ssize_t send_directly(struct inet_sock *i, struct message *m)
{
    struct net_op *op = &i->out_op;
    uint32_t done = 0;
    bool fault = false;
    int how = m->data->remaining ? may_fill(i) : NOT_NOW;
    if (how == NOT_NOW)
        return 0;
    bool there = how == GOES_ON || send_begin(i, m->data->remaining);
    if (there) {
        grow(i, m->data->remaining);
        bool room = op->bounce.used < op->bounce.size;
        done = fill(&op->bounce, m->data);
        fault = room && !done;
    }
    bool empty = there && !op->bounce.used;
    if (empty)
        inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    bool late = there && !empty && (how == BEGINS || i->out_missed);
    i->out_missed = i->out_filling = false;
    i->out_open = there && !empty;
    i->out_busy &= !empty;
    spin_unlock(&i->lock);
    if (late) {
        choose_pace(i);
        if (how == BEGINS)
            socket_get(&i->sock);
        netop_send_late(op, i->fd, sealed);
    }
    if (!there || empty) { /* what came meanwhile */
        stream_push(i);
        inet_close_step(i);
    }
    return fault ? -EFAULT : (ssize_t)done;
}

static ssize_t stream_send(struct socket *s, struct message *m, uint32_t flags)
{
    struct inet_sock *i = inet_of(s);
    ssize_t done = 0;
    int r = may_send(i);
    if (r == 0 && (flags & MSG_OOB))
        return send_urgent(i, m);
    if (r == 0) {
        done = send_directly(i, m);
        r = done < 0 ? (int)done : 0;
        done = MAX(done, 0);
    }
    bool queued = false;
    while (r == 0 && m->data->remaining) {
        uint32_t max = i->out_max, part = MIN(PART_MAX, max / 2);
        uint32_t size = (uint32_t)MIN(m->data->remaining, (size_t)part);
        struct packet *p = NULL;
        if (atomic_load(&i->out.charge) >= max || bulk_on_its_way(i))
            r = -EAGAIN;
        else if (!(p = packet_new(size)))
            r = -ENOBUFS;
        else if (iter_copy_from(m->data, p->data, size) < size)
            r = -EFAULT;
        else if (!queue_push(&i->out, p))
            r = -EPIPE;
        if (r == 0)
            done += size;
        else if (p)
            packet_free(p);
        queued |= r == 0;
    }
    if (queued || r == -EAGAIN)
        stream_push(i);
    return done ? done : r;
}

static int stream_shutdown(struct socket *s, int how)
{
    struct inet_sock *i = inet_of(s);
    int r = 0;
    spin_lock(&i->lock);
    if (i->state == INET_LISTENING && how != SHUT_WR) {
        i->state = INET_FRESH;
        i->shut_write = true; /* with whatever waits in accept(2) */
    } else if (i->state != INET_CONNECTED) {
        r = -ENOTCONN;
    } else {
        i->down |= (uint32_t)how + 1;
        i->shut_write |= how != SHUT_RD;
    }
    spin_unlock(&i->lock);
    if (r == 0) {
        if (i->state == INET_FRESH)
            loop_unlist(i);
        inet_close_step(i);
        wait_wake_all(&i->in_wait);
        wait_wake_all(&i->out_wait);
    }
    return r;
}

/* ---- connecting ---- */

static void connected(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, ctl_op);
    inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    i->ctl_busy = false;
    i->state = result ? INET_FRESH : INET_CONNECTED;
    spin_unlock(&i->lock);
    if (result)
        atomic_store(&i->sock.error, -result);
    wait_wake_all(&i->in_wait);
    wait_wake_all(&i->out_wait);
    stream_arm(i);
    inet_close_step(i);
    socket_put(&i->sock);
}

int stream_told_later(struct inet_sock *i, uint32_t file_flags)
{
    int error = atomic_load(&i->sock.error);
    bool waits = !(file_flags & O_NONBLOCK);
    if (i->state == INET_CONNECTED) {
        i->dialled = !waits;
        return waits ? 0 : -EINPROGRESS;
    }
    if (!waits && (error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH))
        return -EINPROGRESS;
    return socket_error(&i->sock);
}

static int may_connect(struct inet_sock *i, uint32_t file_flags)
{
    static const int busy[] = {
        [INET_FRESH] = 0, [INET_LISTENING] = -EISCONN, [INET_CONNECTED] = -EISCONN};
    if (i->state == INET_CONNECTING)
        return file_flags & O_NONBLOCK ? -EALREADY : -EINPROGRESS;
    if (i->state == INET_FRESH && atomic_load(&i->sock.error))
        return socket_error(&i->sock); /* how the last attempt ended */
    return i->ctl_busy ? -EALREADY : busy[i->state];
}

static void not_connecting(struct inet_sock *i)
{
    spin_lock(&i->lock);
    i->state = INET_FRESH;
    i->ctl_busy = false;
    spin_unlock(&i->lock);
}

/* Sent to the host at once: what it can tell at once is the call's own result. */
static int connect_outside(struct inet_sock *i, const struct sock_name *name,
                           uint32_t file_flags)
{
    struct net_op *op = &i->ctl_op;
    if (!bounce_get(&op->bounce, BOUNCE_SMALL)) {
        not_connecting(i);
        return -ENOBUFS;
    }
    socket_get(&i->sock);
    op->done = connected;
    netop_connect(op, i->fd, name->bytes, name->size);
    netop_flush();
    return i->state == INET_CONNECTING ? -EINPROGRESS : stream_told_later(i, file_flags);
}

int stream_connect(struct socket *s, const struct sock_name *name, uint32_t file_flags)
{
    struct inet_sock *i = inet_of(s);
    if (name->size < sizeof(name->family))
        return -EINVAL;
    if (name->family != s->family)
        return -EAFNOSUPPORT; /* LIMIT: no way back by AF_UNSPEC */
    if (i->dialled) {
        i->dialled = false;
        return 0;
    }
    spin_lock(&i->lock);
    int r = may_connect(i, file_flags);
    if (r == 0) {
        i->state = INET_CONNECTING;
        i->ctl_busy = true;
    }
    spin_unlock(&i->lock);
    if (r < 0)
        return r;
    if (!loop_connect(i, name, &r))
        return connect_outside(i, name, file_flags);
    if (r < 0 && r != -EINPROGRESS)
        not_connecting(i);
    return r < 0 ? r : stream_told_later(i, file_flags);
}

/* ---- accepting ---- */

static void accepted(struct net_op *op, int result)
{
    struct inet_sock *i = container_of(op, struct inet_sock, in_op), *c = NULL;
    result = host_new_fd(result);
    if (result >= 0) {
        c = i->spare;
        i->spare = NULL;
        c->fd = result;
        c->state = INET_CONNECTED;
        c->sock.protocol = i->sock.protocol;
        atomic_store(&c->in_max, i->in_max);
        atomic_store(&c->out_max, i->out_max);
        uint8_t name[BOUNCE_NAME]; /* a lie: asked again when somebody wants it */
        (void)answer_name(i->sock.family, name, netop_accepted_name(op, name), &c->peer);
        stream_arm(c);
    }
    inet_bounce_put(&op->bounce);
    spin_lock(&i->lock);
    i->in_busy = false;
    bool wanted = c && i->state == INET_LISTENING && !i->closing;
    if (wanted) {
        list_append(&i->accepted, &c->accept_node);
        i->accepted_count++;
    }
    if (result < 0 && !inet_transient(result) && result != -ECONNABORTED)
        i->accept_error = result;
    spin_unlock(&i->lock);
    if (c && !wanted) {
        inet_end(c);
        socket_put(&c->sock);
    }
    wait_wake(&i->in_wait, 1);
    accept_arm(i);
    inet_close_step(i);
    socket_put(&i->sock);
}

static void accept_arm(struct inet_sock *i)
{
    spin_lock(&i->lock);
    bool go = i->state == INET_LISTENING && !i->in_busy && !i->closing && !i->accept_error &&
              i->accepted_count < MIN(i->backlog + 1, ACCEPT_AHEAD);
    i->in_busy |= go;
    spin_unlock(&i->lock);
    if (!go)
        return;
    if (!i->spare)
        i->spare = inet_alloc(&inet_stream_ops, i->sock.family, i->sock.type);
    i->in_op.done = accepted;
    if (i->spare && inet_bounce_get(i, &i->in_op.bounce, BOUNCE_SMALL)) {
        socket_get(&i->sock);
        netop_accept(&i->in_op, i->fd);
        return;
    }
    spin_lock(&i->lock);
    i->in_busy = false;
    spin_unlock(&i->lock);
}

static int stream_listen(struct socket *s, uint32_t backlog)
{
    struct inet_sock *i = inet_of(s);
    if (i->state != INET_FRESH && i->state != INET_LISTENING)
        return -EINVAL;
    int r = host_listen(i->fd, backlog);
    if (r < 0)
        return r;
    spin_lock(&i->lock);
    i->state = INET_LISTENING;
    i->backlog = backlog;
    spin_unlock(&i->lock);
    loop_list(i);
    accept_arm(i);
    netop_flush(); /* an accept(2) elsewhere may wait for it already */
    return 0;
}

static int take_accepted(struct inet_sock *i, struct socket **out)
{
    int r = 0;
    spin_lock(&i->lock);
    if (i->state != INET_LISTENING) {
        r = -EINVAL;
    } else if (!list_empty(&i->accepted)) {
        *out = &list_entry(list_pop(&i->accepted), struct inet_sock, accept_node)->sock;
        i->accepted_count--;
    } else {
        r = i->accept_error ? i->accept_error : -EAGAIN;
        i->accept_error = 0;
    }
    spin_unlock(&i->lock);
    if (r == 0)
        loop_admit(i);
    accept_arm(i);
    return r;
}

static int stream_accept(struct socket *s, struct socket **out)
{
    struct inet_sock *i = inet_of(s);
    int r = take_accepted(i, out);
    for (int tries = 0; r == -ENFILE && tries < 3;
         tries++) { /* that was so when it was tried */
        netop_flush();
        r = take_accepted(i, out);
    }
    return r;
}

static uint32_t stream_poll(struct socket *s, struct poll_table *t)
{
    struct inet_sock *i = inet_of(s);
    uint32_t events = 0;
    poll_add(t, &i->in_wait);
    poll_add(t, &i->out_wait);
    bool over = i->eof || (i->down & 1);
    if (atomic_load(&i->in.count) || over || i->accepted_count || i->accept_error)
        events |= POLLIN | POLLRDNORM;
    if (over)
        events |= POLLRDHUP;
    if (atomic_load(&s->error))
        events |= POLLERR | POLLIN | POLLRDNORM;
    if (i->state == INET_FRESH || (over && (i->down & 2)))
        events |= POLLHUP;
    bool room = i->state == INET_CONNECTED && stream_room(i);
    if (room || i->state == INET_FRESH || (i->down & 2))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

const struct socket_ops inet_stream_ops = {
    .bind = inet_bind,
    .listen = stream_listen,
    .accept = stream_accept,
    .connect = stream_connect,
    .name = inet_name,
    .send = stream_send,
    .receive = stream_receive,
    .poll = stream_poll,
    .shutdown = stream_shutdown,
    .getopt = inet_getopt,
    .setopt = inet_setopt,
    .ioctl = inet_ioctl,
    .describe = inet_describe,
    .release = inet_release,
    .free = inet_free,
};
