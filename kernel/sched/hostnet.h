/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on the host's sockets that nobody sleeps for: they go out with the vCPU's next
 * exit, and `done` is called on that vCPU when the host has answered. Buffers are pieces of
 * host memory from the bounded pool, the operation's until then. Results are bounded by what
 * was asked; contents are the host's word.
 */
#pragma once

#include "enclave/ring.h"
#include "lib/types.h"

#define BOUNCE_SMALL   4096u
#define BOUNCE_LARGE   (128u * 1024)
#define BOUNCE_BULK    (256u * 1024)
#define BOUNCE_HEAD    1024u /* in front of a message's data: its header, name and control */
#define BOUNCE_NAME    128u
#define BOUNCE_CONTROL 640u

struct bounce {
    haddr_t at;    /* 0: none */
    uint32_t size; /* BOUNCE_SMALL, BOUNCE_LARGE or BOUNCE_BULK */
    uint32_t used; /* bytes appended */
    uint64_t last; /* the last, incomplete word of them */
};

/* False: the pool is empty. */
bool bounce_get(struct bounce *b, uint32_t size) MUST_CHECK;
void bounce_put(struct bounce *b); /* none is fine */
/* For sending: bytes behind what was appended before; they must fit. */
void bounce_append(struct bounce *b, const void *data, uint32_t size);
/* Copies in; within the buffer. */
void bounce_read(const struct bounce *b, uint32_t offset, void *data, uint32_t size);

struct net_op {
    struct ring_async ring;
    struct bounce bounce;
    void (*done)(struct net_op *op, int result);
    bool (*seal)(struct net_op *op); /* of netop_send_late() */
    uint32_t progress; /* bytes of a send that are out */
    uint32_t stamp;    /* gather_note()'s */
};

/* One at a time for each op. */
void netop_receive(struct net_op *op, int fd);
/* What was appended to op->bounce, from op->progress on. */
void netop_send(struct net_op *op, int fd, uint32_t flags);
/* The same, but until the next exit bytes may be appended; then `seal` is called. False from
 * it: somebody is about to append, and calls this again. */
void netop_send_late(struct net_op *op, int fd, bool (*seal)(struct net_op *op));
/* The peer's address will be at 0 of op->bounce, its size at BOUNCE_NAME. */
void netop_accept(struct net_op *op, int fd);
void netop_connect(struct net_op *op, int fd, const void *name, uint32_t size);
void netop_shutdown(struct net_op *op, int fd, int how);
/* Ends the other operation, if it went out on this vCPU. */
bool netop_cancellable(const struct net_op *other);
void netop_cancel(struct net_op *op, const struct net_op *other);
void netop_close(struct net_op *op, int fd);
/* A datagram with its name and control bytes; needs BOUNCE_LARGE. */
void netop_receive_message(struct net_op *op, int fd, bool error_queue);

/* What such an operation brought, bounded. */
struct net_message {
    uint32_t name_size, control_size, flags;
    uint8_t name[BOUNCE_NAME], control[BOUNCE_CONTROL];
};
void netop_message(const struct net_op *op, struct net_message *out);
uint32_t netop_accepted_name(const struct net_op *op, uint8_t name[BOUNCE_NAME]);

/* Hands what is queued on this vCPU to the host and takes what it has answered: for callers
 * who cannot wait for the next exit. Not with a spinlock held. */
void netop_flush(void);
