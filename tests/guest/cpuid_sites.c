/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpuid says the same wherever it stands: in the program's text, which may have been rewritten
 * since an earlier start, and in code made at run time; with signals in between, too, and with
 * every register kept that it does not set.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "tests/guest/test.h"

/* Small programs lie at a new place each time, and nothing of them is kept in between. */
static const char much[2 << 20] = {1};

struct result {
    uint32_t a, b, c, d;
};

#define NUMBERED(leaf, subleaf)                                                                \
    __asm__ volatile("mov $" #leaf ", %%eax\n mov $" #subleaf ", %%ecx\n cpuid"                \
                     : "=&a"(r.a), "=&b"(r.b), "=&c"(r.c), "=&d"(r.d))

#define LEAF(name, leaf, subleaf)                                                              \
    static __attribute__((noinline)) struct result name(void)                                  \
    {                                                                                          \
        struct result r;                                                                       \
        NUMBERED(leaf, subleaf);                                                               \
        return r;                                                                              \
    }

LEAF(leaf_0, 0, 0)
LEAF(leaf_0_far, 0, 77) /* no subleaves: ECX does not count */
LEAF(leaf_7, 7, 0)
LEAF(leaf_7_1, 7, 1)
LEAF(leaf_brand, 0x80000002, 0)
LEAF(leaf_extended, 0x80000000, 0)

/* By code that no file has: a function with the numbers in its arguments. */
static struct result (*elsewhere)(uint32_t leaf, uint32_t subleaf);
static void make_elsewhere(void)
{
    static const uint8_t code[] = {
        0x53,                   /* push %rbx */
        0x48, 0x89, 0xf9,       /* mov %rdi,%rcx */
        0x89, 0xf8, 0x89, 0xf1, /* mov %edi,%eax; mov %esi,%ecx */
        0x0f, 0xa2,             /* cpuid */
        0x48, 0xc1, 0xe3, 0x20, /* shl $32,%rbx */
        0x48, 0x09, 0xd8,       /* or %rbx,%rax */
        0x48, 0xc1, 0xe2, 0x20, /* shl $32,%rdx */
        0x48, 0x09, 0xca,       /* or %rcx,%rdx */
        0x5b, 0xc3,             /* pop %rbx; ret */
    };
    uint8_t *page = must(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memcpy(page, code, sizeof(code));
    memcpy(&elsewhere, &page, sizeof(page));
}

static int same(struct result x, struct result y)
{
    return x.a == y.a && x.b == y.b && x.c == y.c && x.d == y.d;
}

/* Registers and the red zone, around one in the text. */
static int kept(void)
{
    uint64_t bad;
    __asm__ volatile("movq $0x11, -8(%%rsp)\n mov $0x22, %%esi\n mov $0x33, %%edi\n"
                     "mov $0x44, %%r8d\n mov $0x55, %%r11d\n mov $0x66, %%r15d\n"
                     "mov $1, %%eax\n xor %%ecx, %%ecx\n cpuid\n"
                     "mov -8(%%rsp), %%rax\n xor $0x11, %%rax\n"
                     "xor $0x22, %%rsi\n xor $0x33, %%rdi\n xor $0x44, %%r8\n"
                     "xor $0x55, %%r11\n xor $0x66, %%r15\n"
                     "or %%rsi, %%rax\n or %%rdi, %%rax\n or %%r8, %%rax\n or %%r11, %%rax\n"
                     "or %%r15, %%rax\n"
                     : "=&a"(bad)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r11", "r15", "memory");
    return !bad;
}

static volatile sig_atomic_t ticks;
static void on_tick(int sig)
{
    (void)sig;
    ticks++;
}

static void with_signals(void)
{
    struct result zero = leaf_0(), seven = leaf_7();
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
    long wrong = 0;
    must(signal(SIGALRM, on_tick) == SIG_ERR ? -1 : 0);
    must(setitimer(ITIMER_REAL, &often, NULL));
    while (ticks < 30)
        wrong += !same(leaf_0(), zero) + !same(leaf_7(), seven) + !kept();
    must(setitimer(ITIMER_REAL, &never, NULL));
    expect(wrong, 0, 0);
}

int main(int argc, char **argv)
{
    int start = argc > 1 ? atoi(argv[1]) : 0;
    make_elsewhere();
    expect(((volatile const char *)much)[0], 1, 0);
    expect(same(leaf_0(), elsewhere(0, 0)), 1, 0);
    expect(same(leaf_0_far(), elsewhere(0, 77)), 1, 0);
    expect(same(leaf_7(), elsewhere(7, 0)), 1, 0);
    expect(same(leaf_7_1(), elsewhere(7, 1)), 1, 0);
    expect(same(leaf_brand(), elsewhere(0x80000002, 0)), 1, 0);
    expect(same(leaf_extended(), elsewhere(0x80000000, 0)), 1, 0);
    expect(kept(), 1, 0);
    with_signals();
    if (!test_failures && start < 4) {
        char next[2] = {(char)('1' + start), 0};
        execl("/proc/self/exe", argv[0], next, NULL);
        expect("exec", 0, 0);
    }
    return test_end();
}
