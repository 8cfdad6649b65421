/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loopback inside: who listens or is bound where, and the ports of those who connect. What
 * a program asked for counts; the host is believed only about a port that it was to choose.
 */
#include "net/loop.h"

#include "abi/errno.h"
#include "boundary/config.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/host_net.h"
#include "lib/string.h"
#include "net/answer.h"
#include "net/inet.h"

#define BUCKETS   1024u
#define PORT_LOW  32768u /* /proc/sys/net/ipv4/ip_local_port_range */
#define PORT_HIGH 60999u

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t v6_loopback[16] = {[15] = 1};

/* ---- names ---- */

static bool is_v4(const struct loop_end *e)
{
    return !memcmp(e->addr, mapped, sizeof(mapped));
}

static bool is_any(const struct loop_end *e)
{
    static const uint8_t zero[16];
    return !memcmp(e->addr, zero, 16) || (is_v4(e) && !memcmp(e->addr + 12, zero, 4));
}

bool loop_end_of(const struct sock_name *name, struct loop_end *out)
{
    memset(out, 0, sizeof(*out));
    if (name->size < 16 || (name->family == AF_INET6 && name->size < 24))
        return false;
    out->port = (uint16_t)(name->bytes[2] << 8 | name->bytes[3]);
    if (name->family == AF_INET6) {
        memcpy(out->addr, name->bytes + 8, 16);
        return true;
    }
    memcpy(out->addr, mapped, sizeof(mapped));
    memcpy(out->addr + 12, name->bytes + 4, 4);
    return name->family == AF_INET;
}

void loop_name_of(uint32_t family, const struct loop_end *e, struct sock_name *out)
{
    memset(out, 0, sizeof(*out));
    out->size = answer_name_size(family);
    out->family = (uint16_t)family;
    out->bytes[2] = (uint8_t)(e->port >> 8);
    out->bytes[3] = (uint8_t)e->port;
    if (family == AF_INET6)
        memcpy(out->bytes + 8, e->addr, 16);
    else
        memcpy(out->bytes + 4, e->addr + 12, 4);
}

/* 127.0.0.1 or ::1, whichever it is of, where it is no address of its own. */
static void settle(struct loop_end *e)
{
    static const uint8_t local[4] = {127, 0, 0, 1};
    if (!is_any(e))
        return;
    if (is_v4(e))
        memcpy(e->addr + 12, local, sizeof(local));
    else
        memcpy(e->addr, v6_loopback, sizeof(v6_loopback));
}

/* TCP or UDP, nothing else of these types. */
static bool plain(const struct inet_sock *i)
{
    enum { TCP = 6, UDP = 17 };
    bool ip = i->sock.family == AF_INET || i->sock.family == AF_INET6;
    return ip && i->sock.protocol == (i->sock.type == SOCK_STREAM ? TCP : UDP);
}

bool loop_wants(const struct inet_sock *i, const struct sock_name *name, struct loop_end *to)
{
    if (i->outside || !plain(i) || name->family != i->sock.family || !loop_end_of(name, to) ||
        !to->port)
        return false;
    settle(to);
    if (enclave.config->flags & CONFIG_FLAG_LOOPBACK_HOST)
        return false;
    if (is_v4(to))
        return to->addr[12] == 127 && !i->v6only;
    return !memcmp(to->addr, v6_loopback, sizeof(v6_loopback));
}

/* What the host chose where the program left it to it. */
static bool learn_port(struct inet_sock *i)
{
    uint8_t bytes[HOST_NAME_MAX];
    struct sock_name name;
    struct loop_end chosen;
    if (i->here.port)
        return true;
    ssize_t r = host_sockname(i->fd, false, bytes);
    if (r < 0 || !answer_name(i->sock.family, bytes, (uint32_t)r, &name) ||
        !loop_end_of(&name, &chosen))
        return false;
    if (!i->named)
        i->here = chosen;
    i->here.port = chosen.port;
    return chosen.port != 0;
}

bool loop_source(struct inet_sock *i, const struct loop_end *to, struct loop_end *from)
{
    *from = *to;
    from->port = 0;
    if (is_v4(to))
        memset(from->addr + 12, 0, 4);
    settle(from);
    if (!i->named)
        return true;
    if (!learn_port(i))
        return false;
    from->port = i->here.port;
    if (is_any(&i->here))
        return true;
    memcpy(from->addr, i->here.addr, sizeof(from->addr));
    return is_v4(from) ? is_v4(to) && from->addr[12] == 127
                       : !memcmp(from->addr, to->addr, sizeof(to->addr));
}

