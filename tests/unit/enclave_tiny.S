/* SPDX-License-Identifier: BSD-3-Clause */
/* The code of the tiny enclave: position independent, copied to TINY_CODE. */
#include "tests/unit/enclave_tiny.h"

#define SSA_GPR (TINY_SSA - TINY_DATA + 4 * 4096 - 184) /* from GS base */
#define GPR_RAX      0
#define GPR_RIP      136
#define GPR_EXITINFO 160

.macro ENCLU
9:      .byte   0x0f, 0x01, 0xd7, 0x0f, 0x1f, 0x00
        .pushsection .rodata.tiny, "a", @progbits
        .quad   9b - tiny_begin
        .popsection
.endm

        .section .rodata.tiny, "a", @progbits
        .globl  tiny_site_begin, tiny_begin, tiny_end
tiny_site_begin:

        .section .rodata.tinycode, "a", @progbits
        .p2align 12
tiny_begin:
        cld
        test    %eax, %eax
        jnz     exception
        mov     %rsp, %gs:TD_RSP
        mov     %rbp, %gs:TD_RBP
        mov     %rcx, %gs:TD_RETURN
        cmp     $3, %edi
        je      call_return
        rdgsbase %r9
        lea     0x4000(%r9), %rsp
        cmp     $1, %edi
        je      boot
        cmp     $2, %edi
        je      second
        sub     $TC_ADD_ONE, %edi
        cmp     $(TC_LAST - TC_ADD_ONE), %edi
        ja      bad
        lea     table(%rip), %r10
        movslq  (%r10, %rdi, 4), %rax
        add     %r10, %rax
        call    *%rax
finish:
        mov     %rax, %rsi
        mov     $1, %edi
leave:
        mov     %gs:TD_RETURN, %rbx
        mov     %gs:TD_RSP, %rsp
        mov     %gs:TD_RBP, %rbp
        mov     $4, %eax
        ENCLU
        ud2
bad:    mov     $-1, %rax
        jmp     finish

        .p2align 2
table:  .long   do_add - table, do_load - table, do_syscall - table, do_regs - table
        .long   do_leaf - table, do_ud - table, do_bp - table, do_de - table
        .long   do_cpuid - table, do_spin - table, do_store - table, do_leaf_pages - table
        .long   do_leaf_gs - table

do_add: lea     1(%rsi), %rax
        rdfsbase %rdx
        mov     %rdx, %gs:TD_FS_SEEN
        ret

fixup:  mov     $-14, %rax
        ret

do_load:
        lea     fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        mov     (%rsi), %rax
        ret
do_store:
        lea     fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        movb    $1, (%rsi)
        xor     %eax, %eax
        ret
do_syscall:
        mov     %rsi, %rax
        syscall
        ret
do_ud:  lea     fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        ud2
do_bp:  int3
        mov     $3, %eax
        ret
do_de:  lea     fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        xor     %edx, %edx
        xor     %ecx, %ecx
        mov     $1, %eax
        div     %ecx
        ret
do_cpuid:
        lea     fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        xor     %eax, %eax
        mov     %rbx, %r10
        cpuid
        mov     %r10, %rbx
        xor     %eax, %eax
        ret
do_spin:
        cmpq    $0, %gs:TD_STOP
        jne     1f
        dec     %rsi
        jnz     do_spin
1:      mov     %rsi, %rax
        ret

leaf_fixup:
        pop     %rbx
        pop     %rbx
        mov     $-14, %rax
        ret
do_leaf:
        lea     leaf_fixup(%rip), %rax
        mov     %rax, %gs:TD_FIXUP
        push    %rbx
        push    %rbx
        mov     %gs:TD_LEAF, %rax
        mov     %gs:TD_LEAF + 8, %rbx
        mov     %gs:TD_LEAF + 16, %rcx
        mov     %gs:TD_LEAF + 24, %rdx
        mov     $0x1111, %rsi
        mov     $0x2222, %rdi
        mov     $0x8888, %r8
        mov     $0xbbbb, %r11
        mov     $0xffff, %r15
        movq    %r11, %xmm5
        ENCLU
        pushfq
        pop     %gs:TD_LEAF + 40
        mov     %rax, %gs:TD_LEAF + 32
        movq    %xmm5, %rax
        cmp     $0xbbbb, %rax
        jne     1f
        cmp     $0x1111, %rsi
        jne     1f
        cmp     $0x2222, %rdi
        jne     1f
        cmp     $0x8888, %r8
        jne     1f
        cmp     $0xbbbb, %r11
        jne     1f
        cmp     $0xffff, %r15
        jne     1f
        cmp     %gs:TD_LEAF + 16, %rcx
        jne     1f
        cmp     %gs:TD_LEAF + 8, %rbx
        jne     1f
        pop     %rbx
        pop     %rbx
        xor     %eax, %eax
        ret
