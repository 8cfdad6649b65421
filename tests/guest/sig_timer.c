/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers interrupt a program that never calls the system, and it goes on with all its
 * registers, the vector ones included.
 */
#include <immintrin.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include "tests/guest/test.h"

static volatile int ticks;

/* Spoils whatever it can reach. */
static void on_tick(int signal)
{
    ticks++;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm7, %%xmm7;"
                     "pxor %%xmm15, %%xmm15; xor %%r8, %%r8; xor %%r9, %%r9; xor %%r10, %%r10;"
                     "xor %%r11, %%r11; std; cld"
                     : : : "xmm0", "xmm1", "xmm7", "xmm15", "r8", "r9", "r10", "r11", "cc");
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5");
}

/* Fills registers with a pattern, spins, and compares; gives the number that differ. */
static long spin_and_compare(void)
{
    long differ = 0;
    __asm__ volatile(
        "mov $0x1111111111111111, %%r8; mov $0x2222222222222222, %%r9\n"
        "mov $0x3333333333333333, %%r10; mov $0x4444444444444444, %%r11\n"
        "movq %%r8, %%xmm0; movq %%r9, %%xmm7; movq %%r10, %%xmm15\n"
        "movq %%r11, %%xmm1; punpcklqdq %%xmm1, %%xmm1\n"
        "mov $40000, %%ecx\n"
        "1: pause; dec %%ecx; jnz 1b\n"
        "movq %%xmm0, %%rax; cmp %%r8, %%rax; je 2f; inc %0; 2:\n"
        "movq %%xmm7, %%rax; cmp %%r9, %%rax; je 2f; inc %0; 2:\n"
        "movq %%xmm15, %%rax; cmp %%r10, %%rax; je 2f; inc %0; 2:\n"
        "movhlps %%xmm1, %%xmm2; movq %%xmm2, %%rax; cmp %%r11, %%rax; je 2f; inc %0; 2:\n"
        "mov $0x1111111111111111, %%rax; cmp %%r8, %%rax; je 2f; inc %0; 2:\n"
        "mov $0x4444444444444444, %%rax; cmp %%r11, %%rax; je 2f; inc %0; 2:\n"
        : "+r"(differ) : : "rax", "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
          "xmm7", "xmm15", "cc");
    return differ;
}

__attribute__((target("avx"))) static long spin_avx(void)
{
    __m256i pattern = _mm256_set1_epi32(0x5a5a1234), kept = pattern;
    for (volatile int i = 0; i < 100000; i++)
        __asm__ volatile("" : "+x"(kept));
    __m256d same = _mm256_cmp_pd(_mm256_castsi256_pd(kept), _mm256_castsi256_pd(pattern), 0);
    return _mm256_movemask_pd(same) != 15;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval set = {{0, 2000}, {0, 2000}}, got;
    long differ = 0;
    expect(sigaction(SIGALRM, &action, NULL), 0, 0);
    expect(setitimer(99, &set, NULL), -1, EINVAL);
    expect(setitimer(ITIMER_REAL, &set, NULL), 0, 0);
    time_t start = time(NULL);
    while (ticks < 50 && time(NULL) - start < 20)
        differ += spin_and_compare();
    while (ticks < 100 && __builtin_cpu_supports("avx") && time(NULL) - start < 20)
        differ += spin_avx();
    expect(ticks >= 50, 1, 0);
    expect(differ, 0, 0);
    /* Without any system call at all, not even for the time. */
    int before = ticks;
    for (volatile long i = 0; i < 20000000000L && ticks < before + 5; i++)
        ;
    expect(ticks >= before + 5, 1, 0);
    expect(getitimer(ITIMER_REAL, &got), 0, 0);
    expect(got.it_interval.tv_usec, 2000, 0);
    memset(&set, 0, sizeof(set));
    expect(setitimer(ITIMER_REAL, &set, NULL), 0, 0);
    before = ticks;
    usleep(10000);
    expect(ticks - before <= 1, 1, 0);

    timer_t timer;
    struct itimerspec spec = {{0, 0}, {0, 5000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    expect(timer_create(CLOCK_MONOTONIC, &event, &timer), 0, 0);
    before = ticks;
    expect(timer_settime(timer, 0, &spec, NULL), 0, 0);
    for (int i = 0; i < 400 && ticks == before; i++)
        usleep(5000);
    expect(ticks, before + 1, 0);
    expect(timer_delete(timer), 0, 0);
    expect(alarm(100), 0, 0);
    expect(alarm(0) > 98, 1, 0);
    return test_end();
}
