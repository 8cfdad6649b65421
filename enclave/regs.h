/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program's registers as the entry paths leave them at the top of the task's kernel stack.
 * The order is known to entry.S.
 */
#pragma once

#ifdef __ASSEMBLER__
#define REGS_R15      0
#define REGS_R14      8
#define REGS_R13      16
#define REGS_R12      24
#define REGS_RBP      32
#define REGS_RBX      40
#define REGS_R11      48
#define REGS_R10      56
#define REGS_R9       64
#define REGS_R8       72
#define REGS_RAX      80
#define REGS_RCX      88
#define REGS_RDX      96
#define REGS_RSI      104
#define REGS_RDI      112
#define REGS_ORIG_RAX 120
#define REGS_RIP      128
#define REGS_RFLAGS   136
#define REGS_RSP      144
#define REGS_KIND     152
#define REGS_SIZE     160
#else

#include "lib/types.h"

struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
    uint64_t rax, rcx, rdx, rsi, rdi;
    uint64_t orig_rax; /* system call number, or -1 */
    uint64_t rip, rflags, rsp;
    uint64_t kind; /* enum regs_kind */
};
_Static_assert(sizeof(struct regs) == 160, "entry.S knows this size");

/* How much must be restored on the way back to the program. */
enum regs_kind {
    REGS_SYSCALL = 0, /* RCX, R11 and RFLAGS need not be; rip is after the call's instruction */
    REGS_FULL = 1,    /* everything: exceptions, interrupts, sigreturn, a new program */
};
#endif
