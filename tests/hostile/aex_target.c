/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Goes into the kernel in every way there is, each time with all registers holding a pattern,
 * and checks that what Linux preserves is preserved. No C library, so that an AEX after every
 * instruction can be afforded. Prints the same natively and inside.
 * FLAGS: -nostdlib -static -no-pie -fno-stack-protector -mgeneral-regs-only -O1
 */
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>

#define SIGILL_      4
#define SIGUSR1_     10
#define SA_SIGINFO_  4
#define SA_RESTORER_ 0x04000000
#define UC_RIP       168 /* of the ucontext, in bytes */
#define FLAGS_CHECK  0x8d5
#define PAGE         4096ul

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS, REGS };

struct state {
    uint64_t reg[REGS];
    uint32_t mxcsr, fcw;
    uint64_t level; /* 0: SSE; 1: AVX; 2: AVX-512 */
    uint64_t mask[8];
    uint8_t vector[32][64];
};

/* Loads all of *in, calls site, stores all in *out. */
void with_state(const struct state *in, struct state *out, void (*site)(void));
void site_patched(void), site_lone(void), site_touch(void), site_ud2(void), site_cpuid(void);
void restorer(void), usual_restorer(void), scrub(void);
long thread_new(unsigned long flags, void *stack, int *tid, void (*f)(void *), void *arg);
void start(long *sp);

__asm__(
    ".text\n"
    ".macro EACH32 f\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,"
    "30,31\n \\f \\n\n .endr\n .endm\n"
    ".macro EACH16 f\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n \\f \\n\n .endr\n .endm\n"
    ".macro LZ n\n vmovdqu64 208+64*\\n(%rdi), %zmm\\n\n .endm\n"
    ".macro SZ n\n vmovdqu64 %zmm\\n, 208+64*\\n(%rdi)\n .endm\n"
    ".macro LY n\n vmovdqu 208+64*\\n(%rdi), %ymm\\n\n .endm\n"
    ".macro SY n\n vmovdqu %ymm\\n, 208+64*\\n(%rdi)\n .endm\n"
    ".macro LX n\n movdqu 208+64*\\n(%rdi), %xmm\\n\n .endm\n"
    ".macro SX n\n movdqu %xmm\\n, 208+64*\\n(%rdi)\n .endm\n"
    ".globl with_state\n"
    "with_state:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "push %rsi; push %rdx\n"
    "ldmxcsr 128(%rdi); fldcw 132(%rdi); fldpi\n"
    "cmpq $1, 136(%rdi); ja 2f; je 1f\n"
    "EACH16 LX\n jmp 3f\n"
    "1: EACH16 LY\n jmp 3f\n"
    "2: EACH32 LZ\n"
    ".irp k,1,2,3,4,5,6,7\n kmovq 144+8*\\k(%rdi), %k\\k\n .endr\n"
    "3: mov (%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx\n"
    "mov 32(%rdi), %rsi; mov 48(%rdi), %rbp; mov 56(%rdi), %r8; mov 64(%rdi), %r9\n"
    "mov 72(%rdi), %r10; mov 80(%rdi), %r11; mov 88(%rdi), %r12; mov 96(%rdi), %r13\n"
    "mov 104(%rdi), %r14; mov 112(%rdi), %r15\n"
    "pushq 120(%rdi); popfq\n"
    "mov 40(%rdi), %rdi\n"
    "call *(%rsp)\n"
    "push %rdi; mov 16(%rsp), %rdi\n"
    "pushfq; popq 120(%rdi)\n"
    "mov %rax, (%rdi); mov %rbx, 8(%rdi); mov %rcx, 16(%rdi); mov %rdx, 24(%rdi)\n"
    "mov %rsi, 32(%rdi); mov %rbp, 48(%rdi); mov %r8, 56(%rdi); mov %r9, 64(%rdi)\n"
    "mov %r10, 72(%rdi); mov %r11, 80(%rdi); mov %r12, 88(%rdi); mov %r13, 96(%rdi)\n"
    "mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
    "popq 40(%rdi)\n"
    "stmxcsr 128(%rdi); movl $0, 132(%rdi); fnstcw 132(%rdi)\n"
    "cld\n"
    "fldpi; fcompp; fnstsw %ax; and $0x4500, %eax; xor $0x4000, %eax\n"
    "shl $16, %eax; or %eax, 132(%rdi)\n" /* nonzero: the x87 register is not what it was */
    "cmpq $1, 136(%rdi); ja 2f; je 1f\n"
    "EACH16 SX\n jmp 3f\n"
    "1: EACH16 SY\n vzeroupper; jmp 3f\n"
    "2: EACH32 SZ\n"
    ".irp k,1,2,3,4,5,6,7\n kmovq %k\\k, 144+8*\\k(%rdi)\n .endr\n vzeroupper\n"
    "3: pop %rdx; pop %rsi\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n"
    /* A system call that can be rewritten, and one with branches to both of its ends. */
    "site_patched: mov %rax, %rax; syscall; mov %rax, %rax; lea (%rbx), %rbx; ret\n"
    "site_lone: jmp 1f\n"
    ".p2align 4\n"
    "1: syscall\n"
    "2: ret\n"
    "jmp 1b; jmp 2b\n"
    "site_touch: mov %r12, (%rdi); mov (%rdi), %rax; ret\n"
    "site_ud2: ud2; ret\n"
    "site_cpuid: push %rbx; push %rdx; cpuid; pop %rdx; pop %rbx; ret\n"
    /* One that the kernel takes as it is, and one that it replaces by its own. */
    "restorer: mov $15, %eax; syscall; hlt\n"
    "usual_restorer: mov $15, %eax; syscall; int3\n"
    "scrub: fninit; xor %eax, %eax\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n pcmpeqd %xmm\\n, %xmm\\n\n .endr\n"
    "mov $-1, %rcx; mov %rcx, %rdx; mov %rcx, %rsi; mov %rcx, %r8; mov %rcx, %r9\n"
    "mov %rcx, %r10; mov %rcx, %r11; add %rcx, %rcx; ret\n"
    /* rdi flags, rsi stack, rdx tid, rcx f, r8 arg */
    "thread_new: mov %rcx, %r9; mov %rdx, %r10; mov $56, %eax; syscall\n"
    "test %eax, %eax; jz 1f; ret\n"
    "1: xor %ebp, %ebp; mov %r8, %rdi; call *%r9; mov $60, %eax; xor %edi, %edi; syscall; hlt\n"
    ".globl _start\n"
    "_start: mov %rsp, %rdi; and $-16, %rsp; call start; hlt\n");

