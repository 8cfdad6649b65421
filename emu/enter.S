/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ENCLU in software: EENTER and ERESUME as the host calls them, the other leaves as the
 * enclave's patched ENCLU sites call them through the stub page. A signal in here is
 * transparent: what has begun is completed.
 */
#include "emu/emu.h"

#define FAULT_HIGH 0x4641554c /* HOST_EXIT_FAULT */

        .text

/* RAX leaf, RBX TCS, RCX AEP; does not return on success. The host's FS is loaded. */
        .globl  emu_host_enclu
        .type   emu_host_enclu, @function
emu_host_enclu:
        mov     %fs:emu_self@tpoff, %r11
        pop     ET_RETURN(%r11)
        mov     %rsp, ET_URSP(%r11)
        mov     %rbp, ET_URBP(%r11)
        mov     %rdi, ET_RDI(%r11)
        mov     %rsi, ET_RSI(%r11)
        mov     %r11, %rdi
        mov     %rbx, %rsi
        mov     %rcx, %rdx
        mov     %r11, %rbp
        and     $-16, %rsp
        cmp     $3, %eax
        je      host_eresume
        call    emu_eenter
        mov     %rbp, %r11
        test    %eax, %eax
        jnz     host_fault
        mov     ET_RDI(%r11), %rdi
        mov     ET_RSI(%r11), %rsi
        mov     ET_CSSA(%r11), %rax
        mov     ET_RETURN(%r11), %rcx
        mov     ET_URSP(%r11), %rsp
        mov     ET_URBP(%r11), %rbp
        mov     ET_FS(%r11), %rdx
        wrfsbase %rdx
        mov     ET_GS(%r11), %rdx
        wrgsbase %rdx
        xor     %edx, %edx
        cmpl    $0, ET_STEP(%r11)
        jne     1f
        jmp     *ET_ENTRY(%r11)
1:      pushfq
        orl     $0x100, (%rsp)
        popfq
        jmp     *ET_ENTRY(%r11)

host_fault:
        mov     ET_URSP(%r11), %rsp
        mov     ET_URBP(%r11), %rbp
        mov     %eax, %eax
        mov     $FAULT_HIGH, %edi
        shl     $32, %rdi
        or      %rax, %rdi
        jmp     *ET_RETURN(%r11)

host_eresume:
        call    emu_eresume
        mov     %rbp, %r11
        test    %eax, %eax
        jnz     host_fault
        mov     ET_FS(%r11), %rdx
        wrfsbase %rdx
        mov     ET_GS(%r11), %rdx
        wrgsbase %rdx
        mov     %r11, %rbx
resume_full:
        mov     ET_XSAVE(%rbx), %rcx
        mov     ET_XFRM(%rbx), %eax
        mov     ET_XFRM + 4(%rbx), %edx
        xrstor64 (%rcx)
        mov     %rbx, %r11
resume_regs:
        mov     ET_RAX(%r11), %rax
        mov     ET_RCX(%r11), %rcx
        mov     ET_RDX(%r11), %rdx
        mov     ET_RBX(%r11), %rbx
        mov     ET_RBP(%r11), %rbp
        mov     ET_RSI(%r11), %rsi
        mov     ET_RDI(%r11), %rdi
        mov     ET_R8(%r11), %r8
        mov     ET_R9(%r11), %r9
        mov     ET_R10(%r11), %r10
        mov     ET_R12(%r11), %r12
        mov     ET_R13(%r11), %r13
        mov     ET_R14(%r11), %r14
        mov     ET_R15(%r11), %r15
        lea     ET_IRET(%r11), %rsp
        mov     ET_R11(%r11), %r11
        iretq

/*
 * From the enclave, by a call in place of ENCLU: EAX leaf, the return address on the enclave's
 * stack, which has 128 bytes to spare below it.
 */
.macro FIND_THREAD fail /* out: RCX; RAX is GS base */
        rdgsbase %rax
        mov     %rax, %rcx
        shr     $6, %rcx
        xor     %rax, %rcx
        shr     $12, %rcx
        movzbl  %cl, %ecx
        push    %rbp
        lea     emu_hash(%rip), %rbp
        mov     (%rbp, %rcx, 8), %rcx
        pop     %rbp
        test    %rcx, %rcx
        jz      \fail
        cmp     %rax, ET_KEY(%rcx)
        jne     \fail
.endm

        .globl  emu_stub_entry
        .type   emu_stub_entry, @function
emu_stub_entry:
        cmp     $4, %eax
        jne     stub_leaf
        FIND_THREAD stub_exit_fallback
        lea     8(%rsp), %rsp
        mov     ET_STATE(%rcx), %rax
        movl    $0, (%rax)
        mov     ET_HOST_FS(%rcx), %rax
        wrfsbase %rax
        mov     ET_HOST_GS(%rcx), %rax
        wrgsbase %rax
        mov     $4, %eax
        cmpl    $0, ET_STEP(%rcx)
        mov     ET_AEP(%rcx), %rcx
        jne     1f
        jmp     *%rbx
