/* SPDX-License-Identifier: BSD-3-Clause */
/* Signal frames, for the system calls around them and the program loader. */
#pragma once

#include "enclave/regs.h"
#include "lib/types.h"

/* The most a frame takes on the stack: AT_MINSIGSTKSZ. */
size_t signal_frame_bytes(void);
/* rt_sigreturn(2): the value for RAX. */
int64_t signal_return(struct regs *regs);
/* Is the current program's stack pointer on the alternate stack? */
bool signal_on_altstack(void);
/* Does the restorer do nothing but call sigreturn(2), and may ours stand in for it? */
bool signal_restorer_usual(uaddr_t restorer);
