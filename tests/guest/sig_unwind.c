/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unwinding through signal frames: what debuggers, exceptions and thread cancellation do. And
 * the ways out of a handler, with what programs see of their dispositions.
 * FLAGS: -fexceptions -fnon-call-exceptions -fasynchronous-unwind-tables
 */
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unwind.h>

#include "tests/guest/test.h"

/* ---- tracing back ---- */

static uintptr_t seen[64];
static int depth;
static uintptr_t interrupted;

static _Unwind_Reason_Code step(struct _Unwind_Context *c, void *arg)
{
    int before = 0;
    uintptr_t ip = _Unwind_GetIPInfo(c, &before);
    if (depth < 64)
        seen[depth++] = ip;
    return _URC_NO_REASON;
}

static void trace(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    interrupted = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    depth = 0;
    _Unwind_Backtrace(step, NULL);
}

static int seen_at(uintptr_t from, uintptr_t to)
{
    int n = 0;
    for (int i = 0; i < depth; i++)
        n += seen[i] >= from && seen[i] < to;
    return n;
}

__attribute__((noinline)) static void by_call(void)
{
    raise(SIGUSR1);
    __asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void by_fault(volatile int *p)
{
    *p = 1;
    __asm__ volatile("" : : : "memory");
}

static sigjmp_buf back;

static void trace_and_jump(int sig, siginfo_t *info, void *context)
{
    trace(sig, info, context);
    siglongjmp(back, 1);
}

static int inside(void (*f)(void), uintptr_t extra)
{
    return seen_at((uintptr_t)f, (uintptr_t)f + extra);
}

__attribute__((noinline)) static void test_backtrace(void)
{
    struct sigaction sa = {.sa_sigaction = trace, .sa_flags = SA_SIGINFO};
    void *frames[64];

    must(sigaction(SIGUSR1, &sa, NULL));
    by_call();
    expect(inside(by_call, 64) >= 1, 1, 0);
    expect(seen_at((uintptr_t)test_backtrace, (uintptr_t)test_backtrace + 8192) >= 1, 1, 0);
    expect(seen_at(interrupted, interrupted + 1), 1, 0);
    sa.sa_sigaction = trace_and_jump;
    must(sigaction(SIGSEGV, &sa, NULL));
    if (!sigsetjmp(back, 1))
        by_fault((volatile int *)16);
    expect(seen_at((uintptr_t)by_fault, (uintptr_t)by_fault + 64) >= 1, 1, 0);
    expect(seen_at((uintptr_t)test_backtrace, (uintptr_t)test_backtrace + 8192) >= 1, 1, 0);
    expect(seen_at(interrupted, interrupted + 1), 1, 0);
    expect(backtrace(frames, 64) >= 2, 1, 0);
}

/* On another stack, and from a handler in a handler. */
static void nested(int sig, siginfo_t *info, void *context)
{
    raise(SIGUSR1);
}

__attribute__((noinline)) static void test_nested(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)}, none = {.ss_flags = SS_DISABLE};
    struct sigaction sa = {.sa_sigaction = nested, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    must(sigaltstack(&ss, NULL));
    must(sigaction(SIGUSR2, &sa, NULL));
    depth = 0;
    raise(SIGUSR2);
    expect(seen_at((uintptr_t)nested, (uintptr_t)nested + 64) >= 1, 1, 0);
    expect(seen_at((uintptr_t)test_nested, (uintptr_t)test_nested + 8192) >= 1, 1, 0);
    must(sigaltstack(&none, NULL));
}

/* ---- cancellation: glibc unwinds from its handler ---- */

static volatile int spinning, cleaned;

static void clean(void *arg)
{
    cleaned++;
}

__attribute__((noinline)) static void spin_while(volatile int *p)
{
    *p = 1; /* from here on it is the call that is cancelled */
    while (*p)
        ;
}

static void *spin(void *arg)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_cleanup_push(clean, NULL);
    spin_while(arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *sleep_long(void *arg)
{
    pthread_cleanup_push(clean, NULL);
    spinning = 1;
    sleep(1000);
    pthread_cleanup_pop(0);
    return NULL;
}

static void test_cancel(void *(*body)(void *))
{
    pthread_t t;
    void *result = NULL;
    spinning = cleaned = 0;
    must(pthread_create(&t, NULL, body, (void *)&spinning));
    while (!spinning)
        sched_yield();
    expect(pthread_cancel(t), 0, 0);
    expect(pthread_join(t, &result), 0, 0);
    expect(result == PTHREAD_CANCELED, 1, 0);
    expect(cleaned, 1, 0);
}

/* ---- what programs see ---- */

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static volatile int count;

static void plain(int sig)
{
    count++;
}

static void test_disposition(void)
{
    struct kernel_action a, b;
    struct sigaction sa = {.sa_handler = plain, .sa_flags = SA_RESTART};

    must(sigaction(SIGUSR1, &sa, NULL));
    expect(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &a, 8), 0, 0);
    expect(a.flags, SA_RESTART | 0x04000000, 0);
    expect(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 8), 0, 0);
    expect(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &b, 8), 0, 0);
    expect(memcmp(&a, &b, sizeof(a)), 0, 0);
    count = 0;
    for (int i = 0; i < 1000; i++)
        raise(SIGUSR1);
    expect(count, 1000, 0);
}

/* Without the vDSO handlers still find their way back. */
static void test_without_vdso(void)
{
    pid_t pid = must(fork());
    if (!pid) {
        char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
        count = 0;
        if (vdso)
            munmap(vdso, 4096);
        kill(getpid(), SIGUSR1);
        _exit(count == 1 ? 7 : 1);
    }
    int status = 0;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 7, 1, 0);
}

int main(void)
{
    test_backtrace();
    test_nested();
    test_cancel(spin);
    test_cancel(sleep_long);
    test_disposition();
    test_without_vdso();
    return test_end();
}
