/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits in a socket to be received: packets, each with its bytes, its sender's name and
 * what was sent beside it. Streams are packets whose boundaries nobody sees. `lock` protects
 * the list; `reader` orders receivers and may be held over copies to programs, so that a packet
 * stays where it is while it is read.
 */
#pragma once

#include <stdatomic.h>

#include "abi/socket.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sched/lock.h"

struct file;
struct message;
struct net_name;

/* A socket's address as programs write it. */
struct sock_name {
    uint32_t size; /* 0: none */
    union {
        uint16_t family;
        uint8_t bytes[SOCK_NAME_MAX];
    };
};

/* Ancillary data on its way: SCM_RIGHTS and SCM_CREDENTIALS, or a host's control bytes. */
struct scm {
    struct file **files; /* counted */
    uint32_t file_count;
    bool has_cred;
    struct abi_ucred cred;
    uint8_t *raw; /* struct cmsghdr after struct cmsghdr, checked */
    uint32_t raw_size;
};
/* Lets go of everything; a garbage collector or a deep chain may be behind a file. */
void scm_free(struct scm *scm);

struct packet {
    struct list node;
    uint32_t size, offset; /* bytes, and how many of them were received */
    uint32_t charge;       /* what it counts against the limits */
    bool counted;          /* its files are counted as in flight: net/unix_gc.c */
    uint32_t flags;        /* MSG_EOR, MSG_TRUNC: for whoever receives it */
    struct net_name *name; /* counted; NULL: none */
    struct scm scm;
    uint8_t *data; /* behind this, or from a stock of large pieces */
    uint8_t near[];
};

struct net_name {
    _Atomic uint32_t refs;
    struct sock_name name;
};
struct net_name *net_name_new(const struct sock_name *name) MUST_CHECK;
struct net_name *net_name_get(struct net_name *n); /* NULL is fine */
void net_name_put(struct net_name *n);             /* NULL is fine */

#define PACKET_OVERHEAD 256u
/* NULL: no memory. */
struct packet *packet_new(uint32_t size) MUST_CHECK;
void packet_free(struct packet *p);

struct packet_queue {
    struct spinlock lock;
    struct list packets; /* lock */
    bool closed;         /* lock: takes nothing any more */
    _Atomic uint32_t count;
    _Atomic uint64_t bytes;  /* not yet received */
    _Atomic uint64_t charge; /* of all packets */
    struct mutex reader;
};

void queue_init(struct packet_queue *q);
/* False: closed, the packet is still the caller's. */
bool queue_push(struct packet_queue *q, struct packet *p) MUST_CHECK;
/* Nothing goes in any more; frees all. */
void queue_close(struct packet_queue *q);
/* The same where nobody else knows the queue; from any context. */
void queue_fini(struct packet_queue *q);

/* Into m->data, with names and ancillary data. Bytes; -EAGAIN: empty; -EFAULT. `flags`:
 * MSG_PEEK and, for datagrams, MSG_TRUNC count. The charge that became free is added to *freed.
 */
ssize_t queue_receive_stream(struct packet_queue *q, struct message *m, uint32_t flags,
                             uint64_t *freed) MUST_CHECK;
ssize_t queue_receive_datagram(struct packet_queue *q, struct message *m, uint32_t flags,
                               uint64_t *freed) MUST_CHECK;
/* For a sender that is alone: moves up to `max` bytes into `sink`; NULL drops them. */
void queue_drain(struct packet_queue *q, uint32_t max,
                 void (*sink)(void *arg, const void *data, uint32_t size), void *arg);
/* The size of the first packet, or 0. */
uint32_t queue_first_size(struct packet_queue *q);

/* The UNIX family's: it counts the sockets among a packet's files. Called with
 * counted packets only. */
struct packet_hooks {
    void (*lock)(void);
    void (*unlock)(void);
    void (*landed)(struct scm *scm); /* the files left the packet; locked */
};
extern const struct packet_hooks packet_hooks;
