/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lengths and kinds of x86-64 instructions, as much as moving code takes. Reads only the bytes
 * it is given. Accepts some encodings that the processor refuses; never the other way round for
 * what compilers emit. Not here: operands, 16- and 32-bit code, XOP, 3DNow!.
 */
#pragma once

#include "lib/types.h"

#define X86_MAX_LENGTH 15u

enum x86_kind {
    X86_PLAIN, /* goes on with the next instruction; may be rip-relative */
    X86_NOP,
    X86_JCC,  /* rel8 or rel32, taken or not */
    X86_JMP,  /* rel8 or rel32 */
    X86_LOOP, /* loop, loope, loopne, jrcxz: rel8 only */
    X86_CALL, /* rel32 */
    X86_CALL_INDIRECT,
    X86_JMP_INDIRECT,
    X86_RET, /* all kinds */
    X86_SYSCALL,
    X86_ENDBR,
    X86_TRAP, /* int3, int n, int1, ud0..ud2, hlt */
    X86_XBEGIN,
};

struct x86_insn {
    uint8_t length;
    uint8_t kind;        /* enum x86_kind */
    uint8_t opcode;      /* the last opcode byte */
    uint8_t opcode_at;   /* its offset */
    uint8_t relative_at; /* offset of a branch displacement, 0: none */
    uint8_t relative_bytes;
    uint8_t rip_disp_at; /* offset of a rip-relative disp32, 0: none */
    bool locked;         /* has a lock prefix */
    int32_t relative;    /* the displacement of either, from the end of the instruction */
};

/* 0; -EINVAL: no instruction, or it does not end within `size` bytes. */
int x86_decode(const uint8_t *code, size_t size, struct x86_insn *out) MUST_CHECK;
