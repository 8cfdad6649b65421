/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options and requests of the host's sockets. Only what stands in the table gets to the host:
 * no value in it holds a pointer or a descriptor. Unknown ones answer as on a Linux that was
 * built without them.
 */
#include "abi/errno.h"
#include "enclave/host.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "net/inet.h"

#define SNDBUF_MIN 4608u /* as on Linux, which takes less for this */
#define RCVBUF_MIN 2304u

#define TCP_NODELAY  1
#define TCP_CORK     3
#define TCP_INFO     11
#define IP_RECVERR   11
#define IPV6_RECVERR 25
#define IPV6_V6ONLY  26

/* Of one level, [first, last] may be set with min..max bytes, and be got. max 0: got only. */
struct option {
    int level, first, last;
    uint32_t min, max;
};
static const struct option options[] = {
    {SOL_SOCKET, SO_DEBUG, SO_REUSEADDR, 4, 4},
    {SOL_SOCKET, SO_DONTROUTE, SO_OOBINLINE, 4, 4},
    {SOL_SOCKET, 11, SO_PRIORITY, 4, 4},
    {SOL_SOCKET, SO_LINGER, SO_LINGER, 8, 8},
    {SOL_SOCKET, SO_REUSEPORT, SO_REUSEPORT, 4, 4},
    {SOL_SOCKET, 25, 25, 0, 16}, /* SO_BINDTODEVICE */
    {SOL_SOCKET, SO_TIMESTAMP, SO_TIMESTAMP, 4, 4},
    {SOL_SOCKET, SO_SNDBUFFORCE, SO_RCVBUFFORCE, 4, 4},
    {SOL_SOCKET, SO_TIMESTAMPNS, SO_MARK, 4, 4},
    {SOL_SOCKET, SO_RXQ_OVFL, SO_RXQ_OVFL, 4, 4},
    {SOL_SOCKET, SO_BUSY_POLL, SO_BUSY_POLL, 4, 4},
    {SOL_SOCKET, 47, 47, 4, 8}, /* SO_MAX_PACING_RATE */
    {SOL_SOCKET, SO_INCOMING_CPU, SO_INCOMING_CPU, 4, 4},
    {SOL_SOCKET, 55, 57, 0, 0}, /* SO_MEMINFO, SO_INCOMING_NAPI_ID, SO_COOKIE */
    {SOL_IP, 1, 15, 1, 256},    /* IP_TOS to IP_MTU; 16 and 17 change the rules of the host */
    {SOL_IP, 18, 24, 1, 4},
    {SOL_IP, 32, 40, 4, 264}, /* multicast */
    {SOL_IP, 49, 52, 4, 4},
    {SOL_IPV6, 1, 11, 4, 32},
    {SOL_IPV6, 16, 29, 4, 32},
    {SOL_IPV6, 49, 53, 4, 4},
    {SOL_IPV6, 56, 56, 4, 4},
    {SOL_IPV6, 60, 62, 4, 32},
    {SOL_IPV6, 66, 67, 4, 4},
    {SOL_IPV6, 70, 78, 4, 4},
    {SOL_TCP, 1, 10, 4, 4},  /* TCP_NODELAY to TCP_WINDOW_CLAMP */
    {SOL_TCP, 11, 11, 0, 0}, /* TCP_INFO */
    {SOL_TCP, 12, 12, 4, 4},
    {SOL_TCP, 13, 13, 1, 16}, /* TCP_CONGESTION */
    {SOL_TCP, 15, 18, 4, 4},
    {SOL_TCP, 23, 25, 4, 4}, /* TCP_FASTOPEN, TCP_TIMESTAMP, TCP_NOTSENT_LOWAT */
    {SOL_TCP, 26, 26, 0, 0},
    {SOL_TCP, 36, 37, 4, 4},
    {SOL_UDP, 1, 1, 4, 4},     /* UDP_CORK */
    {SOL_UDP, 103, 103, 4, 4}, /* UDP_SEGMENT; UDP_GRO would need larger buffers */
    {SOL_ICMPV6, 1, 1, 4, 32},
    {SOL_RAW, 1, 1, 4, 32},
    {SOL_NETLINK, 1, 12, 4, 4},
};

