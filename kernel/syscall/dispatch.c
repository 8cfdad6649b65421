/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the entry paths to the handlers. Unknown numbers give ENOSYS, all of them; restarts
 * after signals are decided by the signal layer, which sees regs->orig_rax and regs->rax.
 */
#include "syscall/syscall.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/exception.h"
#include "enclave/trace.h"
#include "lib/log.h"
#include "mm/patch.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "sched/internal.h"
#include "sched/task.h"
#include "sched/vector.h"

#define SYSCALL_TABLE
#include "syscalls_gen.h"

#define RESTARTS_FROM 512
#define LONG_NS       500000u
#define SAMPLE        29u /* prime: programs call in rounds */
#define RESTARTS_TO   520

/* Reading the TSC twice would cost more than a short call: one in SAMPLE stands for all. */
static void run_measured(const struct syscall_entry *e, struct regs *r)
{
    uint64_t before = task_cpu_charged(current);

    current->unmeasured = SAMPLE - 1;
    r->rax = (uint64_t)e->call(r);
    uint64_t after = task_cpu_charged(current);
    if (after > before) /* what takes long is rare, or the host's doing */
        current->system_ns += (after - before) * (after - before < LONG_NS ? SAMPLE : 1);
}

static void run_traced(uint32_t nr, const struct syscall_entry *e, struct regs *r)
{
    bool wanted = trace_wants(nr), shown = wanted && trace_enter(e, r);
    uint64_t began_ns = clock_monotonic_ns();

    r->rax = (uint64_t)e->call(r);
    if (trace.stats)
        stats_call(nr, e, (int64_t)r->rax, clock_monotonic_ns() - began_ns);
    if (wanted)
        trace_exit(e, r, shown, began_ns);
}

void syscall_run(struct regs *r)
{
    uint32_t nr = (uint32_t)r->orig_rax; /* the upper half does not count */
    const struct syscall_entry *e = nr < ARRAY_SIZE(syscall_table) ? &syscall_table[nr] : NULL;

    if (unlikely(!e || !e->call)) {
        r->rax = (uint64_t)-ENOSYS;
        log_debug("system call %u is not implemented", nr);
    } else if (trace_on()) {
        run_traced(nr, e, r);
    } else if (unlikely(current->unmeasured-- == 0)) {
        run_measured(e, r);
    } else {
        r->rax = (uint64_t)e->call(r);
    }
    /* Interrupted: whether to restart is decided where the signal is delivered. */
    int64_t result = (int64_t)r->rax;
    if (unlikely(result <= -RESTARTS_FROM && result >= -RESTARTS_TO))
        atomic_fetch_or(&current->flags, TASK_SIGNAL);
}

/* A system call instruction that is not patched (yet). */
static void trapped_syscall(struct regs *r)
{
    uaddr_t site = r->rip;

    (void)patch_site(current->mm, site);
    r->orig_rax = r->rax;
    r->rip = site + 2;
    r->rcx = r->rip;
    r->r11 = r->rflags;
    syscall_run(r);
}

static void trapped_cpuid(struct regs *r)
{
    uint32_t out[4];

    cpuid_emulate((uint32_t)r->rax, (uint32_t)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    r->rip += 2;
}

/* #UD, and #GP where the CPU faults it so: an instruction that enclaves may not use? */
static bool emulated(struct regs *r)
{
    uint8_t code[2];

    if (copy_from_user(code, r->rip, sizeof(code)) || code[0] != 0x0f)
        return false;
    switch (code[1]) {
    case 0x05:
        trapped_syscall(r);
        return true;
    case 0xa2:
        trapped_cpuid(r);
        return true;
    case 0x31: {
        uint64_t tsc = rdtsc();
        r->rax = (uint32_t)tsc;
        r->rdx = tsc >> 32;
        r->rip += 2;
        return true;
    }
    default:
        return false;
    }
}

static bool page_fault(const struct exception_info *info)
{
    uint32_t access = VM_ACCESS_READ;
    uint64_t before = task_cpu_charged(current);

    if (info->error & PF_WRITE)
        access = VM_ACCESS_WRITE;
    else if (info->error & PF_FETCH)
        access = VM_ACCESS_EXEC;
    if (!user_range_ok(info->address, 1) || vm_fault(current->mm, info->address, access))
        return false;
    current->faults++;
    if (trace_on())
        atomic_fetch_add(&trace.faults, 1);
    uint64_t after = task_cpu_charged(current);
    if (after > before)
        current->system_ns += after - before;
    return true;
}

void interrupt_dispatch(struct regs *r)
{
    struct exception_info info = this_vcpu()->exception;
    uaddr_t moved;

    switch (info.vector) {
    case VECTOR_TICK:
        sched_tick();
        return;
    case VECTOR_PF:
        if (page_fault(&info))
            return;
        break;
    case VECTOR_UD:
    case VECTOR_GP:
        if (emulated(r))
            return;
        break;
    default:
        break;
    }
    if (info.vector != VECTOR_PF && patch_redirect(current->mm, r->rip, &moved)) {
        r->rip = moved;
        return;
    }
    if (exception_hook)
        exception_hook(r, &info);
}

void user_return_prepare(struct regs *r)
{
    uint32_t flags = atomic_load(&current->flags);

    if (flags & (TASK_RESCHED | TASK_TICK))
        sched_user_return();
    if (flags & TASK_SIGNAL) {
        atomic_fetch_and(&current->flags, ~TASK_SIGNAL);
        if (task_signal_hook)
            task_signal_hook(r);
    }
    if (!atomic_load(&current->flags))
        vector_restore(current);
    sched_check_tick();
}
