/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The emulated machine as host/ sees it: ECREATE, threads, options, and the end.
 *
 * OCCLUM_EMU, options joined by commas:
 *   trap          leave ENCLU in place; it traps
 *   strict        memory appears to programs at EACCEPT, not at EAUG
 *   step[:A-B]    an AEX after every instruction (of the range of offsets, hexadecimal)
 *   late          stepping begins with the first system call of a program
 *   burst:SEED    interrupts at any time and single steps after them, from that call on
 *   tick:N        one of N single steps is answered as a tick, not 32; seed:N where
 *   count         say at the end how many steps there were
 *   seccomp       intercept system calls by a filter
 *   exclusive     intercept them as kernels without inclusive dispatch do
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "boundary/boot.h"
#include "boundary/layout.h"
#include "emu/emu.h"

#define LEAF_STACK_BYTES 0x10000u
#define XSAVE_MAX        0x4000u
#define XFRM_KNOWN       (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512 | SGX_XFRM_PKRU)

struct emu_options emu_options;
__thread struct emu_thread *emu_self;
struct emu *emu_current;
struct emu_thread *emu_hash[EMU_HASH_SIZE];

int emu_options_parse(const char *text, struct host_error *err)
{
    emu_options = (struct emu_options){.every = 32};
    while (text && *text) {
        size_t n = strcspn(text, ",");
        if (n == 4 && !strncmp(text, "trap", n)) {
            emu_options.trap = 1;
        } else if (n == 6 && !strncmp(text, "strict", n)) {
            emu_options.strict = 1;
        } else if (n == 7 && !strncmp(text, "seccomp", n)) {
            emu_options.seccomp = 1;
        } else if (n == 9 && !strncmp(text, "exclusive", n)) {
            emu_options.exclusive = 1;
        } else if (n == 4 && !strncmp(text, "late", n)) {
            emu_options.asleep = 1;
        } else if (n == 5 && !strncmp(text, "count", n)) {
            emu_options.count = 1;
        } else if (sscanf(text, "seed:%u", &emu_options.seed) == 1) {
            ;
        } else if (sscanf(text, "tick:%u", &emu_options.every) == 1 && emu_options.every) {
            ;
        } else if (sscanf(text, "burst:%u", &emu_options.seed) == 1) {
            emu_options.step = emu_options.burst = emu_options.asleep = 1;
        } else if (n >= 4 && !strncmp(text, "step", 4)) {
            emu_options.step = 1;
            if (n > 4 && sscanf(text, "step:%lx-%lx", &emu_options.step_begin,
                                &emu_options.step_end) != 2)
                return host_fail(err, -EINVAL, "OCCLUM_EMU: step:BEGIN-END expected");
        } else {
            return host_fail(err, -EINVAL, "OCCLUM_EMU: unknown option '%.*s'", (int)n, text);
        }
        text += n + (text[n] == ',');
    }
    return 0;
}

static int emu_probe(struct host_error *err)
{
    if (!(getauxval(AT_HWCAP2) & 2))
        return host_fail(err, -ENOSYS,
                         "the kernel does not enable FSGSBASE: Linux 5.9 or later "
                         "on a CPU of 2012 or later is needed");
    if (emu_dispatch_probe())
        return host_fail(err, -ENOSYS,
                         "the kernel offers neither system call dispatch nor seccomp");
    return 0;
}

static uint64_t host_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Bytes of a standard-format XSAVE area that holds these components. */
static uint32_t xsave_bytes(uint64_t xfrm)
{
    uint32_t bytes = 576;

    for (uint32_t i = 2; i < 63; i++) {
        uint32_t size = 0xd, offset, c = i, d;
        if (!(xfrm >> i & 1))
            continue;
        __asm__ volatile("cpuid" : "+a"(size), "=b"(offset), "+c"(c), "=d"(d));
        if (offset + size > bytes)
            bytes = offset + size;
    }
    return bytes;
}