static const struct option *option_find(int level, int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        if (o->level == level && name >= o->first && name <= o->last)
            return o;
    }
    return NULL;
}

static bool level_known(const struct socket *s, int level)
{
    bool ip = level == SOL_IP || (level == SOL_IPV6 && s->family == AF_INET6);
    switch (s->family) {
    case AF_NETLINK:
        return level == SOL_SOCKET || level == SOL_NETLINK;
    default:
        return level == SOL_SOCKET || ip || level == SOL_RAW || level == SOL_ICMPV6 ||
               level == SOL_TCP || level == SOL_UDP;
    }
}

/* ---- what was set ---- */

/* Switches whose setting means nothing to a connection inside, or is looked after here. */
static bool is_switch(int level, int name)
{
    static const uint8_t plain[] = {SO_DEBUG,     SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST,
                                    SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEPORT};
    if (level == SOL_TCP)
        return name == TCP_NODELAY || name == TCP_CORK;
    for (size_t n = 0; level == SOL_SOCKET && n < ARRAY_SIZE(plain); n++) {
        if (plain[n] == name)
            return true;
    }
    return false;
}

/* What others inside would have to know of to do as the host does. */
static bool needs_host(int level, int name)
{
    static const uint8_t socket[] = {SO_DONTROUTE, 25 /* SO_BINDTODEVICE */,
                                     SO_TIMESTAMP, SO_TIMESTAMPNS,
                                     SO_MARK,      37 /* SO_TIMESTAMPING */,
                                     SO_RXQ_OVFL,  63,
                                     64,           65};
    static const uint8_t ip[] = {1, 2, 10, 11, 24, 32, 33, 34, 35, 36};
    static const uint8_t ipv6[] = {16, 17, 18, 19, 20, 21, 23, 25, 26, 67};
    const uint8_t *list = level == SOL_SOCKET ? socket : level == SOL_IP ? ip : ipv6;
    size_t count = level == SOL_SOCKET ? ARRAY_SIZE(socket) : ARRAY_SIZE(ip);
    bool found = false;
    if (level == SOL_UDP)
        return true;
    if (level != SOL_SOCKET && level != SOL_IP && level != SOL_IPV6)
        return false;
    _Static_assert(ARRAY_SIZE(ip) == ARRAY_SIZE(ipv6), "one count");
    for (size_t n = 0; n < count; n++)
        found |= list[n] == name;
    return level == SOL_SOCKET ? found : !found;
}

static void remember(struct inet_sock *i, int level, int name, const void *value, uint32_t size)
{
    struct inet_set *o = i->set, *end = i->set + i->set_count;
    int32_t n = 0;
    memcpy(&n, value, MIN(size, (uint32_t)sizeof(n)));
    if (level == SOL_SOCKET && name == SO_LINGER)
        memcpy(&i->linger, value, sizeof(i->linger));
    i->outside |= needs_host(level, name);
    if (size < sizeof(n) || size >= 8)
        return;
    if (level == SOL_SOCKET && name == SO_OOBINLINE)
        i->inline_urgent = n;
    if (level == SOL_SOCKET && name == SO_REUSEPORT)
        i->shares_port = n;
    if (level == SOL_IPV6 && name == IPV6_V6ONLY)
        i->v6only = n;
    if ((level == SOL_IP && name == IP_RECVERR) || (level == SOL_IPV6 && name == IPV6_RECVERR))
        i->tells_errors = n;
    while (o < end && (o->level != level || o->name != name))
        o++;
    if (o == i->set + INET_SET_MAX)
        return; /* LIMIT: inherits no more than these */
    i->set_count += o == end;
    *o = (struct inet_set){level, name, is_switch(level, name) ? n != 0 : n};
}

