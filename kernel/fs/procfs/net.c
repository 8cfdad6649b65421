/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /proc/net: this kernel's view of the network, the sockets of its own programs. LIMIT:
 * counters of packets, interfaces and routes are the host's and do not stand here; netlink
 * tells them.
 */
#include "abi/errno.h"
#include "fs/procfs/node.h"
#include "fs/procfs/pid.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/socket.h"

/* `show` is false where Linux does not list such a one. */
static int each(uint32_t family, uint32_t type, struct text *t,
                bool (*show)(struct text *t, struct socket *s, uint32_t number))
{
    struct socket **list;
    uint32_t count, number = 0;
    int r = socket_snapshot(family, type, &list, &count);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < count; i++) {
        number += show(t, list[i], number);
        socket_put(list[i]);
    }
    kfree(list);
    return 0;
}

/* ---- INET ---- */

/* Addresses are words as this processor reads them, ports numbers. */
static void add_name(struct text *t, struct socket *s, bool peer)
{
    struct sock_name n;
    uint32_t words = s->family == AF_INET6 ? 4 : 1, at = s->family == AF_INET6 ? 8 : 4;
    if (s->ops->name(s, peer, &n) < 0)
        memset(&n, 0, sizeof(n));
    text_add(t, " ");
    for (uint32_t i = 0; i < words; i++) {
        uint32_t word;
        memcpy(&word, n.bytes + at + 4 * i, sizeof(word));
        text_add(t, "%08X", word);
    }
    text_add(t, ":%04X", (unsigned)n.bytes[2] << 8 | n.bytes[3]);
}

static bool add_inet(struct text *t, struct socket *s, uint32_t number, bool stream)
{
    enum { CLOSE = 7 };
    struct socket_state state;
    struct sock_name n;
    s->ops->describe(s, &state);
    bool bound = s->ops->name(s, false, &n) == 0 && (n.bytes[2] || n.bytes[3]);
    if (stream ? state.number == CLOSE : s->type == SOCK_DGRAM && !bound)
        return false;
    text_add(t, stream ? "%4u:" : "%5u:", number);
    add_name(t, s, false);
    add_name(t, s, true);
    text_add(t, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu", state.number,
             state.listening ? 0 : state.out, state.in, s->uid, (unsigned long long)s->ino);
    text_add(t, stream ? " 1 0000000000000000 100 0 0 10 0\n" : " 2 0000000000000000 0\n");
    return true;
}

static bool add_stream(struct text *t, struct socket *s, uint32_t number)
{
    return add_inet(t, s, number, true);
}

static bool add_datagram(struct text *t, struct socket *s, uint32_t number)
{
    return add_inet(t, s, number, false);
}

static int show_streams(struct text *t, uint32_t family)
{
    text_add(t,
             "  sl  local_address %srem_address   %sst tx_queue rx_queue tr tm->when "
             "retrnsmt   uid  timeout inode\n",
             family == AF_INET6 ? "                        " : "",
             family == AF_INET6 ? "                      " : "");
    return each(family, SOCK_STREAM, t, add_stream);
}

static int show_datagrams(struct text *t, uint32_t family, uint32_t type)
{
    text_add(t,
             "   sl  local_address %srem_address   %sst tx_queue rx_queue tr tm->when "
             "retrnsmt   uid  timeout inode ref pointer drops\n",
             family == AF_INET6 ? "                        " : "",
             family == AF_INET6 ? "                      " : "");
    return each(family, type, t, add_datagram);
}

static int show_tcp(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_streams(t, AF_INET);
}

static int show_tcp6(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_streams(t, AF_INET6);
}

static int show_udp(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_datagrams(t, AF_INET, SOCK_DGRAM);
}

static int show_udp6(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_datagrams(t, AF_INET6, SOCK_DGRAM);
}

static int show_raw(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_datagrams(t, AF_INET, SOCK_RAW);
}

static int show_raw6(const struct proc_key *key, struct text *t)
{
    (void)key;
    return show_datagrams(t, AF_INET6, SOCK_RAW);
}

/* ---- UNIX ---- */

static bool add_unix(struct text *t, struct socket *s, uint32_t number)
{
    struct socket_state state;
    struct sock_name n;
    (void)number;
    s->ops->describe(s, &state);
    text_add(t, "%016x: %08X %08X %08X %04X %02X %5llu", 0, 2, 0,
             state.listening ? 0x10000u : 0, s->type, state.number, (unsigned long long)s->ino);
    bool named = s->ops->name(s, false, &n) == 0 && n.size > sizeof(n.family);
    if (named)
        text_add(t, " ");
    for (uint32_t i = sizeof(n.family); named && i < n.size; i++) {
        bool end = !n.bytes[i] && n.bytes[sizeof(n.family)];
        if (end)
            break;
        text_add(t, "%c", n.bytes[i] ? n.bytes[i] : '@');
    }
    text_add(t, "\n");
    return true;
}

static int show_unix(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    return each(AF_UNIX, 0, t, add_unix);
}

/* ---- what only the host knows ---- */

static int show_dev(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                "packets errs drop fifo colls carrier compressed\n");
    return 0;
}

static int show_route(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t"
                "Window\tIRTT\n");
    return 0;
}

static int show_nothing(const struct proc_key *key, struct text *t)
{
    (void)key;
    (void)t;
    return 0;
}

const struct proc_node proc_net_nodes[10] = {
    PROC_FILE("dev", show_dev),     PROC_FILE("tcp", show_tcp),
    PROC_FILE("tcp6", show_tcp6),   PROC_FILE("udp", show_udp),
    PROC_FILE("udp6", show_udp6),   PROC_FILE("unix", show_unix),
    PROC_FILE("route", show_route), PROC_FILE("raw", show_raw),
    PROC_FILE("raw6", show_raw6),   PROC_FILE("if_inet6", show_nothing),
};