/* ---- who can be found ---- */

static struct spinlock lock = SPINLOCK_INIT(RANK_NET);
static struct list bound[BUCKETS], connections[BUCKETS]; /* by the own port */
static bool ready;
static uint32_t next_port;

static void prepare_locked(void)
{
    for (uint32_t n = 0; n < BUCKETS && !ready; n++) {
        list_init(&bound[n]);
        list_init(&connections[n]);
    }
    ready = true;
}

/* 0: does not hear it; more is nearer. */
static uint32_t match(const struct inet_sock *i, uint32_t type, const struct loop_end *to,
                      const struct loop_end *from)
{
    enum { ANY = 1, EXACT, ONLY_THIS = 4 };
    uint32_t score = 0;
    if (i->sock.type != type || i->here.port != to->port || i->outside)
        return 0;
    if (!memcmp(i->here.addr, to->addr, sizeof(to->addr)))
        score = EXACT;
    else if (is_any(&i->here) && (is_v4(&i->here) == is_v4(to) || (is_v4(to) && !i->v6only)))
        score = ANY;
    if (!score || type == SOCK_STREAM || !i->heard_only)
        return score;
    return loop_end_same(&i->there, from) ? score + ONLY_THIS : 0;
}

/* The `skip`th of those that match best; *count is how many these are. */
static struct inet_sock *best_locked(uint32_t type, const struct loop_end *to,
                                     const struct loop_end *from, uint32_t skip,
                                     uint32_t *count)
{
    struct inet_sock *i, *best = NULL;
    uint32_t score = 0;
    *count = 0;
    list_for_each (i, &bound[to->port % BUCKETS], port_node) {
        uint32_t s = match(i, type, to, from);
        if (!s || s < score)
            continue;
        *count = s > score ? 1 : *count + 1;
        if (s > score || *count == skip + 1)
            best = i;
        score = s;
    }
    return best;
}

struct inet_sock *loop_find(uint32_t type, const struct loop_end *to,
                            const struct loop_end *from)
{
    uint32_t count;
    spin_lock(&lock);
    prepare_locked();
    struct inet_sock *i = best_locked(type, to, from, 0, &count);
    if (count > 1 && i->shares_port) /* SO_REUSEPORT: in turn, one sender always the same */
        i = best_locked(type, to, from, (type == SOCK_STREAM ? next_port : from->port) % count,
                        &count);
    if (i)
        socket_get(&i->sock);
    spin_unlock(&lock);
    return i;
}

void loop_list(struct inet_sock *i)
{
    if (!plain(i) || !learn_port(i))
        return;
    spin_lock(&lock);
    prepare_locked();
    if (list_empty(&i->port_node))
        list_push(&bound[i->here.port % BUCKETS], &i->port_node);
    spin_unlock(&lock);
}

void loop_unlist(struct inet_sock *i)
{
    spin_lock(&lock);
    if (!list_empty(&i->port_node))
        list_remove(&i->port_node);
    spin_unlock(&lock);
}

/* ---- ports of those who connect ---- */

static bool taken_locked(const struct inet_sock *i, uint16_t port)
{
    struct inet_sock *c;
    list_for_each (c, &connections[port % BUCKETS], port_node) {
        if (c->here.port == port && loop_end_same(&c->there, &i->there))
            return true;
    }
    return false;
}

static bool held_locked(uint16_t port)
{
    struct inet_sock *c;
    list_for_each (c, &bound[port % BUCKETS], port_node) {
        if (c->here.port == port)
            return true;
    }
    return false;
}

int loop_port_take(struct inet_sock *i)
{
    const uint32_t range = PORT_HIGH - PORT_LOW + 1;
    uint16_t port = i->here.port;
    uint32_t start;
    random_bytes(&start, sizeof(start));
    spin_lock(&lock);
    prepare_locked();
    if (!next_port)
        next_port = start % range;
    next_port++;
    for (uint32_t n = 0; n < range && !port; n++) {
        uint16_t candidate = (uint16_t)(PORT_LOW + next_port % range);
        if (held_locked(candidate) || taken_locked(i, candidate))
            next_port++;
        else
            port = candidate;
    }
    bool free = port && !taken_locked(i, port);
    if (free) {
        i->here.port = port;
        list_push(&connections[port % BUCKETS], &i->port_node);
    }
    spin_unlock(&lock);
    return free ? 0 : -EADDRNOTAVAIL;
}
