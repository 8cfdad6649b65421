/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vCPU's ring pair: the kernel's io_uring, or the interpreter. OCCLUM_RING=uring|interp
 * forces one. Only the vCPU's own thread calls in here, from HOSTCALL_WAIT.
 */
#pragma once

#include <stdint.h>

#include "boundary/ring.h"
#include "host/error.h"
#include "host/thread.h"

struct ring_ops;

struct ring {
    const struct ring_ops *ops;
    struct ring_map map;
    int fd;      /* io_uring */
    void *state; /* the back end's */
};

struct ring_wait {
    uint64_t timeout_ns; /* UINT64_MAX: none */
    uint32_t min_complete;
    uint64_t gather_ns; /* then one completion is enough; 0: from the beginning min_complete */
};

struct ring_ops {
    void (*fini)(struct ring *r);
    /* Submits what is queued; waits for completions, a kick, a tick or the time. */
    int (*wait)(struct ring *r, struct host_thread *t, const struct ring_wait *w);
};

int ring_init(struct ring *r, struct host_error *err);
void ring_fini(struct ring *r);

/* ring_interp.c */
int ring_interp_init(struct ring *r, struct host_error *err);