1:      pushfq
        andl    $~0x100, (%rsp)
        popfq
        jmp     *%rbx

stub_exit_fallback:
        mov     $4, %eax
        jmp     emu_fallback

stub_leaf:
        push    %rax
        push    %rcx
        FIND_THREAD stub_leaf_fallback
        pop     ET_RCX(%rcx)
        pop     ET_RAX(%rcx)
        mov     %rdx, ET_RDX(%rcx)
        mov     %rbx, ET_RBX(%rcx)
        mov     %rbp, ET_RBP(%rcx)
        mov     %rsi, ET_RSI(%rcx)
        mov     %rdi, ET_RDI(%rcx)
        mov     %r8, ET_R8(%rcx)
        mov     %r9, ET_R9(%rcx)
        mov     %r10, ET_R10(%rcx)
        mov     %r11, ET_R11(%rcx)
        mov     %r12, ET_R12(%rcx)
        mov     %r13, ET_R13(%rcx)
        mov     %r14, ET_R14(%rcx)
        mov     %r15, ET_R15(%rcx)
        mov     (%rsp), %rax            /* after the call, whose five bytes end at site + 5 */
        sub     $5, %rax
        mov     %rax, ET_RIP(%rcx)
        lea     8(%rsp), %rax
        mov     %rax, ET_RSP(%rcx)
        movq    $2, ET_RFLAGS(%rcx)
        movl    $1, ET_LEAF(%rcx)
        mov     ET_STACK(%rcx), %rsp
        mov     %rcx, %rbx
        mov     %rcx, %rdi
        cld
        call    emu_leaf_fast
        cmp     $LEAF_SLOW, %eax
        je      stub_slow
stub_done:
        movl    $0, ET_LEAF(%rbx)
        mov     %rbx, %r11
        cmpl    $0, ET_STEP(%rbx)
        jne     stub_step
        mov     ET_RSP(%rbx), %rsp
        mov     ET_RFLAGS(%rbx), %rax
        mov     %al, %ah
        sahf
        lea     -8(%rsp), %rsp
        mov     ET_RAX(%r11), %rax
        mov     ET_RCX(%r11), %rcx
        mov     ET_RDX(%r11), %rdx
        mov     ET_RBX(%r11), %rbx
        mov     ET_RSI(%r11), %rsi
        mov     ET_RDI(%r11), %rdi
        mov     ET_R8(%r11), %r8
        mov     ET_R9(%r11), %r9
        mov     ET_R10(%r11), %r10
        mov     ET_R11(%r11), %r11
        ret

/* GS is not what the TCS says: let the signal handler find the thread. */
stub_leaf_fallback:
        pop     %rcx
        pop     %rax
        .globl  emu_fallback
emu_fallback:
        ud2

stub_slow:
        movl    $2, ET_LEAF(%rbx)
        mov     ET_XSAVE(%rbx), %rcx
        mov     ET_XFRM(%rbx), %eax
        mov     ET_XFRM + 4(%rbx), %edx
        movq    $0, 512(%rcx)
        movq    $0, 520(%rcx)
        xsave64 (%rcx)
        rdfsbase %r12
        mov     %r12, ET_SLOW_FS(%rbx)
        rdgsbase %r13
        mov     ET_HOST_FS(%rbx), %rax
        wrfsbase %rax
        mov     ET_HOST_GS(%rbx), %rax
        wrgsbase %rax
        mov     %rbx, %rdi
        call    emu_leaf_slow
        wrfsbase %r12
        wrgsbase %r13
        mov     ET_XSAVE(%rbx), %rcx
        mov     ET_XFRM(%rbx), %eax
        mov     ET_XFRM + 4(%rbx), %edx
        xrstor64 (%rcx)
        mov     ET_R12(%rbx), %r12
        mov     ET_R13(%rbx), %r13
        jmp     stub_done

/* Single stepping: continue by IRET, which sets TF again. */
stub_step:
        mov     ET_RSP(%rbx), %rax
        mov     -8(%rax), %rcx
        mov     %rcx, ET_IRET(%rbx)
        mov     %cs, %rcx
        mov     %rcx, ET_IRET + 8(%rbx)
        mov     ET_RFLAGS(%rbx), %rcx
        or      $0x302, %rcx
        mov     %rcx, ET_IRET + 16(%rbx)
        mov     %rax, ET_IRET + 24(%rbx)
        mov     %ss, %rcx
        mov     %rcx, ET_IRET + 32(%rbx)
        jmp     resume_regs

        .section .note.GNU-stack, "", @progbits
