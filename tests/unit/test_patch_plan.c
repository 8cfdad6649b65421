/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting decisions over every system call of the libcs and runtimes of this machine, checked
 * against where their instructions really begin; then a C library rewritten in place and used.
 * LINK: kernel/mm/x86_decode.c kernel/mm/patch_plan.c
 * LIBS: -lpthread
 * TIMEOUT: 120
 */
#include "mm/patch_plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "tests/unit/elf_text.h"
#include "tests/unit/unit.h"

/* ---- decisions ---- */

struct found {
    unsigned sites, plain, wide, behind, mixed, none, wrong;
};

static bool *starts_of(const struct elf_text *t)
{
    bool *starts = calloc(t->text_size + 1, 1);
    struct x86_insn d;
    for (size_t at = 0; at < t->text_size;) {
        starts[at] = true;
        at += x86_decode(t->text + at, t->text_size - at, &d) ? 1 : d.length;
    }
    return starts;
}

/* A trampoline that fits, as the kernel would look for one: from near to far. */
static uaddr_t some_place(const struct patch_window *w)
{
    for (uint64_t top = 0x06; top < 0x70; top++) {
        if (!patch_byte_traps((uint8_t)top))
            continue;
        for (uint64_t low = 0; low < 1u << 24; low += low & 0xff00 ? 0x1 : 0x6) {
            uaddr_t at = w->start + 5 + (top << 24 | low);
            if (patch_fits(w, at))
                return at;
            if (w->boundaries & 1u << 3 && !patch_byte_traps((uint8_t)(low >> 16)))
                low |= 0xffff;
            else if (w->boundaries & 1u << 2 && !patch_byte_traps((uint8_t)(low >> 8)))
                low |= 0xff;
        }
    }
    return 0;
}

static void check_window(const struct elf_text *t, const bool *starts,
                         const struct patch_text *pt, const struct patch_window *w,
                         struct found *f)
{
    uint8_t code[PATCH_TRAMPOLINE];
    struct patch_site s;
    CHECK(w->end - w->start >= PATCH_JUMP && w->end > w->site && w->start <= w->site);
    for (unsigned i = 0; i < w->count; i++)
        f->wrong += !starts[w->start + w->insn[i].at - t->address];
    uaddr_t at = some_place(w);
    CHECK(at != 0);
    CHECK_EQ(patch_build(w, pt, at, 0x123456789000, code, &s), 0);
    CHECK(s.length <= PATCH_TRAMPOLINE);
    for (size_t k = 0; k < s.length;) {
        struct x86_insn d;
        CHECK_EQ(x86_decode(code + k, s.length - k, &d), 0);
        k += d.length;
    }
    uaddr_t to;
    CHECK(patch_to_trampoline(&s, w->start, &to) && to == at);
    for (unsigned i = 0; i < s.count; i++)
        if (s.insn[i].window < PATCH_JUMP && s.insn[i].window)
            CHECK(patch_to_trampoline(&s, w->start + s.insn[i].window, &to) &&
                  patch_to_text(&s, to) == w->start + s.insn[i].window);
    CHECK_EQ(patch_to_text(&s, at + s.after_at), w->site + 2);
    CHECK_EQ(patch_to_text(&s, at + s.call_at + 1), w->site);
    if (w->site > w->start && w->site < w->start + PATCH_JUMP)
        CHECK(patch_to_trampoline(&s, w->site, &to) && to == at + s.call_at);
}

static void count_kind(const struct patch_window *w, struct found *f)
{
    if (w->start == w->site)
        f->behind++;
    else if (w->end != w->site + 2 || w->boundaries)
        f->mixed++;
    else if (w->count == 1 && w->insn[0].insn.opcode == 0xb8)
        f->plain++;
    else
        f->wide++;
}

/* libcrypto has one in a table; a real one has its number set, or its result looked at, nearby.
 */
static bool survey(const char *path, unsigned may_miss)
{
    struct elf_text t;
    struct found f = {0};
    if (!elf_text_open(path, &t))
        return false;
    bool *starts = starts_of(&t);
    for (size_t at = 0; at + 2 <= t.text_size; at++) {
        if (!starts[at] || t.text[at] != 0x0f || t.text[at + 1] != 0x05)
            continue;
        size_t from = at > PATCH_BEFORE ? at - PATCH_BEFORE : 0;
        struct patch_text pt = {.start = t.address + from,
                                .bytes = t.text + from,
                                .size = MIN(at + PATCH_AFTER_SITE, t.text_size) - from};
        struct patch_window w[PATCH_CANDIDATES];
        unsigned n = patch_plan(&pt, t.address + at, w);
        f.sites++;
        f.none += n == 0;
        for (unsigned i = 0; i < n; i++)
            check_window(&t, starts, &pt, &w[i], &f);
        if (n)
            count_kind(&w[0], &f);
    }
    printf("%-48s %4u sites: %u mov, %u wide, %u behind, %u mixed, %u none; %u wrong\n", path,
           f.sites, f.plain, f.wide, f.behind, f.mixed, f.none, f.wrong);
    CHECK(f.sites > 0);
    CHECK_EQ(f.wrong, 0);
    CHECK(f.none <= may_miss);
    free(starts);
    elf_text_close(&t);
    return true;
}

