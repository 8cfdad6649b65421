/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets as files, and the loops that wait for them. What differs between families lies
 * behind struct socket_ops.
 */
#include "net/socket.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "signal/signal.h"

void socket_init(struct socket *s, const struct socket_ops *ops, uint32_t family, uint32_t type)
{
    atomic_store(&s->ops, ops);
    s->family = family;
    s->type = type;
    atomic_store(&s->refs, 1);
    atomic_store(&s->low_water, 1);
}

struct socket *socket_get(struct socket *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void socket_put(struct socket *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        s->ops->free(s);
}

int socket_error(struct socket *s)
{
    return atomic_load(&s->error) ? -atomic_exchange(&s->error, 0) : 0;
}

static bool is_stream(const struct socket *s)
{
    return s->type == SOCK_STREAM;
}

/* ---- files ---- */

static ssize_t socket_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct socket *s = f->private;
    struct message m = {.data = to};
    (void)pos;
    if (to->remaining == 0 && is_stream(s))
        return 0;
    ssize_t r = s->ops->receive(s, &m, 0);
    scm_free(&m.scm);
    return r;
}

static ssize_t socket_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct socket *s = f->private;
    struct message m = {.data = from};
    (void)pos;
    return s->ops->send(s, &m, 0);
}

static uint32_t socket_poll(struct file *f, struct poll_table *t)
{
    struct socket *s = f->private;
    return s->ops->poll(s, t);
}

static int64_t socket_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct socket *s = f->private;
    return s->ops->ioctl ? s->ops->ioctl(s, request, arg) : -ENOTTY;
}

/* ---- all that have a file ---- */

static struct spinlock all_lock = SPINLOCK_INIT(RANK_NET);
static struct list all = LIST_INIT(all);
static uint32_t all_count;

static void enlist(struct socket *s, struct file *f, uint64_t ino)
{
    s->file = f;
    s->ino = ino;
    s->uid = fs_cred()->fsuid;
    spin_lock(&all_lock);
    list_append(&all, &s->all_node);
    all_count++;
    spin_unlock(&all_lock);
}

static void delist(struct socket *s)
{
    spin_lock(&all_lock);
    list_remove(&s->all_node);
    all_count--;
    spin_unlock(&all_lock);
}

int socket_snapshot(uint32_t family, uint32_t type, struct socket ***out, uint32_t *count)
{
    struct socket *s;
    uint32_t room = __atomic_load_n(&all_count, __ATOMIC_RELAXED) + 16, n = 0;
    struct socket **list = kcalloc(room, sizeof(*list));
    if (!list)
        return -ENOMEM;
    spin_lock(&all_lock);
    list_for_each (s, &all, all_node) {
        if (n < room && s->family == family && (!type || s->type == type))
            list[n++] = socket_get(s);
    }
    spin_unlock(&all_lock);
    *out = list;
    *count = n;
    return 0;
}

static void socket_release(struct file *f)
{
    struct socket *s = f->private;
    delist(s);
    s->ops->release(s);
    socket_put(s);
}

static const struct file_ops socket_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .release = socket_release,
};

struct socket *socket_of(const struct file *f)
{
    return f->ops == &socket_file_ops ? f->private : NULL;
}

int socket_file_new(struct socket *s, uint32_t flags, struct file **out)
{
    struct inode *i;
    char name[32];
    int r = inode_new_anonymous(S_IFSOCK | 0777, &i);
    if (r == 0) {
        format_string(name, sizeof(name), "socket:[%llu]", (unsigned long long)i->ino);
        r = file_new_anonymous(i, name, O_RDWR | (flags & O_NONBLOCK), &socket_file_ops, s,
                               out);
    }
    if (r < 0) {
        s->ops->release(s);
        socket_put(s);
        return r;
    }
    if (!is_stream(s))
        (*out)->state |= FILE_NO_SIGPIPE;
    enlist(s, *out, i->ino);
    return 0;
}

