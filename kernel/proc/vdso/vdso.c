/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vDSO: clocks without a system call. Runs in programs; linked on its own as a small shared
 * object and copied into each process. It reads the kernel's clock page through an address that
 * the kernel writes into vdso_clock_page in each copy. What it cannot answer becomes a call.
 * It also holds where handlers of signals return to: the address of the kernel's entry stands
 * in front of it, so that the way back costs a jump. Unwinders know it by its description.
 * Not here: CPU-time clocks.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "enclave/clock.h"

#define NS_PER_SEC 1000000000ull
#define NR_gettimeofday  96
#define NR_time          201
#define NR_clock_gettime 228
#define NR_clock_getres  229
#define NR_getcpu        309

struct pair {
    int64_t sec, fraction;
};

/* Known to kernel/proc/vdso.c: the entry's address, eight bytes, the code. RSP points at the
 * ucontext; what was interrupted is described by addresses in it (DWARF 4, 6.4.2.3): register,
 * expression, length, breg7 with an offset of two bytes. */
__asm__(".macro SAVED register, offset\n"
        "  .cfi_escape 0x10, \\register, 3, 0x77, (\\offset & 0x7f) | 0x80, \\offset >> 7\n"
        ".endm\n"
        ".section .text.page, \"ax\", @progbits\n"
        ".balign 16\n"
        "7: .quad 0x6b65726e656c2121\n"
        ".cfi_startproc simple\n"
        ".cfi_signal_frame\n"
        ".cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06\n" /* CFA: the RSP at 160 */
        "SAVED 8, 40; SAVED 9, 48; SAVED 10, 56; SAVED 11, 64\n"
        "SAVED 12, 72; SAVED 13, 80; SAVED 14, 88; SAVED 15, 96\n"
        "SAVED 5, 104; SAVED 4, 112; SAVED 6, 120; SAVED 3, 128\n"
        "SAVED 1, 136; SAVED 0, 144; SAVED 2, 152; SAVED 7, 160; SAVED 16, 168\n"
        "nop; nop; nop; nop; nop; nop; nop; nop\n" /* unwinders look one byte in front */
        "mov $15, %eax\n"
        "lea 8f(%rip), %rcx\n"
        "jmp *7b(%rip)\n"
        "8: ud2\n"
        ".cfi_endproc\n"
        ".text\n");

/* Replaced in the copy; in text, so that the whole is one read-only segment. */
extern const volatile uint64_t vdso_clock_page __attribute__((visibility("hidden")));
__asm__(".section .text.page, \"ax\", @progbits\n"
        ".balign 8\n.hidden vdso_clock_page\n"
        "vdso_clock_page: .quad 0x636f6c6370616765\n.text\n");

int __vdso_clock_gettime(int clock, struct pair *out);
int __vdso_clock_getres(int clock, struct pair *out);
int __vdso_gettimeofday(struct pair *tv, void *tz);
int64_t __vdso_time(int64_t *out);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *cache);

static long call(long nr, const void *a, const void *b, const void *c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

/* Both clocks as of one reading. */
static uint64_t read_clock(int64_t *offset)
{
    const struct clock_page *p = (const struct clock_page *)vdso_clock_page;
    uint32_t before;
    uint64_t ns;
    do {
        before = atomic_load_explicit(&p->sequence, memory_order_acquire);
        uint64_t ticks = rdtsc() - p->base_tsc;
        if ((int64_t)ticks < 0)
            ticks = 0;
        ns = p->monotonic_ns + (uint64_t)((unsigned __int128)ticks * p->mult >> p->shift);
        *offset = p->realtime_offset_ns;
        atomic_thread_fence(memory_order_acquire);
    } while ((before & 1) ||
             before != atomic_load_explicit(&p->sequence, memory_order_relaxed));
    return ns;
}

int __vdso_clock_gettime(int clock, struct pair *out)
{
    int64_t offset;
    uint64_t ns;
    switch (clock) {
    case 0:  /* CLOCK_REALTIME */
    case 5:  /* CLOCK_REALTIME_COARSE */
    case 8:  /* CLOCK_REALTIME_ALARM */
    case 11: /* CLOCK_TAI */
        ns = read_clock(&offset);
        ns += (uint64_t)offset;
        break;
    case 1: /* CLOCK_MONOTONIC */
    case 4: /* CLOCK_MONOTONIC_RAW */
    case 6: /* CLOCK_MONOTONIC_COARSE */
    case 7: /* CLOCK_BOOTTIME */
    case 9: /* CLOCK_BOOTTIME_ALARM */
        ns = read_clock(&offset);
        break;
    default:
        return (int)call(NR_clock_gettime, (void *)(long)clock, out, NULL);
    }
    out->sec = (int64_t)(ns / NS_PER_SEC);
    out->fraction = (int64_t)(ns % NS_PER_SEC);
    return 0;
}

int __vdso_clock_getres(int clock, struct pair *out)
{
    return (int)call(NR_clock_getres, (void *)(long)clock, out, NULL);
}

int __vdso_gettimeofday(struct pair *tv, void *tz)
{
    int64_t offset;
    if (tz)
        return (int)call(NR_gettimeofday, tv, tz, NULL);
    if (!tv)
        return 0;
    uint64_t ns = read_clock(&offset) + (uint64_t)offset;
    tv->sec = (int64_t)(ns / NS_PER_SEC);
    tv->fraction = (int64_t)(ns % NS_PER_SEC / 1000);
    return 0;
}

int64_t __vdso_time(int64_t *out)
{
    int64_t offset, now;
    now = (int64_t)((read_clock(&offset) + (uint64_t)offset) / NS_PER_SEC);
    if (out)
        *out = now;
    return now;
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *cache)
{
    return (int)call(NR_getcpu, cpu, node, cache);
}

#define ALIAS(name)                                                                            \
    __asm__(".globl " #name "\n.set " #name ", __vdso_" #name "\n.type " #name ", @function")
ALIAS(clock_gettime);
ALIAS(clock_getres);
ALIAS(gettimeofday);
ALIAS(time);
ALIAS(getcpu);
