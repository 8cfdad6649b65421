/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who of a family may run. The quantum grows with the cost of the exchange. When the resident
 * member's time is over and another one wants in, its tasks are passed over until the other had
 * its turn; if nobody comes for a while (it was killed, or sleeps again), they go on.
 */
#include "sched/family.h"

#include "enclave/clock.h"
#include "lib/log.h"
#include "sched/internal.h"
#include "sched/queue.h"
#include "sched/task.h"

#define QUANTUM_MIN_NS 2000000ull
#define QUANTUM_FACTOR 16u
#define PATIENCE_NS    1000000ull
#define WAIT_NS        1000000ull
#define LEFT_MIN_NS    100000ull
#define LINGER_MIN_NS  20000ull
#define LINGER_MAX_NS  2000000ull
#define HOLD_MAX       31u

void (*sched_exchange)(struct sched_mm *mm);

void sched_family_init(struct sched_family *f)
{
    *f = (struct sched_family){0};
    spin_init(&f->lock, RANK_FAMILY);
    wait_queue_init(&f->waiters);
}

static uint64_t resident_ns(const struct sched_family *f)
{
    return clock_tsc_to_ns(rdtsc() - f->since_tsc);
}

static uint64_t quantum_ns(const struct sched_family *f)
{
    return MAX(QUANTUM_MIN_NS, QUANTUM_FACTOR * clock_tsc_to_ns(f->cost_tsc));
}

bool family_over(const struct sched_family *f)
{
    return f->wanted && resident_ns(f) > quantum_ns(f);
}

/* Those of its tasks that run in user code would not look at the time by themselves. Once told
 * they are left alone until they have looked: an idle vCPU asks again and again, and who is
 * interrupted for ever never looks. */
void family_want(struct sched_family *f)
{
    bool over = resident_ns(f) >= quantum_ns(f);
    uint32_t flag = over ? TASK_RESCHED : TASK_TICK;

    if (f->wanted && !over)
        return;
    f->wanted = true;
    for (uint32_t i = 0; i < atomic_load(&vcpu_online); i++) {
        struct task *t = watch_running(queues[i].vcpu);
        if (t != current && __atomic_load_n(&t->claim, __ATOMIC_RELAXED) == f &&
            !(atomic_fetch_or(&t->flags, flag) & flag))
            task_interrupt(&queues[i]);
        watch_end();
    }
}

void family_changed(struct sched_family *f)
{
    spin_lock(&f->lock);
    bool tell = f->refused;
    f->refused = false;
    spin_unlock(&f->lock);
    if (tell)
        queues_look_again();
    (void)wait_wake_all(&f->waiters);
}

void family_wait(struct sched_family *f)
{
    struct waiter w = {0};

    wait_prepare(&f->waiters, &w, TASK_UNINTERRUPTIBLE);
    (void)schedule_until(clock_monotonic_ns() + WAIT_NS);
    wait_finish(&f->waiters, &w);
}

uint64_t family_time_left(void)
{
    const struct sched_family *f = current->claim;

    if (!f || !f->wanted)
        return UINT64_MAX;
    uint64_t used = resident_ns(f), all = quantum_ns(f);
    return MAX(LEFT_MIN_NS, all > used ? all - used : 0);
}

static uint64_t idle_ns(const struct sched_family *f)
{
    return clock_tsc_to_ns(rdtsc() - f->idle_tsc);
}

static bool claim_resident(struct sched_family *f) HELD(f->lock)
{
    if (family_over(f)) {
        if (f->running || idle_ns(f) < PATIENCE_NS)
            return false;
        f->wanted = false; /* nobody came */
    }
    if (f->lingers && f->lingered)
        f->resident->linger_hold /= 2;
    f->running++;
    f->unfinished = f->lingers = false;
    return true;
}

static uint64_t linger_ns(const struct sched_family *f)
{
    return MAX(LINGER_MIN_NS, MIN(clock_tsc_to_ns(f->cost_tsc), LINGER_MAX_NS));
}

/* A member that sleeps is worth waiting for as long as it would cost to have another one in: a
 * server's next request is often there by then. Where that has failed it is not tried again for
 * `linger_hold` sleeps, which doubles each time. */
static bool lingers(struct sched_family *f) HELD(f->lock)
{
    uint64_t idle = idle_ns(f), left, limit = linger_ns(f);

    if (!f->lingers)
        return false;
    if (resident_ns(f) < quantum_ns(f) && idle < limit) {
        left = limit - idle;
        my_queue()->retry_ns = MIN(my_queue()->retry_ns, left);
        f->lingered = true;
        return true;
    }
    if (idle >= limit) {
        f->resident->linger_hold = MIN(2 * f->resident->linger_hold + 1, HOLD_MAX);
        f->resident->linger_held = f->resident->linger_hold;
    }
    f->lingers = false;
    return false;
}

