/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much an idle vCPU waits for. Waking for the first of many connections that are busy costs
 * each of them an exit; waiting a moment for several shares it. And what was sent and needs no
 * attention should not wake at all. All about the vCPU that calls.
 */
#pragma once

#include "lib/types.h"

/* A connection brought something; *stamp is its own, 0 at first. */
void gather_note(uint32_t *stamp);
/* An operation was queued that most likely is over at once, and then interests nobody. */
void gather_lazy(void);
/* But somebody wants to hear of one of these. */
void gather_eager(void);

/* Hands what is queued to the host, without waiting. */
void gather_submit(void);
/* The same, and waits: for a kick, a completion, or the time. What the host says of CPU time.
 */
int64_t gather_wait(uint64_t timeout_ns);
