/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of tasks, and their way to a vCPU.
 *
 * Order: realtime tasks by priority, then by arrival; behind them all others by virtual time,
 * which is consumed time weighted by the nice value. A queue's floor is the virtual time that
 * it has reached; who slept comes back a little below it, who changes queues keeps the
 * distance.
 *
 * Place: waking another vCPU costs ten times as much as a task switch. So a task that is woken
 * goes to its waker's vCPU if the waker, as it usually did so far, will sleep soon itself; to a
 * vCPU that spins for work; else it stays where it ran. If it mostly sleeps again after a short
 * while, its waker lets it run first and goes on behind it. Calls to the host are not made
 * here, since wakers hold locks: they are noted and made in queue_call(), on the way to user
 * code or when the CPU is given up. By then many have become needless.
 *
 * A task whose stack is still in use (on_cpu) is left alone by everybody else: two vCPUs that
 * waited for each other's last task would wait for ever.
 */
#include "sched/queue.h"

#include "enclave/clock.h"
#include "enclave/hostcall.h"
#include "sched/family.h"
#include "sched/internal.h"

#define KEY_NORMAL   (1ull << 63)
#define KEY_PATIENT  (3ull << 62) /* preempts nobody */
#define KEY_SEQUENCE ((1ull << 48) - 1)
#define CREDIT_NS    2000000ull /* of a sleeper, against the floor */
#define PREEMPT_NS   1000000ull /* so far behind, a woken task does not wait for the tick */
#define SOON_NS      20000ull   /* a waker that sleeps by then is one that hands over */
#define BRIEF_NS     50000ull   /* CPU time between two sleeps: less than two kicks cost */
#define SCORE_MAX    4
#define LOOK_MAX     8u /* tasks of a queue looked at for a helper */

struct run_queue queues[LAYOUT_VCPU_MAX];

void run_queue_init(struct run_queue *q, struct vcpu *v)
{
    q->vcpu = v;
    spin_init(&q->lock, RANK_RUNQUEUE);
    atomic_store(&q->running_key, UINT64_MAX);
}

bool task_allowed(const struct task *t, uint32_t vcpu)
{
    if (t->pinned)
        return t->pinned == vcpu + 1;
    return !t->affinity || (t->affinity >> vcpu & 1);
}

static bool frozen(const struct task *t)
{
    struct task *by = t->mm ? atomic_load(&((struct sched_mm *)t->mm)->frozen_by) : NULL;
    return by && by != t;
}

static bool busy_elsewhere(const struct task *t)
{
    return t != current && atomic_load(&t->on_cpu);
}

/* Its memory is not in place, or will not be for long: no other vCPU would be of help. */
static bool shut_out(const struct task *t)
{
    struct sched_mm *mm = (struct sched_mm *)t->mm;

    if (!mm || !atomic_load(&mm->family))
        return false;
    watch_begin();
    const struct sched_family *f = atomic_load(&mm->family);
    bool out = f && (f->resident != mm || family_over(f));
    watch_end();
    return out;
}

/* ---- order ---- */

static uint64_t realtime_key(struct run_queue *q, const struct task *t) HELD(q->lock)
{
    return (uint64_t)(REALTIME_MAX - t->realtime) << 48 | (q->sequence++ & KEY_SEQUENCE);
}

static bool same_level(const struct task *t)
{
    return t->key >> 48 == (uint64_t)(REALTIME_MAX - t->realtime);
}

static struct task *of_node(struct rb_node *n)
{
    return container_of(n, struct task, run_node);
}

/* Whoever then looks whether somebody sleeps needs a fence in between. */
static void set_length(struct run_queue *q, uint32_t change) HELD(q->lock)
{
    uint32_t now = atomic_load_explicit(&q->length, memory_order_relaxed);
    atomic_store_explicit(&q->length, now + change, memory_order_release);
}

#ifdef OCCLUM_DEBUG
/* Before and after: it is odd meanwhile. */
static void count_foreign(struct run_queue *q) HELD(q->lock)
{
    if (q != my_queue())
        atomic_fetch_add(&q->foreign, 1);
}
#else
#define count_foreign(q) ((void)0)
#endif

