/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instructions that touch guest memory, each with the place where a fault continues.
 *   size_t user_copy_raw(dst, src, size)   bytes not copied
 *   size_t user_clear_raw(dst, size)       bytes not cleared
 *   int user_cmpxchg_raw(address, expected, desired, uint32_t *old)   0, or -1 on a fault
 */
.macro FIXUP from, to
        .pushsection .fixups, "a", @progbits
        .long   \from - .
        .long   \to - .
        .popsection
.endm

        .text
        .globl  user_copy_raw, user_clear_raw, user_cmpxchg_raw
user_copy_raw:
        cmp     $8, %rdx
        je      3f
        mov     %rdx, %rcx
1:      rep movsb
2:      mov     %rcx, %rax
        ret
        FIXUP   1b, 2b
3:      mov     (%rsi), %rax
4:      mov     %rax, (%rdi)
        xor     %eax, %eax
        ret
        /* Byte by byte finds out how far it goes. */
5:      mov     %rdx, %rcx
        jmp     1b
        FIXUP   3b, 5b
        FIXUP   4b, 5b

user_clear_raw:
        mov     %rsi, %rcx
        xor     %eax, %eax
1:      rep stosb
2:      mov     %rcx, %rax
        ret
        FIXUP   1b, 2b

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
