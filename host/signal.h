/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads' blocks and the signals that the runtime takes. */
#pragma once

#include "host/dev.h"
#include "host/thread.h"

/* A tick, an interrupt, a kick, or the wish to have the thread back. */
#define HOST_SIGNAL_TICK (SIGRTMIN + 8)

/* Makes the calling thread one that can enter `dev`; undone by host_thread_fini() on the
 * thread. */
int host_thread_new(struct dev *dev, struct host_thread **out, struct host_error *err);
void host_thread_fini(struct dev *dev);
void host_thread_free(struct host_thread *t); /* the block itself, by anyone */

/* Installs the handlers for as long as an enclave runs. */
int host_signals_init(struct dev *dev, struct host_error *err);
void host_signals_fini(void);

/* From now on threads leave the enclave at the next signal. */
extern volatile int host_stopping;

/* host/vcpu.c: so the enclave finds out that its timer is not set any more. */
void vcpu_timer_fired(struct vcpu_host *v);
/* host/vcpu.c: a tick that found the thread on its way: try again soon. Async-signal-safe. */
void vcpu_tick_missed(struct vcpu_host *v);
/* host/vcpu.c: a tick made a thread leave the enclave. */
void vcpu_count_tick(struct vcpu_host *v);
/* host/vcpu.c: a tick arrived; puts an earlier deadline back if this was not it. */
void vcpu_tick_taken(struct vcpu_host *v);
