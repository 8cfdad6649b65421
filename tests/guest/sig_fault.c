/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals that the processor raises: number, code, address, and a handler that corrects the
 * program counter; the alternate stack. FLAGS: -fno-pie -no-pie -fno-stack-protector
 */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "tests/guest/test.h"

static volatile int signal_got, code_got, trap_no;
static void *volatile address_got;
static volatile long resume_skip;
static volatile uintptr_t handler_sp;

static void handler(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    char here;
    handler_sp = (uintptr_t)&here;
    signal_got = signal;
    code_got = info->si_code;
    address_got = info->si_addr;
    trap_no = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
    uc->uc_mcontext.gregs[REG_RIP] += resume_skip;
}

static void check(int signal, int code, int trap)
{
    expect(signal_got, signal, 0);
    expect(code_got, code, 0);
    expect(trap_no, trap, 0);
    signal_got = code_got = trap_no = -1;
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static void overflow(volatile char *p)
{
    volatile char frame[4096];
    frame[0] = frame[4095] = 1;
    overflow(frame);
    frame[1] = p ? p[0] : 0;
}

static void alternate_stack(void)
{
    static char stack[65536];
    stack_t set = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    expect(sigaltstack(NULL, &old), 0, 0);
    expect(old.ss_flags, SS_DISABLE, 0);
    set.ss_size = 100;
    expect(sigaltstack(&set, NULL), -1, ENOMEM);
    set.ss_size = sizeof(stack);
    expect(sigaltstack(&set, NULL), 0, 0);
    expect(sigaltstack(NULL, &old), 0, 0);
    expect(old.ss_sp == stack && old.ss_flags == 0, 1, 0);
    expect(sigaction(SIGUSR1, &action, NULL), 0, 0);
    resume_skip = 0;
    raise(SIGUSR1);
    expect(handler_sp - (uintptr_t)stack < sizeof(stack), 1, 0);
    action.sa_flags = SA_SIGINFO;
    expect(sigaction(SIGUSR1, &action, NULL), 0, 0);
    raise(SIGUSR1);
    expect(handler_sp - (uintptr_t)stack < sizeof(stack), 0, 0);
}

static void on_overflow(int signal, siginfo_t *info, void *context)
{
    _exit(test_end());
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        expect(sigaction(signals[i], &action, NULL), 0, 0);

    extern char at_div[], at_ud2[];
    resume_skip = 2;
    __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; at_div: div %%ecx"
                     : : : "rax", "rcx", "rdx", "cc");
    expect(address_got == at_div, 1, 0);
    check(SIGFPE, FPE_INTDIV, 0);
    __asm__ volatile("at_ud2: ud2");
    expect(address_got == at_ud2, 1, 0);
    check(SIGILL, ILL_ILLOPN, 6);
    resume_skip = 0;
    __asm__ volatile("int3");
    check(SIGTRAP, SI_KERNEL, 3);
    resume_skip = 1;
    __asm__ volatile("hlt");
    check(SIGSEGV, SI_KERNEL, 13);
    resume_skip = 3;
    __asm__ volatile("mov %0, %%rax; movb $1, (%%rax)" : : "i"(0x30) : "rax", "memory");
    expect(address_got == (void *)0x30, 1, 0);
    check(SIGSEGV, SEGV_MAPERR, 14);

    alternate_stack();

    /* The stack runs over its end; only the alternate one is left to say so. */
    action.sa_sigaction = on_overflow;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    expect(sigaction(SIGSEGV, &action, NULL), 0, 0);
    overflow(NULL);
    return 1;
}
