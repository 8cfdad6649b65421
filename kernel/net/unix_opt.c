/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of UNIX sockets. Those that mean nothing here are remembered, as Linux does. */
#include "net/unix.h"

#include "abi/errno.h"
#include "lib/string.h"

#define BUFFER_MAX 425984u /* twice /proc/sys/net/core/wmem_max, as Linux doubles it */
#define BUFFER_MIN 4608u

/* A bit in unix_sock.booleans each. */
static const int booleans[] = {SO_DEBUG,     SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST,
                               SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEPORT};

static int boolean_bit(int name, uint32_t *bit)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(booleans); i++) {
        if (booleans[i] == name) {
            *bit = 1u << i;
            return 0;
        }
    }
    return -ENOPROTOOPT;
}

static int give(void *value, uint32_t *size, const void *from, uint32_t n)
{
    *size = MIN(*size, n);
    memcpy(value, from, *size);
    return 0;
}

int unix_getopt(struct socket *s, int level, int name, void *value, uint32_t *size)
{
    struct unix_sock *u = unix_of(s);
    uint32_t bit;
    int32_t n;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    switch (name) {
    case SO_PASSCRED:
        n = (int32_t)atomic_load(&s->pass_cred);
        break;
    case SO_ACCEPTCONN:
        n = u->state == UNIX_LISTENING;
        break;
    case SO_SNDBUF:
        n = (int32_t)atomic_load(&u->send_buffer);
        break;
    case SO_RCVBUF:
        n = (int32_t)atomic_load(&u->receive_buffer);
        break;
    case SO_PEERCRED:
        return give(value, size, &u->peer_cred, sizeof(u->peer_cred));
    case SO_LINGER:
        return give(value, size, &u->linger, sizeof(u->linger));
    default:
        if (boolean_bit(name, &bit) < 0)
            return -ENOPROTOOPT;
        n = (atomic_load(&u->booleans) & bit) != 0;
    }
    return give(value, size, &n, sizeof(n));
}

static uint32_t doubled(int32_t n)
{
    uint64_t wanted = n < 0 ? BUFFER_MAX : (uint64_t)n * 2;
    return (uint32_t)MIN(MAX(wanted, (uint64_t)BUFFER_MIN), (uint64_t)BUFFER_MAX);
}

int unix_setopt(struct socket *s, int level, int name, const void *value, uint32_t size)
{
    struct unix_sock *u = unix_of(s);
    uint32_t bit;
    int32_t n;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (size < sizeof(n))
        return -EINVAL;
    memcpy(&n, value, sizeof(n));
    bool force = name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE;
    if (force && !cred_can(fs_cred(), CAP_NET_ADMIN))
        return -EPERM;
    switch (name) {
    case SO_PASSCRED:
        atomic_store(&s->pass_cred, n != 0);
        return 0;
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        atomic_store(&u->send_buffer, doubled(n));
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        atomic_store(&u->receive_buffer, doubled(n));
        return 0;
    case SO_LINGER:
        if (size < sizeof(u->linger))
            return -EINVAL;
        memcpy(&u->linger, value, sizeof(u->linger));
        return 0;
    default:
        if (boolean_bit(name, &bit) < 0)
            return -ENOPROTOOPT;
        if (n)
            atomic_fetch_or(&u->booleans, bit);
        else
            atomic_fetch_and(&u->booleans, ~bit);
        return 0;
    }
}
