/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exceptions in two stages. The first runs at CSSA 1 and only rewrites the saved frame; what it
 * found in user code is handled by interrupt_dispatch(), at CSSA 0, on the task's kernel stack.
 */
#pragma once

#include "enclave/regs.h"
#include "enclave/vcpu.h"
#include "lib/types.h"

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_BP = 3,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_XM = 19,
    VECTOR_TICK = 0x100, /* an interrupt of no concern to the program */
};

/* #PF error code */
#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_FETCH   16u

/* Faults of user code that the kernel could not resolve: becomes a signal. Set at boot. */
extern void (*exception_hook)(struct regs *regs, const struct exception_info *info);

/* Upper layer, for entry.S and the first stage. */
void interrupt_dispatch(struct regs *regs);
void user_return_prepare(struct regs *regs);
void vcpu_main(uint64_t command, haddr_t argument);

void exception_first_stage(struct vcpu *v);
NORETURN void kernel_fault(void);

/* Serves cpuid from what the host reported at boot. */
void cpuid_emulate(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* Is it a row of the table that cpuid_entry (entry.S) reads? */
bool cpuid_row_ok(const uint32_t *row);

/* True for addresses in the kernel's text. */
bool kernel_text(uint64_t address);

/* The bits of RFLAGS that a program may have: CF PF AF ZF SF OF DF AC ID. */
#define RFLAGS_USER  0x240cd5ull
#define RFLAGS_FIXED 0x202ull