static long call6(long nr, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = 0;
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}
#define CALL(nr, a, b, c) call6(__NR_##nr, (long)(a), (long)(b), (long)(c), 0, 0)

void *memset(void *p, int c, size_t n)
{
    void *at = p;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
    return p;
}
void *memcpy(void *p, const void *q, size_t n)
{
    void *at = p;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(q), "+c"(n) : : "memory");
    return p;
}

static void print(const char *text, uint64_t n)
{
    char line[80];
    unsigned at = 0;

    for (; *text; text++)
        line[at++] = *text;
    line[at++] = ' ';
    for (int shift = 60; shift >= 0; shift -= 4)
        line[at++] = "0123456789abcdef"[n >> shift & 15];
    line[at++] = '\n';
    (void)CALL(write, 1, line, at);
}

static void stop(const char *why, uint64_t n)
{
    print(why, n);
    (void)CALL(exit_group, 1, 0, 0);
}

static uint64_t vector_level(void)
{
    uint32_t a = 1, b, c = 0, d, low, high;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 27 & 1))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    a = 7, c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    /* F, BW (for kmovq), VL */
    if ((low & 0xe6) == 0xe6 && (b & 0xc0010000u) == 0xc0010000u)
        return 2;
    return (low & 6) == 6 && b >> 5 & 1;
}

static void fill(struct state *s, uint64_t seed, uint64_t level)
{
    uint64_t *word = s->reg, x = seed * 0x9e3779b97f4a7c15ull + 1;

    for (size_t i = 0; i < sizeof(*s) / 8; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        word[i] = x ^ x >> 29;
    }
    s->reg[FLAGS] = (s->reg[FLAGS] & FLAGS_CHECK) | 0x202;
    s->mxcsr = seed & 1 ? 0x7f80 : 0x3f80;
    s->fcw = seed & 1 ? 0x27f : 0xf7f;
    s->level = level;
}

static uint64_t level, checks;

static void same(const struct state *in, const struct state *out, uint64_t id, uint64_t skip)
{
    for (int i = 0; i < FLAGS; i++) {
        if (!(skip >> i & 1) && in->reg[i] != out->reg[i])
            stop("register changed:", id << 32 | (uint64_t)i);
    }
    if (!(skip >> FLAGS & 1) && (in->reg[FLAGS] ^ out->reg[FLAGS]) & FLAGS_CHECK)
        stop("flags changed:", id << 32 | out->reg[FLAGS]);
    if (in->mxcsr != out->mxcsr || in->fcw != out->fcw)
        stop("floating point control changed:", id << 32 | out->fcw);
    for (unsigned n = 1; level == 2 && n < 8; n++) {
        if (in->mask[n] != out->mask[n])
            stop("mask register changed:", id << 32 | n);
    }
    unsigned count = level == 2 ? 32 : 16, bytes = 16u << level;
    for (unsigned n = 0; n < count; n++) {
        for (unsigned b = 0; b < bytes; b += 8) {
            if (*(const uint64_t *)&in->vector[n][b] != *(const uint64_t *)&out->vector[n][b])
                stop("vector register changed:", id << 32 | n << 8 | b);
        }
    }
    checks++;
}