static void insert(struct run_queue *q, struct task *t) HELD(q->lock)
{
    struct rb_node **link = &q->tasks.node, *parent = NULL;

    count_foreign(q);
    while (*link) {
        parent = *link;
        link = t->key < of_node(parent)->key ? &parent->left : &parent->right;
    }
    rb_insert(&q->tasks, parent, link, &t->run_node);
    t->in_tree = true;
    set_length(q, 1);
    uint32_t arrivals = atomic_load_explicit(&q->arrivals, memory_order_relaxed);
    atomic_store_explicit(&q->arrivals, arrivals + 1, memory_order_release);
    count_foreign(q);
}

static void take_out(struct run_queue *q, struct task *t) HELD(q->lock)
{
    rb_remove(&q->tasks, &t->run_node);
    t->in_tree = false;
    set_length(q, UINT32_MAX);
}

/* A task that begins or wakes. */
static void enter(struct run_queue *q, struct task *t) HELD(q->lock)
{
    uint64_t floor = atomic_load(&q->floor);

    t->vruntime = MAX(t->vruntime, floor > CREDIT_NS ? floor - CREDIT_NS : 0);
    t->key = t->realtime ? realtime_key(q, t) : KEY_NORMAL | t->vruntime;
    t->to_tail = false;
    insert(q, t);
}

/* Virtual time counts from each queue's floor. */
static void carry_over(struct task *t, struct run_queue *from, struct run_queue *to)
{
    uint64_t old = atomic_load(&from->floor), fresh = atomic_load(&to->floor);

    t->vruntime = t->vruntime + fresh > old ? t->vruntime + fresh - old : 0;
    if (!t->realtime)
        t->key = KEY_NORMAL | t->vruntime;
    atomic_store(&t->vcpu, to->vcpu->index);
}

static void go_to_tail(struct run_queue *q, struct task *t) HELD(q->lock)
{
    struct rb_node *last = rb_last(&q->tasks);
    uint64_t limit = atomic_load(&q->floor) + QUANTUM_NS;

    if (!last || !(of_node(last)->key & KEY_NORMAL))
        return;
    t->vruntime = MAX(t->vruntime, MIN(limit, of_node(last)->vruntime));
}

void queue_put_back(struct run_queue *q, struct task *t)
{
    if (t->realtime) {
        if (t->to_tail || !same_level(t))
            t->key = realtime_key(q, t);
    } else {
        if (t->to_tail)
            go_to_tail(q, t);
        t->key = KEY_NORMAL | t->vruntime;
    }
    t->to_tail = false;
    insert(q, t);
}

/* Whoever freezes first says so and then looks at who runs; so this vCPU first says who comes
 * and then looks whether it is frozen. */
static bool take_on(struct task *t)
{
    struct vcpu *v = this_vcpu();

    __atomic_store_n(&v->incoming, t, __ATOMIC_SEQ_CST);
    if (!frozen(t) && family_claim(t))
        return true;
    __atomic_store_n(&v->incoming, NULL, __ATOMIC_RELEASE);
    return false;
}

struct task *queue_take(struct run_queue *q, uint32_t me)
{
    for (struct rb_node *n = rb_first(&q->tasks); n; n = rb_next(n)) {
        struct task *t = of_node(n);
        if (!task_allowed(t, me) || frozen(t) || busy_elsewhere(t) || !take_on(t))
            continue;
        take_out(q, t);
        if (t->key & KEY_NORMAL && t->vruntime > atomic_load(&q->floor))
            atomic_store_explicit(&q->floor, t->vruntime, memory_order_relaxed);
        return t;
    }
    return NULL;
}

struct task *queue_steal(struct run_queue *mine)
{
    uint32_t me = mine->vcpu->index, n = atomic_load(&vcpu_online);

    for (uint32_t i = 1; i < n; i++) {
        struct run_queue *q = &queues[(me + i) % n];
        if (!atomic_load(&q->length))
            continue;
        spin_lock(&q->lock);
        struct task *t = queue_take(q, me);
        if (t)
            carry_over(t, q, mine);
        spin_unlock(&q->lock);
        if (t)
            return t;
    }
    return NULL;
}

bool queue_could_help(struct run_queue *q, uint32_t me)
{
    unsigned looked = 0;
    bool found = false;

    if (!atomic_load(&q->length))
        return false;
    spin_lock(&q->lock);
    for (struct rb_node *n = rb_first(&q->tasks); n && looked < LOOK_MAX && !found;
         n = rb_next(n), looked++) {
        struct task *t = of_node(n);
        found = task_allowed(t, me) && !frozen(t) && !shut_out(t) && !atomic_load(&t->on_cpu);
    }
    spin_unlock(&q->lock);
    return found;
}

