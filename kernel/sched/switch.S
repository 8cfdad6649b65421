/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * void task_switch(struct task *from, struct task *to): saves what the C calling convention
 * keeps on the stack of `from` and continues where `to` left off. A new task begins in
 * task_begin().
 */
#include "enclave/layout.inc"

        .text
        .globl  task_switch, task_first
task_switch:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, TASK_RSP(%rdi)
        mov     TASK_RSP(%rsi), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

task_first:
        xor     %ebp, %ebp
        call    task_begin
        ud2

        .section .note.GNU-stack, "", @progbits