/* ---- a C library, rewritten ---- */

#define SITES_MAX 1024
static struct patch_site sites[SITES_MAX];
static unsigned site_count;
static _Atomic unsigned long fast, redirected;

/* rt_sigprocmask does nothing: a trap that is blocked would kill us. */
static int never_block __attribute__((used));

void entry_stub(void);
/* What the kernel's entry does, in short: nothing is kept but what Linux keeps. A child on a
 * stack of its own finds the return address there (the C library has signals blocked then). */
__asm__(".text\n.globl entry_stub\nentry_stub:\n"
        "    lock incq fast(%rip)\n"
        "    cmp $14, %rax\n"
        "    jne 0f\n"
        "    cmpl $0, never_block(%rip)\n"
        "    je 0f\n"
        "    xor %eax, %eax\n"
        "    jmp *%rcx\n"
        "0:\n"
        "    cmp $56, %rax\n"
        "    jne 1f\n"
        "    test %rsi, %rsi\n"
        "    jz 2f\n"
        "    mov %rcx, -136(%rsi)\n"
        "    jmp 3f\n"
        "1:  cmp $435, %rax\n"
        "    jne 2f\n"
        "    mov (%rdi), %r11\n"
        "    test $0x100, %r11\n" /* CLONE_VM */
        "    jz 2f\n"
        "    mov 40(%rdi), %r11\n"
        "    add 48(%rdi), %r11\n"
        "    mov %rcx, -136(%r11)\n"
        "    jmp 3f\n"
        "2:  lea -256(%rsp), %rsp\n"
        "    mov %rcx, (%rsp)\n"
        "    syscall\n"
        "    mov (%rsp), %rcx\n"
        "    lea 256(%rsp), %rsp\n"
        "    jmp *%rcx\n"
        "3:  mov %rcx, -136(%rsp)\n"
        "    syscall\n"
        "    mov -136(%rsp), %rcx\n"
        "    jmp *%rcx\n");

static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uaddr_t rip = (uaddr_t)uc->uc_mcontext.gregs[REG_RIP], to;
    for (unsigned i = 0; i < site_count; i++) {
        if (patch_to_trampoline(&sites[i], rip, &to)) {
            uc->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
            atomic_fetch_add(&redirected, 1);
            return;
        }
    }
    signal(sig, SIG_DFL);
}

static uint8_t *zone;
static uint64_t zone_used[(1u << 24) / 128 / 64];
#define ZONE_BYTES (1u << 24)

static uaddr_t take_slot(const struct patch_window *w)
{
    for (uint32_t at = 0; at + 128 <= ZONE_BYTES; at += 32) {
        uaddr_t a = (uaddr_t)zone + at;
        uint32_t first = at / 128, last = (at + 127) / 128;
        if (!patch_fits(w, a) || zone_used[first / 64] >> first % 64 & 1 ||
            zone_used[last / 64] >> last % 64 & 1)
            continue;
        zone_used[first / 64] |= 1ull << first % 64;
        zone_used[last / 64] |= 1ull << last % 64;
        return a;
    }
    return 0;
}

static bool overlaps(const struct patch_window *w)
{
    for (unsigned i = 0; i < site_count; i++)
        if (w->start < sites[i].end && sites[i].start < w->end)
            return true;
    return false;
}

static bool rewrite(const struct patch_text *pt, uaddr_t site, unsigned choice)
{
    struct patch_window w[PATCH_CANDIDATES];
    unsigned n = patch_plan(pt, site, w);
    for (unsigned i = 0; i < n; i++) {
        const struct patch_window *c = &w[(i + choice) % n];
        uint8_t code[PATCH_TRAMPOLINE], jump[PATCH_JUMP];
        uaddr_t slot = overlaps(c) ? 0 : take_slot(c);
        if (!slot || patch_build(c, pt, slot, (uaddr_t)entry_stub, code, &sites[site_count]))
            continue;
        memcpy((void *)slot, code, sites[site_count++].length);
        patch_jump(c, slot, jump);
        memcpy((void *)c->start, jump, sizeof(jump));
        return true;
    }
    return false;
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct dl_phdr_info *out = arg;
    if (!strstr(info->dlpi_name, "/libc.so"))
        return 0;
    *out = *info;
    return 1;
}

