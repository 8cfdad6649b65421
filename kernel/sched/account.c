/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CPU time. A task is charged the TSC ticks between its switches. The host may have run
 * something else on the CPU meanwhile: from time to time it is asked for the CPU time of the
 * vCPU's thread, and what is missing is taken off what the current task was charged since. The
 * answer is a hint: a lie makes times wrong, never greater than the TSC says, never negative.
 * The part spent in the kernel is an estimate from samples (kernel/syscall/dispatch.c).
 */
#include "enclave/clock.h"
#include "enclave/hostcall.h"
#include "sched/queue.h"
#include "sched/task.h"

#define SYNC_NS 1000000ull /* no earlier than that after the last time */
#define READ_NS 50000ull   /* the same when a program asks */

uint32_t task_weight(int nice)
{
    uint32_t w = WEIGHT_UNIT;

    for (; nice > 0; nice--)
        w += w / 4;
    for (; nice < 0; nice++)
        w = w * 4 / 5;
    return w;
}

/* Others may be reading cpu_ns in task_cpu_ns(); only the task's own vCPU writes. */
static void begin(struct task *t, uint64_t *since)
{
    *since = atomic_load_explicit(&t->run_since, memory_order_relaxed);
    atomic_store_explicit(&t->run_since, RUN_ACCOUNTING, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end(struct task *t, uint64_t since)
{
    atomic_store_explicit(&t->run_since, since, memory_order_release);
}

void account_charge(struct task *t, uint64_t now)
{
    struct run_queue *q = my_queue();
    uint64_t since;

    begin(t, &since);
    uint64_t ns = now > since ? clock_tsc_to_ns(now - since) : 0;
    __atomic_store_n(&t->cpu_ns, t->cpu_ns + ns, __ATOMIC_RELEASE);
    t->vruntime += ns * t->weight / WEIGHT_UNIT;
    q->segment_ns += ns;
    end(t, now);
}

void account_switch(struct task *prev, struct task *next, uint64_t now)
{
    end(prev, 0);
    end(next, now);
    my_queue()->segment_ns = 0;
}

void account_resume(struct run_queue *q, int64_t host_cpu)
{
    q->host_cpu = host_cpu > 0 ? (uint64_t)host_cpu : 0;
    q->synced_tsc = rdtsc();
    q->segment_ns = 0;
}

static void sync(struct run_queue *q, uint64_t now, uint64_t at_least_ns)
{
    struct task *t = current;
    uint64_t since;

    if (clock_tsc_to_ns(now - q->synced_tsc) < at_least_ns)
        return;
    int64_t cpu = hostcall1(HOSTCALL_CPU_TIME, 0);
    now = rdtsc();
    account_charge(t, now);
    uint64_t wall = clock_tsc_to_ns(now - q->synced_tsc), ran = (uint64_t)cpu - q->host_cpu;
    uint64_t kept = cpu >= 0 && ran < wall ? MIN(wall - ran, q->segment_ns) : 0;
    begin(t, &since);
    __atomic_store_n(&t->cpu_ns, t->cpu_ns - kept, __ATOMIC_RELEASE);
    t->vruntime -= MIN(t->vruntime, kept * t->weight / WEIGHT_UNIT);
    end(t, since);
    q->host_cpu = cpu >= 0 ? (uint64_t)cpu : 0;
    q->synced_tsc = now;
    q->segment_ns = 0;
}

void account_sync(struct run_queue *q, uint64_t now)
{
    sync(q, now, SYNC_NS);
}

void task_cpu_sync(void)
{
    sync(my_queue(), rdtsc(), READ_NS);
}

/* Whoever read a time before the host was asked must not see a smaller one afterwards. */
static uint64_t not_less(struct task *t, uint64_t ns)
{
    uint64_t seen = atomic_load(&t->cpu_ns_read);

    while (ns > seen && !atomic_compare_exchange_weak(&t->cpu_ns_read, &seen, ns))
        ;
    return MAX(ns, seen);
}

uint64_t task_cpu_charged(const struct task *t)
{
    uint64_t ns, since;

    do {
        while ((since = atomic_load(&t->run_since)) == RUN_ACCOUNTING)
            __asm__ volatile("pause");
        ns = __atomic_load_n(&t->cpu_ns, __ATOMIC_ACQUIRE);
    } while (since != atomic_load(&t->run_since));
    uint64_t now = rdtsc();
    if (since && now > since)
        ns += clock_tsc_to_ns(now - since);
    return ns;
}

uint64_t task_cpu_ns(struct task *t, uint64_t *system_ns)
{
    uint64_t ns = not_less(t, task_cpu_charged(t));

    *system_ns = MIN(__atomic_load_n(&t->system_ns, __ATOMIC_RELAXED), ns);
    return ns;
}