static int check_type(uint32_t family, uint32_t *type, uint32_t protocol)
{
    if (family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (*type == SOCK_RAW)
        *type = SOCK_DGRAM;
    return *type == SOCK_STREAM || *type == SOCK_DGRAM || *type == SOCK_SEQPACKET
               ? 0
               : -ESOCKTNOSUPPORT;
}

int socket_new(uint32_t family, uint32_t type, uint32_t protocol, struct socket **out)
{
    if (family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
        return inet_socket_new(family, type, protocol, out);
    int r = check_type(family, &type, protocol);
    return r < 0 ? r : unix_socket_new(type, protocol, out);
}

int socket_pair(uint32_t family, uint32_t type, uint32_t protocol, struct socket *out[2])
{
    if (family == AF_INET || family == AF_INET6)
        return -EOPNOTSUPP;
    int r = check_type(family, &type, protocol);
    return r < 0 ? r : unix_socket_pair(type, protocol, out);
}

/* ---- waiting ---- */

/* Deadlines begin when a call first has to wait; signals end calls with a timeout for good. */
struct patience {
    uint64_t timeout_ns, deadline_ns;
    bool nonblock;
};

static struct patience patience(const struct file *f, uint32_t flags, uint64_t timeout_ns)
{
    bool nonblock = (flags & MSG_DONTWAIT) || (atomic_load(&f->flags) & O_NONBLOCK);
    return (struct patience){.timeout_ns = timeout_ns, .nonblock = nonblock};
}

static uint64_t deadline_of(struct patience *p)
{
    if (!p->timeout_ns)
        return NO_DEADLINE;
    if (!p->deadline_ns)
        p->deadline_ns = clock_monotonic_ns() + p->timeout_ns;
    return p->deadline_ns;
}

static int outcome(const struct patience *p, int r)
{
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    return r == -ERESTARTSYS && p->timeout_ns ? -EINTR : r;
}

static int wait_for(struct file *f, uint32_t events, struct patience *p)
{
    if (p->nonblock)
        return -EAGAIN;
    return outcome(p, file_wait(f, events, deadline_of(p)));
}

static int wait_to_send(struct file *f, const struct sock_name *name, struct patience *p)
{
    struct socket *s = f->private;
    if (!s->ops->wait_peer)
        return wait_for(f, POLLOUT, p);
    if (p->nonblock)
        return -EAGAIN;
    return outcome(p, s->ops->wait_peer(s, name, deadline_of(p)));
}

int socket_accept(struct file *f, struct socket **out)
{
    struct socket *s = f->private;
    struct patience p = patience(f, 0, atomic_load(&s->read_timeout_ns));
    if (!s->ops->accept)
        return -EOPNOTSUPP;
    for (;;) {
        int r = s->ops->accept(s, out);
        if (r != -EAGAIN)
            return r;
        r = wait_for(f, POLLIN, &p);
        if (r < 0)
            return r;
    }
}

int socket_connect(struct file *f, const struct sock_name *name)
{
    struct socket *s = f->private;
    struct patience p = patience(f, 0, atomic_load(&s->write_timeout_ns));
    if (!s->ops->connect)
        return -EOPNOTSUPP;
    for (;;) {
        int r = s->ops->connect(s, name, atomic_load(&f->flags));
        if (r != -EAGAIN && (r != -EINPROGRESS || p.nonblock))
            return r;
        if (r == -EINPROGRESS) {
            r = wait_for(f, POLLOUT, &p);
            if (r == 0)
                return socket_error(s);
            return r == -EAGAIN ? -EINPROGRESS : r;
        }
        r = wait_to_send(f, name, &p);
        if (r < 0)
            return r;
    }
}

static ssize_t sent(struct socket *s, size_t done, ssize_t r, uint32_t flags)
{
    if (done)
        return (ssize_t)done;
    if (r == -EPIPE && is_stream(s) && !(flags & MSG_NOSIGNAL))
        signal_send_current(SIGPIPE);
    return r;
}

ssize_t socket_send(struct file *f, struct message *m, uint32_t flags)
{
    struct socket *s = f->private;
    struct patience p = patience(f, flags, atomic_load(&s->write_timeout_ns));
    size_t done = 0;
    for (;;) {
        ssize_t r = s->ops->send(s, m, flags);
        done += r > 0 ? (size_t)r : 0;
        if (r >= 0 && (!is_stream(s) || !m->data->remaining))
            return (ssize_t)done;
        if (r < 0 && r != -EAGAIN)
            return sent(s, done, r, flags);
        r = r > 0 ? 0 : wait_to_send(f, &m->name, &p);
        if (r < 0)
            return sent(s, done, r, flags);
    }
}

ssize_t socket_receive(struct file *f, struct message *m, uint32_t flags)
{
    struct socket *s = f->private;
    struct patience p = patience(f, flags, atomic_load(&s->read_timeout_ns));
    size_t done = 0, low = MIN((size_t)atomic_load(&s->low_water), m->data->remaining);
    if (flags & MSG_WAITALL)
        low = m->data->remaining;
    for (;;) {
        ssize_t r = s->ops->receive(s, m, flags);
        done += r > 0 ? (size_t)r : 0;
        if (r == 0 || (r > 0 && (!is_stream(s) || done >= low || m->scm.files)))
            return (ssize_t)done;
        if (r > 0 && (flags & MSG_PEEK))
            return (ssize_t)done;
        if (r < 0 && (r != -EAGAIN || (flags & MSG_ERRQUEUE)))
            return done ? (ssize_t)done : r;
        if (r > 0)
            continue;
        r = wait_for(f, POLLIN | POLLRDHUP, &p);
        if (r < 0)
            return done ? (ssize_t)done : r;
    }
}

/* ---- options of all sockets ---- */

static int give(void *value, uint32_t *size, const void *from, uint32_t n)
{
    *size = MIN(*size, n);
    memcpy(value, from, *size);
    return 0;
}

static int give_int(void *value, uint32_t *size, int32_t n)
{
    return give(value, size, &n, sizeof(n));
}

static int give_time(void *value, uint32_t *size, uint64_t ns)
{
    int64_t t[2] = {(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u / 1000)};
    return give(value, size, t, sizeof(t));
}

int socket_getopt(struct socket *s, int level, int name, void *value, uint32_t *size)
{
    switch (level == SOL_SOCKET ? name : -1) {
    case SO_TYPE:
        return give_int(value, size, (int32_t)s->type);
    case SO_DOMAIN:
        return give_int(value, size, (int32_t)s->family);
    case SO_PROTOCOL:
        return give_int(value, size, (int32_t)s->protocol);
    case SO_ERROR:
        return give_int(value, size, -socket_error(s));
    case SO_RCVLOWAT:
        return give_int(value, size, (int32_t)atomic_load(&s->low_water));
    case SO_SNDLOWAT:
        return give_int(value, size, 1);
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return give_time(value, size, atomic_load(&s->read_timeout_ns));
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return give_time(value, size, atomic_load(&s->write_timeout_ns));
    default:
        return s->ops->getopt ? s->ops->getopt(s, level, name, value, size) : -EOPNOTSUPP;
    }
}

static int set_timeout(struct socket *s, bool write, const void *value, uint32_t size)
{
    int64_t t[2];
    uint64_t ns;
    if (size < sizeof(t))
        return -EINVAL;
    memcpy(t, value, sizeof(t));
    if (t[1] < 0 || t[1] >= 1000000)
        return -EDOM;
    if (t[0] < 0)
        ns = 1; /* as Linux: do not wait at all */
    else if (mul_overflows((uint64_t)t[0], 1000000000u, &ns))
        ns = 0;
    else
        ns += (uint64_t)t[1] * 1000;
    atomic_store(write ? &s->write_timeout_ns : &s->read_timeout_ns, ns);
    if (s->file) /* for read(2) and write(2) */
        atomic_store(&s->file->wait_ns[write], ns);
    return 0;
}

int socket_setopt(struct socket *s, int level, int name, const void *value, uint32_t size)
{
    int32_t n = 0;
    switch (level == SOL_SOCKET ? name : -1) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return set_timeout(s, false, value, size);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return set_timeout(s, true, value, size);
    case SO_TYPE:
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_ERROR:
    case SO_SNDLOWAT:
        return -ENOPROTOOPT;
    case SO_RCVLOWAT:
        if (size < sizeof(n))
            return -EINVAL;
        memcpy(&n, value, sizeof(n));
        atomic_store(&s->low_water, n < 0 ? INT32_MAX : (uint32_t)MAX(n, 1));
        return 0;
    default:
        return s->ops->setopt ? s->ops->setopt(s, level, name, value, size) : -EOPNOTSUPP;
    }
}