static uint64_t key_now(const struct task *t)
{
    return t->realtime ? (uint64_t)(REALTIME_MAX - t->realtime) << 48 | KEY_SEQUENCE
                       : KEY_NORMAL | t->vruntime;
}

bool queue_wants(struct run_queue *q, struct task *t)
{
    uint64_t first = UINT64_MAX, mine = key_now(t);

    spin_lock(&q->lock);
    struct rb_node *n = rb_first(&q->tasks);
    if (n)
        first = of_node(n)->key;
    spin_unlock(&q->lock);
    if (!t->realtime)
        return n && first <= mine;
    if (!t->round_robin)
        mine &= ~KEY_SEQUENCE;
    if (first >= mine)
        return false;
    t->to_tail = t->round_robin;
    return true;
}

/* ---- whom to tell ---- */

/* Will that vCPU be interrupted by itself within a quantum? */
static bool tick_soon(const struct run_queue *q)
{
    uint64_t now = clock_monotonic_ns(), armed = atomic_load(&q->armed_ns);

    return armed > now && armed - now <= QUANTUM_NS;
}

static void call_later(uint64_t *set, const struct run_queue *q)
{
    *set |= 1ull << q->vcpu->index;
    if (current)
        task_want_tick(current);
}

void task_interrupt(const struct run_queue *q)
{
    call_later(&my_queue()->interrupts, q);
}

/* Its current task goes at once, unless it is the idle one, which looks by itself. */
static void preempt(struct run_queue *q)
{
    struct task *t = watch_running(q->vcpu);
    bool told = t && atomic_fetch_or(&t->flags, TASK_RESCHED) & TASK_RESCHED;

    watch_end();
    if (q != my_queue() && !told)
        task_interrupt(q);
}

void queues_look_again(void)
{
    for (uint32_t i = 0; i < atomic_load(&vcpu_online); i++) {
        struct run_queue *q = &queues[i];
        atomic_fetch_add(&q->changes, 1);
        if (q != my_queue() && atomic_load(&q->sleeping) && atomic_load(&q->length))
            call_later(&my_queue()->kicks, q);
    }
}

static bool goes_first(uint64_t key, uint64_t running)
{
    return key + PREEMPT_NS < running || (!(key & KEY_NORMAL) && key < running);
}

void queue_announce(struct run_queue *q, uint64_t key)
{
    if (q == my_queue()) {
        if (current == &q->idle)
            return;
        q->help = true;
        task_want_tick(current); /* also if it is preempted: it may turn out to be the first */
        if (goes_first(key, atomic_load(&q->running_key)))
            atomic_fetch_or(&current->flags, TASK_RESCHED);
        return;
    }
    /* It says what it does, then looks at its queue; we looked at neither before this. */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t running = atomic_load(&q->running_key);
    if (atomic_load(&q->sleeping))
        call_later(&my_queue()->kicks, q);
    else if (running == UINT64_MAX)
        return; /* idle and awake */
    else if (goes_first(key, running))
        preempt(q);
    else if (!tick_soon(q))
        task_interrupt(q);
}

static void kick(struct run_queue *q)
{
    if (atomic_exchange(&q->sleeping, false))
        (void)hostcall1(HOSTCALL_KICK, q->vcpu->index);
}

/* One sleeping vCPU for what waits here. */
static void call_helper(struct run_queue *q)
{
    uint32_t n = atomic_load(&vcpu_online);

    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load(&queues[i].sleeping) && queue_could_help(q, i)) {
            kick(&queues[i]);
            return;
        }
    }
}

void sched_share(void)
{
    struct run_queue *q = my_queue();

    if (atomic_load(&q->length))
        call_helper(q);
}

bool task_is_brief(const struct task *t)
{
    return t->burst_ns < BRIEF_NS;
}

/* The task that waits here will soon be done; so would be the one that is in its way. */
static bool lets_pass(struct run_queue *q)
{
    if (current->realtime)
        return false;
    spin_lock(&q->lock);
    struct rb_node *n = rb_first(&q->tasks);
    bool brief = n && task_is_brief(of_node(n)) && task_allowed(of_node(n), q->vcpu->index);
    spin_unlock(&q->lock);
    return brief;
}

