/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A system call keeps every register but rax, rcx and r11, the red zone, the flags and the
 * vector registers. Tried at sites of several shapes, each many times, because a site may be
 * rewritten after its first call.
 * LIMIT: a rewritten site does not leave the return address in rcx.
 */
#include <sys/syscall.h>
#include "tests/guest/test.h"

struct state {
    unsigned long r[16];    /* rax rbx rcx rdx rsi rdi rbp rsp r8..r15 */
    unsigned long flags;
    unsigned long red[16];
    unsigned long x[32];
};

/* Loads everything with values, calls, stores everything. `site` is the code around syscall. */
#define CALLER(name, before, after)                                                            \
    void name(struct state *out);                                                              \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n"                \
            "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"               \
            "push %rdi\n"                                                                      \
            "mov $0x0101010101010101, %rax; movq %rax, %xmm0; movq %rax, %xmm8\n"              \
            "mov $0x0202020202020202, %rax; movq %rax, %xmm1; movq %rax, %xmm15\n"             \
            "mov $11, %rbx; mov $12, %rdx; mov $13, %rsi; mov $14, %rdi; mov $15, %rbp\n"      \
            "mov $18, %r8; mov $19, %r9; mov $20, %r10; mov $22, %r12; mov $23, %r13\n"        \
            "mov $24, %r14; mov $25, %r15\n"                                                   \
            "movq $101, -8(%rsp); movq $102, -16(%rsp); movq $103, -24(%rsp)\n"                \
            "movq $104, -120(%rsp); movq $105, -128(%rsp)\n"                                   \
            "stc\n" before "\nsyscall\n" after "\n"                                            \
            "mov %rdi, %rcx; mov (%rsp), %rdi\n"                                               \
            "mov %rax, (%rdi); mov %rbx, 8(%rdi); mov %rdx, 24(%rdi); mov %rsi, 32(%rdi)\n"    \
            "mov %rcx, 40(%rdi); mov %rbp, 48(%rdi)\n"                                         \
            "mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi)\n"   \
            "mov %r12, 96(%rdi); mov %r13, 104(%rdi); mov %r14, 112(%rdi)\n"                   \
            "mov %r15, 120(%rdi)\n"                                                            \
            "mov -8(%rsp), %rax; mov %rax, 136(%rdi)\n"                                        \
            "mov -16(%rsp), %rax; mov %rax, 144(%rdi)\n"                                       \
            "mov -24(%rsp), %rax; mov %rax, 152(%rdi)\n"                                       \
            "mov -120(%rsp), %rax; mov %rax, 160(%rdi)\n"                                      \
            "mov -128(%rsp), %rax; mov %rax, 168(%rdi)\n"                                      \
            "movq %xmm0, 264(%rdi); movq %xmm8, 272(%rdi)\n"                                   \
            "movq %xmm1, 280(%rdi); movq %xmm15, 288(%rdi)\n"                                  \
            "add $8, %rsp\n"                                                                   \
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"                     \
            "ret\n.size " #name ", .-" #name "\n")

CALLER(plain, "mov $110, %eax", "");                            /* getppid */
CALLER(imm_rax, "mov $110, %rax", "nop");
CALLER(followed_by_cmp, "mov $110, %eax", "cmp $-4095, %rax");
CALLER(followed_by_test, "mov $110, %eax", "test %rax, %rax; js 1f; 1:");
CALLER(short_before, "xor %eax, %eax; movb $110, %al", "1: cmp $0, %rax; jl 1b");
CALLER(number_early, "mov $110, %eax; xor $0, %r8; xor $0, %r9", "xchg %ax, %ax");
CALLER(branch_target, "mov $110, %eax; jmp 1f; nop; 1:", "jmp 2f; 2:");
CALLER(lock_before, "mov $110, %eax; nopl 0(%rax,%rax,1)", "mov %rax, %rax");
CALLER(unknown, "mov $600, %eax", "");

static void check(const char *name, void (*caller)(struct state *), long result)
{
    static const unsigned long want[16] = {0,  11, 0,  12, 13, 14, 15, 0,
                                           18, 19, 20, 0,  22, 23, 24, 25};
    struct state s;
    for (int round = 0; round < 100; round++) {
        int before = test_failures;
        memset(&s, 0, sizeof(s));
        caller(&s);
        expect(s.r[0], result, result == -1 ? errno : 0);
        for (int i = 1; i < 16; i++)
            if (i != 2 && i != 7 && i != 11)
                expect(s.r[i], want[i], 0);
        for (int i = 0; i < 5; i++)
            expect(s.red[i], 101 + i, 0);
        expect(s.x[0], 0x0101010101010101, 0);
        expect(s.x[1], 0x0101010101010101, 0);
        expect(s.x[2], 0x0202020202020202, 0);
        expect(s.x[3], 0x0202020202020202, 0);
        if (test_failures != before) {
            fprintf(stderr, "    at the site \"%s\", round %d\n", name, round);
            return;
        }
    }
}

/* The direction flag is off for the kernel and comes back as it was. */
static void check_direction(void)
{
    for (int i = 0; i < 100; i++) {
        unsigned long up, down;
        __asm__ volatile("cld; mov $110, %%eax; syscall; pushf; pop %0; std; mov $110, %%eax;"
                         "syscall; pushf; pop %1; cld"
                         : "=&r"(up), "=&r"(down) : : "rax", "rcx", "r11", "cc", "memory");
        expect(up & 0x400, 0, 0);
        expect(down & 0x400, 0x400, 0);
    }
}

int main(void)
{
    long parent = getppid();
    check("plain", plain, parent);
    check("imm_rax", imm_rax, parent);
    check("followed_by_cmp", followed_by_cmp, parent);
    check("followed_by_test", followed_by_test, parent);
    check("short_before", short_before, parent);
    check("number_early", number_early, parent);
    check("branch_target", branch_target, parent);
    check("lock_before", lock_before, parent);
    check("unknown", unknown, -ENOSYS);
    check_direction();
    return test_end();
}
