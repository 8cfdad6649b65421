/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every way into and out of the kernel.
 *
 *   enclave_entry     EENTER. CSSA 0: boot, vCPU start, return of a host call. CSSA 1: an AEX.
 *   host_exit         EEXIT for a host call; returns when the host enters again.
 *   syscall_entry     a patched system call site jumps here through its trampoline.
 *   cpuid_entry       the same for cpuid, without entering the kernel.
 *   interrupt_entry   where the first-stage handler sends user code that it interrupted.
 *   user_return       the way back to user code; restartable (see below).
 *
 * The first-stage handler never runs anything else than itself: it rewrites the saved RIP and
 * RSP and lets ERESUME do the rest. Interrupts that find the CPU between user_return_begin and
 * user_return_end restart the return from the register frame, so that no signal and no
 * reschedule is lost there; elsewhere in the kernel they only set flags. IRET is not legal in
 * an enclave: the last step is a jump through the vCPU's own scratch slot.
 */
#include "enclave/enclu.inc"
#include "enclave/layout.inc"
#include "enclave/regs.h"
#include "enclave/vcpu.h"

        .section .text.entry, "ax", @progbits

        .globl  enclave_entry
enclave_entry:
        cld
        rdgsbase %rdx
        test    %eax, %eax
        jnz     entry_exception
        cmp     $ENTER_RETURN, %rdi
        je      entry_return
        cmpq    $0, VCPU_STATE(%rdx)            /* a vCPU starts once */
        jne     entry_refuse
        cmp     $ENTER_VCPU, %rdi
        ja      entry_refuse
        test    %rdi, %rdi
        jz      entry_refuse
        mov     %rcx, VCPU_HOST_RETURN(%rdx)
        mov     %rdx, VCPU_SELF(%rdx)
        movq    $1, VCPU_STATE(%rdx)
        lea     (SLOT_STACK_TOP - SLOT_DATA)(%rdx), %rsp
        xor     %ebp, %ebp
        pushq   $2
        popfq
        fninit
        push    $0
        push    $0
        movl    $0x1f80, (%rsp)
        ldmxcsr (%rsp)
        mov     %rdi, %r12
        mov     %rsi, %r13
        cmp     $ENTER_BOOT, %rdi
        jne     2f
        lea     __image_start(%rip), %rdi
        call    relocate_image
2:      mov     %r12, %rdi
        mov     %r13, %rsi
        call    vcpu_main
        ud2

/* The host broke the protocol: this TCS does nothing any more. */
entry_refuse:
        pause
        jmp     entry_refuse

entry_return:
        cmpq    $2, VCPU_STATE(%rdx)
        jne     entry_refuse
        mov     %rcx, VCPU_HOST_RETURN(%rdx)
        mov     VCPU_HOSTCALL_RSP(%rdx), %rsp
        movq    $1, VCPU_STATE(%rdx)
        pushq   $2
        popfq
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %rax
        wrfsbase %rax
        xor     %ecx, %ecx
        xor     %edi, %edi
        xor     %esi, %esi
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        ret

/* void host_exit(void): leaves for a host call; the vector registers have been cleaned. */
        .globl  host_exit
host_exit:
        rdfsbase %rax
        push    %rax
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        rdgsbase %rdx
        mov     %rsp, VCPU_HOSTCALL_RSP(%rdx)
        movq    $2, VCPU_STATE(%rdx)
        mov     VCPU_HOST_RETURN(%rdx), %rbx
        mov     (SLOT_SSA0_GPR - SLOT_DATA + GPR_URBP)(%rdx), %rbp
        mov     (SLOT_SSA0_GPR - SLOT_DATA + GPR_URSP)(%rdx), %rsp
        mov     $EXIT_HOSTCALL, %edi
        jmp     leave

/* EEXIT to RBX with RDI; RSP and RBP are the host's. Nothing else leaves. */
leave:
        xor     %esi, %esi
        xor     %edx, %edx
        xor     %ecx, %ecx
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        mov     $4, %eax
        ENCLU
        ud2

/* An AEX happened: look at SSA[0], on a stack of its own. */
entry_exception:
        cmp     $1, %eax
        jne     entry_refuse
        lea     (SLOT_EXC_STACK_TOP - SLOT_DATA)(%rdx), %rsp
        xor     %ebp, %ebp
        pushq   $2
        popfq
        push    %rcx
        push    %rdx
        mov     %rdx, %rdi
        call    exception_first_stage
        pop     %rdx
        pop     %rbx
        mov     (SLOT_SSA1_GPR - SLOT_DATA + GPR_URBP)(%rdx), %rbp
        mov     (SLOT_SSA1_GPR - SLOT_DATA + GPR_URSP)(%rdx), %rsp
        mov     $EXIT_RESUME, %edi
        jmp     leave

        .text
/*
 * What cpuid says to EAX and ECX; RBX is where to go on, two bytes in front of it is a cpuid
 * for what the table does not hold. User code still, on its own stack, and without using that:
 * an interrupt up to cpuid_commit goes back to that cpuid, a later one does the rest
 * (exception.c).
 */
        .globl  cpuid_entry, cpuid_commit, cpuid_end
cpuid_entry:
        test    $0x7fffffe0, %eax
        jnz     2f
        mov     %eax, %edx
        shr     $26, %edx
        or      %al, %dl
        bt      %rdx, cpuid_indexed(%rip)
        jnc     1f
        cmp     $7, %ecx
        ja      2f
        lea     (%rcx, %rdx, 8), %edx
        jmp     3f
