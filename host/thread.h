/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host thread that runs a vCPU. The structure lies at the start of a 64 KiB aligned block
 * whose rest is the thread's signal stack, so that a handler finds it from RSP alone, whatever
 * FS is.
 */
#pragma once

#define HT_FS         0
#define HT_GS         8
#define HT_TCS        16
#define HT_ENCLU      24
#define HT_RSP        32
#define HT_EXIT_VALUE 40
#define HT_EVENT      48
#define HT_KICKED     52
#define HT_MXCSR      56
#define HT_FCW        60

#define HOST_BLOCK_SIZE 0x10000
#define HOST_BLOCK_DATA 0x1000

/* Why a plain ERESUME at the AEP will not do. */
#define EVENT_SYNC 1
#define EVENT_TICK 2

/* What host_enter() returns besides the enclave's own enum exit_reason. */
#define HOST_EXIT_FAULT  0x4641554c00000000 /* EENTER or ERESUME faulted; low byte: vector */
#define HOST_EXIT_NESTED 0x4e45535400000000 /* an exception in the first-stage handler */
#define HOST_EXIT_STOP   0x53544f5000000000 /* the runtime wants the thread back */

#ifndef __ASSEMBLER__

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

struct vcpu_host;

#define TICK_TIMER 1 /* of no interest once the timer is set anew */
#define TICK_POKE  2

struct host_thread {
    uint64_t fs, gs; /* the host's bases */
    uint64_t tcs;    /* address of the TCS, as EENTER takes it */
    uint64_t enclu;  /* dev_ops.enclu, or 0 */
    uint64_t rsp;    /* host_enter()'s frame */
    uint64_t exit_value;
    volatile uint32_t event;  /* EVENT_* */
    volatile uint32_t kicked; /* KICK or a tick came; consumed by WAIT */
    uint32_t mxcsr;
    uint16_t fcw, pad;

    pid_t tid;
    volatile int in_host; /* serving a call: a tick waits in tick_pending */
    volatile int tick_pending; /* TICK_* */
    volatile int owed;         /* a poke was missed, and the timer set for it instead */
    volatile int poked;        /* one is on its way: more would only queue up behind it */
    volatile int waiting;    /* in WAIT: KICK must send a signal */
    volatile int in_enclave; /* set by vcpu.c round host_enter() */
    struct vcpu_host *vcpu;
    void *machine; /* dev_emu's part */
};
_Static_assert(offsetof(struct host_thread, tcs) == HT_TCS, "HT_TCS");
_Static_assert(offsetof(struct host_thread, enclu) == HT_ENCLU, "HT_ENCLU");
_Static_assert(offsetof(struct host_thread, rsp) == HT_RSP, "HT_RSP");
_Static_assert(offsetof(struct host_thread, exit_value) == HT_EXIT_VALUE, "HT_EXIT_VALUE");
_Static_assert(offsetof(struct host_thread, event) == HT_EVENT, "HT_EVENT");
_Static_assert(offsetof(struct host_thread, kicked) == HT_KICKED, "HT_KICKED");
_Static_assert(offsetof(struct host_thread, mxcsr) == HT_MXCSR, "HT_MXCSR");
_Static_assert(offsetof(struct host_thread, fcw) == HT_FCW, "HT_FCW");

/* A signal as the handler sees it; fs and gs are loaded when it returns. */
struct host_signal {
    uint64_t number;
    siginfo_t *info;
    ucontext_t *uc;
    uint64_t fs, gs;
    struct host_thread *thread;
};

extern __thread struct host_thread *host_self;

/* enter.S */
uint64_t host_enter(struct host_thread *t, uint64_t command, uint64_t argument);
long host_wait_syscall(struct host_thread *t, long nr, const uint64_t args[6]);
void host_signal_entry(int number, siginfo_t *info, void *uc);
extern const char host_aep0[], host_aep0_end[], host_aep1[], host_aep1_end[];
extern const char host_enter_return[], host_event_return[];
extern const char host_enclu_enter[], host_enclu_event[], host_enclu_resume0[],
    host_enclu_resume1[];
extern const char host_wait_begin[], host_wait_insn[], host_wait_cancel[];

#endif
