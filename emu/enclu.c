/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ENCLU: EENTER and ERESUME as the host runs them; EACCEPT, EMODPE and EACCEPTCOPY on the fast
 * path, with the enclave's FS and vector registers loaded; EREPORT and EGETKEY on the slow one.
 * EEXIT is in enter.S. A fault is raised by returning to an instruction that traps (aex.c).
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "emu/emu.h"

#define VECTOR_GP 13u
#define VECTOR_PF 14u
#define PF_SGX    0x8004u /* in the EPCM, by user code */

/* RFLAGS that code in an enclave may set; TF is the debugger's. */
#define RFLAGS_USER 0x244cd5ull
#define RFLAGS_TF   0x100ull
#define RFLAGS_ZF   0x40ull

static struct emu_tcs *tcs_find(struct emu *e, struct emu_thread *t, uint64_t address)
{
    uint64_t offset = address - e->dev.base;

    if (t->tcs && t->tcs->offset == offset)
        return t->tcs;
    for (uint32_t i = 0; i < e->tcs_count; i++) {
        if (e->tcs[i]->offset == offset)
            return e->tcs[i];
    }
    return NULL;
}

static int canonical(uint64_t address)
{
    return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

/* The SSA frame, or NULL if its pages are not readable and writable ones. */
static char *ssa_frame(struct emu *e, const struct emu_tcs *tcs, uint32_t index)
{
    uint64_t address = e->dev.base + tcs->tcs.ossa + (uint64_t)index * e->ssa_bytes;

    for (uint32_t i = 0; i < e->ssa_bytes; i += SGX_PAGE) {
        const uint8_t *entry = emu_epcm_at(e, address + i);
        if (!entry || (*entry & (EPCM_TYPE | EPCM_R | EPCM_W | EPCM_PENDING | EPCM_MODIFIED)) !=
                          (EPCM_REG | EPCM_R | EPCM_W))
            return NULL;
    }
    return (char *)address;
}

/* What EENTER and ERESUME have in common; the TCS is busy afterwards. */
static uint32_t enter_tcs(struct emu_thread *t, uint64_t address, uint64_t aep)
{
    struct emu *e = t->emu;
    struct emu_tcs *tcs = tcs_find(e, t, address);

    if (address % SGX_PAGE || !emu_in_range(e, address) || !canonical(aep) || !e->initialized)
        return VECTOR_GP;
    if (!tcs)
        return VECTOR_PF;
    if (atomic_exchange_explicit(&tcs->busy, 1, memory_order_acquire))
        return VECTOR_GP;
    t->tcs = tcs;
    t->busy = &tcs->busy;
    t->aep = aep;
    return 0;
}

static uint32_t enter_undo(struct emu_thread *t, uint32_t vector)
{
    atomic_store(&t->tcs->busy, 0);
    return vector;
}

/* Another thread may have used the TCS meanwhile, so the key alone does not tell. */
static void set_key(struct emu_thread *t)
{
    uint64_t gs = t->emu->dev.base + t->tcs->tcs.ogs_base;
    struct emu_thread **slot = &emu_hash[(((gs >> 6) ^ gs) >> 12) & (EMU_HASH_SIZE - 1)];

    if (t->key == gs && *slot == t)
        return;
    t->key = gs;
    *slot = t;
}

/* 0, or the vector of the fault; then enter.S does what the fields say. */
uint32_t emu_eenter(struct emu_thread *t, uint64_t tcs_address, uint64_t aep)
{
    struct emu *e = t->emu;
    uint32_t vector = enter_tcs(t, tcs_address, aep);

    if (vector)
        return vector;
    const struct sgx_tcs *tcs = &t->tcs->tcs;
    if (tcs->cssa >= tcs->nssa)
        return enter_undo(t, VECTOR_GP);
    char *frame = ssa_frame(e, t->tcs, tcs->cssa);
    if (!frame)
        return enter_undo(t, VECTOR_PF);
    struct sgx_ssa_gpr *gpr = (void *)(frame + SSA_GPR_OFFSET(e->ssa_bytes));
    gpr->ursp = t->ursp;
    gpr->urbp = t->urbp;
    t->fs = e->dev.base + tcs->ofs_base;
    t->gs = e->dev.base + tcs->ogs_base;
    t->entry = e->dev.base + tcs->oentry;
    t->cssa = tcs->cssa;
    t->step = emu_step_enter(t, tcs->cssa);
    set_key(t);
    return 0;
}

/* The XSAVE image that XRSTOR will take; false where it would fault. */
static int load_xsave(struct emu_thread *t, const char *frame)
{
    uint64_t header[8];
    uint32_t mxcsr;

    memcpy(t->xsave, frame, t->emu->xsave_bytes);
    memcpy(header, t->xsave + 512, sizeof(header));
    memcpy(&mxcsr, t->xsave + 24, sizeof(mxcsr));
    if (header[0] & ~t->xfrm || mxcsr & ~0x2ffffu)
        return 0;
    for (int i = 1; i < 8; i++) {
        if (header[i])
            return 0;
    }
    return 1;
}

static void load_gpr(struct emu_thread *t, const struct sgx_ssa_gpr *g)
{
    t->regs = (struct emu_regs){
        .rax = g->rax,
        .rcx = g->rcx,
        .rdx = g->rdx,
        .rbx = g->rbx,
        .rbp = g->rbp,
        .rsi = g->rsi,
        .rdi = g->rdi,
        .r8 = g->r8,
        .r9 = g->r9,
        .r10 = g->r10,
        .r11 = g->r11,
        .r12 = g->r12,
        .r13 = g->r13,
        .r14 = g->r14,
        .r15 = g->r15,
    };
    uint64_t rflags = (g->rflags & RFLAGS_USER) | 2;
    uint16_t cs, ss;
    __asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
    t->iret[0] = g->rip;
    t->iret[1] = cs;
    t->iret[2] = rflags | 0x200 | (t->step ? RFLAGS_TF : 0);
    t->iret[3] = g->rsp;
    t->iret[4] = ss;
}

uint32_t emu_eresume(struct emu_thread *t, uint64_t tcs_address, uint64_t aep)
{
    struct emu *e = t->emu;
    uint32_t vector = enter_tcs(t, tcs_address, aep);

    if (vector)
        return vector;
    struct sgx_tcs *tcs = &t->tcs->tcs;
    if (!tcs->cssa)
        return enter_undo(t, VECTOR_GP);
    char *frame = ssa_frame(e, t->tcs, tcs->cssa - 1);
    if (!frame)
        return enter_undo(t, VECTOR_PF);
    const struct sgx_ssa_gpr *gpr = (const void *)(frame + SSA_GPR_OFFSET(e->ssa_bytes));
    /* A RIP outside the range is no enclave code; fetching it faults on hardware. */
    if (!load_xsave(t, frame) || !canonical(gpr->rip) || !emu_in_range(e, gpr->rip) ||
        !canonical(gpr->fs_base) || !canonical(gpr->gs_base))
        return enter_undo(t, VECTOR_GP);
    t->step = emu_step_resume(t, tcs->cssa, gpr->rip);
    load_gpr(t, gpr);
    t->fs = gpr->fs_base;
    t->gs = gpr->gs_base;
    tcs->cssa--;
    set_key(t);
    return 0;
}

/* The leaf faults: the site's instruction is where the AEX will say it happened. */
uint32_t emu_fault(struct emu_thread *t, uint32_t vector, uint32_t error, uint64_t address)
{
    t->forced.armed = 1;
    t->forced.vector = vector;
    t->forced.error = error;
    t->forced.address = vector == VECTOR_PF ? address : 0;
    t->forced.site = t->regs.rip;
    *(uint64_t *)(t->regs.rsp - 8) = (uint64_t)t->emu->stub + EMU_STUB_TRAP;
    return LEAF_FAULT;
}

static EMU_FAST uint32_t page_fault(struct emu_thread *t, uint64_t address)
{
    return emu_fault(t, VECTOR_PF, PF_SGX, address);
}

static EMU_FAST uint32_t result(struct emu_thread *t, uint32_t error)
{
    t->regs.rax = error;
    t->regs.rflags = 2 | (error ? RFLAGS_ZF : 0);
    return LEAF_DONE;
}

static EMU_FAST long raw_mprotect(uint64_t address, uint64_t bytes, long prot)
{
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "0"((long)SYS_mprotect), "D"(address), "S"(bytes), "d"(prot)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Reads the SECINFO at RBX: 0, or what to return. */
static EMU_FAST uint32_t read_secinfo(struct emu_thread *t, uint64_t *flags)
{
    uint64_t address = t->regs.rbx, any = 0;
    struct emu *e = t->emu;

    if (address % 64 || !emu_in_range(e, address))
        return emu_fault(t, VECTOR_GP, 0, 0);
    const uint8_t *entry = emu_epcm_at(e, address);
    if ((*entry & (EPCM_TYPE | EPCM_R | EPCM_PENDING | EPCM_MODIFIED)) != (EPCM_REG | EPCM_R))
        return page_fault(t, address);
    const struct sgx_secinfo *s = (const struct sgx_secinfo *)address;
    for (int i = 0; i < 7; i++)
        any |= s->reserved[i];
    *flags = s->flags;
    return any ? emu_fault(t, VECTOR_GP, 0, 0) : 0;
}

/* The target page at RCX. */
static EMU_FAST uint32_t read_target(struct emu_thread *t, uint64_t address, uint8_t **entry)
{
    struct emu *e = t->emu;

    if (address % SGX_PAGE || !emu_in_range(e, address))
        return emu_fault(t, VECTOR_GP, 0, 0);
    *entry = emu_epcm_at(e, address);
    if (!(**entry & EPCM_TYPE))
        return page_fault(t, address);
    return 0;
}

/* What the EPCM must say for an EACCEPT of these SECINFO flags; 0: not a legal request. */
static EMU_FAST uint8_t accept_entry(uint64_t flags)
{
    uint8_t low = (uint8_t)(flags & 0x1f);

    if (flags & ~0xff3full)
        return 0;
    switch (flags >> 8) {
    case PT_REG:
        return flags & SECINFO_MODIFIED ? 0 : (uint8_t)(EPCM_REG | low);
    case PT_TCS:
        return (flags & 0x1f) == SECINFO_MODIFIED ? (uint8_t)(EPCM_TCS | low) : 0;
    case PT_TRIM:
        return (flags & 0x1f) == SECINFO_MODIFIED ? (uint8_t)(EPCM_TRIM | low) : 0;
    default:
        return 0;
    }
}

static EMU_FAST uint32_t eaccept(struct emu_thread *t)
{
    uint8_t *entry, want, old;
    uint64_t flags;
    uint32_t rc;

    if ((rc = read_secinfo(t, &flags)))
        return rc;
    if (!(want = accept_entry(flags)))
        return emu_fault(t, VECTOR_GP, 0, 0);
    if ((rc = read_target(t, t->regs.rcx, &entry)))
        return rc;
    old = __atomic_load_n(entry, __ATOMIC_RELAXED);
    if ((old & (uint8_t)~EPCM_PR) != want)
        return result(t, SGX_PAGE_ATTRIBUTES_MISMATCH);
    uint8_t next = want & (uint8_t) ~(EPCM_PENDING | EPCM_MODIFIED);
    if (!__atomic_compare_exchange_n(entry, &old, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return emu_fault(t, VECTOR_GP, 0, 0); /* two at once */
    if (t->emu->strict && (old & EPCM_PENDING))
        raw_mprotect(t->regs.rcx, SGX_PAGE, PROT_READ | PROT_WRITE);
    return result(t, 0);
}

static EMU_FAST uint32_t emodpe(struct emu_thread *t)
{
    uint64_t flags;
    uint8_t *entry;
    uint32_t rc;

    if ((rc = read_secinfo(t, &flags)) || (rc = read_target(t, t->regs.rcx, &entry)))
        return rc;
    if (flags & ~0xff3full || flags >> 8 != PT_REG)
        return emu_fault(t, VECTOR_GP, 0, 0);
    if ((*entry & (EPCM_TYPE | EPCM_PENDING | EPCM_MODIFIED)) != EPCM_REG)
        return page_fault(t, t->regs.rcx);
    if ((flags & SECINFO_W) && !((flags | *entry) & SECINFO_R))
        return emu_fault(t, VECTOR_GP, 0, 0);
    __atomic_or_fetch(entry, (uint8_t)(flags & SECINFO_RWX), __ATOMIC_ACQ_REL);
    return LEAF_DONE;
}

static EMU_FAST uint32_t eacceptcopy(struct emu_thread *t)
{
    uint64_t flags, to = t->regs.rcx, from = t->regs.rdx, count = SGX_PAGE;
    uint8_t *entry, *source;
    uint32_t rc;

    if ((rc = read_secinfo(t, &flags)) || (rc = read_target(t, to, &entry)) ||
        (rc = read_target(t, from, &source)))
        return rc;
    if (flags & ~0xff07ull || flags >> 8 != PT_REG ||
        ((flags & SECINFO_W) && !(flags & SECINFO_R)))
        return emu_fault(t, VECTOR_GP, 0, 0);
    if ((*source & (EPCM_TYPE | EPCM_R | EPCM_PENDING | EPCM_MODIFIED)) != (EPCM_REG | EPCM_R))
        return page_fault(t, from);
    if (*entry != (EPCM_REG | EPCM_PENDING | EPCM_R | EPCM_W))
        return result(t, SGX_PAGE_ATTRIBUTES_MISMATCH);
    if (t->emu->strict)
        raw_mprotect(to, SGX_PAGE, PROT_READ | PROT_WRITE);
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    __atomic_store_n(entry, (uint8_t)(EPCM_REG | (flags & SECINFO_RWX)), __ATOMIC_RELEASE);
    return result(t, 0);
}

uint32_t emu_leaf_fast(struct emu_thread *t)
{
    switch ((uint32_t)t->regs.rax) {
    case ENCLU_EACCEPT:
        return eaccept(t);
    case ENCLU_EMODPE:
        return emodpe(t);
    case ENCLU_EACCEPTCOPY:
        return eacceptcopy(t);
    case ENCLU_EREPORT:
    case ENCLU_EGETKEY:
        return LEAF_SLOW;
    default:
        return emu_fault(t, VECTOR_GP, 0, 0);
    }
}

uint32_t emu_leaf_slow(struct emu_thread *t)
{
    int vector = (uint32_t)t->regs.rax == ENCLU_EREPORT ? emu_ereport(t->emu, &t->regs)
                                                        : emu_egetkey(t->emu, &t->regs);
    return vector ? emu_fault(t, (uint32_t)vector, 0, 0) : LEAF_DONE;
}
