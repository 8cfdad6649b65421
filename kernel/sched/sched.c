/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Switching between tasks, ticks, and keeping a process still. `on_queue` is true from a task's
 * wake-up until it blocks in schedule(), so that a wake-up that overtakes a task on its way to
 * sleep only changes its state. `on_cpu` is true while its stack is in use; whoever wants to
 * run it elsewhere waits for that. User code is preempted by a tick of the host's timer, armed
 * only when somebody else wants the CPU, a kernel timer is due, or host I/O is in flight.
 * Not here: the order of tasks (queue.c), idle vCPUs (idle.c).
 */
#include "sched/task.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "enclave/control.h"
#include "enclave/hostcall.h"
#include "enclave/ring.h"
#include "lib/log.h"
#include "lib/string.h"
#include "sched/family.h"
#include "sched/gather.h"
#include "sched/internal.h"
#include "sched/queue.h"
#include "sched/timer.h"
#include "sched/vector.h"

#define IO_TICK_NS   1000000ull
#define LAZY_TICK_NS 4000000ull /* for what no task sleeps for: the network */

_Atomic uint32_t vcpu_online;
void (*task_signal_hook)(struct regs *regs);

void task_switch(struct task *from, struct task *to); /* switch.S */

/* ---- switching ---- */

/* Looking at a family, or at the task that another vCPU runs: it must not be freed meanwhile.
 */
static _Atomic uint32_t watchers;

void watch_begin(void)
{
    atomic_fetch_add(&watchers, 1);
}

struct task *watch_running(struct vcpu *v)
{
    atomic_fetch_add(&watchers, 1);
    return __atomic_load_n(&v->running, __ATOMIC_SEQ_CST);
}

static struct task *watch_incoming(struct vcpu *v)
{
    atomic_fetch_add(&watchers, 1);
    return __atomic_load_n(&v->incoming, __ATOMIC_SEQ_CST);
}

void watch_end(void)
{
    atomic_fetch_sub(&watchers, 1);
}

void sched_wait_watchers(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    while (atomic_load(&watchers))
        __asm__ volatile("pause");
}

/* ---- the invariant of ticks ---- */

/*
 * A vCPU goes to user code with something in its queue only if its timer is armed for a quantum
 * at most, or another vCPU, which put it there, is about to interrupt it. So who makes a queue
 * longer, lets a task run, or finds the timer gone sets TASK_TICK of the task that will run; on
 * its way to user code that leads to set_tick().
 */
#ifdef OCCLUM_DEBUG
#define NONE_SEEN UINT32_MAX /* somebody is just at it */

static void note_foreign(struct run_queue *q)
{
    uint32_t now = atomic_load(&q->foreign);
    q->foreign_seen = now & 1 ? NONE_SEEN : now;
}

void sched_check_tick(void)
{
    struct run_queue *q = my_queue();
    uint64_t armed = atomic_load(&q->armed_ns);

    if (atomic_load(&current->flags) || !atomic_load(&q->length))
        return;
    bool soon = armed && armed <= clock_monotonic_ns() + QUANTUM_NS;
    assert(soon || q->foreign_seen != atomic_load(&q->foreign));
}
#else
#define note_foreign(q) ((void)0)
#endif

/* What others of this vCPU wait for, and a tick that came while one of them ran, concern
 * whoever runs now: it may never enter the kernel by itself. */
static void look_after(struct run_queue *q)
{
    note_foreign(q);
    if (q->vcpu->tick_pending || atomic_load(&q->length) || ring_in_flight() ||
        ring_backlogged() || timer_next() != NO_DEADLINE)
        task_want_tick(current);
}

void sched_look_at_timer(void)
{
    struct run_queue *q = my_queue();
    uint32_t fired = host_load32(q->vcpu->shared + offsetof(struct vcpu_shared, timer_fired));

    if (fired == q->timer_fired)
        return;
    q->timer_fired = fired;
    q->armed_tsc = 0;
    atomic_store(&q->armed_ns, 0); /* with a fence: whoever sees another value queued before */
}

