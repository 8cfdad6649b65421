/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This vCPU's submission and completion rings in host memory. Indexes are kept here; the host's
 * copies are only compared. A completion counts when its user_data names a request in flight
 * with the right generation; anything else is dropped and counted, and too many lies stop the
 * kernel. All functions act on the vCPU they run on, or on the one named.
 */
#pragma once

#include "boundary/ring.h"
#include "lib/list.h"
#include "lib/types.h"

struct vcpu;

struct ring_request {
    int32_t result; /* valid once done: clamped to -4095..max_result */
    int32_t max_result;
    uint32_t vcpu;      /* whose ring it went to */
    bool waited_for;    /* a task sleeps for it; set by ring_submit */
    uint64_t user_data; /* filled in by ring_submit, for cancelling */
    /* Called from ring_reap on the vCPU that submitted it. */
    void (*complete)(struct ring_request *r);
};

/* An operation that nobody's task sleeps for; lies still until it is complete. */
struct ring_async {
    struct ring_request request;
    struct ring_sqe sqe;
    struct list node;
    /* For ring_queue_late(): nothing is added to it any more. False: not now, somebody adds to
     * it, who will queue it anew. */
    bool (*seal)(struct ring_async *a);
};

/* At a vCPU's start: checks and copies what the host says about its rings; panics on nonsense.
 */
void ring_init(struct vcpu *v);
/* Queues one operation; -EAGAIN when the ring is full. user_data is set here. */
int ring_submit(struct ring_sqe *sqe, struct ring_request *request) MUST_CHECK;
/* Queues one that can wait for others to share its way out, or for room. Never fails. */
void ring_queue(struct ring_async *a);
/* The same for one that may grow until the next exit. */
void ring_queue_late(struct ring_async *a);
/* Calls `complete` for every completion there is; returns how many. */
unsigned ring_reap(void);
/* Entries that the host has not taken, or completions that it holds back; it is moved by the
 * next HOSTCALL_WAIT. */
bool ring_unsubmitted(void);
/* As ring_unsubmitted(), but only if a task sleeps for one of them, or they are old. */
bool ring_urgent(void);
/* There are more than the ring can take now. */
bool ring_backlogged(void);
bool ring_has_completions(void);
uint32_t ring_ready(void); /* how many, as the host says */
unsigned ring_in_flight(void);
unsigned ring_waited_for(void); /* of those: tasks sleep for them */