static int check_secs(const struct dev_secs *s, struct host_error *err)
{
    uint64_t xfrm = s->attributes.xfrm, avx512 = xfrm & SGX_XFRM_AVX512;

    if (s->size & (s->size - 1) || s->size < 2 * SGX_PAGE || s->size > 1ull << 46)
        return host_fail(err, -EINVAL, "ECREATE: enclave size 0x%lx is not possible", s->size);
    if ((xfrm & 3) != 3 || xfrm & ~XFRM_KNOWN ||
        (avx512 && (avx512 != SGX_XFRM_AVX512 || !(xfrm & 4))))
        return host_fail(err, -EINVAL, "ECREATE: XFRM 0x%lx is not valid", xfrm);
    if (xfrm & ~host_xcr0())
        return host_fail(err, -EINVAL,
                         "ECREATE: XFRM 0x%lx asks for more than this CPU has (0x%lx)", xfrm,
                         host_xcr0());
    if (!(s->attributes.flags & SGX_ATTR_MODE64) || s->miscselect & ~SGX_MISC_EXINFO ||
        s->attributes.flags & (SGX_ATTR_INIT | SGX_ATTR_AEXNOTIFY))
        return host_fail(err, -EINVAL,
                         "ECREATE: attributes 0x%lx, MISCSELECT 0x%x are not valid",
                         s->attributes.flags, s->miscselect);
    if (s->ssa_frame_size > 16 ||
        s->ssa_frame_size * SGX_PAGE < xsave_bytes(xfrm) + 184 + sizeof(struct sgx_exinfo))
        return host_fail(err, -EINVAL, "ECREATE: an SSA frame of %u pages is too small",
                         s->ssa_frame_size);
    return 0;
}

