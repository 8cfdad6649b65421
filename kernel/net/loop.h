/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loopback inside: TCP and UDP between programs of this enclave, to addresses of
 * 127.0.0.0/8 and ::1, never reach the host. The listening or bound socket is the host's as
 * well, so that those outside reach it; whoever connects or sends from inside is matched with
 * it first. docs/network.md has the rules.
 */
#pragma once

#include "net/packet.h"

struct inet_sock;

/* An address and a port; IPv4 as IPv6 writes it. */
struct loop_end {
    uint8_t addr[16];
    uint16_t port; /* 0: none */
};

bool loop_end_of(const struct sock_name *name, struct loop_end *out);
void loop_name_of(uint32_t family, const struct loop_end *e, struct sock_name *out);
static inline bool loop_end_same(const struct loop_end *a, const struct loop_end *b)
{
    return a->port == b->port && !__builtin_memcmp(a->addr, b->addr, sizeof(a->addr));
}
/* Whether what goes to `name` may stay inside, and where to that is. */
bool loop_wants(const struct inet_sock *i, const struct sock_name *name, struct loop_end *to);
/* From where it comes then; port 0: one has yet to be found. False: goes over the host. */
bool loop_source(struct inet_sock *i, const struct loop_end *to, struct loop_end *from);
/* The socket of that type that hears `to`, with a reference, or NULL. */
struct inet_sock *loop_find(uint32_t type, const struct loop_end *to,
                            const struct loop_end *from);
/* Can be found from now on under what it was bound to; asks the host for what it chose. */
void loop_list(struct inet_sock *i);
/* i->here.port for a connection to i->there, one that no other has. -EADDRNOTAVAIL. */
int loop_port_take(struct inet_sock *i) MUST_CHECK;
/* The port is others' again. */
void loop_unlist(struct inet_sock *i);

/* loop_stream.c */
extern const struct socket_ops loop_stream_ops;
/* False: goes over the host. *result is connect(2)'s, or -EINPROGRESS. i is connecting. */
bool loop_connect(struct inet_sock *i, const struct sock_name *name, int *result);
/* A place in the listener's queue came free. */
void loop_admit(struct inet_sock *listener);
/* The listener is gone, and with it those who waited. */
void loop_refuse(struct inet_sock *listener);
/* A connection that nobody has accepted, or its file, is gone. */
void loop_end(struct inet_sock *i, bool reset);
uint32_t loop_tcp_info(struct inet_sock *i, uint8_t *out, uint32_t room);

/* loop_datagram.c */
/* -EHOSTUNREACH: goes over the host. */
ssize_t loop_send_datagram(struct inet_sock *i, struct message *m, uint32_t flags);