1:      mov     $-2, %rax
        pop     %rbx
        pop     %rbx
        ret

/* A leaf while GS is not what the TCS says. */
do_leaf_gs:
        push    %rbx
        mov     %gs:TD_LEAF, %rax
        mov     %gs:TD_LEAF + 8, %rbx
        mov     %gs:TD_LEAF + 16, %rcx
        rdgsbase %r12
        wrgsbase %rsi
        mov     $0x8888, %r8
        ENCLU
        wrgsbase %r12
        cmp     $0x8888, %r8
        je      1f
        mov     $-2, %rax
1:      pop     %rbx
        ret

do_leaf_pages:
        push    %rbx
        mov     %rsi, %r12
        mov     %gs:TD_LEAF + 8, %rbx
        mov     %gs:TD_LEAF + 16, %rcx
1:      mov     $5, %eax
        ENCLU
        test    %eax, %eax
        jnz     2f
        add     $4096, %rcx
        dec     %r12
        jnz     1b
2:      pop     %rbx
        ret

/* All registers hold patterns through RSI rounds; flags, too. */
do_regs:
        push    %rbx
        push    %rbp
        mov     %rsi, %gs:TD_LEAF
        mov     $0xa0a0, %rax
        movq    %rax, %xmm0
        vinsertf128 $1, %xmm0, %ymm0, %ymm3
        mov     $0x0f7f, %rax
        push    %rax
        fldcw   (%rsp)
        pop     %rax
        fld1
        mov     $0xb0b0, %rbx
        mov     $0xd0d0, %rdx
        mov     $0x5151, %rsi
        mov     $0xd1d1, %rdi
        mov     $0xbbbb, %rbp
        mov     $0x0808, %r8
        mov     $0x0909, %r9
        mov     $0x1010, %r10
        mov     $0x1111, %r11
        mov     $0x1212, %r12
        mov     $0x1313, %r13
        mov     $0x1414, %r14
        mov     $0x1515, %r15
        mov     %gs:TD_LEAF, %rcx
2:      stc
        mov     %rcx, %rax
        jnc     3f
        lea     -1(%rcx), %rcx
        jrcxz   4f
        jmp     2b
3:      mov     $-3, %rax
        jmp     5f
4:      cmp     $1, %rax
        jne     3b
        cmp     $0xb0b0, %rbx
        jne     3b
        cmp     $0xd0d0, %rdx
        jne     3b
        cmp     $0x5151, %rsi
        jne     3b
        cmp     $0xd1d1, %rdi
        jne     3b
        cmp     $0xbbbb, %rbp
        jne     3b
        cmp     $0x0808, %r8
        jne     3b
        cmp     $0x0909, %r9
        jne     3b
        cmp     $0x1010, %r10
        jne     3b
        cmp     $0x1111, %r11
        jne     3b
        cmp     $0x1212, %r12
        jne     3b
        cmp     $0x1313, %r13
        jne     3b
        cmp     $0x1414, %r14
        jne     3b
        cmp     $0x1515, %r15
        jne     3b
        vextractf128 $1, %ymm3, %xmm1
        movq    %xmm1, %rax
        cmp     $0xa0a0, %rax
        jne     3b
        push    %rax
        fnstcw  (%rsp)
        pop     %rax
        and     $0xffff, %eax
        cmp     $0x0f7f, %eax
        jne     3b
        xor     %eax, %eax
5:      fninit
        vzeroupper
        pop     %rbp
        pop     %rbx
        ret

/* The first-stage handler. */
exception:
        mov     %rsp, %gs:TD_EXC_RSP
        mov     %rbp, %gs:TD_EXC_RBP
        mov     %rcx, %gs:TD_EXC_RETURN
        rdgsbase %r9
        lea     0x6000(%r9), %rsp
        lea     SSA_GPR(%r9), %r8
        mov     GPR_EXITINFO(%r8), %eax
        movl    $0, GPR_EXITINFO(%r8)
        test    %eax, %eax
        js      1f
        incq    TD_TICKS(%r9)
        jmp     exc_leave