/* On the new task's stack: the old one may now run elsewhere, or be gone. */
static void finish_switch(void)
{
    struct run_queue *q = my_queue();
    struct task *prev = q->previous;
    bool dead = atomic_load_explicit(&prev->state, memory_order_relaxed) == TASK_DEAD;

    atomic_store_explicit(&prev->on_cpu, false, memory_order_release);
    if (current != &q->idle)
        look_after(q);
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

/* From idle with a fence: whoever then still finds this vCPU idle has queued before it looks at
 * its queue again. */
static void set_running_key(struct run_queue *q, struct task *prev, struct task *next)
{
    uint64_t key = next == &q->idle ? UINT64_MAX : next->key;

    if (prev == &q->idle)
        atomic_store(&q->running_key, key);
    else
        atomic_store_explicit(&q->running_key, key, memory_order_relaxed);
}

static void switch_to(struct run_queue *q, struct task *prev, struct task *next, uint64_t now)
{
    struct vcpu *v = q->vcpu;

    if (prev->mm) {
        vector_save(prev);
        __asm__ volatile("rdfsbase %0" : "=r"(prev->fs_base));
    }
    assert(!atomic_load(&next->on_cpu));
    atomic_store_explicit(&next->on_cpu, true, memory_order_relaxed);
    account_switch(prev, next, now);
    set_running_key(q, prev, next);
    q->previous = prev;
    /* In this order: whoever does not find it incoming any more finds it running. */
    __atomic_store_n(&v->running, next, __ATOMIC_RELEASE);
    __atomic_store_n(&v->incoming, NULL, __ATOMIC_RELEASE);
    v->kernel_stack = next == &q->idle ? 0 : next->stack_top;
    if (next->mm)
        __asm__ volatile("wrfsbase %0" : : "r"(next->fs_base));
    task_switch(prev, next);
    finish_switch();
    family_settle();
}

/* Where `prev` is to be found while it does not run; true: on another vCPU. */
static bool put_back(struct run_queue *q, struct task *prev) HELD(q->lock)
{
    if (prev == &q->idle)
        return false;
    if (atomic_load(&prev->state) != TASK_RUNNABLE) {
        prev->on_queue = false;
        return false;
    }
    if (task_allowed(prev, q->vcpu->index)) {
        queue_put_back(q, prev);
        return false;
    }
    task_move_away(q, prev);
    return true;
}

static struct task *choose_next(struct run_queue *q, struct task *prev)
{
    spin_lock(&q->lock);
    bool leaves = put_back(q, prev);
    q->retry_ns = NO_DEADLINE;
    struct task *next = queue_take(q, q->vcpu->index);
    spin_unlock(&q->lock);
    if (leaves)
        task_place(prev);
    if (!next)
        next = queue_steal(q);
    return next ? next : &q->idle;
}

static void count_switch(struct task *prev, uint64_t now)
{
    if (prev == &my_queue()->idle)
        return;
    if (atomic_load(&prev->state) == TASK_RUNNABLE) {
        prev->preemptions++;
        my_queue()->preemptions++;
    } else {
        prev->switches++;
        my_queue()->switches++;
        task_note_sleep(prev, now);
    }
}

void schedule(void)
{
    struct run_queue *q = my_queue();
    struct task *prev = current;

    lock_assert_none("the CPU is given up");
    if (ring_has_completions())
        ring_reap();
    timer_run();
    /* A task that yields waits for somebody, perhaps for an answer of the host's. */
    if (prev != &q->idle && (prev->to_tail || atomic_load(&q->length)) && ring_urgent())
        gather_submit();
    uint64_t now = rdtsc();
    if (prev != &q->idle)
        account_sync(q, now);
    if (!prev->keeps_claim)
        family_release(prev);
    account_charge(prev, now);
    struct task *next = choose_next(q, prev);
    q->help |= next != prev && task_is_brief(next) && atomic_load(&q->length);
    (void)queue_call(q, next);
    if (atomic_load(&prev->flags) & TASK_RESCHED)
        atomic_fetch_and(&prev->flags, ~TASK_RESCHED);
    if (next == prev) {
        __atomic_store_n(&q->vcpu->incoming, NULL, __ATOMIC_RELEASE);
        if (prev != &q->idle) {
            set_running_key(q, prev, prev);
            look_after(q);
        }
        family_settle();
        return;
    }
    count_switch(prev, now);
    switch_to(q, prev, next, now);
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
    current->to_tail = true;
    schedule();
}

static void give_way(void)
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

/* The host's timer is set already for a time that is soon enough. */
static bool armed(const struct run_queue *q, uint64_t span, uint64_t deadline)
{
    return q->armed_span <= span && q->armed_ns <= deadline && rdtsc() < q->armed_tsc;
}

/* Before user code runs on: is there a reason to interrupt it later? */
static void set_tick(struct run_queue *q)
{
    uint64_t deadline = timer_next(), span = NO_DEADLINE;

    note_foreign(q);
    if (atomic_load(&q->length))
        span = MIN(q->help ? HELP_NS : QUANTUM_NS, q->retry_ns);
    span = MIN(span, family_time_left());
    if (ring_in_flight())
        span = MIN(span, ring_waited_for() ? IO_TICK_NS : LAZY_TICK_NS);
    if ((span == NO_DEADLINE && deadline == NO_DEADLINE) || armed(q, span, deadline))
        return;
    uint64_t now = clock_monotonic_ns();
    if (span != NO_DEADLINE)
        deadline = MIN(deadline, now + span);
    if (q->armed_ns > now && q->armed_ns <= deadline)
        return;
    q->armed_ns = deadline;
    q->armed_span = deadline > now ? deadline - now : 0;
    q->armed_tsc = rdtsc() + clock_ns_to_tsc(q->armed_span);
    (void)hostcall1(HOSTCALL_TIMER, deadline);
}

void sched_tick(void)
{
    struct run_queue *q = my_queue();
    struct task *t = current;

    q->vcpu->tick_pending = false;
    sched_look_at_timer();
    control_poll();
    if (ring_unsubmitted())
        gather_submit();
    ring_reap();
    clock_sync_sometimes();
    timer_run();
    if (q->help) { /* it should have slept by now */
        t->wake_score = 0;
        t->burst_ns = HELP_NS;
    }
    q->help |= atomic_load(&q->length) > 0;
    account_charge(t, rdtsc());
    bool leave = (atomic_load(&q->length) && queue_wants(q, t)) || family_expired(t);
    atomic_fetch_or(&t->flags, leave ? TASK_RESCHED | TASK_TICK : TASK_TICK);
}

void sched_user_return(void)
{
    uint32_t flags = atomic_load(&current->flags);

    if (this_vcpu()->tick_pending)
        sched_tick();
    if (flags & TASK_RESCHED) {
        family_preempt();
        give_way();
    }
    if (atomic_load(&current->flags) & TASK_TICK) {
        struct run_queue *q = my_queue();
        atomic_fetch_and(&current->flags, ~TASK_TICK);
        if (ring_urgent()) {
            gather_submit();
            ring_reap(); /* or they would be held back for too long at once again */
        }
        if (queue_call(q, current)) {
            task_want_tick(current);
            task_yield();
            return;
        }
        set_tick(q);
    }
}

/* ---- freezing ---- */

static bool frozen_by_me(const struct task *t)
{
    struct sched_mm *mm = (struct sched_mm *)__atomic_load_n(&t->mm, __ATOMIC_SEQ_CST);
    return mm && t != current && atomic_load(&mm->frozen_by) == current;
}

/* Not one that will run at any moment, either. */
static void wait_until_decided(struct vcpu *v)
{
    bool comes = true;

    while (comes) {
        struct task *t = watch_incoming(v);
        comes = t && frozen_by_me(t);
        watch_end();
        if (comes)
            __asm__ volatile("pause");
    }
}

static void wait_until_off(struct run_queue *q)
{
    struct vcpu *v = q->vcpu;
    struct task *asked = NULL;

    wait_until_decided(v);

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

#ifdef OCCLUM_DEBUG
static void count_freezes(int more)
{
    current->freezes += (uint32_t)more;
}
#else
static void count_freezes(int more)
{
}
#endif

bool sched_freeze_begin(struct sched_mm *mm)
{
    struct task *none = NULL;
    bool ok = atomic_compare_exchange_strong(&mm->frozen_by, &none, current);

    count_freezes(ok);
    return ok;
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
    count_freezes(-1);
    queues_look_again();
    atomic_fetch_or(&current->flags, TASK_TICK);
}