/* `choice`: which of the candidates to prefer, so that bad ones are tried, too. */
static unsigned rewrite_libc(unsigned choice)
{
    struct dl_phdr_info libc = {0};
    struct elf_text t;
    CHECK(dl_iterate_phdr(find_libc, &libc) == 1 && elf_text_open(libc.dlpi_name, &t));
    uaddr_t base = libc.dlpi_addr, text = base + t.address;
    for (uint64_t top = 0x06; top < 0x70 && !zone; top++) {
        void *p = mmap((void *)((text + (top << 24)) & ~0xffful), ZONE_BYTES,
                       PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (patch_byte_traps((uint8_t)top) && p != MAP_FAILED)
            zone = p;
    }
    for (uint64_t top = 0x98; top < 0xff && !zone; top++) {
        void *p = mmap((void *)((text + (top << 24) - (1ull << 32)) & ~0xffful), ZONE_BYTES,
                       PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (patch_byte_traps((uint8_t)top) && p != MAP_FAILED)
            zone = p;
    }
    CHECK(zone != NULL);
    uint8_t *copy = malloc(t.text_size); /* the text as it was: neighbours change it */
    memcpy(copy, t.text, t.text_size);
    bool *starts = starts_of(&t);
    CHECK(!mprotect((void *)(text & ~0xffful), t.text_size + 4096,
                    PROT_READ | PROT_WRITE | PROT_EXEC));
    unsigned done = 0;
    for (size_t at = PATCH_BEFORE; at + 2 <= t.text_size; at++) {
        if (!starts[at] || copy[at] != 0x0f || copy[at + 1] != 0x05)
            continue;
        struct patch_text pt = {.start = text + at - PATCH_BEFORE,
                                .bytes = copy + at - PATCH_BEFORE,
                                .size = MIN(at + PATCH_AFTER_SITE, t.text_size) - at +
                                        PATCH_BEFORE};
        done += rewrite(&pt, text + at, choice);
    }
    free(copy);
    free(starts);
    return done;
}

static void *thread_work(void *arg)
{
    for (int i = 0; i < 200; i++) {
        char name[] = "/tmp/patchXXXXXX", text[64];
        int fd = mkstemp(name);
        if (fd < 0 || write(fd, name, sizeof(name)) != sizeof(name) ||
            pread(fd, text, sizeof(text), 0) != sizeof(name) || strcmp(text, name) ||
            unlink(name) || close(fd))
            return arg;
        pthread_mutex_lock(arg);
        sched_yield();
        pthread_mutex_unlock(arg);
    }
    return NULL;
}

static _Atomic int ticks;
static void on_tick(int sig)
{
    atomic_fetch_add(&ticks, 1);
}

static int use_libc(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[6];
    struct itimerval it = {{0, 500}, {0, 500}};
    char *argv[] = {"true", NULL};
    int status = -1;
    pid_t pid;
    signal(SIGALRM, on_tick);
    if (!never_block)
        setitimer(ITIMER_REAL, &it, NULL);
    for (int i = 0; i < 6; i++)
        if (pthread_create(&threads[i], NULL, thread_work, &m))
            return 2;
    for (int i = 0; i < 6; i++) {
        void *r;
        if (pthread_join(threads[i], &r) || r)
            return 3;
    }
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, NULL) ||
        waitpid(pid, &status, 0) != pid || status)
        return 4;
    pid = fork();
    if (pid == 0)
        _exit(getppid() > 1 ? 7 : 1);
    if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
        return 5;
    if (open("/nonexistent/file", O_RDONLY) != -1 || errno != ENOENT)
        return 6;
    struct timespec nap = {0, 3000000};
    while (nanosleep(&nap, &nap) && errno == EINTR)
        ;
    FILE *p = popen("echo hello", "r");
    char line[16] = "";
    if (!p || !fgets(line, sizeof(line), p) || strcmp(line, "hello\n") || pclose(p))
        return 8;
    it = (struct itimerval){0};
    setitimer(ITIMER_REAL, &it, NULL);
    return never_block || atomic_load(&ticks) > 3 ? 0 : 9;
}

static void run_rewritten(unsigned choice)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction sa = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
        sigaction(SIGILL, &sa, NULL);
        never_block = choice > 1;
        unsigned done = rewrite_libc(choice);
        int r = use_libc();
        printf(
            "choice %u: %u sites of libc rewritten, %lu calls through them, %lu redirected\n",
            choice, done, fast, redirected);
        fflush(stdout);
        _exit(r ? r : done > 300 && fast > 5000 ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
}

int main(void)
{
    unsigned found = 0;
    /* What is left alone: the returns from signal handlers. */
    found += survey("/usr/lib/x86_64-linux-gnu/libc.so.6", 1);
    found += survey("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", 1);
    found += survey("/bin/busybox", 1);
    found += survey("/usr/lib/x86_64-linux-musl/libc.so", 1);
    found += survey("/usr/lib/go-1.19/bin/go", 1);
    if (!found)
        SKIP("no known program");
    for (unsigned choice = 0; choice < 4; choice++)
        run_rewritten(choice);
    return 0;
}
