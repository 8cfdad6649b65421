/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An idle vCPU steals, then spins as long as that has lately been worth it, then leaves the
 * enclave to wait on its ring: a kick, a completion or the next timer brings it back.
 */
#include "enclave/clock.h"
#include "enclave/control.h"
#include "enclave/hostcall.h"
#include "enclave/ring.h"
#include "lib/string.h"
#include "sched/family.h"
#include "sched/gather.h"
#include "sched/internal.h"
#include "sched/queue.h"

#define SPIN_FIRST_NS 4000ull
#define SPIN_MIN_NS   1000ull
#define SPIN_MAX_NS   30000ull /* about what a kick costs */
#define STALL_SPIN_NS 10000ull
#define STALL_WAIT_NS 1000000ull
#define AWAKE_NS      500000ull

static bool spin(struct run_queue *q)
{
    uint64_t start = rdtsc();

    while (clock_tsc_to_ns(rdtsc() - start) < q->spin_ns) {
        if (atomic_load(&q->length) || timer_next() <= clock_monotonic_ns())
            return true;
        __asm__ volatile("pause");
    }
    return false;
}

static bool spin_for_work(struct run_queue *q)
{
    if (atomic_load(&vcpu_online) == 1 || ring_in_flight())
        return false;
    atomic_store(&q->spinning, true);
    bool found = spin(q);
    atomic_store(&q->spinning, false);
    if (found)
        q->spin_ns = MIN(q->spin_ns + q->spin_ns / 4, SPIN_MAX_NS);
    else
        q->spin_ns = MAX(q->spin_ns - q->spin_ns / 4, SPIN_MIN_NS);
    return found;
}

static void resume(struct run_queue *q, int64_t host_cpu)
{
    account_resume(q, host_cpu);
    sched_look_at_timer();
}

static uint32_t news(const struct run_queue *q)
{
    return atomic_load(&q->arrivals) + atomic_load(&q->changes);
}

/* True: something has come. */
static bool spin_for_news(struct run_queue *q, uint32_t seen, uint64_t spin_ns)
{
    uint64_t start = rdtsc();

    do {
        if (news(q) != seen || ring_has_completions())
            return true;
        if (ring_unsubmitted()) {
            gather_submit();
            return true;
        }
        __asm__ volatile("pause");
    } while (clock_tsc_to_ns(rdtsc() - start) < spin_ns);
    return false;
}

/* There are tasks, but none that may run: frozen, or of a family whose turn is another's. Who
 * changes that says so; a quantum that ends by itself is found out after a moment. `seen` is
 * what news() said before we looked. Where a member lingers for less than being woken costs, we
 * stay awake. */
static void stalled(struct run_queue *q, uint32_t seen)
{
    uint64_t deadline = timer_next(), timeout = MIN(STALL_WAIT_NS, q->retry_ns);
    uint64_t spin_ns = timeout <= AWAKE_NS ? timeout : STALL_SPIN_NS;

    if (spin_for_news(q, seen, spin_ns))
        return;
    if (timeout == spin_ns)
        return;
    if (deadline != NO_DEADLINE) {
        uint64_t now = clock_monotonic_ns();
        timeout = deadline > now ? MIN(timeout, deadline - now) : 0;
    }
    atomic_store(&q->sleeping, true);
    if (news(q) == seen)
        resume(q, hostcall2(HOSTCALL_WAIT, timeout, 1));
    atomic_store(&q->sleeping, false);
}

/* The member that lingers waits for the host here, and others wait for it. */
static bool stays_awake(struct run_queue *q, uint32_t seen)
{
    uint64_t now = rdtsc(), until = q->awake_tsc;

    q->awake_tsc = 0;
    if (until <= now || !ring_in_flight())
        return false;
    return spin_for_news(q, seen, MIN(clock_tsc_to_ns(until - now), AWAKE_NS));
}

/* Wakers look whether we sleep after they have queued something; we look after saying so. */
static bool work_anywhere(struct run_queue *q)
{
    uint32_t n = atomic_load(&vcpu_online);

    if (atomic_load(&q->length))
        return true;
    for (uint32_t i = 0; i < n; i++) {
        if (&queues[i] != q && queue_could_help(&queues[i], q->vcpu->index))
            return true;
    }
    return false;
}

static void idle_wait(struct run_queue *q)
{
    uint64_t deadline = timer_next(), timeout = UINT64_MAX;

    atomic_store(&q->sleeping, true);
    if (!work_anywhere(q)) {
        if (deadline != NO_DEADLINE) {
            uint64_t now = clock_monotonic_ns();
            timeout = deadline > now ? deadline - now : 0;
        }
        (void)ring_unsubmitted();
        bool more = ring_backlogged();
        if (more)
            gather_submit();
        else
            resume(q, gather_wait(timeout));
        clock_sync_sometimes();
    }
    atomic_store(&q->sleeping, false);
}

NORETURN void sched_idle(void)
{
    struct run_queue *q = my_queue();

    for (;;) {
        uint32_t seen = news(q);
        control_poll();
        schedule();
        if (ring_has_completions())
            continue;
        if (atomic_load(&q->length)) {
            stalled(q, seen);
            continue;
        }
        if (stays_awake(q, seen))
            continue;
        if (!ring_unsubmitted() && spin_for_work(q))
            continue;
        idle_wait(q);
    }
}

void sched_init_vcpu(struct vcpu *v)
{
    struct run_queue *q = &queues[v->index];

    run_queue_init(q, v);
    q->spin_ns = SPIN_FIRST_NS;
    v->sched = q;
    v->idle = &q->idle;
    v->running = &q->idle;
    q->idle.vector_saved = true;
    q->idle.weight = WEIGHT_UNIT;
    q->idle.burst_ns = UINT64_MAX;
    atomic_store(&q->idle.on_cpu, true);
    atomic_store(&q->idle.vcpu, v->index);
    atomic_store(&q->idle.state, TASK_RUNNABLE);
    q->idle.run_since = rdtsc();
    memcpy(q->idle.name, "idle", 5);
    atomic_fetch_add(&vcpu_online, 1);
}
