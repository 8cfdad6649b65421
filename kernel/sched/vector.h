/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's vector state (x87, SSE, AVX ...). It stays live in the registers while the kernel
 * runs and is saved to task->vector, in the standard XSAVE format, only when somebody needs it.
 */
#pragma once

#include "lib/types.h"

struct task;

extern uint32_t vector_bytes; /* size of task->vector: legacy area, header, extended state */
extern uint64_t vector_mask;  /* XFRM: the components in use */

/* Makes task->vector hold the current task's state; it is restored from there on the way out. */
void vector_save(struct task *t);
/* The current task's state becomes the architecture's initial one (exec, signal handlers). */
void vector_reset(struct task *t);
