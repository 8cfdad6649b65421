/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entering the enclave, and what runs at the AEP. The same code serves both machines: where
 * host_thread.enclu is set it is called in place of the ENCLU instruction.
 *
 * The word at RSP during an entry is the struct host_thread; the CPU restores RSP at an AEX.
 * After an EEXIT it comes from the thread structure, as the enclave could be wrong. At the AEP
 * events are looked at first: the signal handler notes them in host_thread.event, and sends a
 * thread that has passed the check back to the AEP.
 */
#include "host/thread.h"

#define EXIT_RESUME 2 /* boundary/boot.h */

        .text

/* ENCLU with the leaf in EAX; the label names the instruction for the signal handler. */
.macro ENCLU thread, label
        mov     HT_ENCLU(\thread), %r11
        test    %r11, %r11
        jz      1f
        call    *%r11
        jmp     2f
        .globl  \label
\label:
1:      .byte   0x0f, 0x01, 0xd7
2:
.endm

/* uint64_t host_enter(struct host_thread *t, uint64_t command, uint64_t argument) */
        .globl  host_enter
        .type   host_enter, @function
host_enter:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi
        stmxcsr HT_MXCSR(%rdi)
        fnstcw  HT_FCW(%rdi)
        mov     %rsp, HT_RSP(%rdi)
        mov     HT_TCS(%rdi), %rbx
        mov     %rdi, %r10
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        lea     host_aep0(%rip), %rcx
        mov     $2, %eax
        ENCLU   %r10, host_enclu_enter
        .globl  host_enter_return
host_enter_return:
        mov     %fs:host_self@tpoff, %rdx
        mov     HT_RSP(%rdx), %rsp
        cld
        ldmxcsr HT_MXCSR(%rdx)
        fldcw   HT_FCW(%rdx)
        mov     %rsi, HT_EXIT_VALUE(%rdx)
        mov     %rdi, %rax
        pop     %rdi
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret

/* After an AEX of code at CSSA 0: RAX = ERESUME, RBX = TCS, RCX = here, RSP = host_enter's. */
        .globl  host_aep0, host_aep0_end
host_aep0:
        mov     (%rsp), %rdx
        cmpl    $0, HT_EVENT(%rdx)
        jne     host_event
        ENCLU   %rdx, host_enclu_resume0
host_aep0_end:
        jmp     host_enter_return

/* The enclave's first-stage handler, on the next SSA frame. */
host_event:
        testl   $EVENT_SYNC, HT_EVENT(%rdx)
        jz      1f
        lock andl $~EVENT_SYNC, HT_EVENT(%rdx)
        jmp     2f
1:      movl    $0, HT_EVENT(%rdx)
2:      xor     %edi, %edi
        xor     %esi, %esi
        lea     host_aep1(%rip), %rcx
        mov     $2, %eax
        ENCLU   %rdx, host_enclu_event
        .globl  host_event_return
host_event_return:
        mov     %fs:host_self@tpoff, %rdx
        mov     HT_RSP(%rdx), %rsp
        cmp     $EXIT_RESUME, %rdi
        jne     host_enter_return
        mov     HT_TCS(%rdx), %rbx
        lea     host_aep0(%rip), %rcx
        mov     $3, %eax
        jmp     host_aep0

/* After an AEX of the first-stage handler itself: it is finished first. */
        .globl  host_aep1, host_aep1_end
host_aep1:
        mov     (%rsp), %rdx
        ENCLU   %rdx, host_enclu_resume1
host_aep1_end:
        jmp     host_enter_return

/*
 * long host_wait_syscall(t, nr, args): a system call that a KICK cannot miss. A signal that
 * comes after the check and before the call continues at host_wait_cancel.
 */
        .globl  host_wait_syscall, host_wait_begin, host_wait_insn, host_wait_cancel
        .type   host_wait_syscall, @function
host_wait_syscall:
        mov     %rdi, %r11
        mov     %rsi, %rax
        mov     %rdx, %rcx
        mov     (%rcx), %rdi
        mov     8(%rcx), %rsi
        mov     16(%rcx), %rdx
        mov     24(%rcx), %r10
        mov     32(%rcx), %r8
        mov     40(%rcx), %r9
host_wait_begin:
        cmpl    $0, HT_KICKED(%r11)
        jne     host_wait_cancel
host_wait_insn:
        syscall
        ret
host_wait_cancel:
        mov     $-4, %rax
        ret

/*
 * Every signal handler. FS may be the enclave's: the host's is loaded before any C runs, and
 * what struct host_signal says afterwards.
 */
        .globl  host_signal_entry
        .type   host_signal_entry, @function
host_signal_entry:
        mov     %rsp, %rax
        and     $-HOST_BLOCK_SIZE, %rax
        rdfsbase %rcx
        rdgsbase %r8
        push    %rax
        push    %r8
        push    %rcx
        push    %rdx
        push    %rsi
        mov     %edi, %edi
        push    %rdi
        pushfq
        andl    $~0x40000, (%rsp)
        popfq
        mov     HT_FS(%rax), %rcx
        wrfsbase %rcx
        mov     HT_GS(%rax), %rcx
        wrgsbase %rcx
        mov     %rsp, %rdi
        mov     %rsp, %rbp
        and     $-16, %rsp
        call    host_signal_handle
        mov     %rbp, %rsp
        mov     24(%rsp), %rax
        wrfsbase %rax
        mov     32(%rsp), %rax
        wrgsbase %rax
        add     $48, %rsp
        ret

        .section .note.GNU-stack, "", @progbits