static int32_t remembered(const struct inet_sock *i, int level, int name)
{
    for (uint32_t n = 0; n < i->set_count; n++) {
        if (i->set[n].level == level && i->set[n].name == name)
            return i->set[n].value;
    }
    return 0;
}

int inet_fd(struct inet_sock *i)
{
    if (i->fd >= 0)
        return i->fd;
    int fd = host_socket(i->sock.family, i->sock.type, i->sock.protocol);
    for (uint32_t n = 0; fd >= 0 && n < i->set_count; n++)
        (void)!host_setsockopt(fd, i->set[n].level, i->set[n].name, &i->set[n].value,
                               sizeof(i->set[n].value));
    if (fd < 0)
        return fd;
    spin_lock(&i->lock);
    bool first = i->fd < 0;
    if (first)
        i->fd = fd;
    spin_unlock(&i->lock);
    if (!first)
        host_close(fd);
    return i->fd;
}

/* ---- getting and setting ---- */

static int give(void *value, uint32_t *size, const void *from, uint32_t n)
{
    *size = MIN(*size, n);
    memcpy(value, from, *size);
    return 0;
}

/* Of a connection inside; -ENOENT: the host's word is as good. */
static int get_inside(struct inet_sock *i, int level, int name, void *value, uint32_t *size)
{
    if (!i->other)
        return -ENOENT;
    if (level == SOL_TCP && name == TCP_INFO) {
        *size = loop_tcp_info(i, value, *size);
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_LINGER)
        return give(value, size, &i->linger, sizeof(i->linger));
    if (!is_switch(level, name))
        return -ENOENT;
    int32_t n = remembered(i, level, name);
    return give(value, size, &n, sizeof(n));
}

int inet_getopt(struct socket *s, int level, int name, void *value, uint32_t *size)
{
    struct inet_sock *i = inet_of(s);
    if (level == SOL_SOCKET && name == SO_ACCEPTCONN) {
        int32_t listens = i->state == INET_LISTENING;
        return give(value, size, &listens, sizeof(listens));
    }
    if (level == SOL_SOCKET && name == SO_PEERCRED) {
        const struct abi_ucred nobody = {0, UINT32_MAX, UINT32_MAX};
        return give(value, size, &nobody, sizeof(nobody));
    }
    if (!level_known(s, level))
        return -EOPNOTSUPP;
    if (!option_find(level, name))
        return -ENOPROTOOPT;
    int r = get_inside(i, level, name, value, size);
    if (r != -ENOENT)
        return r;
    int fd = inet_fd(i);
    ssize_t got = fd < 0 ? fd : host_getsockopt(fd, level, name, value, *size);
    if (got < 0)
        return (int)got;
    *size = (uint32_t)got;
    return 0;
}

/* What changes more than the socket's own matters: -EPERM without the capability. */
static bool may_set(int level, int name)
{
    const struct cred *c = fs_cred();
    bool admin = cred_can(c, CAP_NET_ADMIN), raw = admin || cred_can(c, CAP_NET_RAW);
    if (level == SOL_SOCKET && (name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE))
        return admin;
    if (level == SOL_SOCKET && name == SO_MARK)
        return raw;
    bool transparent = (level == SOL_IP && name == 19) || (level == SOL_IPV6 && name == 75);
    return !transparent || raw;
}

/* The host keeps twice the value, and we as much again: that is what can be on its way. */
static void limit_queues(struct inet_sock *i, int name, int32_t value)
{
    uint32_t twice = 2 * (uint32_t)MIN(MAX(value, 0), (int32_t)INET_MAX / 2);
    if (name == SO_RCVBUF || name == SO_RCVBUFFORCE) {
        atomic_store(&i->in_max, MAX(twice, RCVBUF_MIN));
    } else if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
        atomic_store(&i->out_max, MAX(twice, SNDBUF_MIN));
        wait_wake_all(&i->out_wait);
    }
}

