/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting under running threads: real code in this process, executed by threads that are
 * stopped wherever they are when a site changes, with a fake memory manager below the patcher.
 * LINK: kernel/mm/x86_decode.c kernel/mm/patch_plan.c kernel/mm/patch.c kernel/mm/patch_table.c
 * LINK: kernel/lib/rbtree.c
 * LIBS: -lpthread
 * TIMEOUT: 120
 */
#include "mm/patch.h"

#include <asm/prctl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* The kernel's names for these come with its headers. */
#undef PROT_NONE
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC
#undef MAP_SHARED
#undef MAP_PRIVATE
#undef MAP_SHARED_VALIDATE
#undef MAP_TYPE
#undef MAP_FIXED
#undef MAP_ANONYMOUS
#undef MAP_32BIT
#undef MAP_GROWSDOWN
#undef MAP_DENYWRITE
#undef MAP_EXECUTABLE
#undef MAP_LOCKED
#undef MAP_NORESERVE
#undef MAP_POPULATE
#undef MAP_NONBLOCK
#undef MAP_STACK
#undef MAP_HUGETLB
#undef MAP_SYNC
#undef MAP_FIXED_NOREPLACE
#include "mm/internal.h"
#include "mm/patch_plan.h"
#include "tests/unit/unit.h"

#define THREADS 3
#define VMAS    64

/* ---- the fakes ---- */

static struct mm mm;
static struct vma vmas[VMAS];
static unsigned fake_vmas;
static long blocks;
static pthread_t threads[THREADS];
static unsigned thread_count;
static _Atomic int frozen, stopped;
static _Atomic unsigned long fast, redirected, calls;

void *kmalloc(size_t size)
{
    blocks++;
    return malloc(size);
}
void *kzalloc(size_t size)
{
    blocks++;
    return calloc(1, size);
}
void kfree(void *p)
{
    blocks -= p != NULL;
    free(p);
}
void assert_failed(const char *e, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, e);
    abort();
}
uint32_t log_level = LOG_WARN;
uint8_t log_levels[LOG_SUBSYSTEMS] = {[0 ... LOG_SUBSYSTEMS - 1] = LOG_WARN};
void log_line(uint32_t level, const char *format, ...)
{
    fprintf(stderr, "%s\n", format);
    abort();
}
void spin_init(struct spinlock *l, enum lock_rank rank)
{
    l->held = 0;
}
void spin_lock(struct spinlock *l)
{
    while (atomic_exchange(&l->held, 1))
        ;
}
void spin_unlock(struct spinlock *l)
{
    atomic_store(&l->held, 0);
}
static __thread bool holds_lock;
void mutex_lock(struct mutex *m)
{
    CHECK(!holds_lock);
    while (atomic_exchange((_Atomic uint32_t *)&m->lock.held, 1))
        sched_yield();
    holds_lock = true;
}
void mutex_unlock(struct mutex *m)
{
    holds_lock = false;
    atomic_store((_Atomic uint32_t *)&m->lock.held, 0);
}
struct vma *vma_at(struct mm *m, uaddr_t address)
{
    CHECK(holds_lock);
    for (unsigned i = 0; i < fake_vmas; i++)
        if (vmas[i].start <= address && address < vmas[i].end)
            return &vmas[i];
    return NULL;
}
static unsigned refuse_maps;
int64_t map_locked(struct mm *m, const struct vm_map_args *a)
{
    CHECK(holds_lock);
    if (refuse_maps) {
        refuse_maps--;
        return -ENOMEM;
    }
    CHECK(a->flags & MAP_FIXED_NOREPLACE && fake_vmas < VMAS);
    long r = syscall(SYS_mmap, a->address, a->length, a->prot, a->flags, -1, 0);
    if (r == -1 || (uaddr_t)r != a->address)
        return -EEXIST;
    vmas[fake_vmas++] = (struct vma){
        .start = a->address, .end = a->address + a->length, .prot = a->prot, .name = a->name};
    return r;
}
bool user_range_ok(uaddr_t p, uint64_t size)
{
    return p > 0x10000 && p + size < 1ull << 47;
}
static uint8_t common;
uaddr_t image_of(struct mm *m, uaddr_t address)
{
    (void)m;
    (void)address;
    return 0;
}

