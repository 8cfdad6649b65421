/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls from code of all shapes, made at run time: by several threads at once, with
 * signals in between, from text that is replaced, changed and moved while in use.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include "tests/guest/test.h"

struct shape {
    const char *code;
    size_t size;
};
/* Functions that return getppid(), 110. */
#define SHAPE(c)                                                                               \
    {                                                                                          \
        c, sizeof(c) - 1                                                                       \
    }
static const struct shape shapes[] = {
    SHAPE("\xb8\x6e\0\0\0\x0f\x05\xc3"),
    SHAPE("\x48\xc7\xc0\x6e\0\0\0\x0f\x05\xc3"),
    SHAPE("\xb8\x6e\0\0\0\x31\xd2\x0f\x05\xc3"),
    SHAPE("\x6a\x6e\x58\x90\x0f\x05\x48\x3d\x01\xf0\xff\xff\x73\x00\xc3"),
    SHAPE("\x6a\x6e\x58\x0f\x05\xc3\x90\x90\x90\x90"),
    SHAPE("\x6a\x6e\x58\x90\x0f\x05\x85\xc0\x75\x01\x90\xc3"),
    SHAPE("\x6a\x6e\x58\x90\x0f\x05\x48\x8b\x15\xf3\xff\xff\xff\xc3"),
    SHAPE("\x41\xb8\x6e\0\0\0\x4c\x89\xc0\x89\xc9\x0f\x05\x89\xd2\xc3"),
    SHAPE("\x6a\x6e\x58\x89\xf6\x0f\x05\x89\xc1\x89\xc8\xc3"),
    /* the red zone in use: mov $77,-8(%rsp); call; mov -8(%rsp),%ecx; sub $77,%ecx; add
       %ecx,%eax */
    SHAPE("\xc7\x44\x24\xf8\x4d\0\0\0\x6a\x6e\x58\x48\x83\xec\x08\x48\x83\xc4\x08\x0f\x05"
          "\x8b\x4c\x24\xf8\xc3"),
};
#define SHAPES  (sizeof(shapes) / sizeof(shapes[0]))
#define COPIES  12
#define SPACING 96

/* mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; syscall; ret */
static const char generic[] = "\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\x48\x89\xca\x0f\x05\xc3";
typedef long call_fn(long nr, long a, long b, long c);

static char *area;
static atomic_int ready, handled;
static char *zones_start[64], *zones_end[64];
static int zone_count;

static char *make_text(size_t size)
{
    char *p =
        must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(p, 0x90, size);
    return p;
}

static int call(const char *code)
{
    union {
        const char *code;
        int (*f)(void);
    } u = {.code = code};
    return u.f();
}

static char *code_at(unsigned shape, unsigned copy)
{
    return area + 128 + (shape * COPIES + copy) * SPACING + copy % 7;
}

/* The program counter that a handler sees is the program's own. */
static uintptr_t last_rips[4096];
static void on_alarm(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    int n = atomic_fetch_add(&handled, 1);
    last_rips[n % 4096] = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

static void read_zones(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        unsigned long start, end;
        if (strstr(line, "[trampolines]") && zone_count < 64 &&
            sscanf(line, "%lx-%lx", &start, &end) == 2) {
            zones_start[zone_count] = (char *)start;
            zones_end[zone_count++] = (char *)end;
        }
    }
    if (f)
        fclose(f);
}

static void *caller(void *arg)
{
    unsigned which = (unsigned)(uintptr_t)arg;
    long bad = 0;
    int parent = getppid();
    atomic_fetch_add(&ready, 1);
    for (int i = 0; i < 20000; i++) {
        which = which * 1103515245u + 12345u;
        bad += call(code_at((which >> 16) % SHAPES, (which >> 8) % COPIES)) != parent;
    }
    return (void *)bad;
}

static void test_threads(void)
{
    pthread_t t[4];
    struct sigaction sa = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval it = {{0, 1000}, {0, 1000}};
    size_t size = (128 + SHAPES * COPIES * SPACING + 8191) & ~4095ul;
    area = make_text(size);
    for (unsigned s = 0; s < SHAPES; s++)
        for (unsigned c = 0; c < COPIES; c++)
            memcpy(code_at(s, c), shapes[s].code, shapes[s].size);
    expect(mprotect(area, size, PROT_READ | PROT_EXEC), 0, 0);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    for (long i = 0; i < 4; i++)
        expect(pthread_create(&t[i], NULL, caller, (void *)(i + 1)), 0, 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        expect(pthread_join(t[i], &bad), 0, 0);
        expect((long)bad, 0, 0);
    }
    it = (struct itimerval){0};
    setitimer(ITIMER_REAL, &it, NULL);
    read_zones();
    for (int i = 0; i < handled && i < 4096; i++)
        for (int z = 0; z < zone_count; z++)
            expect((char *)last_rips[i] >= zones_start[z] &&
                       (char *)last_rips[i] < zones_end[z],
                   0, 0);
}

