/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the signal layer; callers with _locked hold the group's lock. */
#pragma once

#include "enclave/exception.h"
#include "signal/signal.h"

int signal_first(uint64_t set);
int signal_take_locked(struct signal_thread *s, uint64_t set, struct abi_siginfo *out)
    HELD(s->group->lock);
bool signal_deliverable_locked(struct signal_thread *s) HELD(s->group->lock);
void signal_mask_set_locked(struct signal_thread *s, uint64_t mask) HELD(s->group->lock);
bool signal_ignored_by_default(int sig);
bool signal_stops_by_default(int sig);

void signal_deliver(struct regs *regs);
void signal_fault(struct regs *regs, const struct exception_info *info);

/* Builds the handler's frame and points *regs at the handler; the mask has not changed yet. */
int frame_build(struct regs *regs, const struct abi_siginfo *info,
                const struct abi_sigaction *a, uint64_t old_mask) MUST_CHECK;
