/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vCPU: one TCS, one host thread. GS points here while the enclave runs; nothing else uses
 * GS. The first fields are known to entry.S; `index` and `slot_offset` are measured into the
 * page.
 */
#pragma once

#define VCPU_SELF         0
#define VCPU_INDEX        8
#define VCPU_SLOT_OFFSET  16
#define VCPU_CURRENT      24
#define VCPU_KERNEL_STACK 32
#define VCPU_CANARY       40
#define VCPU_SCRATCH_RIP  48
#define VCPU_HOST_RETURN  56
#define VCPU_HOSTCALL_RSP 64
#define VCPU_STATE        72
#define VCPU_CPUID_RETURN 80

#ifndef __ASSEMBLER__

#include "boundary/hostcalls.h"
#include "boundary/layout.h"
#include "enclave/regs.h"
#include "lib/types.h"

struct task;

enum vcpu_state { VCPU_OFF, VCPU_RUNNING, VCPU_IN_HOSTCALL };

/* What the first-stage handler took from the SSA for the handler that runs at CSSA 0. */
struct exception_info {
    uint32_t vector;
    uint32_t error;
    uaddr_t address;
};

/* What debug builds know of locks, for a vCPU or a task. */
#define HELD_MAX 16u
struct held_locks {
    uint32_t count;
    uint32_t rank[HELD_MAX];
    const void *lock[HELD_MAX];
};

struct vcpu {
    struct vcpu *self;
    uint32_t index;
    uint32_t pad;
    uint64_t slot_offset;  /* of this slot, from the enclave's base */
    struct task *running;  /* `current` */
    uint64_t kernel_stack; /* where entries from user code set RSP */
    uint64_t canary;
    uint64_t scratch_rip;
    uint64_t host_return; /* RCX of the last EENTER at CSSA 0 */
    uint64_t hostcall_rsp;
    uint64_t state; /* enum vcpu_state */
    uint64_t cpuid_return; /* of cpuid_entry, while the registers hold all four results */

    haddr_t shared; /* struct vcpu_shared in host memory */
    struct exception_info exception;
    volatile bool tick_pending; /* set by the first-stage handler, consumed by the scheduler */
    bool vector_clean;          /* the vector registers hold nothing but the initial state */
    bool vector_plain;          /* they hold nothing but what SSE has, and a program's alone */
    uint64_t fault_rip;         /* of a kernel fault, for the panic message */
    struct task *idle;
    struct task *incoming; /* chosen, soon `running`; the scheduler's */
    void *sched;           /* the scheduler's per-vCPU data */
    void *ring;            /* the ring client's */
    void *crypto;          /* the crypto library's */
    uint64_t exits, aexes; /* counters */
    uint64_t outer_fs;     /* FS base while vendor code runs on its own */
#ifdef OCCLUM_DEBUG
    struct held_locks held; /* spinlocks */
#endif
};
_Static_assert(offsetof(struct vcpu, canary) == VCPU_CANARY, "-mstack-protector-guard-offset");

/* The caller must not sleep between taking and using it, or may find itself on another vCPU. */
ALWAYS_INLINE struct vcpu *this_vcpu(void)
{
    struct vcpu *v;
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(v) : "i"(VCPU_SELF));
    return v;
}

ALWAYS_INLINE struct task *get_current(void)
{
    struct task *t;
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(t) : "i"(VCPU_CURRENT));
    return t;
}
#define current get_current()

#endif