uint8_t present_get(uaddr_t address)
{
    return PAGE_PRESENT | PROT_READ | PROT_EXEC | common;
}
uaddr_t present_run(uaddr_t start, uaddr_t end, uint8_t *state)
{
    *state = present_get(start);
    return end;
}
void images_evict(uaddr_t start, uaddr_t end)
{
}
struct family *range_rival(struct mm *m, uaddr_t start, uaddr_t end)
{
    return NULL;
}
int range_claim(struct mm *m, uaddr_t start, uaddr_t end)
{
    return 0;
}
bool family_strangers(struct mm *m, uaddr_t start, uaddr_t end)
{
    return false;
}
void family_put(struct family *f)
{
}
void present_set(uaddr_t start, uaddr_t end, uint8_t state)
{
}
static unsigned parted;
int family_part(struct mm *m, uaddr_t start, uaddr_t end)
{
    CHECK(holds_lock);
    parted++;
    return 0;
}
int pages_bring_in(struct mm *m, struct vma *v, uaddr_t start, uaddr_t end)
{
    return 0;
}
void enclave_pages_protect(uint64_t address, uint64_t count, uint32_t from, uint32_t to)
{
    uint32_t prot =
        (to & 1 ? PROT_READ : 0) | (to & 2 ? PROT_WRITE : 0) | (to & 4 ? PROT_EXEC : 0);
    CHECK_EQ(syscall(SYS_mprotect, address, count * 4096, prot), 0);
}
size_t user_copy_raw(void *dst, const void *src, size_t size)
{
    memcpy(dst, src, size);
    return 0;
}
int copy_from_user(void *dst, uaddr_t src, size_t size)
{
    CHECK(!holds_lock);
    memcpy(dst, (const void *)src, size);
    return 0;
}
void sched_freeze(struct sched_mm *m)
{
    CHECK(holds_lock);
    atomic_store(&stopped, 0);
    atomic_store(&frozen, 1);
    for (unsigned i = 0; i < thread_count; i++)
        pthread_kill(threads[i], SIGUSR1);
    while (atomic_load(&stopped) < (int)thread_count)
        sched_yield();
}
void sched_thaw(struct sched_mm *m)
{
    atomic_store(&frozen, 0);
    while (atomic_load(&stopped))
        sched_yield();
}
static void on_freeze(int sig)
{
    atomic_fetch_add(&stopped, 1);
    while (atomic_load(&frozen))
        ;
    atomic_fetch_sub(&stopped, 1);
}
static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uaddr_t rip = (uaddr_t)uc->uc_mcontext.gregs[REG_RIP], to;
    if (!patch_redirect(&mm, rip, &to)) {
        signal(sig, SIG_DFL);
        return;
    }
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
    atomic_fetch_add(&redirected, 1);
}

void syscall_entry(void);
char cpuid_entry[1]; /* nothing here keeps images */
__asm__(".text\n.globl syscall_entry\nsyscall_entry:\n"
        "    lock incq fast(%rip)\n"
        "    lea -256(%rsp), %rsp\n"
        "    mov %rcx, (%rsp)\n"
        "    syscall\n"
        "    mov (%rsp), %rcx\n"
        "    lea 256(%rsp), %rsp\n"
        "    jmp *%rcx\n");

/* ---- the code ---- */

struct shape {
    const char *name, *code;
    uint8_t size, site;
    bool never; /* is to be left alone */
};
/* Each is a function that returns what getppid (110) returns, with junk around it. */
#define SHAPE(n, c, at)                                                                        \
    {                                                                                          \
        n, c, sizeof(c) - 1, at, false                                                         \
    }