bool queue_call(struct run_queue *q, const struct task *runs)
{
    uint64_t kicks = q->kicks, interrupts = q->interrupts;
    bool staying = runs == current, pass = false;

    q->kicks = q->interrupts = 0;
    for (; kicks; kicks &= kicks - 1)
        kick(&queues[__builtin_ctzll(kicks)]);
    for (; interrupts; interrupts &= interrupts - 1)
        (void)hostcall1(HOSTCALL_INTERRUPT, (uint64_t)__builtin_ctzll(interrupts));
    if (!q->help)
        return false;
    uint32_t length = atomic_load(&q->length);
    if (length == 1 && (task_is_brief(runs) || (staying && runs->wake_score > 0)))
        return false; /* it will sleep soon; the tick looks after it if not */
    q->help = false;
    if (length == 1 && staying)
        pass = lets_pass(q);
    if (length && !pass)
        call_helper(q);
    return pass;
}

/* ---- where to ---- */

void task_note_sleep(struct task *t, uint64_t now)
{
    uint64_t burst = t->cpu_ns - MIN(t->slept_cpu_ns, t->cpu_ns);

    t->slept_cpu_ns = t->cpu_ns;
    t->burst_ns = (t->burst_ns + burst) / 2;
    if (!t->woke_tsc)
        return;
    bool soon = clock_tsc_to_ns(now - t->woke_tsc) < SOON_NS;
    int score = t->wake_score + (soon ? 1 : -1);
    t->wake_score = (int8_t)MAX(MIN(score, SCORE_MAX), -SCORE_MAX);
    t->woke_tsc = 0;
}

static struct run_queue *any_queue(const struct task *t, bool idle_only)
{
    uint32_t n = atomic_load(&vcpu_online);
    struct run_queue *best = NULL;

    for (uint32_t i = 0; i < n; i++) {
        struct run_queue *q = &queues[i];
        if (!task_allowed(t, i))
            continue;
        if (atomic_load(&q->spinning) && !atomic_load(&q->length))
            return q;
        if (!best || atomic_load(&q->length) < atomic_load(&best->length) ||
            atomic_load(&q->sleeping))
            best = q;
    }
    return idle_only ? NULL : best;
}

/* Some queue whose vCPU may run it; there always is one. */
static struct run_queue *fallback(const struct task *t)
{
    struct run_queue *q = any_queue(t, false);
    return q ? q : my_queue();
}

static struct run_queue *choose(const struct task *t, struct run_queue *home)
{
    struct run_queue *mine = my_queue(), *q;
    bool here = task_allowed(t, mine->vcpu->index);
    bool idle = current == &mine->idle || !current;

    if (atomic_load(&t->on_cpu))
        return home; /* it is just going to sleep there */
    if (here && !atomic_load(&mine->length) && (idle || current->wake_score > 0 || shut_out(t)))
        return mine;
    if (task_allowed(t, home->vcpu->index) && atomic_load(&home->spinning))
        return home;
    q = any_queue(t, true);
    if (q)
        return q;
    if (!here)
        return task_allowed(t, home->vcpu->index) ? home : fallback(t);
    if (home != mine && task_allowed(t, home->vcpu->index) && !atomic_load(&home->sleeping) &&
        atomic_load(&home->length) <= atomic_load(&mine->length))
        return home;
    return mine;
}

/* Into `q`, which is locked, or where it may run if that has just changed. */
static uint64_t put_locked(struct run_queue **at, struct task *t) UNCHECKED_LOCKING
{
    struct run_queue *q = *at;

    while (!task_allowed(t, q->vcpu->index)) {
        struct run_queue *to = fallback(t);
        if (to == q)
            break;
        carry_over(t, q, to);
        spin_unlock(&q->lock);
        q = to;
        spin_lock(&q->lock);
    }
    enter(q, t);
    uint64_t key = t->key;
    spin_unlock(&q->lock);
    *at = q;
    return key;
}

static uint64_t put(struct run_queue **at, struct task *t) UNCHECKED_LOCKING
{
    spin_lock(&(*at)->lock);
    return put_locked(at, t);
}

/* Locks the queue that the task belongs to. */
static struct run_queue *home_lock(const struct task *t) UNCHECKED_LOCKING
{
    for (;;) {
        uint32_t vcpu = atomic_load(&t->vcpu);
        struct run_queue *q = &queues[vcpu];
        spin_lock(&q->lock);
        if (vcpu == atomic_load(&t->vcpu))
            return q;
        spin_unlock(&q->lock);
    }
}