1:      incq    TD_FAULTS(%r9)
        mov     %rax, TD_EXITINFO(%r9)
        mov     -16(%r8), %rdx
        mov     %rdx, TD_MADDR(%r9)
        mov     -8(%r8), %edx
        mov     %rdx, TD_ERRCD(%r9)
        mov     GPR_RIP(%r8), %rdx
        mov     %rdx, TD_RIP(%r9)
        cmp     $0x80000603, %eax
        je      exc_leave
        cmpw    $0x050f, (%rdx)
        jne     2f
        addq    $2, GPR_RIP(%r8)
        mov     GPR_RAX(%r8), %rdx
        add     $0x1000, %rdx
        mov     %rdx, GPR_RAX(%r8)
        jmp     exc_leave
2:      mov     TD_FIXUP(%r9), %rdx
        mov     %rdx, GPR_RIP(%r8)
exc_leave:
        mov     TD_EXC_RETURN(%r9), %rbx
        mov     TD_EXC_RSP(%r9), %rsp
        mov     TD_EXC_RBP(%r9), %rbp
        mov     $2, %edi
        mov     $4, %eax
        ENCLU
        ud2

/* The boot protocol. */
/* EAX nr, RDX, RCX, R8: arguments; the result in RAX */
call_host:
        mov     %gs:TD_SHARED, %r10
        mov     %eax, (%r10)
        mov     %rdx, 16(%r10)
        mov     %rcx, 24(%r10)
        mov     %r8, 32(%r10)
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        mov     %rsp, %gs:TD_CALL_RSP
        xor     %esi, %esi
        mov     $1, %edi
        jmp     leave
call_return:
        mov     %gs:TD_CALL_RSP, %rsp
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        mov     %gs:TD_SHARED, %r10
        mov     8(%r10), %rax
        ret

/* Boot: LOG, start vCPU 1, interrupt it until it has seen five, EXIT(its ticks << 8). */
boot:
        mov     32(%rsi), %rax                  /* vcpu_shared */
        mov     %rax, %gs:TD_SHARED
        mov     12(%rsi), %r12d                 /* vcpu_count */
        cmpl    $TINY_FIFO, 72(%rsi)            /* log_level */
        je      boot_fifo
        mov     40(%rsi), %rdx                  /* pool_address */
        movabs  $0x0a6f6c6c6568, %rax           /* "hello\n" */
        mov     %rax, (%rdx)
        mov     $6, %ecx
        mov     $6, %eax                        /* LOG */
        call    call_host
        xor     %r13, %r13
        cmp     $2, %r12d
        jb      boot_exit
        mov     $1, %edx
        mov     $5, %eax                        /* START_VCPU */
        call    call_host
        test    %rax, %rax
        jnz     boot_exit
        rdgsbase %r14
        add     $TINY_STRIDE, %r14              /* the other's data page */
1:      mov     $1, %edx
        mov     $3, %eax                        /* INTERRUPT */
        call    call_host
        mov     $20000, %edx                    /* WAIT 20 us */
        mov     $1, %ecx
        mov     $1, %eax
        call    call_host
        mov     TD_TICKS(%r14), %r13
        cmp     $5, %r13
        jb      1b
        movq    $1, TD_STOP(%r14)
        mov     $5, %r13d
boot_exit:
        mov     %r13, %rdx
        shl     $8, %rdx
        xor     %eax, %eax                      /* EXIT */
        call    call_host
        jmp     boot_exit

/* Opens `program`, which blocks, while the other vCPU exits. */
boot_fifo:
        mov     200(%rsi), %r13                 /* program */
        rdgsbase %r14
        add     $4096, %rax
        mov     %rax, TINY_STRIDE + TD_SHARED(%r14)
        movq    $1, TINY_STRIDE + TD_LEAF(%r14)
        mov     $1, %edx
        mov     $5, %eax                        /* START_VCPU */
        call    call_host
        mov     $-100, %rdx
        mov     %r13, %rcx
        xor     %r8d, %r8d
        mov     $13, %eax                       /* OPENAT */
        call    call_host
        mov     $1, %r13d
        jmp     boot_exit

/* The second vCPU spins in the enclave until it is told to stop, then waits for ever. */
second:
        movq    $0, %gs:TD_STOP
        mov     $20000000, %ecx
        cmpq    $0, %gs:TD_LEAF
        je      2f
1:      dec     %ecx
        jnz     1b
        mov     $(9 << 8), %edx
        xor     %eax, %eax                      /* EXIT */
        call    call_host
2:      pause
        cmpq    $0, %gs:TD_STOP
        je      2b
        jmp     2b

tiny_end:
        .section .rodata.tiny, "a", @progbits
        .globl  tiny_site_end
tiny_site_end:

        .section .note.GNU-stack, "", @progbits
