/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instructions that touch guest memory, each with the place where a fault continues.
 *   size_t user_copy_raw(dst, src, size)   bytes not copied
 *   size_t user_clear_raw(dst, size)       bytes not cleared
 *   size_t user_swap_raw(at, page)         a page's bytes not exchanged
 *   int user_cmpxchg_raw(address, expected, desired, uint32_t *old)   0, or -1 on a fault
 *
 * A copy moves words where that is faster than the string instruction: up to 256 bytes, and
 * where the destination lies a little above the source modulo 4 KiB, which AMD's Zen 3 copies
 * byte by byte (25 times as slow). RDI, RSI and RCX always say what is left; whatever faults,
 * `rep movsb` goes on from there and finds out how far it goes.
 */
.macro FIXUP from, to
        .pushsection .fixups, "a", @progbits
        .long   \from - .
        .long   \to - .
        .popsection
.endm

/* One instruction that may fault; the copy then goes on byte by byte. */
.macro TOUCH instruction:vararg
.Ltouch\@:
        \instruction
        FIXUP   .Ltouch\@, .Lbytes
.endm

.macro MOVE32 offset
        TOUCH   mov \offset(%rsi), %rax
        TOUCH   mov \offset+8(%rsi), %r8
        TOUCH   mov \offset+16(%rsi), %r9
        TOUCH   mov \offset+24(%rsi), %r10
        TOUCH   mov %rax, \offset(%rdi)
        TOUCH   mov %r8, \offset+8(%rdi)
        TOUCH   mov %r9, \offset+16(%rdi)
        TOUCH   mov %r10, \offset+24(%rdi)
.endm

        .text
        .globl  user_copy_raw, user_clear_raw, user_swap_raw, user_cmpxchg_raw
        .p2align 5
user_copy_raw:
        mov     %rdx, %rcx
        cmp     $16, %rdx
        jb      .Lshort
        cmp     $256, %rdx
        ja      .Llong
.Lpairs:
        TOUCH   mov (%rsi), %rax
        TOUCH   mov 8(%rsi), %r8
        TOUCH   mov %rax, (%rdi)
        TOUCH   mov %r8, 8(%rdi)
        add     $16, %rsi
        add     $16, %rdi
        sub     $16, %rcx
        cmp     $16, %rcx
        jae     .Lpairs
        test    %ecx, %ecx
        jz      .Ldone
        /* The last 16 bytes; some of them have been copied. */
        TOUCH   mov -16(%rsi,%rcx), %rax
        TOUCH   mov -8(%rsi,%rcx), %r8
        TOUCH   mov %rax, -16(%rdi,%rcx)
        TOUCH   mov %r8, -8(%rdi,%rcx)
.Ldone:
        xor     %eax, %eax
        ret

.Lshort:
        cmp     $8, %ecx
        jb      1f
        TOUCH   mov (%rsi), %rax
        TOUCH   mov -8(%rsi,%rcx), %r8
        TOUCH   mov %rax, (%rdi)
        TOUCH   mov %r8, -8(%rdi,%rcx)
        xor     %eax, %eax
        ret
1:      cmp     $4, %ecx
        jb      2f
        TOUCH   mov (%rsi), %eax
        TOUCH   mov -4(%rsi,%rcx), %r8d
        TOUCH   mov %eax, (%rdi)
        TOUCH   mov %r8d, -4(%rdi,%rcx)
        xor     %eax, %eax
        ret
        /* The first, the middle and the last of three bytes or less. */
2:      mov     %ecx, %edx
        shr     %edx
        test    %ecx, %ecx
        jz      .Ldone
        TOUCH   movzbl (%rsi), %eax
        TOUCH   movzbl (%rsi,%rdx), %r8d
        TOUCH   movzbl -1(%rsi,%rcx), %r9d
        TOUCH   mov %al, (%rdi)
        TOUCH   mov %r8b, (%rdi,%rdx)
        TOUCH   mov %r9b, -1(%rdi,%rcx)
        xor     %eax, %eax
        ret

.Llong:
        mov     %edi, %eax
        sub     %esi, %eax
        and     $0xfff, %eax
        dec     %eax
        cmp     $62, %eax
        jae     .Lbytes
.Llines:
        MOVE32  0
        MOVE32  32
        add     $64, %rsi
        add     $64, %rdi
        sub     $64, %rcx
        cmp     $64, %rcx
        jae     .Llines
.Lbytes:
1:      rep movsb
2:      mov     %rcx, %rax
        ret
        FIXUP   1b, 2b

user_clear_raw:
        mov     %rsi, %rcx
        xor     %eax, %eax
1:      rep stosb
2:      mov     %rcx, %rax
        ret
        FIXUP   1b, 2b

user_swap_raw:
        mov     $4096, %ecx
1:      mov     (%rdi), %rax
2:      mov     8(%rdi), %r8
        mov     (%rsi), %r9
        mov     8(%rsi), %r10
3:      mov     %r9, (%rdi)
4:      mov     %r10, 8(%rdi)
        mov     %rax, (%rsi)
        mov     %r8, 8(%rsi)
        add     $16, %rdi
        add     $16, %rsi
        sub     $16, %ecx
        jnz     1b
5:      mov     %rcx, %rax
        ret
        FIXUP   1b, 5b
        FIXUP   2b, 5b
        FIXUP   3b, 5b
        FIXUP   4b, 5b

user_cmpxchg_raw:
        mov     %esi, %eax
1:      lock cmpxchg %edx, (%rdi)
        mov     %eax, (%rcx)
        xor     %eax, %eax
        ret
2:      mov     $-1, %eax
        ret
        FIXUP   1b, 2b

        .section .note.GNU-stack, "", @progbits