static const struct shape shapes[] = {
    SHAPE("mov", "\xb8\x6e\0\0\0\x0f\x05\xc3", 5),
    SHAPE("mov rax", "\x48\xc7\xc0\x6e\0\0\0\x0f\x05\xc3", 7),
    SHAPE("xor, mov far", "\xb8\x6e\0\0\0\x31\xd2\x0f\x05\xc3", 7),
    SHAPE("cmp behind", "\x6a\x6e\x58\x90\x0f\x05\x48\x3d\x01\xf0\xff\xff\x73\x00\xc3", 4),
    SHAPE("ret behind", "\x6a\x6e\x58\x0f\x05\xc3\x90\x90\x90\x90", 3),
    SHAPE("jcc behind", "\x6a\x6e\x58\x90\x0f\x05\x85\xc0\x75\x01\x90\xc3", 4),
    SHAPE("rip-relative behind", "\x6a\x6e\x58\x90\x0f\x05\x48\x8b\x15\xf3\xff\xff\xff\xc3", 4),
    SHAPE("three movs", "\x41\xb8\x6e\0\0\0\x4c\x89\xc0\x89\xc9\x0f\x05\x89\xd2\xc3", 11),
    SHAPE("short both sides", "\x6a\x6e\x58\x89\xf6\x0f\x05\x89\xc1\x89\xc8\xc3", 5),
    {"signal return", "\xb8\x0f\0\0\0\x0f\x05\xc3", 8, 5, true},
};

#define COPIES 24
static uint8_t *code_at(unsigned shape, unsigned copy);
static uint8_t *area;
#define SPACING 192u /* own alignment for each, windows near page borders, too */

static uint8_t *code_at(unsigned shape, unsigned copy)
{
    return area + 256 + (shape * COPIES + copy) * SPACING + copy % 7;
}

static void make_code(void)
{
    size_t size = 256 + ARRAY_SIZE(shapes) * COPIES * SPACING + 4096;
    size = (size + 4095) & ~4095ul;
    area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != (void *)-1);
    memset(area, 0x90, size); /* what a compiler puts between functions */
    for (unsigned s = 0; s < ARRAY_SIZE(shapes); s++)
        for (unsigned c = 0; c < COPIES; c++)
            memcpy(code_at(s, c), shapes[s].code, shapes[s].size);
    CHECK_EQ(mprotect(area, size, PROT_READ | PROT_EXEC), 0);
    fake_vmas = 0;
    vmas[fake_vmas++] = (struct vma){
        .start = (uaddr_t)area, .end = (uaddr_t)area + size, .prot = PROT_READ | PROT_EXEC};
}

static uaddr_t site_at(unsigned shape, unsigned copy)
{
    return (uaddr_t)code_at(shape, copy) + shapes[shape].site;
}

static int call_address(uaddr_t address)
{
    union {
        uaddr_t address;
        int (*f)(void);
    } u = {.address = address};
    return u.f();
}

static int call(unsigned shape, unsigned copy)
{
    return call_address((uaddr_t)code_at(shape, copy));
}

