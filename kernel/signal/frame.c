/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signal frames exactly as Linux lays them out on x86-64, and sigreturn(2), which trusts
 * nothing that it finds there.
 */
#include "abi/errno.h"
#include "enclave/exception.h"
#include "lib/string.h"
#include "mm/patch.h"
#include "mm/user.h"
#include "sched/vector.h"
#include "signal/frame.h"
#include "signal/internal.h"

#define RED_ZONE      128u
#define USER_CS       0x33u
#define USER_SS       0x2bu
#define FXSAVE_BYTES  512u
#define XSAVE_HEADER  64u
#define MXCSR_OFFSET  24u
#define MXCSR_MASK    0xffffu
#define CANONICAL_END 0x800000000000ull

size_t signal_frame_bytes(void)
{
    return sizeof(struct abi_rt_sigframe) + vector_bytes + FP_XSTATE_MAGIC2_SIZE + 64 + 16;
}

static bool on_altstack(const struct signal_thread *s, uint64_t rsp)
{
    const struct abi_stack *a = &s->altstack;
    if (((uint32_t)a->ss_flags & SS_AUTODISARM) || (a->ss_flags & SS_DISABLE))
        return false;
    return rsp > a->ss_sp && rsp - a->ss_sp <= a->ss_size;
}

bool signal_on_altstack(void)
{
    return on_altstack(task_signals(current), task_regs(current)->rsp);
}

/* ---- where the handler returns to ---- */

/* `mov $15, %eax` or %rax, `syscall`: glibc's, musl's and Go's. Unwinders know these bytes;
 * ours they know by the vDSO's list of frames, if the program has a loader that found the vDSO.
 * A trap behind the call marks Go's, whose own unwinder stops at the handler. */
