/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asynchronous exit: a signal that finds a thread inside the enclave's range is what an
 * exception or interrupt is to the CPU. The state goes to the current SSA frame, the signal
 * context becomes the synthetic state at the AEP, and from there on the host sees the signal.
 *
 * A signal that finds the emulator at work for the enclave is transparent: an instruction that
 * has begun is completed. Faults of the emulator on enclave memory are the leaf's own.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emu/emu.h"

#define RFLAGS_TF 0x100
#define PF_WRITE  2u

struct exception {
    uint32_t exitinfo; /* 0: asynchronous */
    uint32_t error;
    uint64_t address;
};

static const unsigned char gpr_to_greg[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static struct exception hardware(uint32_t vector)
{
    return (struct exception){.exitinfo = EXITINFO_VALID | 3u << 8 | vector};
}

static int at_cpuid(uint64_t rip)
{
    return !memcmp((const void *)rip, "\x0f\xa2", 2);
}

static struct exception memory_fault(struct emu_thread *t, const struct host_signal *s)
{
    const greg_t *r = s->uc->uc_mcontext.gregs;
    struct exception x = hardware((uint32_t)r[REG_TRAPNO]);

    x.error = (uint32_t)r[REG_ERR];
    if (r[REG_TRAPNO] == 14) {
        x.address = (uint64_t)r[REG_CR2];
        if (emu_in_range(t->emu, x.address)) {
            const uint8_t *entry = emu_epcm_at(t->emu, x.address);
            int need = x.error & 16 ? EPCM_X : x.error & PF_WRITE ? EPCM_W : EPCM_R;
            if (!(*entry & EPCM_TYPE) || *entry & (EPCM_PENDING | EPCM_MODIFIED) ||
                (*entry & EPCM_TYPE) != EPCM_REG || !(*entry & need))
                x.error |= 0x8000; /* the EPCM's doing */
        }
    } else if (emu_cpuid_faulting(-1) && at_cpuid((uint64_t)r[REG_RIP])) {
        return hardware(6);
    }
    return x;
}

/* What the signal is to the enclave, SDM 39.4 and table 39-2. */
static struct exception classify(struct emu_thread *t, struct host_signal *s)
{
    int trapno = (int)s->uc->uc_mcontext.gregs[REG_TRAPNO];

    if (s->info->si_code <= 0 && s->number != SIGSYS)
        return (struct exception){0};
    switch (s->number) {
    case SIGSEGV:
    case SIGBUS:
        if (trapno != 13 && trapno != 14 && trapno != 17 && trapno != 12 && trapno != 11)
            return hardware(13);
        return memory_fault(t, s);
    case SIGILL:
        return hardware(6);
    case SIGFPE:
        return hardware(trapno == 0 || trapno == 16 || trapno == 19 ? (uint32_t)trapno : 16);
    case SIGTRAP:
        if (trapno == 3)
            return (struct exception){.exitinfo = EXITINFO_VALID | 6u << 8 | 3};
        return hardware(1);
    case SIGSYS: /* two bytes for `syscall`, `sysenter` and `int $0x80` */
        s->uc->uc_mcontext.gregs[REG_RIP] -= 2;
        return hardware(6);
    default:
        return (struct exception){0};
    }
}

/* The kernel's XSAVE image (standard format) to the SSA, and the initial state in its place. */
static void save_vector_state(struct emu *e, ucontext_t *uc, char *frame)
{
    char *fp = (char *)uc->uc_mcontext.fpregs;
    static const uint32_t mxcsr = 0x1f80;
    static const uint16_t fcw = 0x37f;
    uint32_t magic, kernel_bytes;
    uint64_t bv;

    if (!fp) {
        memset(frame, 0, 576);
        return;
    }
    memcpy(&magic, fp + 464, 4);
    memcpy(&kernel_bytes, fp + 480, 4);
    uint32_t bytes = magic == 0x46505853 ? kernel_bytes : 512;
    if (bytes > e->xsave_bytes)
        bytes = e->xsave_bytes;
    memcpy(frame, fp, bytes);
    memset(frame + 464, 0, 48);
    if (bytes < 576) {
        memset(frame + 512, 0, 64);
        bv = 3;
    } else {
        memcpy(&bv, frame + 512, 8);
        memset(frame + 520, 0, 56);
        memset(fp + 512, 0, 8);
    }
    bv &= e->secs.attributes.xfrm;
    memcpy(frame + 512, &bv, 8);
    memset(fp, 0, 416);
    memcpy(fp, &fcw, 2);
    memcpy(fp + 24, &mxcsr, 4);
}

static void synthetic_state(struct emu_thread *t, struct host_signal *s,
                            const struct sgx_ssa_gpr *g)
{
    greg_t *r = s->uc->uc_mcontext.gregs;

    for (int i = 0; i < 16; i++)
        r[gpr_to_greg[i]] = 0;
    r[REG_RAX] = ENCLU_ERESUME;
    r[REG_RBX] = (greg_t)(t->emu->dev.base + t->tcs->offset);
    r[REG_RCX] = (greg_t)t->aep;
    r[REG_RSP] = (greg_t)g->ursp;
    r[REG_RBP] = (greg_t)g->urbp;
    r[REG_RIP] = (greg_t)t->aep;
    r[REG_EFL] = 0x202;
    s->fs = t->host_fs;
    s->gs = t->host_gs;
}

static void aex(struct emu_thread *t, struct host_signal *s, struct exception x)
{
    struct emu *e = t->emu;
    struct sgx_tcs *tcs = &t->tcs->tcs;
    char *frame = (char *)(e->dev.base + tcs->ossa + (uint64_t)tcs->cssa * e->ssa_bytes);
    struct sgx_ssa_gpr *g = (void *)(frame + SSA_GPR_OFFSET(e->ssa_bytes));
    const greg_t *r = s->uc->uc_mcontext.gregs;
    uint64_t *gpr = &g->rax;

    for (int i = 0; i < 16; i++)
        gpr[i] = (uint64_t)r[gpr_to_greg[i]];
    g->rflags = (uint64_t)r[REG_EFL] & ~(uint64_t)RFLAGS_TF;
    g->rip = (uint64_t)r[REG_RIP];
    g->fs_base = s->fs;
    g->gs_base = s->gs;
    g->exitinfo = x.exitinfo;
    uint32_t vector = EXITINFO_VECTOR(x.exitinfo);
    if ((vector == 13 || vector == 14)) {
        if (e->secs.miscselect & SGX_MISC_EXINFO)
            *(struct sgx_exinfo *)(frame + SSA_EXINFO_OFFSET(e->ssa_bytes)) =
                (struct sgx_exinfo){.maddr = x.address, .errcd = x.error};
        else
            g->exitinfo = 0; /* 39.4.1: not reported without EXINFO */
    }
    save_vector_state(e, s->uc, frame);
    tcs->cssa++;
    synthetic_state(t, s, g);
    atomic_store_explicit(&t->tcs->busy, 0, memory_order_release);
}

static void regs_from_context(struct emu_thread *t, const greg_t *r)
{
    uint64_t *gpr = &t->regs.rax;

    for (int i = 0; i < 16; i++)
        gpr[i] = (uint64_t)r[gpr_to_greg[i]];
    t->regs.rflags = (uint64_t)r[REG_EFL];
}

static void regs_to_context(const struct emu_thread *t, greg_t *r)
{
    const uint64_t *gpr = &t->regs.rax;

    for (int i = 0; i < 16; i++)
        r[gpr_to_greg[i]] = (greg_t)gpr[i];
}

/* An ENCLU that trapped, at `site`; execution continues at `next`. Returns 1 if that is all. */
static int trapped_enclu(struct emu_thread *t, struct host_signal *s, uint64_t site,
                         uint64_t next)
{
    greg_t *r = s->uc->uc_mcontext.gregs;
    uint64_t slot = 0;

    if ((uint32_t)r[REG_RAX] == ENCLU_EEXIT) {
        r[REG_RIP] = r[REG_RBX];
        r[REG_RCX] = (greg_t)t->aep;
        r[REG_EFL] &= ~RFLAGS_TF;
        s->fs = t->host_fs;
        s->gs = t->host_gs;
        atomic_store_explicit(&t->tcs->busy, 0, memory_order_release);
        return 1;
    }
    regs_from_context(t, r);
    t->regs.rip = site;
    uint64_t rsp = t->regs.rsp;
    t->regs.rsp = (uint64_t)&slot + 8; /* a leaf that faults writes there */
    uint32_t rc = emu_leaf_fast(t);
    if (rc == LEAF_SLOW)
        rc = emu_leaf_slow(t);
    t->regs.rsp = rsp;
    if (rc == LEAF_FAULT) {
        struct exception x = hardware(t->forced.vector);
        x.error = t->forced.error;
        x.address = t->forced.address;
        t->forced.armed = 0;
        r[REG_RIP] = (greg_t)site;
        aex(t, s, x);
        return 0;
    }
    regs_to_context(t, r);
    r[REG_EFL] = (r[REG_EFL] & ~0x8d5) | (greg_t)(t->regs.rflags & 0x8d5);
    r[REG_RIP] = (greg_t)next;
    return 1;
}

/* A leaf touched enclave memory that the page tables refuse: the fault is its instruction's. */
static void leaf_fault(struct emu_thread *t, struct host_signal *s)
{
    greg_t *r = s->uc->uc_mcontext.gregs;
    struct exception x = memory_fault(t, s);

    regs_to_context(t, r);
    r[REG_RIP] = (greg_t)t->regs.rip;
    if (t->leaf == 2) {
        s->gs = t->key;
        s->fs = t->slow_fs;
        if (s->uc->uc_mcontext.fpregs)
            memcpy(s->uc->uc_mcontext.fpregs, t->xsave, 464);
    }
    t->leaf = 0;
    aex(t, s, x);
}

/* The host's own cpuid, while faulting is on for the enclave's sake. */
static int host_cpuid(struct host_signal *s)
{
    greg_t *r = s->uc->uc_mcontext.gregs;
    uint32_t a = (uint32_t)r[REG_RAX], b, c = (uint32_t)r[REG_RCX], d;

    if (s->number != SIGSEGV || r[REG_TRAPNO] != 13 || !emu_cpuid_faulting(-1) ||
        !at_cpuid((uint64_t)r[REG_RIP]))
        return 0;
    emu_cpuid_faulting(0);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    emu_cpuid_faulting(1);
    r[REG_RAX] = a;
    r[REG_RBX] = b;
    r[REG_RCX] = c;
    r[REG_RDX] = d;
    r[REG_RIP] += 2;
    return 1;
}

/* Signals that find the thread outside the range. */
static int outside(struct emu_thread *t, struct host_signal *s)
{
    greg_t *r = s->uc->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)r[REG_RIP];

    if (s->number == SIGTRAP && s->info->si_code == TRAP_TRACE && emu_options.step) {
        r[REG_EFL] &= ~RFLAGS_TF;
        return 1;
    }
    if (rip == (uint64_t)t->emu->stub + EMU_STUB_TRAP && t->forced.armed) {
        struct exception x = hardware(t->forced.vector);
        x.error = t->forced.error;
        x.address = t->forced.address;
        t->forced.armed = 0;
        r[REG_RIP] = (greg_t)t->forced.site;
        aex(t, s, x);
        return 0;
    }
    if (rip == (uint64_t)emu_fallback) {
        uint64_t next;
        memcpy(&next, (const void *)r[REG_RSP], sizeof(next));
        r[REG_RSP] += 8;
        return trapped_enclu(t, s, next - 5, next);
    }
    if (s->number == SIGSEGV && t->leaf && s->info->si_code > 0 &&
        emu_in_range(t->emu, (uint64_t)s->info->si_addr)) {
        leaf_fault(t, s);
        return 0;
    }
    return host_cpuid(s);
}

int emu_signal(struct dev *dev, struct host_signal *s)
{
    struct emu_thread *t = emu_self;
    greg_t *r = s->uc->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)r[REG_RIP];

    if (!t || !t->tcs)
        return 0;
    if (!emu_in_range(t->emu, rip - (s->number == SIGSYS ? 2 : 0)))
        return outside(t, s);
    if (s->number == SIGILL && !memcmp((const void *)rip, "\x0f\x01\xd7", 3))
        return trapped_enclu(t, s, rip, rip + 3);
    int step = emu_step_trap(t, s);
    if (step == STEP_CONTINUE)
        return 1;
    if (step) {
        aex(t, s, (struct exception){0});
        return step == STEP_AEX; /* else the host shall enter the next frame, as for a tick */
    }
    if (s->number == SIGSYS)
        emu_step_wake();
    aex(t, s, classify(t, s));
    return 0;
}