/* One waits inside a call while the others wear its site in. */
struct waiting {
    call_fn *f;
    int fd;
    char byte;
};
static void *waiter(void *arg)
{
    struct waiting *w = arg;
    atomic_fetch_add(&ready, 1);
    return (void *)w->f(SYS_read, w->fd, (long)&w->byte, 1);
}
static void test_waiting(void)
{
    char *text = make_text(4096);
    memcpy(text + 256, generic, sizeof(generic) - 1);
    expect(mprotect(text, 4096, PROT_READ | PROT_EXEC), 0, 0);
    union {
        char *code;
        call_fn *f;
    } u = {.code = text + 256};
    call_fn *f = u.f;
    int pipes[3][2];
    struct waiting w[3];
    pthread_t t[3];
    atomic_store(&ready, 0);
    for (int i = 0; i < 3; i++) {
        must(pipe(pipes[i]));
        w[i] = (struct waiting){f, pipes[i][0], 0};
        expect(pthread_create(&t[i], NULL, waiter, &w[i]), 0, 0);
        for (int k = 0; k < 2; k++)
            expect(f(SYS_getppid, 0, 0, 0), getppid(), 0);
    }
    while (atomic_load(&ready) < 3)
        sched_yield();
    for (int i = 0; i < 100; i++) {
        expect(f(SYS_getppid, 0, 0, 0), getppid(), 0);
        expect(f(SYS_close, -1, 0, 0), -EBADF, 0);
        sched_yield();
    }
    for (int i = 0; i < 3; i++) {
        void *r;
        expect(f(SYS_write, pipes[i][1], (long)"x", 1), 1, 0);
        expect(pthread_join(t[i], &r), 0, 0);
        expect((long)r, 1, 0);
        expect(w[i].byte, 'x', 0);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    munmap(text, 4096);
}

/* Text that is written to after its calls have been made often. */
static void test_changed(void)
{
    char *text = make_text(8192), *code = text + 200;
    memcpy(code, shapes[0].code, shapes[0].size);
    expect(mprotect(text, 8192, PROT_READ | PROT_EXEC), 0, 0);
    for (int i = 0; i < 10; i++)
        expect(call(code), getppid(), 0);
    expect(mprotect(text, 4096, PROT_READ | PROT_WRITE), 0, 0);
    expect(memcmp(code, shapes[0].code, shapes[0].size), 0, 0);
    code[1] = SYS_getpid;
    expect(mprotect(text, 4096, PROT_READ | PROT_EXEC), 0, 0);
    for (int i = 0; i < 10; i++)
        expect(call(code), getpid(), 0);
    /* writable and executable at once: changed at any time */
    expect(mprotect(text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0, 0);
    for (int i = 0; i < 10; i++) {
        code[1] = i % 2 ? SYS_getpid : SYS_getppid;
        expect(call(code), i % 2 ? getpid() : getppid(), 0);
    }
    /* moved: what was there goes along */
    code[1] = SYS_getppid;
    expect(mprotect(text, 8192, PROT_READ | PROT_EXEC), 0, 0);
    for (int i = 0; i < 10; i++)
        expect(call(code), getppid(), 0);
    char *to = must(mremap(text, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, make_text(8192)));
    for (int i = 0; i < 10; i++)
        expect(call(to + 200), getppid(), 0);
    expect(munmap(to, 8192), 0, 0);
}

/* Other code at the same place. */
static void test_replaced(void)
{
    char *text = make_text(4096);
    for (unsigned i = 0; i < 40; i++) {
        const struct shape *s = &shapes[i % SHAPES];
        char *p = must(mmap(text, 4096, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        memset(p, 0x90, 4096);
        memcpy(p + 64 + i % 3, s->code, s->size);
        expect(mprotect(p, 4096, PROT_READ | PROT_EXEC), 0, 0);
        for (int k = 0; k < 6; k++)
            expect(call(p + 64 + i % 3), getppid(), 0);
    }
    munmap(text, 4096);
}

int main(void)
{
    test_threads();
    test_waiting();
    test_changed();
    test_replaced();
    return test_end();
}
