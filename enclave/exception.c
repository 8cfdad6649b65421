/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First-stage exception handling, at CSSA 1: reads SSA[0], which the CPU wrote, and rewrites it
 * so that ERESUME continues where it should. The host decides when this runs and how often,
 * never what it sees: EXITINFO is the CPU's, and is cleared once taken.
 *
 * User code: its registers go to the frame on its kernel stack, and the kernel is entered.
 * Kernel code: known faults (user copies) continue at their fixup, cpuid is emulated,
 * interrupts leave a note; everything else stops the kernel.
 */
#include "enclave/exception.h"

#include <stdatomic.h>

#include "boundary/layout.h"
#include "boundary/sgx.h"
#include "enclave/boot.h"
#include "enclave/layout.inc"
#include "enclave/pages.h"
#include "lib/log.h"

#define SSA_FRAME_BYTES (LAYOUT_SSA_PAGES * LAYOUT_PAGE)

void (*exception_hook)(struct regs *regs, const struct exception_info *info);

struct fixup {
    int32_t instruction, target; /* relative to the field's own address */
};

extern const char __image_start[], __text_end[];
extern const struct fixup __fixup_start[], __fixup_end[];
extern const char interrupt_entry[], kernel_fault_entry[], user_return[];
extern const char user_return_begin[], user_return_end[], enclu_end[];
extern const char cpuid_entry[], cpuid_commit[], cpuid_end[];

bool kernel_text(uint64_t address)
{
    return address >= (uint64_t)__image_start && address < (uint64_t)__text_end;
}

static uint64_t fixup_find(uint64_t rip)
{
    for (const struct fixup *f = __fixup_start; f < __fixup_end; f++) {
        if ((uint64_t)&f->instruction + (int64_t)f->instruction == rip)
            return (uint64_t)&f->target + (int64_t)f->target;
    }
    return 0;
}

static void frame_from_ssa(struct regs *r, const struct sgx_ssa_gpr *g)
{
    *r = (struct regs){
        .r15 = g->r15,
        .r14 = g->r14,
        .r13 = g->r13,
        .r12 = g->r12,
        .rbp = g->rbp,
        .rbx = g->rbx,
        .r11 = g->r11,
        .r10 = g->r10,
        .r9 = g->r9,
        .r8 = g->r8,
        .rax = g->rax,
        .rcx = g->rcx,
        .rdx = g->rdx,
        .rsi = g->rsi,
        .rdi = g->rdi,
        .orig_rax = UINT64_MAX,
        .rip = g->rip,
        .rflags = (g->rflags & RFLAGS_USER) | RFLAGS_FIXED,
        .rsp = g->rsp,
        .kind = REGS_FULL,
    };
}

/* Continues in the kernel instead of the program. */
static void redirect(struct vcpu *v, struct sgx_ssa_gpr *g, struct exception_info info)
{
    struct regs *r = (struct regs *)(v->kernel_stack - sizeof(struct regs));

    frame_from_ssa(r, g);
    v->exception = info;
    g->rip = (uint64_t)interrupt_entry;
    g->rsp = (uint64_t)r;
    g->rbp = 0;
    g->rflags = RFLAGS_FIXED;
}

/* The kernel is at work: have the way out look. */
static void note_work(struct vcpu *v)
{
    char *task = (char *)v->running;

    if (task)
        atomic_fetch_or((_Atomic uint32_t *)(task + TASK_WORK), WORK_TICK);
}

/* User code in cpuid_entry: back to where it came from, or on to where it goes. */
static void leave_cpuid(struct vcpu *v, struct sgx_ssa_gpr *g)
{
    const uint32_t *row = (const uint32_t *)g->rdx;

    if (g->rip < (uint64_t)cpuid_entry || g->rip >= (uint64_t)cpuid_end)
        return;
    if (g->rip <= (uint64_t)cpuid_commit) {
        g->rip = g->rbx - 2;
        return;
    }
    if (cpuid_row_ok(row)) { /* else EDX has been read, too */
        g->rax = row[0];
        g->rbx = row[1];
        g->rcx = row[2];
        g->rdx = row[3];
    }
    g->rip = v->cpuid_return;
}

static void interrupt(struct vcpu *v, struct sgx_ssa_gpr *g)
{
    if (v->kernel_stack)
        leave_cpuid(v, g);
    uint64_t rip = g->rip;

    v->tick_pending = true;
    note_work(v);
    if (!v->kernel_stack)
        return;
    if (!kernel_text(rip))
        redirect(v, g, (struct exception_info){.vector = VECTOR_TICK});
    else if (rip >= (uint64_t)user_return_begin && rip < (uint64_t)user_return_end)
        g->rip = (uint64_t)user_return;
}

static bool kernel_cpuid(struct sgx_ssa_gpr *g)
{
    const uint8_t *code = (const uint8_t *)g->rip;
    uint32_t out[4];

    if (code[0] != 0x0f || code[1] != 0xa2)
        return false;
    cpuid_emulate((uint32_t)g->rax, (uint32_t)g->rcx, out);
    g->rax = out[0];
    g->rbx = out[1];
    g->rcx = out[2];
    g->rdx = out[3];
    g->rip += 2;
    return true;
}

static void kernel_exception(struct vcpu *v, struct sgx_ssa_gpr *g, struct exception_info info)
{
    if (info.vector == VECTOR_AC) { /* a program's alignment checks are not for the kernel */
        g->rflags &= ~(1ull << 18);
        return;
    }
    if (info.vector == VECTOR_UD && kernel_cpuid(g))
        return;
    uint64_t fixup = fixup_find(g->rip);
    if (fixup && (info.vector == VECTOR_PF || info.vector == VECTOR_GP)) {
        g->rip = fixup;
        return;
    }
    v->exception = info;
    v->fault_rip = g->rip;
    g->rip = (uint64_t)kernel_fault_entry;
}

void exception_first_stage(struct vcpu *v)
{
    char *ssa = (char *)v - VCPU_SLOT_DATA + VCPU_SLOT_SSA;
    struct sgx_ssa_gpr *g = (void *)(ssa + SSA_GPR_OFFSET(SSA_FRAME_BYTES));
    const struct sgx_exinfo *ex = (void *)(ssa + SSA_EXINFO_OFFSET(SSA_FRAME_BYTES));
    uint32_t exitinfo = g->exitinfo;

    g->exitinfo = 0;
    v->aexes++;
    if (!(exitinfo & EXITINFO_VALID)) {
        interrupt(v, g);
        return;
    }
    struct exception_info info = {.vector = EXITINFO_VECTOR(exitinfo)};
    if (info.vector == VECTOR_PF || info.vector == VECTOR_GP) {
        info.error = ex->errcd;
        info.address = ex->maddr;
    }
    if (v->kernel_stack && !kernel_text(g->rip))
        redirect(v, g, info);
    else
        kernel_exception(v, g, info);
}

/* Two kinds are the host's doing: memory that it does not have, pages that it does not give. */
NORETURN void kernel_fault(void)
{
    struct vcpu *v = this_vcpu();
    uint64_t at = v->exception.address;

    if (v->exception.vector == VECTOR_PF && enclave.size && at - enclave.base >= enclave.size)
        panic("the host's memory at 0x%lx cannot be used", at);
    if (v->fault_rip >= (uint64_t)enclu && v->fault_rip < (uint64_t)enclu_end)
        panic("the host did not do its part for the enclave's page at 0x%lx", at);
    panic("kernel exception %u, error 0x%x, address 0x%lx at image+0x%lx", v->exception.vector,
          v->exception.error, v->exception.address, v->fault_rip - (uint64_t)__image_start);
}
