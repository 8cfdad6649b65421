/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of memory: the process that has most pages is killed, with a word on the log; the others
 * go on. One at a time: while somebody is on his way out, nobody else is chosen.
 */
#include "proc/oom.h"

#include "enclave/clock.h"
#include "lib/log.h"
#include "mm/vm.h"
#include "proc/internal.h"
#include "sched/task.h"

#define PAUSE_NS    1000000ull
#define PATIENCE_NS 10000000000ull /* for a victim; then the next one is looked for */

static _Atomic uint64_t chosen_ns; /* when the last victim was */

static bool is_dying(struct process *p)
{
    return __atomic_load_n(&p->signals.dying, __ATOMIC_RELAXED);
}

/* The one with most pages, referenced; *dying: one that still has its memory is on its way. */
static struct process *find_victim(bool *dying)
{
    struct process *p, *victim = NULL;
    uint64_t most = 0;

    for (int pid = PID_INIT + 1; (p = process_next(&pid)) != NULL; pid++) {
        struct mm *mm = process_mm(p);
        uint64_t pages = mm ? vm_resident_pages(mm) : 0;
        *dying |= mm && is_dying(p);
        if (pages >= most && mm && !is_dying(p)) {
            process_put(victim);
            victim = process_get(p);
            most = pages;
        }
        mm_put(mm);
        process_put(p);
    }
    return victim;
}

static void kill(struct process *p, const char *why)
{
    struct abi_siginfo info = {.si_signo = SIGKILL, .si_code = SI_KERNEL};

    log_error("out of memory: process %d is killed: %s", p->pid, why);
    (void)signal_send_group(&p->signals, &info);
}

static bool out_of_memory(void)
{
    uint64_t now = clock_monotonic_ns();
    bool dying = false;

    if (is_dying(current_process))
        return false;
    struct process *victim = find_victim(&dying);
    if (victim && (!dying || now - atomic_load(&chosen_ns) > PATIENCE_NS)) {
        atomic_store(&chosen_ns, now);
        kill(victim, "it has most pages");
    }
    process_put(victim);
    if (is_dying(current_process))
        return false;
    atomic_store(&current->state, TASK_UNINTERRUPTIBLE);
    (void)schedule_until(now + PAUSE_NS);
    return !is_dying(current_process);
}

static void lost(struct mm *mm)
{
    struct process *p;

    for (int pid = PID_INIT + 1; (p = process_next(&pid)) != NULL; pid++) {
        if (process_uses(p, mm))
            kill(p, "its pages could not be kept");
        process_put(p);
    }
}

static const struct vm_ops ops = {.out_of_memory = out_of_memory, .lost = lost};

void oom_init(void)
{
    vm_ops = &ops;
}
