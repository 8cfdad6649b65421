/* SPDX-License-Identifier: BSD-3-Clause */
/* Exceptions of user code become signals, with the siginfo that Linux gives them. */
#include "abi/errno.h"
#include "lib/string.h"
#include "mm/vm.h"
#include "sched/vector.h"
#include "signal/internal.h"

#define FXSAVE_FCW   0u
#define FXSAVE_FSW   2u
#define FXSAVE_MXCSR 24u

/* Which unmasked condition the FPU reports, in the order Linux looks. */
static int fpe_code(uint32_t flags)
{
    static const struct {
        uint32_t bit;
        int code;
    } codes[] = {
        {0x01, FPE_FLTINV}, {0x04, FPE_FLTDIV}, {0x08, FPE_FLTOVF},
        {0x12, FPE_FLTUND}, {0x20, FPE_FLTRES},
    };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (flags & codes[i].bit)
            return codes[i].code;
    }
    return 0;
}

static int float_fault(uint32_t vector)
{
    const uint8_t *image = current->vector;
    uint16_t control, status;
    uint32_t mxcsr;

    vector_save(current);
    memcpy(&control, image + FXSAVE_FCW, sizeof(control));
    memcpy(&status, image + FXSAVE_FSW, sizeof(status));
    memcpy(&mxcsr, image + FXSAVE_MXCSR, sizeof(mxcsr));
    if (vector == VECTOR_MF)
        return fpe_code(status & ~control & 0x3fu);
    return fpe_code(~(mxcsr >> 7) & mxcsr & 0x3fu);
}

/* True: the page is there now, go on. */
static bool page_fault(const struct exception_info *e, struct abi_siginfo *info)
{
    uint32_t access = VM_ACCESS_READ;
    if (e->error & PF_FETCH)
        access = VM_ACCESS_EXEC;
    else if (e->error & PF_WRITE)
        access = VM_ACCESS_WRITE;
    int r = vm_fault(current->mm, e->address, access);
    if (!r)
        return true;
    info->si_signo = SIGSEGV;
    info->si_code = r == -EACCES ? SEGV_ACCERR : SEGV_MAPERR;
    info->addr = e->address;
    if (r == -EIO || r == -ENOMEM) {
        info->si_signo = SIGBUS;
        info->si_code = BUS_ADRERR;
    }
    return false;
}

static void classify(struct regs *regs, const struct exception_info *e,
                     struct abi_siginfo *info)
{
    info->si_signo = SIGSEGV;
    info->si_code = SI_KERNEL;
    switch (e->vector) {
    case VECTOR_DE:
        info->si_signo = SIGFPE;
        info->si_code = FPE_INTDIV;
        info->addr = regs->rip;
        break;
    case VECTOR_DB:
        info->si_signo = SIGTRAP;
        info->si_code = TRAP_TRACE;
        info->addr = regs->rip;
        break;
    case VECTOR_BP:
        info->si_signo = SIGTRAP;
        break;
    case VECTOR_UD:
        info->si_signo = SIGILL;
        info->si_code = ILL_ILLOPN;
        info->addr = regs->rip;
        break;
    case VECTOR_MF:
    case VECTOR_XM:
        info->si_signo = SIGFPE;
        info->si_code = float_fault(e->vector);
        info->addr = regs->rip;
        break;
    case VECTOR_AC:
        info->si_signo = SIGBUS;
        info->si_code = BUS_ADRALN;
        break;
    default:
        break;
    }
}

void signal_fault(struct regs *regs, const struct exception_info *e)
{
    struct signal_thread *s = task_signals(current);
    struct abi_siginfo info = {0};

    if (e->vector == VECTOR_PF) {
        if (page_fault(e, &info))
            return;
    } else {
        classify(regs, e, &info);
    }
    s->fault_vector = e->vector;
    s->fault_error = e->error;
    if (e->vector == VECTOR_PF)
        s->fault_address = e->address;
    signal_force(&info);
}