1:      shl     $3, %edx
3:      shl     $4, %edx
        add     cpuid_rows_address(%rip), %rdx
        jmp     cpuid_commit
2:      lea     -2(%rbx), %rdx
        jmp     *%rdx
cpuid_commit:
        mov     %rbx, %gs:VCPU_CPUID_RETURN
        mov     (%rdx), %eax
        mov     4(%rdx), %ebx
        mov     8(%rdx), %ecx
        mov     12(%rdx), %edx
        jmp     *%gs:VCPU_CPUID_RETURN
cpuid_end:

/* For debuggers: the caller is the program, whose registers are in the frame at RSP. */
        .cfi_sections .debug_frame
.macro CALLER_IS_PROGRAM
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa rsp, 0
        .cfi_offset rip, REGS_RIP
        .cfi_offset rsp, REGS_RSP
        .cfi_offset rbp, REGS_RBP
        .cfi_offset rbx, REGS_RBX
        .cfi_offset r12, REGS_R12
        .cfi_offset r13, REGS_R13
        .cfi_offset r14, REGS_R14
        .cfi_offset r15, REGS_R15
.endm

/* RSP is the register frame, filled by the first stage; vector state is live. */
        .globl  interrupt_entry
        .type   interrupt_entry, @function
        CALLER_IS_PROGRAM
interrupt_entry:
        mov     %rsp, %rdi
        call    interrupt_dispatch
        jmp     user_return
        .cfi_endproc
        .size   interrupt_entry, . - interrupt_entry

/* RAX number, RCX return address, R11 scratch; everything else is the program's. */
        .globl  syscall_entry
        .p2align 6
syscall_entry:
        mov     %rsp, %r11
        mov     %gs:VCPU_KERNEL_STACK, %rsp
        push    $0
        push    %r11
        pushfq
        cld
        push    %rcx
        push    %rax
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        CALLER_IS_PROGRAM
        mov     %rsp, %rdi
        call    syscall_run
        /* and out by user_return */
        .cfi_endproc

/* Back to user code with the frame at the top of the kernel stack. */
        .globl  user_enter, user_return, user_return_begin, user_return_end
user_enter:
user_return_begin:
user_return:
        mov     %gs:VCPU_KERNEL_STACK, %rsp
        sub     $REGS_SIZE, %rsp
        mov     %gs:VCPU_CURRENT, %rax
        cmpl    $0, TASK_WORK(%rax)
        jne     user_return_work
        cmpb    $0, TASK_VECTOR_SAVED(%rax)
        jne     user_return_work
        cmpl    $0, REGS_KIND(%rsp)
        jne     user_return_full
        mov     REGS_RFLAGS(%rsp), %rax
        mov     %rax, REGS_R11(%rsp)
        test    $0x400, %eax
        jnz     user_return_full
        /* OF by an addition, the other status flags from AH; POPFQ costs ten times as much. */
        mov     %eax, %ecx
        mov     %al, %ah
        shr     $11, %ecx
        and     $1, %cl
        add     $0x7f, %cl
        sahf
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        mov     (REGS_RIP - REGS_ORIG_RAX)(%rsp), %rcx
        mov     (REGS_RSP - REGS_ORIG_RAX)(%rsp), %rsp
        jmp     *%rcx
user_return_full:
        mov     REGS_RIP(%rsp), %rax
        mov     %rax, %gs:VCPU_SCRATCH_RIP
        mov     REGS_R15(%rsp), %r15
        mov     REGS_R14(%rsp), %r14
        mov     REGS_R13(%rsp), %r13
        mov     REGS_R12(%rsp), %r12
        mov     REGS_RBP(%rsp), %rbp
        mov     REGS_RBX(%rsp), %rbx
        mov     REGS_R11(%rsp), %r11
        mov     REGS_R10(%rsp), %r10
        mov     REGS_R9(%rsp), %r9
        mov     REGS_R8(%rsp), %r8
        mov     REGS_RCX(%rsp), %rcx
        mov     REGS_RDX(%rsp), %rdx
        mov     REGS_RSI(%rsp), %rsi
        mov     REGS_RDI(%rsp), %rdi
        pushq   REGS_RFLAGS(%rsp)
        popfq
        mov     REGS_RAX(%rsp), %rax
        mov     REGS_RSP(%rsp), %rsp
        jmp     *%gs:VCPU_SCRATCH_RIP
user_return_end:

        .type   user_return_work, @function
        CALLER_IS_PROGRAM
user_return_work:
        mov     %rsp, %rdi
        call    user_return_prepare
        jmp     user_return
        .cfi_endproc
        .size   user_return_work, . - user_return_work

/* Where a kernel fault without a fixup continues: panics with what the first stage noted. */
        .globl  kernel_fault_entry
kernel_fault_entry:
        and     $-16, %rsp
        call    kernel_fault
        ud2

/* uint64_t enclu(uint32_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx) */
        .globl  enclu, enclu_end
enclu:
        push    %rbx
        mov     %edi, %eax
        mov     %rsi, %rbx
        xchg    %rdx, %rcx
        ENCLU
        pop     %rbx
        ret
enclu_end:

        .section .note.GNU-stack, "", @progbits