bool signal_restorer_usual(uaddr_t restorer)
{
    static const uint8_t mov_rax[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t mov_eax[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
    const struct signal_group *g = task_signals(current)->group;
    uint8_t code[sizeof(mov_rax) + 1];
    size_t size = sizeof(mov_rax);

    if (!g->restorer.address || copy_from_user(code, restorer, sizeof(code)))
        return false;
    if (!memcmp(code, mov_eax, sizeof(mov_eax)))
        size = sizeof(mov_eax);
    else if (memcmp(code, mov_rax, sizeof(mov_rax)))
        return false;
    return g->restorer.listed || code[size] == 0xcc;
}

static uaddr_t return_address(const struct signal_group *g, const struct abi_sigaction *a)
{
    uint64_t code;

    if (!(a->flags & SIGNAL_USUAL_RESTORER) || !g->restorer.address ||
        get_user(&code, g->restorer.address) || code != g->restorer.code)
        return a->restorer;
    return g->restorer.address;
}

/* ---- vector state ---- */

/* Copies the program's vector state to its stack, with the marks that tell its size. As XSAVE
 * does, it leaves alone the memory of components that are in their initial state. */
static int put_vector(uaddr_t at)
{
    struct abi_fpx_sw sw = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = vector_bytes + FP_XSTATE_MAGIC2_SIZE,
        .xfeatures = vector_mask,
        .xstate_size = vector_bytes,
    };
    vector_save(current);
    memcpy((char *)current->vector + FP_SW_OFFSET, &sw, sizeof(sw));
    int r = copy_to_user(at, current->vector, vector_used(current->vector));
    return r ? r : put_user(at + vector_bytes, FP_XSTATE_MAGIC2);
}

static void fill_context(struct abi_sigcontext *c, const struct regs *r,
                         const struct signal_thread *s, uaddr_t fpstate)
{
    *c = (struct abi_sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .eflags = r->rflags,
        .cs = USER_CS,
        .ss = USER_SS,
        .err = s->fault_error,
        .trapno = s->fault_vector,
        .cr2 = s->fault_address,
        .fpstate = fpstate,
    };
}

/* Where the frame goes; 0: nowhere. */
static uaddr_t frame_place(const struct regs *regs, const struct abi_sigaction *a, uaddr_t *fp)
{
    struct signal_thread *s = task_signals(current);
    uint64_t sp = regs->rsp - RED_ZONE;
    bool nested = on_altstack(s, regs->rsp), entering = false;

    if ((a->flags & SA_ONSTACK) && !nested && !(s->altstack.ss_flags & SS_DISABLE)) {
        sp = s->altstack.ss_sp + s->altstack.ss_size;
        entering = true;
    }
    sp -= vector_bytes + FP_XSTATE_MAGIC2_SIZE;
    *fp = align_down(sp, 64);
    sp = align_down(*fp - sizeof(struct abi_rt_sigframe), 16) - 8;
    if ((nested || entering) &&
        (sp <= s->altstack.ss_sp || sp > s->altstack.ss_sp + s->altstack.ss_size))
        return 0;
    return user_range_ok(sp, regs->rsp > sp && !entering ? regs->rsp - sp : 1) ? sp : 0;
}

int frame_build(struct regs *regs, const struct abi_siginfo *info,
                const struct abi_sigaction *a, uint64_t old_mask)
{
    struct signal_thread *s = task_signals(current);
    struct abi_rt_sigframe f = {0};
    uaddr_t fp, at = frame_place(regs, a, &fp);

    if (!at || !(a->flags & SA_RESTORER) || a->handler >= CANONICAL_END)
        return -EFAULT;
    int r = put_vector(fp);
    if (r)
        return r;
    f.pretcode = return_address(s->group, a);
    f.uc.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    f.uc.uc_stack = s->altstack;
    fill_context(&f.uc.uc_mcontext, regs, s, fp);
    f.uc.uc_mcontext.oldmask = old_mask;
    f.uc.uc_sigmask = old_mask;
    f.info = *info;
    r = copy_to_user(at, &f, sizeof(f));
    if (r)
        return r;
    if ((uint32_t)s->altstack.ss_flags & SS_AUTODISARM)
        s->altstack = (struct abi_stack){.ss_flags = SS_DISABLE};
    vector_reset_now();
    regs->rdi = (uint64_t)info->si_signo;
    regs->rsi = at + offsetof(struct abi_rt_sigframe, info);
    regs->rdx = at + offsetof(struct abi_rt_sigframe, uc);
    regs->rax = 0;
    regs->rip = a->handler;
    regs->rsp = at;
    regs->rflags = (regs->rflags & RFLAGS_USER & ~0x400ull) | RFLAGS_FIXED;
    regs->kind = REGS_FULL;
    return 0;
}

/* ---- the way back ---- */

/* XRSTOR must find nothing in it that it would fault on. */
static bool vector_image_ok(uint8_t *image, uint32_t size, uint64_t wanted)
{
    uint32_t mxcsr;
    uint64_t features;
    memcpy(&mxcsr, image + MXCSR_OFFSET, sizeof(mxcsr));
    if (mxcsr & ~MXCSR_MASK)
        return false;
    if (size == FXSAVE_BYTES) {
        features = 3;
        memset(image + FXSAVE_BYTES, 0, XSAVE_HEADER);
    } else {
        memcpy(&features, image + FXSAVE_BYTES, sizeof(features));
        for (uint32_t i = 8; i < XSAVE_HEADER; i++) {
            if (image[FXSAVE_BYTES + i])
                return false;
        }
    }
    if (features & ~vector_mask)
        return false;
    features &= wanted;
    memcpy(image + FXSAVE_BYTES, &features, sizeof(features));
    return true;
}

static int get_vector(uaddr_t at)
{
    struct abi_fpx_sw sw;
    uint32_t size = FXSAVE_BYTES, magic2 = 0;
    uint64_t wanted = 3;

    if (!at) {
        vector_reset(current);
        return 0;
    }
    int r = copy_from_user(&sw, at + FP_SW_OFFSET, sizeof(sw));
    if (r)
        return r;
    if (sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size == vector_bytes &&
        sw.extended_size == vector_bytes + FP_XSTATE_MAGIC2_SIZE &&
        !get_user(&magic2, at + vector_bytes) && magic2 == FP_XSTATE_MAGIC2) {
        size = vector_bytes;
        wanted = sw.xfeatures;
    }
    /* What the registers hold is given up, whatever comes of it. */
    uint8_t *image = current->vector;
    vector_reset(current);
    r = copy_from_user(image, at, MIN(size, FXSAVE_BYTES + XSAVE_HEADER));
    if (!r && !vector_image_ok(image, size, wanted))
        r = -EINVAL;
    size_t used = vector_used(image);
    if (!r && used > FXSAVE_BYTES + XSAVE_HEADER)
        r = copy_from_user(image + FXSAVE_BYTES + XSAVE_HEADER,
                           at + FXSAVE_BYTES + XSAVE_HEADER,
                           used - FXSAVE_BYTES - XSAVE_HEADER);
    if (r)
        vector_reset(current);
    return r;
}

static void take_context(struct regs *r, const struct abi_sigcontext *c)
{
    r->r8 = c->r8, r->r9 = c->r9, r->r10 = c->r10, r->r11 = c->r11;
    r->r12 = c->r12, r->r13 = c->r13, r->r14 = c->r14, r->r15 = c->r15;
    r->rdi = c->rdi, r->rsi = c->rsi, r->rbp = c->rbp, r->rbx = c->rbx;
    r->rdx = c->rdx, r->rax = c->rax, r->rcx = c->rcx, r->rsp = c->rsp;
    r->rip = c->rip;
    r->rflags = (c->eflags & RFLAGS_USER) | RFLAGS_FIXED;
    r->orig_rax = UINT64_MAX;
    r->kind = REGS_FULL;
}

static void restore_altstack(const struct abi_stack *want)
{
    struct signal_thread *s = task_signals(current);
    if (signal_on_altstack() ||
        ((uint32_t)want->ss_flags & ~(SS_DISABLE | SS_AUTODISARM | (uint32_t)SS_ONSTACK)))
        return;
    if (want->ss_flags & SS_DISABLE)
        s->altstack = (struct abi_stack){.ss_flags = SS_DISABLE};
    else if (want->ss_size >= MINSIGSTKSZ) {
        s->altstack = *want;
        s->altstack.ss_flags &= (int32_t)SS_AUTODISARM;
    }
}

int64_t signal_return(struct regs *regs)
{
    struct abi_ucontext uc;
    uaddr_t at = regs->rsp - sizeof(uint64_t), rip;

    if (copy_from_user(&uc, at + offsetof(struct abi_rt_sigframe, uc), sizeof(uc)) ||
        uc.uc_mcontext.rip >= CANONICAL_END || get_vector(uc.uc_mcontext.fpstate)) {
        signal_force_simple(SIGSEGV);
        regs->orig_rax = UINT64_MAX;
        return 0;
    }
    signal_mask_set(uc.uc_sigmask);
    take_context(regs, &uc.uc_mcontext);
    restore_altstack(&uc.uc_stack);
    if (patch_redirect(current->mm, regs->rip, &rip))
        regs->rip = rip;
    return (int64_t)regs->rax;
}
