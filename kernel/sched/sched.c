/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler. Each vCPU has a run queue; an idle one steals, then spins briefly, then leaves
 * the enclave to wait on its ring, from where a kick, a completion or the next timer brings it
 * back. A task belongs to the queue of `task->vcpu` under that queue's lock; `on_queue` is true
 * from its wake-up until it blocks in schedule(), so that a wake-up that overtakes a task on
 * its way to sleep only changes its state. `on_cpu` is true while its stack is in use; whoever
 * wants to run it elsewhere waits for that. User code is preempted by a tick of the host's
 * timer, armed only when somebody else wants the CPU, a kernel timer is due, or host I/O is in
 * flight.
 */
#include "sched/task.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "enclave/hostcall.h"
#include "enclave/ring.h"
#include "lib/log.h"
#include "lib/string.h"
#include "sched/family.h"
#include "sched/internal.h"
#include "sched/timer.h"
#include "sched/vector.h"

#define QUANTUM_NS    10000000ull
#define IO_TICK_NS    1000000ull
#define SPIN_NS       3000ull
#define STALL_SPINS   200u
#define STALL_WAIT_NS 100000ull

struct run_queue {
    struct vcpu *vcpu;
    struct spinlock lock;
    struct list tasks; /* under lock */
    _Atomic uint32_t length;
    _Atomic bool sleeping; /* outside, in HOSTCALL_WAIT, or about to be */
    uint64_t armed_ns;     /* the host's timer for this vCPU; 0: off */
    struct task *previous; /* switched away from, not yet let go of */
    struct task idle;
};

static struct run_queue queues[LAYOUT_VCPU_MAX];
_Atomic uint32_t vcpu_online;
void (*task_signal_hook)(struct regs *regs);

void task_switch(struct task *from, struct task *to); /* switch.S */

static struct run_queue *my_queue(void)
{
    return this_vcpu()->sched;
}

static bool frozen(const struct task *t)
{
    struct task *by = t->mm ? atomic_load(&((struct sched_mm *)t->mm)->frozen_by) : NULL;
    return by && by != t;
}

static bool may_run(const struct task *t, uint32_t vcpu)
{
    return (!t->affinity || (t->affinity >> vcpu & 1)) && !frozen(t);
}

/* ---- queues ---- */

static void enqueue(struct run_queue *q, struct task *t) HELD(q->lock)
{
    list_append(&q->tasks, &t->run_node);
    atomic_fetch_add(&q->length, 1);
}

static struct task *dequeue(struct run_queue *q, uint32_t for_vcpu) HELD(q->lock)
{
    struct task *t;

    list_for_each (t, &q->tasks, run_node) {
        if (!may_run(t, for_vcpu) || !family_claim(t))
            continue;
        list_remove(&t->run_node);
        atomic_fetch_sub(&q->length, 1);
        return t;
    }
    return NULL;
}

static struct task *steal(struct run_queue *mine)
{
    uint32_t me = mine->vcpu->index, n = atomic_load(&vcpu_online);

    for (uint32_t i = 1; i < n; i++) {
        struct run_queue *q = &queues[(me + i) % n];
        if (!atomic_load(&q->length))
            continue;
        spin_lock(&q->lock);
        struct task *t = dequeue(q, me);
        if (t)
            atomic_store(&t->vcpu, me);
        spin_unlock(&q->lock);
        if (t)
            return t;
    }
    return NULL;
}

/* ---- wake-ups ---- */

static void kick(struct run_queue *q)
{
    if (q != my_queue() && atomic_exchange(&q->sleeping, false))
        (void)hostcall1(HOSTCALL_KICK, q->vcpu->index);
}

/* Will that vCPU be interrupted by itself within a quantum? */
static bool tick_soon(const struct run_queue *q)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t armed = __atomic_load_n(&q->armed_ns, __ATOMIC_RELAXED);

    return armed > now && armed - now <= QUANTUM_NS;
}

/* Work has come to `q`: get somebody to do it. */
static void announce(struct run_queue *q)
{
    uint32_t n = atomic_load(&vcpu_online);

    if (atomic_load(&q->sleeping)) {
        kick(q);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load(&queues[i].sleeping)) {
            kick(&queues[i]);
            return;
        }
    }
    if (q == my_queue() && current)
        atomic_fetch_or(&current->flags, TASK_TICK);
    else if (q != my_queue() && !tick_soon(q))
        (void)hostcall1(HOSTCALL_INTERRUPT, q->vcpu->index);
}