int inet_setopt(struct socket *s, int level, int name, const void *value, uint32_t size)
{
    struct inet_sock *i = inet_of(s);
    const struct option *o = option_find(level, name);
    if (!level_known(s, level))
        return -ENOPROTOOPT;
    if (!o || (!o->max && o->min == 0))
        return -ENOPROTOOPT;
    if (size < o->min)
        return -EINVAL;
    if (!may_set(level, name))
        return -EPERM;
    bool linger = level == SOL_SOCKET && name == SO_LINGER;
    int r = 0;
    if (!i->other || (!is_switch(level, name) && !linger)) {
        int fd = inet_fd(i);
        r = fd < 0 ? fd : host_setsockopt(fd, level, name, value, MIN(size, o->max));
    }
    if (r == 0 && level == SOL_SOCKET && o->max == sizeof(int32_t))
        limit_queues(i, name, *(const int32_t *)value);
    if (r == 0)
        remember(i, level, name, value, size);
    return r;
}

/* ---- requests ---- */

#define IFREQ_BYTES 40u
#define SIOCATMARK  0x8905u
#define SIOCGIFCONF 0x8912u
#define IFCONF_MAX  (64u * 1024)

/* Those of netdevice(7) that ask, all with a struct ifreq. */
static bool asks(uint32_t request)
{
    static const uint16_t known[] = {0x8910, 0x8913, 0x8915, 0x8917, 0x8919, 0x891b,
                                     0x891d, 0x8921, 0x8927, 0x8933, 0x8942};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i] == request)
            return true;
    }
    return false;
}

static int64_t interface_request(int fd, uint32_t request, uaddr_t arg)
{
    uint8_t req[IFREQ_BYTES];
    if (copy_from_user(req, arg, sizeof(req)) < 0)
        return -EFAULT;
    int r = host_ioctl(fd, request, req, sizeof(req));
    return r < 0 ? r : copy_to_user(arg, req, sizeof(req));
}

static int64_t interface_table(int fd, uaddr_t arg)
{
    struct {
        int32_t size, pad;
        uint64_t buffer;
    } c;
    if (get_user(&c, arg) < 0)
        return -EFAULT;
    uint32_t room = c.buffer ? (uint32_t)MIN(MAX(c.size, 0), (int32_t)IFCONF_MAX) : IFCONF_MAX;
    void *table = kmalloc(IFCONF_MAX);
    if (!table)
        return -ENOMEM;
    ssize_t r = host_ifconf(fd, table, room);
    if (r >= 0 && c.buffer && copy_to_user(c.buffer, table, (size_t)r) < 0)
        r = -EFAULT;
    kfree(table);
    return r < 0 ? r : put_user(arg, (int32_t)r);
}

static int64_t ask_interfaces(int fd, uint32_t request, uaddr_t arg)
{
    if (request == SIOCGIFCONF)
        return interface_table(fd, arg);
    return asks(request) ? interface_request(fd, request, arg) : -ENOTTY;
}

int64_t net_interface_ioctl(uint32_t request, uaddr_t arg)
{
    if (request != SIOCGIFCONF && !asks(request))
        return -ENOTTY;
    int fd = host_socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    int64_t r = ask_interfaces(fd, request, arg);
    host_close(fd);
    return r;
}

int64_t inet_ioctl(struct socket *s, uint32_t request, uaddr_t arg)
{
    struct inet_sock *i = inet_of(s);
    bool stream = s->type == SOCK_STREAM;
    switch (request) {
    case SIOCINQ:
        if (i->state == INET_LISTENING)
            return -EINVAL;
        return put_user(arg, stream ? (int32_t)atomic_load(&i->in.bytes)
                                    : (int32_t)queue_first_size(&i->in));
    case SIOCOUTQ: /* LIMIT: what the host still has to send does not count */
        return put_user(arg, (int32_t)atomic_load(&i->out.bytes));
    case SIOCATMARK:
        return stream ? put_user(arg, (int32_t)0) : -ENOTTY;
    default:
        return ask_interfaces(i->fd, request, arg);
    }
}
