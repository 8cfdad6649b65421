/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Touching what may not be touched raises SIGSEGV with the right address and code, and the
 * handler may go on elsewhere.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096L

static sigjmp_buf back;
static volatile siginfo_t info;

static void on_fault(int signal, siginfo_t *si, void *context)
{
    memcpy((void *)&info, si, sizeof(*si));
    siglongjmp(back, signal);
}

/* The signal that an access raises, 0 if none. */
static int access_at(volatile char *p, int how)
{
    int signal = sigsetjmp(back, 1);
    if (signal)
        return signal;
    if (how == 'r')
        (void)*p;
    else if (how == 'w')
        *p = 1;
    else
        __asm__ volatile("call *%0" : : "r"(p) : "memory", "rax", "rcx", "rdx", "cc");
    return 0;
}

static void check_fault(volatile char *p, int how, int code)
{
    memset((void *)&info, 0, sizeof(info));
    expect(access_at(p, how), SIGSEGV, 0);
    expect(info.si_signo, SIGSEGV, 0);
    expect(info.si_code, code, 0);
    expect(info.si_addr == p, 1, 0);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    expect(sigaction(SIGSEGV, &action, NULL), 0, 0);
    char *p = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0));
    memset(p, 0xc3, 4 * PAGE);     /* ret */
    expect(access_at(p, 'r'), 0, 0);
    expect(access_at(p, 'w'), 0, 0);
    *p = (char)0xc3;
    check_fault(p, 'x', SEGV_ACCERR);

    expect(mprotect(p, PAGE, PROT_READ), 0, 0);
    expect(access_at(p, 'r'), 0, 0);
    check_fault(p + 12, 'w', SEGV_ACCERR);
    expect(access_at(p + PAGE, 'w'), 0, 0);
    expect(mprotect(p, PAGE, PROT_NONE), 0, 0);
    check_fault(p + 1, 'r', SEGV_ACCERR);
    check_fault(p + 2, 'w', SEGV_ACCERR);
    expect(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0, 0);
    expect(access_at(p, 'x'), 0, 0);
    check_fault(p + 3, 'w', SEGV_ACCERR);
    expect(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0, 0);
    expect(access_at(p, 'w'), 0, 0);
    expect((unsigned char)p[1], 0xc3, 0);

    expect(munmap(p + 2 * PAGE, PAGE), 0, 0);
    check_fault(p + 2 * PAGE + 7, 'r', SEGV_MAPERR);
    check_fault(p + 2 * PAGE + 7, 'w', SEGV_MAPERR);
    expect(access_at(p + 3 * PAGE, 'r'), 0, 0);
    check_fault(NULL, 'r', SEGV_MAPERR);
    check_fault((char *)8, 'w', SEGV_MAPERR);
    check_fault((char *)16, 'x', SEGV_MAPERR);

    /* An address that no page can have: a general protection fault, without an address. */
    memset((void *)&info, 0, sizeof(info));
    expect(access_at((char *)(1UL << 62), 'r'), SIGSEGV, 0);
    expect(info.si_code, SI_KERNEL, 0);
    expect(info.si_addr == NULL, 1, 0);

    /* Again and again, as garbage collectors do. */
    for (int i = 0; i < 1000; i++) {
        mprotect(p, PAGE, PROT_NONE);
        check_fault(p + i, 'w', SEGV_ACCERR);
        mprotect(p, PAGE, PROT_READ | PROT_WRITE);
        p[i] = (char)i;
    }
    return test_end();
}