bool task_wake(struct task *t)
{
    struct run_queue *q;

    for (;;) {
        uint32_t vcpu = atomic_load(&t->vcpu);
        q = &queues[vcpu];
        spin_lock(&q->lock);
        if (vcpu == atomic_load(&t->vcpu))
            break;
        spin_unlock(&q->lock);
    }
    uint32_t state = atomic_load(&t->state);
    if (state != TASK_SLEEPING && state != TASK_UNINTERRUPTIBLE) {
        spin_unlock(&q->lock);
        return false;
    }
    bool queued = t->on_queue;
    atomic_store(&t->state, TASK_RUNNABLE);
    if (!queued) {
        t->on_queue = true;
        enqueue(q, t);
    }
    spin_unlock(&q->lock);
    if (!queued)
        announce(q);
    return true;
}

static struct run_queue *choose_queue(const struct task *t)
{
    uint32_t n = atomic_load(&vcpu_online);
    struct run_queue *best = my_queue();

    for (uint32_t i = 0; i < n; i++) {
        if (!may_run(t, i))
            continue;
        if (!may_run(t, best->vcpu->index) || atomic_load(&queues[i].sleeping))
            best = &queues[i];
    }
    return best;
}

void task_start(struct task *t)
{
    struct run_queue *q = choose_queue(t);

    atomic_store(&t->vcpu, q->vcpu->index);
    spin_lock(&q->lock);
    t->on_queue = true;
    enqueue(q, t);
    spin_unlock(&q->lock);
    announce(q);
}

void task_notify(struct task *t)
{
    atomic_fetch_or(&t->flags, TASK_SIGNAL);
    if (atomic_load(&t->state) == TASK_SLEEPING && task_wake(t))
        return;
    uint32_t vcpu = atomic_load(&t->vcpu);
    if (t != current && atomic_load(&t->on_cpu) && vcpu != this_vcpu()->index)
        (void)hostcall1(HOSTCALL_INTERRUPT, vcpu);
}

/* ---- switching ---- */

/* Others may be reading the two in task_cpu_ns(). */
static void account(struct task *prev, struct task *next)
{
    uint64_t now = rdtsc(), since = atomic_exchange(&prev->run_since, RUN_ACCOUNTING);

    __atomic_store_n(&prev->cpu_tsc, prev->cpu_tsc + (now - since), __ATOMIC_RELEASE);
    atomic_store(&prev->run_since, 0);
    atomic_store(&next->run_since, now);
}

/* Looking at the task that another vCPU runs: it must not be freed meanwhile. In between: no
 * host call, no sleep. */
static _Atomic uint32_t watchers;

static struct task *watch_running(struct vcpu *v)
{
    atomic_fetch_add(&watchers, 1);
    return __atomic_load_n(&v->running, __ATOMIC_SEQ_CST);
}

static void watch_end(void)
{
    atomic_fetch_sub(&watchers, 1);
}

void sched_wait_watchers(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    while (atomic_load(&watchers))
        __asm__ volatile("pause");
}

/* On the new task's stack: the old one may now run elsewhere, or be gone. */
static void finish_switch(void)
{
    struct run_queue *q = my_queue();
    struct task *prev = q->previous;
    bool dead = atomic_load(&prev->state) == TASK_DEAD;

    atomic_store_explicit(&prev->on_cpu, false, memory_order_release);
    if (dead && prev->release) {
        sched_wait_watchers();
        prev->release(prev);
    }
}

void task_begin(void);
void task_begin(void)
{
    finish_switch();
    family_settle();
    current->entry(current->arg);
    user_enter();
}

static void switch_to(struct run_queue *q, struct task *prev, struct task *next)
{
    struct vcpu *v = q->vcpu;

    if (prev->mm) {
        vector_save(prev);
        __asm__ volatile("rdfsbase %0" : "=r"(prev->fs_base));
    }
    while (atomic_load_explicit(&next->on_cpu, memory_order_acquire))
        __asm__ volatile("pause");
    atomic_store(&next->on_cpu, true);
    account(prev, next);
    q->previous = prev;
    v->running = next;
    v->kernel_stack = next == &q->idle ? 0 : next->stack_top;
    if (next->mm)
        __asm__ volatile("wrfsbase %0" : : "r"(next->fs_base));
    task_switch(prev, next);
    finish_switch();
    family_settle();
}