static bool begins_to_linger(struct sched_family *f, const struct task *t) HELD(f->lock)
{
    struct sched_mm *mm = f->resident;

    f->lingered = false;
    if (!mm || f->running || atomic_load(&t->state) == TASK_RUNNABLE)
        return false;
    if (!mm->linger_held)
        return true;
    mm->linger_held--;
    return false;
}

/* The resident member has a quantum, too, when it does not run because of somebody else; and
 * whoever waits for nobody to run, on another vCPU perhaps, comes before the next member. */
static bool may_replace(struct sched_family *f) HELD(f->lock)
{
    if (f->running || (f->unfinished && resident_ns(f) < quantum_ns(f)) || lingers(f))
        return false;
    if (f->guest && idle_ns(f) < PATIENCE_NS)
        return false;
    f->guest = false;
    return true;
}

static bool claim(struct task *t, struct sched_family *f, struct sched_mm *mm)
{
    bool ok = false;

    spin_lock(&f->lock);
    if (f->exchanging) {
        ok = false;
    } else if (f->resident == mm) {
        ok = claim_resident(f);
    } else if (may_replace(f)) {
        f->exchanging = true;
        f->running = 1;
        ok = true;
    } else {
        family_want(f);
    }
    if (ok)
        t->claim = f;
    else
        f->refused = true;
    spin_unlock(&f->lock);
    return ok;
}

/* The memory can come to another family at this moment; the old one refuses, and is not freed
 * before we have seen that. */
bool family_claim(struct task *t)
{
    struct sched_mm *mm = (struct sched_mm *)t->mm;

    if (!mm || t->claim || !atomic_load(&mm->family))
        return true;
    watch_begin();
    struct sched_family *f = atomic_load(&mm->family);
    bool ok = !f || claim(t, f, mm);
    watch_end();
    return ok;
}

void family_release(struct task *t)
{
    struct sched_family *f = t->claim;

    if (!f)
        return;
    t->claim = NULL;
    spin_lock(&f->lock);
    assert(f->running && !f->exchanging);
    bool changed = --f->running == 0;
    f->idle_tsc = rdtsc();
    f->lingers = begins_to_linger(f, t);
    if (f->lingers)
        my_queue()->awake_tsc = f->idle_tsc + clock_ns_to_tsc(linger_ns(f));
    spin_unlock(&f->lock);
    if (changed)
        family_changed(f);
}

void family_preempt(void)
{
    struct sched_family *f = current->claim;

    if (!f)
        return;
    spin_lock(&f->lock);
    f->unfinished = true;
    spin_unlock(&f->lock);
}

void family_settle(void)
{
    struct task *t = current;
    struct sched_family *f = t->claim;

    if (!f || !f->exchanging)
        return;
    uint64_t start = rdtsc();
    sched_exchange((struct sched_mm *)t->mm);
    spin_lock(&f->lock);
    f->resident = (struct sched_mm *)t->mm;
    f->exchanging = false;
    f->wanted = f->unfinished = f->lingers = false;
    f->since_tsc = rdtsc();
    f->cost_tsc = f->since_tsc - start;
    my_queue()->exchanges++;
    my_queue()->exchange_tsc += f->cost_tsc;
    spin_unlock(&f->lock);
    family_changed(f);
}

bool family_expired(const struct task *t)
{
    const struct sched_family *f = __atomic_load_n(&t->claim, __ATOMIC_ACQUIRE);
    return f && family_over(f);
}

void sched_set_mm(struct sched_mm *mm)
{
    struct task *t = current;

    /* Whoever keeps the memory still, to change whether claims are needed, says so and then
     * looks whose tasks run: first we say whose this one is, and then look. */
    __atomic_store_n(&t->mm, (struct mm *)mm, __ATOMIC_SEQ_CST);
    struct sched_family *f = mm ? atomic_load(&mm->family) : NULL;
    struct task *by = mm ? atomic_load(&mm->frozen_by) : NULL;
    bool frozen = by && by != t;
    if (f && !frozen && t->claim == f && f->resident == mm)
        return;
    family_release(t);
    if (f || frozen)
        task_yield(); /* comes back with a claim, and resident */
}

void sched_use_mm(struct sched_mm *mm)
{
    if (atomic_load(&mm->family))
        sched_set_mm(mm);
    else
        current->mm = (struct mm *)mm;
}
