/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the UNIX family. */
#pragma once

#include "net/socket.h"

#define UNIX_SNDBUF    212992u
#define UNIX_DGRAM_MAX 10u /* datagrams that wait at a receiver, as max_dgram_qlen */

enum unix_state { UNIX_FRESH, UNIX_LISTENING, UNIX_CONNECTED, UNIX_GONE };

struct unix_sock {
    struct socket sock;
    struct packet_queue in;
    struct wait_queue in_wait, out_wait; /* its own readers and writers */
    struct wait_queue room_wait;         /* others, who want to send or connect to it */
    _Atomic uint32_t send_buffer, receive_buffer;
    _Atomic uint32_t booleans; /* options that are only remembered */
    _Atomic uint32_t down;     /* 1: receives no more, 2: sends no more */

    /* unix_lock */
    enum unix_state state;
    struct unix_sock *peer; /* counted */
    struct net_name *name;
    struct path path;      /* of a name in the file system */
    struct list name_node; /* among those with abstract names */
    struct list senders;   /* datagram sockets connected to it, by sender_node */
    struct list sender_node;
    struct list pending; /* listening: by pending_node, each with a reference */
    struct list pending_node;
    uint32_t pending_count, backlog;
    struct abi_ucred cred, peer_cred; /* at listen, connect or socketpair */
    struct abi_linger linger;

    /* unix_gc.c's lock */
    uint32_t inflight; /* how often its file is in packets */
    uint32_t outside;  /* while collecting: references from live packets */
    bool reached;
    struct list inflight_node;
    struct list work_node;
};

extern struct spinlock unix_lock;

static inline struct unix_sock *unix_of(struct socket *s)
{
    return container_of(s, struct unix_sock, sock);
}
struct unix_sock *unix_alloc(uint32_t type);
struct abi_ucred unix_current_cred(void);
struct unix_sock *unix_peer_get(struct unix_sock *u);
/* It is gone for all others, with its queue and who waits to be accepted. */
void unix_end(struct unix_sock *u, bool never_accepted);
static inline void unix_put(struct unix_sock *u)
{
    if (u)
        socket_put(&u->sock);
}

/* unix_name.c */
int unix_bind(struct socket *s, const struct sock_name *name);
int unix_autobind(struct unix_sock *u) MUST_CHECK;
/* The socket of that name with a reference. -ECONNREFUSED, -EPROTOTYPE, -EACCES and so on. */
int unix_find(const struct sock_name *name, uint32_t type, struct unix_sock **out) MUST_CHECK;
/* Its name can be found no more; unix_lock is not held. */
void unix_unname(struct unix_sock *u);
int unix_name(struct socket *s, bool peer, struct sock_name *out);

/* unix_data.c */
ssize_t unix_send(struct socket *s, struct message *m, uint32_t flags);
ssize_t unix_receive(struct socket *s, struct message *m, uint32_t flags);
uint32_t unix_poll(struct socket *s, struct poll_table *t);
int unix_wait_peer(struct socket *s, const struct sock_name *name, uint64_t deadline_ns);
int64_t unix_ioctl(struct socket *s, uint32_t request, uaddr_t arg);

/* unix_opt.c */
int unix_getopt(struct socket *s, int level, int name, void *value, uint32_t *size);
int unix_setopt(struct socket *s, int level, int name, const void *value, uint32_t size);

/* unix_gc.c */
/* The packet, with files, goes into the queue, and the sockets among its files are counted.
 * -EPIPE: the queue is closed; -ETOOMANYREFS. The packet is the caller's then. */
int unix_push_files(struct packet_queue *q, struct packet *p) MUST_CHECK;
/* After a socket's file went away: ends sockets that only packets of each other hold. */
void unix_collect(void);