bool task_wake(struct task *t) UNCHECKED_LOCKING
{
    struct run_queue *home = home_lock(t), *q = home;
    uint32_t state = atomic_load(&t->state);

    if (state != TASK_SLEEPING && state != TASK_UNINTERRUPTIBLE) {
        spin_unlock(&home->lock);
        return false;
    }
    atomic_store_explicit(&t->state, TASK_RUNNABLE, memory_order_release);
    if (t->on_queue) {
        spin_unlock(&home->lock);
        return true;
    }
    t->on_queue = true;
    if (current && current != &my_queue()->idle)
        current->woke_tsc = rdtsc();
    bool patient = t->base.batch;
    q = choose(t, home);
    if (q != home) {
        carry_over(t, home, q);
        spin_unlock(&home->lock);
        spin_lock(&q->lock);
    }
    uint64_t key = put_locked(&q, t);
    queue_announce(q, patient ? KEY_PATIENT : key);
    return true;
}

void task_start(struct task *t)
{
    struct run_queue *mine = my_queue(), *q = mine;

    if (!shut_out(t) || !task_allowed(t, mine->vcpu->index))
        q = any_queue(t, true);
    if (!q)
        q = task_allowed(t, mine->vcpu->index) ? mine : fallback(t);
    atomic_store(&t->vcpu, q->vcpu->index);
    t->vruntime = atomic_load(&q->floor);
    t->on_queue = true;
    uint64_t key = put(&q, t);
    queue_announce(q, key);
}

void task_move_away(struct run_queue *q, struct task *t)
{
    struct run_queue *to = fallback(t);

    carry_over(t, q, to);
}

void task_place(struct task *t)
{
    struct run_queue *q = &queues[atomic_load(&t->vcpu)];
    uint64_t key = put(&q, t);

    queue_announce(q, key);
}

void task_notify(struct task *t)
{
    bool told = atomic_fetch_or(&t->flags, TASK_SIGNAL) & TASK_SIGNAL;

    if (atomic_load(&t->state) == TASK_SLEEPING && task_wake(t))
        return;
    struct run_queue *q = &queues[atomic_load(&t->vcpu)];
    if (t != current && !told && atomic_load(&t->on_cpu) && q != my_queue())
        task_interrupt(q);
}

/* ---- what others change about a task ---- */

static void reorder(struct task *t, struct run_queue *q) HELD(q->lock)
{
    if (!t->in_tree)
        return;
    take_out(q, t);
    t->to_tail = true;
    queue_put_back(q, t);
}

/* What follows from t->base and t->inherited; releases the queue. */
static void apply_priority(struct run_queue *q, struct task *t, bool changed) RELEASES(q->lock)
{
    bool in_tree = t->in_tree, running = atomic_load(&t->on_cpu) && !in_tree;

    t->realtime = MAX(t->base.realtime, t->inherited.realtime);
    t->round_robin = t->base.round_robin && t->realtime == t->base.realtime;
    t->weight = t->base.weight;
    if (t->inherited.weight)
        t->weight = MIN(t->weight, t->inherited.weight);
    if (changed)
        reorder(t, q);
    uint64_t key = t->key;
    spin_unlock(&q->lock);
    if (changed && running)
        preempt(q); /* perhaps it is not the first any more */
    else if (changed && in_tree)
        queue_announce(q, key);
}

void task_set_priority(struct task *t, const struct task_priority *p) UNCHECKED_LOCKING
{
    struct run_queue *q = home_lock(t);

    t->base = *p;
    apply_priority(q, t, true);
}

void task_inherit(struct task *t, const struct task_priority *p) UNCHECKED_LOCKING
{
    struct run_queue *q = home_lock(t);
    bool changed = p->realtime != t->inherited.realtime || p->weight != t->inherited.weight;

    t->inherited = *p;
    apply_priority(q, t, changed);
}

void task_set_affinity(struct task *t, uint64_t affinity) UNCHECKED_LOCKING
{
    struct run_queue *q = home_lock(t);
    bool stays, moves = false;

    t->affinity = affinity;
    stays = task_allowed(t, q->vcpu->index);
    if (!stays && t->in_tree) {
        take_out(q, t);
        task_move_away(q, t);
        moves = true;
    }
    spin_unlock(&q->lock);
    if (moves)
        task_place(t);
    else if (!stays && atomic_load(&t->on_cpu))
        preempt(q);
}