#define BIT(r) (1u << (r))

/* A call by a site with everything else a pattern; what the kernel may change is not compared.
 */
static long full_call(void (*site)(void), long nr, long a, long b, long c)
{
    struct state in, out;

    fill(&in, checks, level);
    in.reg[RAX] = (uint64_t)nr;
    in.reg[RDI] = (uint64_t)a;
    in.reg[RSI] = (uint64_t)b;
    in.reg[RDX] = (uint64_t)c;
    in.reg[R10] = in.reg[R8] = 0;
    out.level = level;
    with_state(&in, &out, site);
    same(&in, &out, (uint64_t)nr, BIT(RAX) | BIT(RCX) | BIT(R11));
    return (long)out.reg[RAX];
}

static void test_calls(void)
{
    long pid = CALL(getpid, 0, 0, 0);
    struct {
        long s, ns;
    } time = {0, 300000};

    for (int i = 0; i < 3; i++) {
        if (full_call(site_patched, __NR_getpid, 0, 0, 0) != pid ||
            full_call(site_lone, __NR_getpid, 0, 0, 0) != pid)
            stop("getpid", (uint64_t)i);
        if (full_call(site_patched, 9999, 0, 0, 0) != -38)
            stop("a call that does not exist", 0);
    }
    if (full_call(site_patched, __NR_write, 1, (long)"host io\n", 8) != 8 ||
        full_call(site_lone, __NR_write, 1, (long)"host io again\n", 14) != 14)
        stop("write", 0);
    if (full_call(site_patched, __NR_nanosleep, (long)&time, 0, 0) ||
        full_call(site_lone, __NR_nanosleep, (long)&time, 0, 0))
        stop("nanosleep", 0);
    if (full_call(site_patched, __NR_sched_yield, 0, 0, 0))
        stop("sched_yield", 0);
    print("calls:", checks);
}

static void test_faults(void)
{
    long p = call6(__NR_mmap, 0, 20 * (long)PAGE, 3, 0x22, -1);
    struct state in, out;

    if (p < 0 && p > -4096)
        stop("mmap", (uint64_t)p);
    for (int i = 0; i < 20; i += 3) {
        fill(&in, (uint64_t)i, level);
        in.reg[RDI] = (uint64_t)p + (uint64_t)i * PAGE;
        out.level = level;
        with_state(&in, &out, site_touch);
        same(&in, &out, 1000, BIT(RAX));
        if (out.reg[RAX] != in.reg[R12])
            stop("memory lost", (uint64_t)i);
    }
    if (CALL(munmap, p, 20 * PAGE, 0))
        stop("munmap", 0);
    fill(&in, 7, level);
    in.reg[RAX] = 0;
    in.reg[RCX] = 0;
    with_state(&in, &out, site_cpuid);
    same(&in, &out, 1001, BIT(RAX) | BIT(RCX));
    print("faults:", checks);
}

static volatile int signals;

static void handler(int number, void *info, char *uc)
{
    signals++;
    if (number == SIGILL_)
        *(uint64_t *)(uc + UC_RIP) += 2;
    scrub();
}

static void catch(void)
{
    struct {
        void *handler;
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } act = {(void *)handler, SA_SIGINFO_ | SA_RESTORER_, restorer, 0};

    if (call6(__NR_rt_sigaction, SIGUSR1_, (long)&act, 0, 8, 0))
        stop("rt_sigaction", 1);
    act.restorer = usual_restorer;
    if (call6(__NR_rt_sigaction, SIGILL_, (long)&act, 0, 8, 0))
        stop("rt_sigaction", 0);
}

static void test_signals(void)
{
    struct state in, out;
    long pid = CALL(getpid, 0, 0, 0);

    for (int i = 0; i < 2; i++) {
        if (full_call(i ? site_lone : site_patched, __NR_kill, pid, SIGUSR1_, 0))
            stop("kill", 0);
        fill(&in, (uint64_t)i, level);
        out.level = level;
        with_state(&in, &out, site_ud2);
        same(&in, &out, 1002, 0);
    }
    if (signals != 4)
        stop("signals lost", (uint64_t)signals);
    print("signals:", checks);
}

