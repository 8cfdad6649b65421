/* SPDX-License-Identifier: BSD-3-Clause */
/* The handlers of all system calls; prototypes are generated from abi/syscalls.tbl. */
#pragma once

#include "enclave/regs.h"
#include "lib/types.h"
#include "syscalls_gen.h"

struct syscall_entry {
    int64_t (*call)(const struct regs *regs);
    const char *name;
    const char *kinds; /* of the arguments, separated by spaces */
    unsigned count;
};

/* Runs the call that `regs` asks for and stores its result in regs->rax. */
void syscall_run(struct regs *regs);
/* The current thread gets other credentials: takes over the reference. */
struct cred;
void cred_publish(struct cred *fresh);
/* Tracing: one line after a call; true: a line before it as well, because it may not return. */
bool trace_enter(const struct syscall_entry *e, const struct regs *regs);
void trace_exit(const struct syscall_entry *e, const struct regs *regs, bool shown,
                uint64_t began_ns);
/* Counting, for a table at the end. */
void stats_call(uint32_t nr, const struct syscall_entry *e, int64_t result, uint64_t ns);
void stats_init(void);
