/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first page of a program's life: what the psABI wants to find at RSP.
 * From the top: a zero word, the file name, the environment's and the arguments' strings,
 * sixteen random bytes, the platform's name; then, 16-byte aligned, argc, argv, envp and the
 * auxiliary vector.
 */
#include "abi/errno.h"
#include "crypto/random.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/exec.h"
#include "proc/hwcap.h"
#include "signal/frame.h"

#define AUXV_MAX 24u

struct builder {
    struct exec *e;
    uaddr_t sp;
    uaddr_t name, env, arg, random, platform;
    uint64_t *words;
    size_t count;
};

static int push(struct builder *b, const void *data, size_t size, uaddr_t *at)
{
    b->sp -= size;
    *at = b->sp;
    return copy_to_user(b->sp, data, size);
}

static int push_strings(struct builder *b)
{
    static const char platform[] = "x86_64";
    struct exec *e = b->e;
    struct mm_layout *l = mm_layout(e->mm);
    uint64_t zero = 0;
    uint8_t seed[16];
    uaddr_t ignored;

    random_bytes(seed, sizeof(seed));
    int r = push(b, &zero, sizeof(zero), &ignored);
    if (!r)
        r = push(b, e->name, strlen(e->name) + 1, &b->name);
    if (!r)
        r = push(b, e->envp.data, e->envp.used, &b->env);
    if (!r)
        r = push(b, e->argv.data, e->argv.used, &b->arg);
    l->arg_start = b->arg;
    l->arg_end = l->env_start = b->env;
    l->env_end = b->env + e->envp.used;
    b->sp = align_down(b->sp, 16);
    if (!r)
        r = push(b, seed, sizeof(seed), &b->random);
    if (!r)
        r = push(b, platform, sizeof(platform), &b->platform);
    memzero_secret(seed, sizeof(seed));
    return r;
}

static void word(struct builder *b, uint64_t value)
{
    b->words[b->count++] = value;
}

static void pointers(struct builder *b, const struct arg_block *block, uaddr_t at)
{
    const char *s = block->data;
    for (uint32_t i = 0; i < block->count; i++) {
        size_t size = strlen(s) + 1;
        word(b, at);
        at += size;
        s += size;
    }
    word(b, 0);
}

static void auxiliary(struct builder *b)
{
    struct exec *e = b->e;
    const uint64_t aux[][2] = {
        {AT_SYSINFO_EHDR, e->vdso},
        {AT_HWCAP, hwcap()},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, CLOCK_TICKS},
        {AT_PHDR, e->image->phdr ? e->image->phdr + e->bias : 0},
        {AT_PHENT, 56},
        {AT_PHNUM, e->image->phnum},
        {AT_BASE, e->interp ? e->interp_bias : 0},
        {AT_FLAGS, 0},
        {AT_ENTRY, e->image->entry + e->bias},
        {AT_UID, e->uid},
        {AT_EUID, e->euid},
        {AT_GID, e->gid},
        {AT_EGID, e->egid},
        {AT_SECURE, e->uid != e->euid || e->gid != e->egid},
        {AT_RANDOM, b->random},
        {AT_HWCAP2, HWCAP2_FSGSBASE},
        {AT_EXECFN, b->name},
        {AT_PLATFORM, b->platform},
        {AT_MINSIGSTKSZ, signal_frame_bytes()},
        {AT_NULL, 0},
    };
    _Static_assert(ARRAY_SIZE(aux) <= AUXV_MAX, "the buffer's size");
    for (size_t i = 0; i < ARRAY_SIZE(aux); i++) {
        if (aux[i][0] == AT_SYSINFO_EHDR && !aux[i][1])
            continue;
        word(b, aux[i][0]);
        word(b, aux[i][1]);
    }
}

/* A copy of the auxiliary vector for /proc. */
static int keep_auxv(struct builder *b, size_t first)
{
    struct exec *e = b->e;
    e->auxv_size = (b->count - first) * sizeof(uint64_t);
    e->auxv = kmalloc(e->auxv_size);
    if (!e->auxv)
        return -ENOMEM;
    memcpy(e->auxv, b->words + first, e->auxv_size);
    return 0;
}

int stack_write(struct exec *e)
{
    struct builder b = {.e = e, .sp = e->stack_top};
    size_t max = 1 + e->argv.count + 1 + e->envp.count + 1 + 2 * AUXV_MAX + 1;

    int r = push_strings(&b);
    if (r)
        return r;
    b.words = kcalloc(max, sizeof(uint64_t));
    if (!b.words)
        return -ENOMEM;
    word(&b, e->argv.count);
    pointers(&b, &e->argv, b.arg);
    pointers(&b, &e->envp, b.env);
    size_t first = b.count;
    auxiliary(&b);
    r = keep_auxv(&b, first);
    b.sp = align_down(b.sp - b.count * sizeof(uint64_t), 16);
    if (!r && b.sp < e->stack_low)
        r = -E2BIG;
    if (!r)
        r = copy_to_user(b.sp, b.words, b.count * sizeof(uint64_t));
    e->rsp = b.sp;
    mm_layout(e->mm)->stack_start = b.sp;
    kfree(b.words);
    return r;
}
