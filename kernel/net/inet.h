/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the families whose sockets are the host's: INET, INET6, NETLINK. */
#pragma once

#include "net/loop.h"
#include "net/socket.h"
#include "sched/hostnet.h"

#define INET_MAX (256u * 1024) /* of what is fetched ahead, and of what is not yet sent */

#define INET_SET_MAX 12u

enum { URGENT_NONE, URGENT_THERE, URGENT_READ };

enum inet_state { INET_FRESH, INET_LISTENING, INET_CONNECTING, INET_CONNECTED };

/*
 * The host's descriptor is used by operations alone that are on their way; each holds a
 * reference on the socket. When the file goes, `closing` lets what was written go out, ends the
 * receiving one by a shutdown, and closes the descriptor when none is left.
 */
struct inet_sock {
    struct socket sock;
    int fd;
    struct packet_queue in, out;
    _Atomic uint32_t in_max, out_max; /* of their charge: INET_MAX, or what the program wants */
    struct wait_queue in_wait, out_wait;

    struct spinlock lock; /* RANK_NET */
    enum inet_state state;
    bool in_busy, out_busy, ctl_busy; /* that operation is on its way */
    /* Of what is to be sent: it may grow; somebody adds to it; was to go out meanwhile. */
    bool out_open, out_filling, out_missed;
    bool eof;                         /* the peer sends no more, or there was an error */
    bool dialled;                     /* connect(2) has not yet told that it succeeded */
    bool large;                       /* data comes fast: receive into a large buffer */
    bool closing, closed, shut_sent;
    bool shut_write; /* the host is to be told when all is out */
    uint32_t down;   /* 1: the program receives no more, 2: sends no more */
    struct list accepted, accept_node;
    uint32_t accepted_count, backlog;
    int accept_error;
    struct sock_name peer;   /* of an accepted connection */
    struct inet_sock *spare; /* for the next connection; with the accept operation */
    struct list starved_node;

    /* What the program set, and what that means where the host has no part in it: inet_opt.c */
    struct inet_set {
        int32_t level, name, value;
    } set[INET_SET_MAX];
    uint32_t set_count;
    struct abi_linger linger;
    bool outside; /* has options that only the host can honour */
    bool v6only, shares_port, inline_urgent;
    bool tells_errors; /* datagrams: they are fetched into `out`, which has no other use */

    /* net/loop.h: bound or connected inside */
    bool named;      /* bind(2) said `here` */
    bool heard_only; /* datagrams of `there` alone are heard */
    bool inside;     /* that one is on the loopback */
    bool lost;       /* the other end is gone */
    bool untold;     /* accept(2) has not yet told its peer's name */
    struct loop_end here, there;
    struct list port_node;   /* loop.c's lock */
    struct inet_sock *other; /* counted; from the connecting to the release */
    struct list waiting;     /* `lock`; a listener's full queue's, by accept_node */
    uint64_t urgent_ahead;   /* `lock`; bytes in front of the mark */
    uint8_t urgent_state, urgent_byte;

    struct net_op in_op, out_op, ctl_op;
};

static inline struct inet_sock *inet_of(struct socket *s)
{
    return container_of(s, struct inet_sock, sock);
}
struct inet_sock *inet_alloc(const struct socket_ops *ops, uint32_t family, uint32_t type);
void inet_free(struct socket *s);
void inet_release(struct socket *s);
/* What release does for a socket that never had a file; from any context. */
void inet_end(struct inet_sock *i);
/* Closing: does the next step, if there is one to do. */
void inet_close_step(struct inet_sock *i);
/* Something went wrong for good; wakes all. */
void inet_fail(struct inet_sock *i, int error);
int inet_name(struct socket *s, bool peer, struct sock_name *out);
int inet_bind(struct socket *s, const struct sock_name *name);
bool inet_transient(int result);
void inet_describe(struct socket *s, struct socket_state *out);

/* A buffer, or false: the socket will be armed again when one is free. */
bool inet_bounce_get(struct inet_sock *i, struct bounce *b, uint32_t size);
void inet_bounce_put(struct bounce *b);

/* The connected socket stands for a connection of its own with nobody: the host's descriptor
 * that answers for options, made when it is first needed. */
int inet_fd(struct inet_sock *i) MUST_CHECK;

/* inet_stream.c */
extern const struct socket_ops inet_stream_ops;
void stream_arm(struct inet_sock *i);
void stream_push(struct inet_sock *i);
int stream_connect(struct socket *s, const struct sock_name *name, uint32_t file_flags);
/* What a program that does not wait hears of a connection that has already been made, or found
 * refused: that it is under way, as if the network had taken its time. */
int stream_told_later(struct inet_sock *i, uint32_t file_flags);
/* inet_datagram.c */
extern const struct socket_ops inet_datagram_ops;
void datagram_arm(struct inet_sock *i);

/* inet_opt.c */
int inet_getopt(struct socket *s, int level, int name, void *value, uint32_t *size);
int inet_setopt(struct socket *s, int level, int name, const void *value, uint32_t size);
int64_t inet_ioctl(struct socket *s, uint32_t request, uaddr_t arg);