void schedule(void)
{
    struct run_queue *q = my_queue();
    struct task *prev = current, *next;

    if (ring_has_completions())
        ring_reap();
    timer_run();
    if (prev != &q->idle && atomic_load(&q->length) && ring_urgent())
        (void)hostcall2(HOSTCALL_WAIT, 0, 0);
    family_release(prev);
    spin_lock(&q->lock);
    if (prev != &q->idle) {
        if (atomic_load(&prev->state) == TASK_RUNNABLE)
            enqueue(q, prev);
        else
            prev->on_queue = false;
    }
    next = dequeue(q, q->vcpu->index);
    spin_unlock(&q->lock);
    if (!next)
        next = steal(q);
    if (!next)
        next = &q->idle;
    atomic_fetch_and(&prev->flags, ~TASK_RESCHED);
    if (next == prev) {
        family_settle();
        return;
    }
    if (atomic_load(&q->length))
        atomic_fetch_or(&next->flags, TASK_TICK);
    switch_to(q, prev, next);
}

struct sleep_timer {
    struct timer timer;
    struct task *task;
    _Atomic bool fired;
};

static void sleep_over(struct timer *t)
{
    struct sleep_timer *s = container_of(t, struct sleep_timer, timer);

    atomic_store(&s->fired, true);
    task_wake(s->task);
}

bool schedule_until(uint64_t deadline_ns)
{
    struct sleep_timer s = {.task = current};

    if (deadline_ns == NO_DEADLINE) {
        schedule();
        return true;
    }
    if (deadline_ns <= clock_monotonic_ns()) {
        atomic_store(&current->state, TASK_RUNNABLE);
        return false;
    }
    timer_init(&s.timer, sleep_over);
    timer_set(&s.timer, deadline_ns);
    schedule();
    timer_cancel(&s.timer);
    atomic_store(&current->state, TASK_RUNNABLE);
    return !atomic_load(&s.fired);
}

void task_yield(void)
{
    atomic_store(&current->state, TASK_RUNNABLE);
    schedule();
}

NORETURN void task_exit(void)
{
    current->vector_saved = true; /* nothing of it is wanted any more */
    atomic_store(&current->state, TASK_DEAD);
    schedule();
    panic("a dead task ran");
}

/* ---- ticks ---- */

static void arm(struct run_queue *q, uint64_t deadline)
{
    uint64_t now = clock_monotonic_ns();

    if (q->armed_ns > now && q->armed_ns <= deadline)
        return;
    q->armed_ns = deadline;
    (void)hostcall1(HOSTCALL_TIMER, deadline);
}

/* Before user code runs on: is there a reason to interrupt it later? */
static void set_tick(struct run_queue *q)
{
    uint64_t deadline = timer_next();
    uint64_t now = 0;

    if (atomic_load(&q->length))
        deadline = MIN(deadline, (now = clock_monotonic_ns()) + QUANTUM_NS);
    if (current->claim && current->claim->wanted)
        deadline = MIN(deadline, (now = clock_monotonic_ns()) + IO_TICK_NS);
    if (ring_in_flight())
        deadline = MIN(deadline, (now ? now : clock_monotonic_ns()) + IO_TICK_NS);
    if (deadline != NO_DEADLINE)
        arm(q, deadline);
}

void sched_tick(void)
{
    struct run_queue *q = my_queue();

    q->vcpu->tick_pending = false;
    if (ring_unsubmitted())
        (void)hostcall2(HOSTCALL_WAIT, 0, 0);
    ring_reap();
    timer_run();
    bool leave = atomic_load(&q->length) || family_expired(current);
    atomic_fetch_or(&current->flags, leave ? TASK_RESCHED : TASK_TICK);
}

void sched_user_return(void)
{
    uint32_t flags = atomic_load(&current->flags);

    if (this_vcpu()->tick_pending)
        sched_tick();
    if (flags & TASK_RESCHED)
        task_yield();
    if (atomic_fetch_and(&current->flags, ~TASK_TICK) & TASK_TICK) {
        if (ring_urgent())
            (void)hostcall2(HOSTCALL_WAIT, 0, 0);
        set_tick(my_queue());
    }
}

/* ---- freezing ---- */

static bool frozen_by_me(const struct task *t)
{
    struct sched_mm *mm = (struct sched_mm *)__atomic_load_n(&t->mm, __ATOMIC_SEQ_CST);
    return mm && t != current && atomic_load(&mm->frozen_by) == current;
}

static void wait_until_off(struct run_queue *q)
{
    struct vcpu *v = q->vcpu;
    struct task *asked = NULL;

    for (;;) {
        struct task *t = watch_running(v);
        bool runs = t && frozen_by_me(t);
        if (runs)
            atomic_fetch_or(&t->flags, TASK_RESCHED);
        watch_end();
        if (!runs)
            return;
        if (t != asked)
            (void)hostcall1(HOSTCALL_INTERRUPT, v->index);
        asked = t;
        task_yield();
        if (q == my_queue()) /* moved there: it does not run now */
            return;
    }
}