static _Atomic bool end;
static void *run_code(void *arg)
{
    unsigned which = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&end)) {
        which = which * 1103515245u + 12345u;
        unsigned shape = (which >> 16) % (ARRAY_SIZE(shapes) - 1);
        if (call(shape, (which >> 8) % COPIES) != getppid())
            return (void *)(uintptr_t)(shape + 1);
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

static void patch_all(void)
{
    for (unsigned c = 0; c < COPIES; c++) {
        for (unsigned s = 0; s < ARRAY_SIZE(shapes); s++) {
            int e = -EAGAIN;
            for (unsigned trap = 0; trap < PATCH_TRAPS; trap++) {
                CHECK_EQ(e, -EAGAIN);
                e = patch_site(&mm, site_at(s, c));
            }
            if (e != (shapes[s].never ? -ENOEXEC : 0)) {
                fprintf(stderr, "%s: %d\n", shapes[s].name, e);
                exit(1);
            }
        }
    }
}

static void test_live(void)
{
    make_code();
    for (thread_count = 0; thread_count < THREADS; thread_count++)
        CHECK(!pthread_create(&threads[thread_count], NULL, run_code,
                              (void *)(uintptr_t)(thread_count + 1)));
    while (atomic_load(&calls) < 1000)
        sched_yield();
    patch_all();
    unsigned long before = fast, late = redirected;
    while (fast - before < 20000)
        sched_yield();
    CHECK(redirected - late <
          100); /* only those who stood there, no way in that traps each time */
    atomic_store(&end, true);
    for (unsigned i = 0; i < THREADS; i++) {
        void *r;
        CHECK(!pthread_join(threads[i], &r));
        CHECK_EQ((uintptr_t)r, 0);
    }
    thread_count = 0;
    for (unsigned s = 0; s + 1 < ARRAY_SIZE(shapes); s++) {
        for (unsigned c = 0; c < COPIES; c++) {
            before = fast;
            CHECK_EQ(call(s, c), getppid());
            CHECK_EQ(fast - before, 1);
        }
    }
    struct patch_stats st;
    patch_stats(&mm, &st);
    CHECK_EQ(st.patched, (ARRAY_SIZE(shapes) - 1) * COPIES);
    CHECK_EQ(st.failed, COPIES);
    printf("%lu calls while rewriting, %lu threads stood inside a window, %llu zones\n", calls,
           redirected, (unsigned long long)st.zones);
}

/* Every address of a window that began an instruction leads on, none other does. */
static void test_translation(void)
{
    for (unsigned s = 0; s + 1 < ARRAY_SIZE(shapes); s++) {
        uaddr_t site = site_at(s, 0), to;
        CHECK_EQ(patch_site_of(&mm, site), site);
        for (uaddr_t rip = site - 10; rip < site + 10; rip++) {
            if (!patch_redirect(&mm, rip, &to))
                continue;
            CHECK(patch_site_of(&mm, to) == rip);
        }
    }
    CHECK_EQ(patch_site_of(&mm, 0x1234), 0x1234);
}

/* A thread that came back from the old system call to the middle of the jump. */
static void test_inside(void)
{
    static const unsigned behind[] = {3, 4, 5, 6, 8};
    unsigned long all = redirected;
    for (unsigned i = 0; i < ARRAY_SIZE(behind); i++) {
        uaddr_t rip = site_at(behind[i], 0) + 2, to;
        unsigned long before = redirected;
        bool inside = patch_redirect(&mm, rip, &to);
        call_address(rip);
        CHECK_EQ(redirected - before, inside);
    }
    CHECK(redirected - all >= 3);
}

/* Text replaced with and without notice. */
static void test_forget(void)
{
    uaddr_t site = site_at(3, 0), other = site_at(3, 1), to;
    struct patch_stats st, now;
    patch_stats(&mm, &st);
    patch_forget(&mm, site, site + 2);
    patch_stats(&mm, &now);
    CHECK_EQ(now.patched, st.patched - 1);
    CHECK(!patch_redirect(&mm, site + 2, &to));
    CHECK(patch_redirect(&mm, other + 2, &to));
    uaddr_t page = other & ~4095ul;
    CHECK_EQ(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    memcpy(code_at(3, 1), shapes[3].code, shapes[3].size);
    CHECK(!patch_redirect(&mm, other + 2, &to));
    for (unsigned trap = 1; trap < PATCH_TRAPS; trap++)
        CHECK_EQ(patch_site(&mm, other), -EAGAIN);
    CHECK_EQ(patch_site(&mm, other), 0);
    unsigned long before = fast;
    CHECK_EQ(call(3, 1), getppid());
    CHECK_EQ(fast - before, 1);
}

/* A program that is about to change its text finds it as it was. */
static void test_restore(void)
{
    struct patch_stats st, now;
    uaddr_t first = (uaddr_t)code_at(4, 2);
    patch_stats(&mm, &st);
    CHECK(memcmp(code_at(4, 2), shapes[4].code, shapes[4].size));
    mutex_lock(&mm.lock);
    patch_restore(&mm, first, first + 1);
    mutex_unlock(&mm.lock);
    CHECK(!memcmp(code_at(4, 2), shapes[4].code, shapes[4].size));
    CHECK(memcmp(code_at(4, 3), shapes[4].code, shapes[4].size));
    patch_stats(&mm, &now);
    CHECK_EQ(now.patched, st.patched - 1);
    mutex_lock(&mm.lock);
    patch_restore(&mm, vmas[0].start, vmas[0].end);
    mutex_unlock(&mm.lock);
    patch_stats(&mm, &now);
    CHECK_EQ(now.patched, 0);
    for (unsigned s = 0; s < ARRAY_SIZE(shapes); s++)
        for (unsigned c = 0; c < COPIES; c++)
            CHECK((s == 3 && c == 0) || /* has been forgotten */
                  !memcmp(code_at(s, c), shapes[s].code, shapes[s].size));
}

/* Failures that pass are tried again; writable and shared text is left alone. */
static void test_refusals(void)
{
    patch_mm_fini(&mm);
    CHECK_EQ(blocks, 0);
    make_code();
    vmas[0].prot |= PROT_WRITE;
    for (unsigned i = 0; i < PATCH_TRAPS; i++)
        CHECK(patch_site(&mm, site_at(0, 0)) < 0);
    vmas[0].prot &= ~PROT_WRITE;
    vmas[0].shared = true;
    for (unsigned i = 0; i < PATCH_TRAPS; i++)
        CHECK(patch_site(&mm, site_at(1, 0)) < 0);
    vmas[0].shared = false;
    refuse_maps = 1000;
    for (unsigned i = 0; i < PATCH_TRAPS; i++)
        CHECK(patch_site(&mm, site_at(2, 0)) < 0);
    refuse_maps = 0;
    for (unsigned s = 0; s < 3; s++) {
        int e = -1;
        for (int i = 0; i < 100 && e; i++)
            e = patch_site(&mm, site_at(s, 0));
        CHECK_EQ(e, 0);
    }
    struct mm child = {0};
    patch_mm_fork(&child, &mm);
    CHECK(child.patch == mm.patch);
    for (unsigned i = 0; i <= PATCH_TRAPS; i++)
        CHECK(patch_site(&mm, site_at(0, 5)) < 0);
    common = PAGE_COMMON;
    int e = -1;
    for (int i = 0; i < 100 && e; i++)
        e = patch_site(&mm, site_at(0, 6));
    CHECK_EQ(e, 0);
    common = 0;
    CHECK(parted > 0);
    CHECK(patch_site_of(&child, site_at(0, 0)) == site_at(0, 0));
    patch_mm_fini(&child);
    e = -1;
    for (int i = 0; i < 100 && e; i++)
        e = patch_site(&mm, site_at(0, 5));
    CHECK_EQ(e, 0);
    patch_mm_fini(&mm);
    CHECK_EQ(blocks, 0);
}

/* What %gs leads to: a vCPU with a task, which is all that the patcher asks for. */
static void fake_vcpu(void)
{
    static char task[64];
    static void *vcpu[64] = {[VCPU_CURRENT / sizeof(void *)] = task};
    CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, vcpu), 0);
}

int main(void)
{
    fake_vcpu();
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction freeze = {.sa_handler = on_freeze, .sa_flags = SA_RESTART};
    sigaction(SIGILL, &trap, NULL);
    sigaction(SIGUSR1, &freeze, NULL);
    test_live();
    test_translation();
    test_inside();
    test_forget();
    test_restore();
    test_refusals();
    return 0;
}
