/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Vector state. It belongs to the program and stays in the registers while the kernel, which
 * uses general registers only, works for it. It is saved to task->vector when another task's
 * turn comes, before the enclave is left for the host, and before code that uses vector
 * registers; the way back to user code restores it.
 */
#pragma once

#include "lib/types.h"

struct task;
struct vcpu;

#define VECTOR_BYTES_MAX 4096u

extern uint64_t vector_mask;  /* XFRM: the components that exist */
extern uint32_t vector_bytes; /* size of the standard-format XSAVE area */

/* At boot, from the attributes the CPU reports. */
void vector_init(uint64_t xfrm);
/* Saves the current task's state to task->vector if it is still in the registers. */
void vector_save(struct task *t);
/* Puts task->vector into the registers if that is where the state is. */
void vector_restore(struct task *t);
/* The task's state becomes the architecture's initial one (new programs, signal handlers). */
void vector_reset(struct task *t);
/* The same for the current task, at once. */
void vector_reset_now(void);
/* How much of an XSAVE area its header says is in use; at most vector_bytes. */
size_t vector_used(const void *area);
/* Saves the program's and leaves nothing in the registers: before EEXIT. */
void vector_clean(void);

/* Around code that uses vector registers or expects a stack protector's canary behind FS:
 * saves the program's state, sets FS to the vCPU's own page. No sleeping, no nesting in
 * between. */
void vector_begin(void);
void vector_end(void);