bool sched_freeze_begin(struct sched_mm *mm)
{
    struct task *none = NULL;
    return atomic_compare_exchange_strong(&mm->frozen_by, &none, current);
}

void sched_freeze_wait(void)
{
    uint32_t n = atomic_load(&vcpu_online);

    for (uint32_t i = 0; i < n; i++) {
        if (&queues[i] != my_queue())
            wait_until_off(&queues[i]);
    }
}

void sched_freeze(struct sched_mm *mm)
{
    while (!sched_freeze_begin(mm))
        task_yield();
    sched_freeze_wait();
}

void sched_thaw(struct sched_mm *mm)
{
    atomic_store(&mm->frozen_by, NULL);
    atomic_fetch_or(&current->flags, TASK_TICK);
}

/* ---- idle ---- */

static bool spin_for_work(struct run_queue *q)
{
    uint64_t start = rdtsc();

    if (atomic_load(&vcpu_online) == 1 || ring_in_flight())
        return false;
    while (clock_tsc_to_ns(rdtsc() - start) < SPIN_NS) {
        if (atomic_load(&q->length) || timer_next() <= clock_monotonic_ns())
            return true;
        __asm__ volatile("pause");
    }
    return false;
}

/* There are tasks, but none that may run: frozen, or of a family whose turn is another's. */
static void stalled(struct run_queue *q, unsigned count)
{
    if (count < STALL_SPINS) {
        __asm__ volatile("pause");
        return;
    }
    for (uint32_t i = 0; i < atomic_load(&vcpu_online); i++) {
        struct run_queue *other = &queues[i];
        struct task *t = watch_running(other->vcpu);
        bool ask = other != q && family_expired(t) &&
                   !(atomic_fetch_or(&t->flags, TASK_RESCHED) & TASK_RESCHED);
        watch_end();
        if (ask)
            (void)hostcall1(HOSTCALL_INTERRUPT, i);
    }
    (void)hostcall2(HOSTCALL_WAIT, STALL_WAIT_NS, 1);
}

static void idle_wait(struct run_queue *q)
{
    uint64_t deadline = timer_next(), timeout = UINT64_MAX;

    atomic_store(&q->sleeping, true);
    if (!atomic_load(&q->length)) {
        if (deadline != NO_DEADLINE) {
            uint64_t now = clock_monotonic_ns();
            timeout = deadline > now ? deadline - now : 0;
        }
        (void)ring_unsubmitted();
        bool more = ring_backlogged();
        (void)hostcall2(HOSTCALL_WAIT, more ? 0 : timeout, more ? 0 : 1);
    }
    atomic_store(&q->sleeping, false);
}

NORETURN void sched_idle(void)
{
    struct run_queue *q = my_queue();
    unsigned stalls = 0;

    for (;;) {
        schedule();
        if (ring_has_completions())
            continue;
        if (atomic_load(&q->length)) {
            stalled(q, stalls++);
            continue;
        }
        stalls = 0;
        if (!ring_unsubmitted() && spin_for_work(q))
            continue;
        idle_wait(q);
    }
}

void sched_init_vcpu(struct vcpu *v)
{
    struct run_queue *q = &queues[v->index];

    q->vcpu = v;
    spin_init(&q->lock, RANK_RUNQUEUE);
    list_init(&q->tasks);
    v->sched = q;
    v->idle = &q->idle;
    v->running = &q->idle;
    q->idle.vector_saved = true;
    atomic_store(&q->idle.on_cpu, true);
    atomic_store(&q->idle.vcpu, v->index);
    atomic_store(&q->idle.state, TASK_RUNNABLE);
    q->idle.run_since = rdtsc();
    memcpy(q->idle.name, "idle", 5);
    atomic_fetch_add(&vcpu_online, 1);
}

uint64_t task_cpu_ns(const struct task *t, uint64_t *system_ns)
{
    uint64_t ticks, since;

    do {
        while ((since = atomic_load(&t->run_since)) == RUN_ACCOUNTING)
            __asm__ volatile("pause");
        ticks = __atomic_load_n(&t->cpu_tsc, __ATOMIC_ACQUIRE);
    } while (since != atomic_load(&t->run_since));
    uint64_t now = rdtsc();
    if (since && now > since)
        ticks += now - since;
    *system_ns = clock_tsc_to_ns(t->kernel_tsc);
    return clock_tsc_to_ns(ticks);
}
