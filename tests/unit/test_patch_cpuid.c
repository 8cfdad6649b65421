/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes are taken for a cpuid that may be rewritten before anybody has executed it: those
 * of this machine's programs, checked against where their instructions begin; bytes that only
 * look like one; and one that is rewritten and executed.
 * LINK: kernel/mm/x86_decode.c kernel/mm/patch_plan.c
 */
#include "mm/patch_plan.h"

#include <cpuid.h>
#include <stdlib.h>

#include "tests/unit/elf_text.h"
#include "tests/unit/unit.h"

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

/* How many are certain; every one is an instruction, and has a window. */
static unsigned survey(const char *path)
{
    struct elf_text t;
    unsigned sites = 0, certain = 0;
    if (!elf_text_open(path, &t))
        return 0;
    bool *starts = starts_of(&t);
    for (size_t at = 0; at + 2 <= t.text_size; at++) {
        if (t.text[at] != 0x0f || t.text[at + 1] != 0xa2)
            continue;
        size_t from = at > PATCH_BEFORE ? at - PATCH_BEFORE : 0;
        struct patch_text pt = {.start = t.address + from,
                                .bytes = t.text + from,
                                .size = MIN(at + PATCH_AFTER_SITE, t.text_size) - from};
        struct patch_window w[PATCH_CANDIDATES];
        sites++;
        if (!patch_plan(&pt, t.address + at, w))
            continue;
        certain++;
        CHECK(starts[at]);
        for (unsigned i = 0; i < w[0].count; i++)
            CHECK(starts[w[0].start + w[0].insn[i].at - t.address]);
    }
    printf("%-48s %3u of %3u are certain\n", path, certain, sites);
    free(starts);
    elf_text_close(&t);
    return certain;
}

#define TEXT 256
static bool certain_at(const uint8_t *tail, size_t size, size_t site)
{
    uint8_t text[TEXT];
    struct patch_window w[PATCH_CANDIDATES];
    memset(text, 0x90, sizeof(text));
    memcpy(text + 100, tail, size);
    struct patch_text t = {.start = 0x1000, .bytes = text, .size = sizeof(text)};
    return patch_plan(&t, 0x1000 + 100 + site, w) > 0;
}

#define CERTAIN(code, site) certain_at((const uint8_t *)(code), sizeof(code) - 1, site)

static void check_looks(void)
{
    CHECK(CERTAIN("\xb8\x07\0\0\0\x0f\xa2", 5));         /* mov $7,%eax */
    CHECK(CERTAIN("\xb8\x07\0\0\0\x31\xc9\x0f\xa2", 7)); /* xor %ecx,%ecx */
    CHECK(CERTAIN("\xb8\0\0\0\x80\x0f\xa2", 5));
    CHECK(CERTAIN("\x31\xc0\x0f\xa2", 2));              /* xor %eax,%eax */
    CHECK(CERTAIN("\x89\xf0\x89\xf9\x0f\xa2", 4));      /* mov %esi,%eax; mov %edi,%ecx */
    CHECK(CERTAIN("\x44\x89\xc0\x31\xc9\x0f\xa2", 5));  /* mov %r8d,%eax */
    CHECK(!CERTAIN("\x89\xf0\x0f\xa2", 2));             /* ECX is left open */
    CHECK(!CERTAIN("\x41\x89\xf0\x89\xf9\x0f\xa2", 5)); /* that is R8 */
    CHECK(!CERTAIN("\x48\x89\xf0\x89\xf9\x0f\xa2", 5)); /* 64 bits */
    CHECK(!CERTAIN("\xb8\x07\x07\0\0\x0f\xa2", 5));     /* there is no such leaf */
    CHECK(!CERTAIN("\x90\x90\x0f\xa2", 2));
    CHECK(!CERTAIN("\x31\xc0\xb9\x0f\xa2\0\0", 3)); /* in a constant */
    CHECK(!CERTAIN("\x31\xc0\xe8\0\x0f\xa2\0", 4)); /* in a displacement */
    CHECK(!CERTAIN("\x31\xc0\x48\xb8\0\0\0\x0f\xa2\0\0\0", 7));
}

/* ---- one that is executed ---- */

uint64_t go_on;
uint32_t entered;
void entry_knows(void), entry_passes(void);
__asm__(".text\n.globl entry_knows, entry_passes\n"
        "entry_knows: mov %rbx, go_on(%rip)\n"
        "    lock incl entered(%rip)\n"
        "    cpuid\n"
        "    jmp *go_on(%rip)\n"
        "entry_passes: lock incl entered(%rip)\n"
        "    lea -2(%rbx), %rdx\n"
        "    jmp *%rdx\n");

/* uint32_t function(uint32_t out[3]): leaf 0 by `mov $0,%eax; xor %ecx,%ecx; cpuid`. */
static const uint8_t function[] = {
    0x53,                         /* push %rbx */
    0xb8, 0x00, 0x00, 0x00, 0x00, /* mov $0,%eax */
    0x31, 0xc9,                   /* xor %ecx,%ecx */
    0x0f, 0xa2,                   /* cpuid */
    0x89, 0x1f,                   /* mov %ebx,(%rdi) */
    0x89, 0x4f, 0x04,             /* mov %ecx,4(%rdi) */
    0x89, 0x57, 0x08,             /* mov %edx,8(%rdi) */
    0x5b, 0xc3,                   /* pop %rbx; ret */
};
#define SITE 8

static void execute(void (*entry)(void), unsigned choice)
{
    uint8_t *page = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memset(page, 0x90, 4096);
    uint8_t *code = page + 1024;
    memcpy(code, function, sizeof(function));
    struct patch_text t = {.start = (uaddr_t)page, .bytes = page, .size = 4096};
    struct patch_window w[PATCH_CANDIDATES];
    uaddr_t site = (uaddr_t)code + SITE, slot = (uaddr_t)page + 4096;
    CHECK(patch_plan(&t, site, w) > choice);
    while (!patch_fits(&w[choice], slot) && slot < (uaddr_t)page + (1 << 17) - 256)
        slot++;
    struct patch_site s;
    uint8_t out[PATCH_TRAMPOLINE], jump[PATCH_JUMP];
    if (patch_fits(&w[choice], slot)) {
        CHECK_EQ(patch_build(&w[choice], &t, slot, (uaddr_t)entry, out, &s), 0);
        CHECK_EQ(patch_to_text(&s, slot + s.after_at - 2u), site);
        memcpy((void *)slot, out, s.length);
        patch_jump(&w[choice], slot, jump);
        memcpy((void *)w[choice].start, jump, sizeof(jump));
        uint32_t got[3], a, b, c, d, (*call)(uint32_t *);
        memcpy(&call, &code, sizeof(code));
        uint32_t before = entered, max = call(got);
        __cpuid(0, a, b, c, d);
        CHECK(max == a && got[0] == b && got[1] == c && got[2] == d);
        CHECK_EQ(entered, before + 1);
    }
    munmap(page, 1 << 17);
}

int main(void)
{
    unsigned found = survey("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
    (void)survey("/usr/lib/x86_64-linux-gnu/libcrypto.so.3"); /* has some in its tables */
    (void)survey("/bin/busybox");
    (void)survey("/usr/lib/x86_64-linux-musl/libc.so");
    (void)survey("/usr/lib/go-1.19/bin/go");
    CHECK(found > 10 || access("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", R_OK));
    check_looks();
    for (unsigned choice = 0; choice < 2; choice++) {
        execute(entry_knows, choice);
        execute(entry_passes, choice);
    }
    return 0;
}
