/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Single stepping: an AEX after every enclave instruction, to try the enclave's code against
 * interrupts at any point. With a range, a hardware breakpoint at its begin turns the trap flag
 * on and the first instruction outside turns it off, so that the rest runs at full speed.
 */
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "emu/emu.h"
#include "host/vcpu.h"

#ifndef TRAP_PERF
#define TRAP_PERF 6
#endif
#define RFLAGS_TF 0x100

/*
 * A tick restarts what the enclave declares restartable; ticks must be rare enough for that to
 * end, and irregular, to come everywhere.
 */
#define HANDLER_EVERY 16u

static int one_in(struct emu_thread *t, uint32_t n)
{
    t->step_count = t->step_count * 1664525u + 1013904223u;
    return (t->step_count >> 16) % n == 0;
}

/* Single steps in a row after an interrupt, with `burst`; and the interrupts' period. */
#define BURST_MAX       64u
#define BURST_PERIOD_NS 100000

static int stepping(void)
{
    return emu_options.step && !emu_options.asleep;
}

static int ranged(void)
{
    return emu_options.step_end != 0;
}

static int in_range(struct emu_thread *t, uint64_t rip)
{
    uint64_t offset = rip - t->emu->dev.base;
    return offset >= emu_options.step_begin && offset < emu_options.step_end;
}

int emu_step_thread_init(struct emu_thread *t, struct host_error *err)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_BREAKPOINT,
                                   .size = sizeof(attr),
                                   .bp_type = HW_BREAKPOINT_X,
                                   .bp_addr = t->emu->dev.base + emu_options.step_begin,
                                   .bp_len = sizeof(long),
                                   .sample_period = 1,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1,
                                   .remove_on_exec = 1,
                                   .sigtrap = 1};

    t->breakpoint = -1;
    t->step_count = emu_options.seed * 2654435761u;
    if (!emu_options.step || !ranged())
        return 0;
    t->breakpoint = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (t->breakpoint < 0)
        return host_fail(err, -errno, "OCCLUM_EMU=step:A-B needs a hardware breakpoint: %s",
                         strerror(errno));
    return 0;
}

void emu_step_thread_fini(struct emu_thread *t)
{
    if (t->breakpoint >= 0)
        close(t->breakpoint);
    if (t->burst_timed)
        timer_delete(t->burst_timer);
    if (emu_options.count)
        fprintf(stderr, "occlum: the emulator stepped %lu times, with %lu ticks\n", t->steps,
                t->events);
}

/* The first system call of a program: `late` and `burst` begin here. */
void emu_step_wake(void)
{
    emu_options.asleep = 0;
}

/* Interrupts with a period of this thread's own, as a hostile host would send them. */
static void burst_ticks(struct emu_thread *t)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_SIGNAL_TICK};
    struct itimerspec its = {.it_interval.tv_nsec = BURST_PERIOD_NS};

    its.it_interval.tv_nsec += (t->step_count >> 8) % BURST_PERIOD_NS;
    its.it_value = its.it_interval;
    ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    t->burst_timed = 1;
    if (timer_create(CLOCK_MONOTONIC, &ev, &t->burst_timer) == 0)
        timer_settime(t->burst_timer, 0, &its, NULL);
}

/* Whether to step on; half of the interrupts begin a new burst. */
static int in_burst(struct emu_thread *t, uint32_t cssa)
{
    if (!t->burst_timed)
        burst_ticks(t);
    if (!t->burst && cssa && one_in(t, 2))
        t->burst = 1 + (t->step_count >> 20) % BURST_MAX;
    return t->burst != 0;
}

/*
 * At an entry. Stepping every first-stage handler as well would take for ever: some are, and
 * none when a range says what matters.
 */
uint32_t emu_step_enter(struct emu_thread *t, uint32_t cssa)
{
    if (!stepping() || (emu_options.burst && !in_burst(t, 0)))
        return 0;
    if (ranged())
        return (uint32_t)in_range(t, t->entry);
    return !cssa || one_in(t, HANDLER_EVERY);
}

/* At ERESUME of a frame: cssa counts it. */
uint32_t emu_step_resume(struct emu_thread *t, uint32_t cssa, uint64_t rip)
{
    if (!stepping() || (emu_options.burst && !in_burst(t, cssa)))
        return 0;
    if (ranged())
        return (uint32_t)in_range(t, rip);
    return cssa == 1 || t->step;
}

/* A debug trap of ours inside the enclave: STEP_CONTINUE, STEP_AEX or STEP_EVENT; else 0. */
int emu_step_trap(struct emu_thread *t, struct host_signal *s)
{
    greg_t *r = s->uc->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)r[REG_RIP];

    if (s->number != SIGTRAP || !emu_options.step)
        return 0;
    if (s->info->si_code == TRAP_PERF && ranged()) {
        if (stepping()) {
            t->step = 1;
            r[REG_EFL] |= RFLAGS_TF;
        }
        return STEP_CONTINUE;
    }
    if (s->info->si_code != TRAP_TRACE)
        return 0;
    if (ranged() && !in_range(t, rip)) {
        t->step = 0;
        r[REG_EFL] &= ~RFLAGS_TF;
        return STEP_CONTINUE;
    }
    if (t->burst)
        t->burst--;
    t->steps++;
    if (t->tcs->tcs.cssa || !one_in(t, emu_options.every))
        return STEP_AEX;
    t->events++;
    return STEP_EVENT;
}
