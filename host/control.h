/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's side of the control page (boundary/control.h): a thread that passes on signals,
 * and, for a service, what clients ask for.
 */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "boundary/control.h"
#include "host/error.h"

struct machine;
struct service;

/* An answer of the enclave, as the control thread sees it. */
struct host_reply {
    struct host_reply *next;
    uint32_t id;
    uint32_t what; /* enum control_reply */
    int64_t value;
    uint32_t size;
    char text[];
};

struct host_control {
    struct machine *machine;
    struct control_page *page;
    struct service *service; /* NULL: an ordinary run */
    int wake_fd;
    int taken_over;         /* signals are */
    sigset_t while_polling; /* the control thread's mask then */
    pthread_t thread;
    int running;
    volatile int ending;
    uint64_t since_ns;            /* a signal has been waiting that long; 0: none */
    void *payload[CONTROL_SLOTS]; /* freed when the slot is used again */
    pthread_mutex_t lock;         /* of the answers */
    struct host_reply *first, **last;
};

/* Before any other thread is made: blocks the signals that the enclave gets. */
int host_control_init(struct host_control *c, struct machine *m, struct control_page *page,
                      struct host_error *err);
int host_control_start(struct host_control *c, struct host_error *err);

/* Ends its thread and hands over the answers that are left. */
void host_control_stop(struct host_control *c);
/* After it, and only if no vCPU's thread is left behind: takes back what init() did. */
void host_control_fini(struct host_control *c);

/* Control thread only. 0, or -EAGAIN: all slots are in use. Takes over `payload`, which was
 * allocated with eight bytes more than `size`, on success. */
int host_control_post(struct host_control *c, const struct control_request *r, void *payload);

/* From a vCPU's thread: HOSTCALL_REPLY. */
void host_control_reply(struct machine *m, const uint64_t *a);
