/* SPDX-License-Identifier: BSD-3-Clause */
/* The threads that run vCPUs, and what they share while an enclave runs. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "boundary/boot.h"
#include "boundary/hostcalls.h"
#include "host/control.h"
#include "host/dev.h"
#include "host/ring.h"
#include "host/run.h"
#include "host/signal.h"
#include "host/tsc.h"

struct vcpu_host {
    struct machine *machine;
    uint32_t index;
    struct vcpu_shared *shared;
    struct host_thread *thread; /* NULL until it runs */
    struct ring ring;
    pthread_t pthread;
    volatile int started, running;
    timer_t timer, unasked;
    int timer_made, unasked_made;
    volatile uint64_t deadline_ns; /* what the enclave asked for; 0: none */
    uint64_t calls[HOSTCALL_COUNT], ticks;
    volatile int hurried;          /* ticks missed in a row: the timer stands earlier */
};

/* One enclave and all that serves it. */
struct machine {
    struct dev *dev;
    const struct page_plan *plan;
    const struct host_observer *observer;
    void (*mapped)(const char *path, uint64_t address, uint64_t offset);
    uint32_t count;
    struct vcpu_host vcpu[64];
    struct boot_info *boot;
    struct host_control *control; /* NULL: none */
    struct tsc_sample begin;
    pthread_mutex_t lock;
    int exited;
    int hung; /* a thread did not come back: what it uses stays */
    uint32_t status;
    int failed; /* negative errno: the enclave was lost; `error` says why */
    struct host_error error;
};

/* Runs vCPU 0 on the calling thread, the others as the enclave asks; returns when all are back.
 */
int machine_run(struct machine *m, struct host_error *err);

int vcpu_start(struct machine *m, uint64_t index);
int vcpu_interrupt(struct machine *m, uint64_t index);
int vcpu_kick(struct machine *m, uint64_t index);
/* Both: whatever it does, the kernel soon looks for what is new. */
void vcpu_alert(struct machine *m, uint64_t index);
int vcpu_timer_new(struct vcpu_host *v);
int vcpu_set_timer(struct vcpu_host *v, uint64_t deadline_ns);
/* Ends the run: from HOSTCALL_EXIT, or because something broke (failed < 0, with a message). */
void machine_end(struct machine *m, uint32_t status, int failed, const char *message);

/* hostcall.c: serves v->shared->call. */
void hostcall_serve(struct vcpu_host *v);
