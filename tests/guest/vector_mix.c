/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that take turns on one CPU, some with XMM registers alone in use, others with upper
 * halves or the x87 stack as well: each finds its own again, and nothing of the others'.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "tests/guest/test.h"

#define ROUNDS  3000
#define THREADS 3 /* of each kind */

static long wrong[3];
static int has_avx;

/* xmm7 and MXCSR kept; upper halves and x87, unused, as at the start of a program. */
static long plain_round(uint64_t value)
{
    uint64_t got, upper = 0;
    uint32_t mxcsr = 0x1f80 | (uint32_t)(value & 1) << 15, after;
    uint16_t tags[14];
    __asm__ volatile("ldmxcsr %3\n movq %4, %%xmm7\n mov %5, %%eax\n syscall\n"
                     "movq %%xmm7, %0\n stmxcsr %1\n fnstenv %2\n fldenv %2\n"
                     : "=&r"(got), "=m"(after), "=m"(tags)
                     : "m"(mxcsr), "r"(value), "i"(SYS_sched_yield)
                     : "rax", "rcx", "r11", "xmm7", "memory");
    if (has_avx)
        __asm__ volatile("vextractf128 $1, %%ymm7, %%xmm6\n vmovq %%xmm6, %0\n vzeroupper"
                         : "=r"(upper)
                         :
                         : "xmm6", "xmm7");
    mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    return (got != value) + ((after & 0x8000) != (value & 1) << 15) + (tags[4] != 0xffff) +
           (upper != 0);
}

static long x87_round(uint64_t value)
{
    double in = (double)(value & 0xffff), out = -1;
    __asm__ volatile("fldl %1\n mov %2, %%eax\n syscall\n fstpl %0\n"
                     : "=m"(out)
                     : "m"(in), "i"(SYS_sched_yield)
                     : "rax", "rcx", "r11", "memory");
    return out != in;
}

static long upper_round(uint64_t value)
{
    uint64_t in[4] = {value, ~value, value * 3, value * 5}, out[4];
    if (!has_avx)
        return 0;
    __asm__ volatile("vmovdqu %1, %%ymm9\n mov %2, %%eax\n syscall\n vmovdqu %%ymm9, %0\n"
                     "vzeroupper\n"
                     : "=m"(out)
                     : "m"(in), "i"(SYS_sched_yield)
                     : "rax", "rcx", "r11", "xmm9", "memory");
    return memcmp(in, out, sizeof(in)) != 0;
}

static long (*const kinds[])(uint64_t) = {plain_round, x87_round, upper_round};

static void *work(void *arg)
{
    uintptr_t number = (uintptr_t)arg;
    long bad = 0;
    for (uint64_t i = 0; i < ROUNDS; i++)
        bad += kinds[number % 3](number << 32 | i);
    __atomic_add_fetch(&wrong[number % 3], bad, __ATOMIC_RELAXED);
    return NULL;
}

int main(void)
{
    pthread_t thread[3 * THREADS];
    cpu_set_t all, one;
    has_avx = __builtin_cpu_supports("avx") != 0;
    must(sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    must(sched_setaffinity(0, sizeof(one), &one));
    for (uintptr_t i = 0; i < 3 * THREADS; i++)
        expect(pthread_create(&thread[i], NULL, work, (void *)i), 0, 0);
    for (int i = 0; i < 3 * THREADS; i++)
        pthread_join(thread[i], NULL);
    expect(wrong[0], 0, 0);
    expect(wrong[1], 0, 0);
    expect(wrong[2], 0, 0);
    return test_end();
}