static void *map_at(uint64_t address, uint64_t bytes, int prot, int flags)
{
    void *p = mmap((void *)address, bytes, prot,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    if (p != MAP_FAILED && flags & MAP_FIXED_NOREPLACE && p != (void *)address) {
        munmap(p, bytes);
        return MAP_FAILED;
    }
    return p;
}

/* ELRANGE and the stub page after it. */
static int reserve(struct emu *e, int base_zero)
{
    uint64_t size = e->dev.size, low = base_zero ? LAYOUT_USER_MIN : 0;

    for (int tries = 0; tries < 64; tries++) {
        uint64_t base = 0;
        if (!base_zero) {
            uint64_t slots = 0x500000000000ull / size;
            if (slots < 2 || getrandom(&base, sizeof(base), 0) != sizeof(base))
                return -ENOMEM;
            base = (1 + base % (slots - 1)) * size;
        }
        uint64_t bytes = size - low + EMU_STUB_SIZE;
        if (map_at(base + low, bytes, PROT_NONE, MAP_FIXED_NOREPLACE) != MAP_FAILED) {
            e->dev.base = base;
            e->stub = (char *)(base + size);
            if (size > LAYOUT_TOP_BYTES)
                madvise((void *)(base + low), size - low - LAYOUT_TOP_BYTES, MADV_HUGEPAGE);
            madvise((void *)(base + low), size - low, MADV_DONTDUMP);
            return 0;
        }
        if (base_zero)
            return -errno;
    }
    return -ENOMEM;
}

/* The page that patched ENCLU sites call: a jump, and an instruction that traps. */
static int fill_stub(struct emu *e)
{
    uint64_t entry = (uint64_t)emu_stub_entry;

    if (mprotect(e->stub, SGX_PAGE, PROT_READ | PROT_WRITE))
        return -errno;
    memset(e->stub, 0xf4, SGX_PAGE);
    memcpy(e->stub, "\xff\x25\0\0\0\0", 6);
    memcpy(e->stub + 6, &entry, 8);
    return mprotect(e->stub, SGX_PAGE, PROT_READ | PROT_EXEC) ? -errno : 0;
}

static void emu_destroy(struct dev *dev)
{
    struct emu *e = emu_of(dev);
    uint64_t low = e->dev.base ? 0 : LAYOUT_USER_MIN;

    if (e->stub)
        munmap((void *)(e->dev.base + low), e->dev.size - low + EMU_STUB_SIZE);
    if (e->epcm)
        munmap(e->epcm, e->dev.size / SGX_PAGE);
    for (uint32_t i = 0; i < e->tcs_count; i++)
        free(e->tcs[i]);
    if (emu_current == e)
        emu_current = NULL;
    free(e);
}

static int emu_create(const struct dev_secs *secs, struct dev **out, struct host_error *err)
{
    int rc = check_secs(secs, err);

    if (rc || (rc = emu_options_parse(getenv("OCCLUM_EMU"), err)) || (rc = emu_fuses_load(err)))
        return rc;
    if (emu_current)
        return host_fail(err, -EBUSY, "there is an enclave in this process already");
    struct emu *e = calloc(1, sizeof(*e));
    if (!e)
        return host_fail(err, -ENOMEM, "out of memory");
    e->dev = (struct dev){.ops = &dev_emu, .size = secs->size};
    e->strict = emu_options.strict;
    e->ssa_bytes = secs->ssa_frame_size * SGX_PAGE;
    e->xsave_bytes = xsave_bytes(secs->attributes.xfrm);
    emu_current = e;
    if ((rc = reserve(e, secs->base_zero)) || (rc = fill_stub(e))) {
        host_fail(err, rc, "cannot reserve %lu GiB of address space at %s: %s",
                  secs->size >> 30, secs->base_zero ? "0x10000" : "a random address",
                  strerror(-rc));
        goto fail;
    }
    void *epcm = map_at(0, secs->size / SGX_PAGE, PROT_READ | PROT_WRITE, 0);
    if (epcm == MAP_FAILED) {
        rc = host_fail(err, -errno, "cannot reserve the EPCM: %s", strerror(errno));
        goto fail;
    }
    e->epcm = epcm;
    e->secs.size = secs->size;
    e->secs.base = e->dev.base;
    e->secs.ssa_frame_size = secs->ssa_frame_size;
    e->secs.miscselect = secs->miscselect;
    e->secs.attributes = secs->attributes;
    emu_measure_create(e);
    *out = &e->dev;
    return 0;
fail:
    emu_destroy(&e->dev);
    return rc;
}

static int emu_set_sites(struct dev *dev, const uint64_t *offsets, size_t count)
{
    struct emu *e = emu_of(dev);

    e->sites = offsets;
    e->site_count = count;
    return 0;
}

static int emu_thread_init(struct dev *dev, struct host_error *err)
{
    struct emu *e = emu_of(dev);
    char *memory = map_at(0, LEAF_STACK_BYTES + XSAVE_MAX, PROT_READ | PROT_WRITE, 0);
    struct emu_thread *t = calloc(1, sizeof(*t));

    if (!t || memory == MAP_FAILED) {
        free(t);
        return host_fail(err, -ENOMEM, "no memory for a thread");
    }
    t->xsave = (uint8_t *)memory;
    t->stack = (uint64_t)memory + XSAVE_MAX + LEAF_STACK_BYTES;
    t->host_fs = host_self->fs;
    t->host_gs = host_self->gs;
    t->xfrm = e->secs.attributes.xfrm;
    t->emu = e;
    host_self->machine = t;
    emu_self = t;
    int rc = emu_step_thread_init(t, err);
    return rc ? rc : emu_dispatch_on(e, err);
}

static void emu_thread_fini(struct dev *dev)
{
    struct emu_thread *t = emu_self;

    if (!t)
        return;
    emu_dispatch_off();
    emu_step_thread_fini(t);
    emu_self = NULL;
    for (int i = 0; i < EMU_HASH_SIZE; i++) {
        if (emu_hash[i] == t)
            emu_hash[i] = NULL;
    }
    munmap(t->xsave, LEAF_STACK_BYTES + XSAVE_MAX);
    free(t);
}

const struct dev_ops dev_emu = {
    .name = "emulator",
    .platform = PLATFORM_EMULATOR,
    .probe = emu_probe,
    .create = emu_create,
    .add_pages = emu_add_pages,
    .set_enclu_sites = emu_set_sites,
    .init = emu_init,
    .destroy = emu_destroy,
    .aug = emu_aug,
    .restrict_perms = emu_restrict,
    .extend = emu_extend,
    .trim = emu_trim,
    .remove = emu_remove,
    .thread_init = emu_thread_init,
    .thread_fini = emu_thread_fini,
    .signal = emu_signal,
    .enclu = emu_host_enclu,
};