/* Pure computing: carries through the flags and, in its vector part, through the registers. */
static uint64_t compute(uint64_t x, unsigned rounds)
{
    uint64_t y = ~x, v = 0;

    __asm__ volatile("movq %2, %%xmm0; movq %1, %%xmm1; stc\n"
                     "1: adc %1, %0; rcl $7, %1; sbb $3, %1; bswap %0; lahf; rol $8, %%ax\n"
                     "paddq %%xmm0, %%xmm1; pshufd $0x4e, %%xmm1, %%xmm1\n"
                     "paddd %%xmm1, %%xmm0; ror $8, %%ax; sahf\n"
                     "dec %k3; jnz 1b\n"
                     "movq %%xmm0, %2"
                     : "+r"(x), "+r"(y), "+r"(v), "+c"(rounds)
                     :
                     : "rax", "cc"); /* the compiler does not use the vector registers */
    return x ^ y ^ v;
}

static uint32_t turn, *turns = &turn;
static int child_tid = 1;
static uint64_t child_sum;
static char stack[16384] __attribute__((aligned(16)));

static void futex_turn(uint32_t mine)
{
    uint32_t now;

    while ((now = __atomic_load_n(turns, __ATOMIC_ACQUIRE)) % 2 != mine)
        (void)call6(__NR_futex, (long)turns, FUTEX_WAIT, (long)now, 0, 0);
}

static void pass_turn(void)
{
    __atomic_fetch_add(turns, 1, __ATOMIC_RELEASE);
    (void)call6(__NR_futex, (long)turns, FUTEX_WAKE, 1, 0, 0);
}

static void child(void *arg)
{
    for (int i = 0; i < 3; i++) {
        futex_turn(1);
        child_sum += compute(child_sum + (uint64_t)i, 40);
        pass_turn();
    }
}

static void test_threads(void)
{
    unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                          CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    uint64_t sum = 0;
    int tid;

    if (thread_new(flags, stack + sizeof(stack), &child_tid, child, NULL) < 0)
        stop("clone", 0);
    for (int i = 0; i < 3; i++) {
        futex_turn(0);
        sum += compute(sum ^ (uint64_t)i, 40);
        pass_turn();
    }
    while ((tid = __atomic_load_n(&child_tid, __ATOMIC_ACQUIRE)) != 0)
        (void)call6(__NR_futex, (long)&child_tid, FUTEX_WAIT, tid, 0, 0);
    print("threads:", sum * 3 + child_sum);
}

/* Memory of parent and child by fork at the same addresses: whoever runs has its own there. */
#define OWN_PAGES 1
static uint64_t own[OWN_PAGES * PAGE / 8] __attribute__((aligned(PAGE)));

static void use_own(uint64_t who, uint64_t round)
{
    for (unsigned i = 0; i < OWN_PAGES * PAGE / 8; i += 300) {
        if (own[i] != (round ? who + round - 1 + i : 7 + i))
            stop("memory is not its own:", who << 32 | i);
        own[i] = who + round + i;
    }
    if (full_call(site_patched, __NR_getppid, 0, 0, 0) < 0)
        stop("getppid", who);
}

static void child_process(uint64_t *sum)
{
    futex_turn(1);
    use_own(200, 0);
    *sum = compute(1, 40);
    pass_turn();
    while (!signals) /* it spins when the signal comes */
        (void)compute(1, 4);
    use_own(200, 1);
    (void)CALL(exit_group, 42, 0, 0);
}

/* Their memories take turns, too. */
static void test_processes(void)
{
    uint64_t *shared = (void *)call6(__NR_mmap, 0, (long)PAGE, 3, 0x21, -1);
    int status = 0;

    turns = (uint32_t *)&shared[1];
    for (unsigned i = 0; i < OWN_PAGES * PAGE / 8; i += 300)
        own[i] = 7 + i;
    long pid = CALL(fork, 0, 0, 0);
    if (pid == 0)
        child_process(shared);
    if (pid < 0)
        stop("fork", (uint64_t)pid);
    use_own(100, 0);
    pass_turn();
    futex_turn(0);
    if (CALL(kill, pid, SIGUSR1_, 0) || call6(__NR_wait4, pid, (long)&status, 0, 0, 0) != pid)
        stop("wait4", (uint64_t)pid);
    use_own(100, 1);
    print("status:", (uint64_t)status);
    print("processes:", *shared);
}

/* With an argument: processes, which need many more steps. */
void start(long *sp)
{
    level = vector_level();
    print("computed:", compute(42, 500));
    catch();
    if (sp[0] > 1) {
        test_processes();
    } else {
        test_calls();
        test_faults();
        test_signals();
        test_threads();
    }
    print("computed:", compute(43, 500));
    (void)CALL(exit_group, 0, 0, 0);
}
