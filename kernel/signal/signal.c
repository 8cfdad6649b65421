/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signal queues: sending, taking, masks, the death of a group.
 * A group's lock covers its queues, its threads' queues, masks and dispositions.
 * Not here: delivery to handlers (deliver.c), faults (fault.c).
 */
#include "signal/signal.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "signal/internal.h"

const struct signal_ops *signal_ops;

static void pending_init(struct signal_pending *p)
{
    p->set = 0;
    list_init(&p->queue);
}

void signal_group_init(struct signal_group *g)
{
    memset(g, 0, sizeof(*g));
    spin_init(&g->lock, RANK_SIGNAL);
    pending_init(&g->pending);
    list_init(&g->threads);
    wait_queue_init(&g->resume);
    wait_queue_init(&g->arrival);
    g->queue_max = SIGNAL_QUEUE_MAX;
}

void signal_thread_init(struct signal_thread *s, struct signal_group *g)
{
    memset(s, 0, sizeof(*s));
    s->group = g;
    list_init(&s->node);
    pending_init(&s->pending);
    s->altstack.ss_flags = SS_DISABLE;
}

int signal_thread_join(struct signal_thread *s)
{
    struct signal_group *g = s->group;
    int r = 0;
    spin_lock(&g->lock);
    if (g->dying)
        r = -EAGAIN;
    else
        list_append(&g->threads, &s->node);
    spin_unlock(&g->lock);
    return r;
}

/* ---- queue entries ---- */

static void entry_drop(struct signal_group *g, struct signal_queued *q)
{
    list_remove(&q->node);
    if (q->preallocated)
        return;
    g->queued--;
    kfree(q);
}

/* Removes all signals of `set`. */
static void pending_discard(struct signal_group *g, struct signal_pending *p, uint64_t set)
{
    struct signal_queued *q, *tmp;
    p->set &= ~set;
    list_for_each_safe (q, tmp, &p->queue, node) {
        if (set & SIGBIT(q->info.si_signo))
            entry_drop(g, q);
    }
}

static void discard_everywhere(struct signal_group *g, uint64_t set)
{
    struct signal_thread *s;
    pending_discard(g, &g->pending, set);
    list_for_each (s, &g->threads, node)
        pending_discard(g, &s->pending, set);
}

void signal_group_fini(struct signal_group *g)
{
    spin_lock(&g->lock);
    pending_discard(g, &g->pending, ~0ull);
    spin_unlock(&g->lock);
}

/* The lowest signal of the set, but those that report faults first. */
int signal_first(uint64_t set)
{
    const uint64_t faults = SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) |
                            SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS);
    if (set & faults)
        set &= faults;
    return set ? __builtin_ctzll(set) + 1 : 0;
}

static void pending_take(struct signal_group *g, struct signal_pending *p, int sig,
                         struct abi_siginfo *out)
{
    struct signal_queued *q, *found = NULL;
    bool more = false;
    list_for_each (q, &p->queue, node) {
        if (q->info.si_signo != sig)
            continue;
        if (found) {
            more = true;
            break;
        }
        found = q;
    }
    if (!more)
        p->set &= ~SIGBIT(sig);
    if (!found) {
        memset(out, 0, sizeof(*out));
        out->si_signo = sig;
        return;
    }
    *out = found->info;
    if (found->preallocated) {
        found->last_overrun = found->info.overrun;
        found->info.overrun = 0;
    }
    entry_drop(g, found);
}

int signal_take_locked(struct signal_thread *s, uint64_t set, struct abi_siginfo *out)
{
    struct signal_group *g = s->group;
    int sig = signal_first(s->pending.set & set);
    if (sig) {
        pending_take(g, &s->pending, sig, out);
        return sig;
    }
    sig = signal_first(g->pending.set & set);
    if (sig)
        pending_take(g, &g->pending, sig, out);
    return sig;
}

int signal_take(uint64_t set, struct abi_siginfo *out)
{
    struct signal_thread *s = task_signals(current);
    spin_lock(&s->group->lock);
    int sig = signal_take_locked(s, set, out);
    spin_unlock(&s->group->lock);
    return sig;
}

uint64_t signal_pending_set(struct signal_thread *s)
{
    spin_lock(&s->group->lock);
    uint64_t set = s->pending.set | s->group->pending.set;
    spin_unlock(&s->group->lock);
    return set;
}

bool signal_deliverable_locked(struct signal_thread *s)
{
    struct signal_group *g = s->group;
    return (g->dying && g->survivor != s) || g->stopped ||
           ((s->pending.set | g->pending.set) & ~s->blocked);
}

bool signal_deliverable(struct signal_thread *s)
{
    spin_lock(&s->group->lock);
    bool r = signal_deliverable_locked(s);
    spin_unlock(&s->group->lock);
    return r;
}

/* ---- sending ---- */

bool signal_ignored_by_default(int sig)
{
    return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT;
}

bool signal_stops_by_default(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

#define STOP_SIGNALS (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

static bool is_ignored(struct signal_group *g, struct signal_thread *s, int sig)
{
    uint64_t h = g->action[sig].handler;
    if (s && (s->blocked & SIGBIT(sig)))
        return false;
    return h == SIG_IGN || (h == SIG_DFL && signal_ignored_by_default(sig));
}

bool signal_is_ignored(int sig)
{
    struct signal_thread *s = task_signals(current);
    spin_lock(&s->group->lock);
    bool r = (s->blocked & SIGBIT(sig)) || s->group->action[sig].handler == SIG_IGN;
    spin_unlock(&s->group->lock);
    return r;
}

static void notify_thread(struct signal_thread *s)
{
    task_notify(signal_task_of(s));
    if (s->killable && s->group->dying)
        task_wake(signal_task_of(s));
}

/* Picks who is to take a signal sent to the whole group: the caller if it can, else the first.
 */
static void notify_one(struct signal_group *g, int sig)
{
    struct signal_thread *s, *pick = NULL;
    list_for_each (s, &g->threads, node) {
        if (s->blocked & SIGBIT(sig))
            continue;
        if (!pick || signal_task_of(s) == current)
            pick = s;
    }
    if (pick)
        notify_thread(pick);
}

static bool kill_locked(struct signal_group *g, int status, struct signal_thread *survivor)
{
    struct signal_thread *s;
    if (g->dying && (survivor || !g->survivor))
        return false;
    g->dying = true;
    g->exit_status = status;
    g->survivor = survivor;
    list_for_each (s, &g->threads, node) {
        if (s != survivor)
            notify_thread(s);
    }
    wait_wake_all(&g->resume);
    return true;
}

bool signal_group_kill(struct signal_group *g, int status, struct signal_thread *survivor)
{
    spin_lock(&g->lock);
    bool r = kill_locked(g, status, survivor);
    spin_unlock(&g->lock);
    return r;
}

static int enqueue(struct signal_group *g, struct signal_pending *p,
                   const struct abi_siginfo *info)
{
    int sig = info->si_signo;
    if (sig < SIGRTMIN && (p->set & SIGBIT(sig)))
        return 0;
    struct signal_queued *q = NULL;
    if (g->queued < g->queue_max)
        q = kzalloc(sizeof(*q));
    if (!q && sig >= SIGRTMIN && info->si_code != SI_USER)
        return -EAGAIN;
    if (q) {
        q->info = *info;
        list_append(&p->queue, &q->node);
        g->queued++;
    }
    p->set |= SIGBIT(sig);
    return 0;
}

/* True: the process went on and its parent should hear of it. */
static bool stop_and_continue(struct signal_group *g, int sig)
{
    if (SIGBIT(sig) & STOP_SIGNALS)
        discard_everywhere(g, SIGBIT(SIGCONT));
    if (sig != SIGCONT && sig != SIGKILL)
        return false;
    if (sig == SIGCONT)
        discard_everywhere(g, STOP_SIGNALS);
    bool was = g->stopped;
    g->stopped = false;
    if (was)
        wait_wake_all(&g->resume);
    return was;
}

static int send(struct signal_group *g, struct signal_thread *s, const struct abi_siginfo *info)
{
    int r = 0, sig = info->si_signo;
    spin_lock(&g->lock);
    if (g->unkillable || list_empty(s ? &s->node : &g->threads)) {
        spin_unlock(&g->lock);
        return 0;
    }
    bool went_on = stop_and_continue(g, sig);
    struct signal_thread *check = s;
    if (!check)
        check = list_entry(g->threads.next, struct signal_thread, node);
    if (sig == SIGKILL)
        kill_locked(g, SIGKILL, NULL);
    else if (!is_ignored(g, check, sig)) {
        r = enqueue(g, s ? &s->pending : &g->pending, info);
        if (!s)
            notify_one(g, sig);
        else if (!(s->blocked & SIGBIT(sig)))
            notify_thread(s);
        wait_wake_all(&g->arrival);
    }
    spin_unlock(&g->lock);
    if (went_on)
        signal_ops->stop_changed(g, 0);
    return r;
}

int signal_send_group(struct signal_group *g, const struct abi_siginfo *info)
{
    return send(g, NULL, info);
}

int signal_send_thread(struct signal_thread *s, const struct abi_siginfo *info)
{
    return send(s->group, s, info);
}

void signal_send_queued(struct signal_group *g, struct signal_thread *s,
                        struct signal_queued *q, uint32_t count)
{
    int sig = q->info.si_signo;
    spin_lock(&g->lock);
    struct signal_pending *p = s ? &s->pending : &g->pending;
    struct signal_thread *check = s;
    if (!check && !list_empty(&g->threads))
        check = list_entry(g->threads.next, struct signal_thread, node);
    if (!check || list_empty(&check->node) || is_ignored(g, check, sig))
        goto out;
    bool queued = !list_empty(&q->node);
    uint64_t overrun = (queued ? (uint64_t)q->info.overrun + count : count - 1ull);
    q->info.overrun = (int32_t)MIN(overrun, (uint64_t)INT32_MAX);
    if (queued)
        goto out;
    list_append(&p->queue, &q->node);
    p->set |= SIGBIT(sig);
    if (!s)
        notify_one(g, sig);
    else if (!(s->blocked & SIGBIT(sig)))
        notify_thread(s);
    wait_wake_all(&g->arrival);
out:
    spin_unlock(&g->lock);
}

static void refresh_bit(struct signal_pending *p, int sig)
{
    struct signal_queued *q;
    list_for_each (q, &p->queue, node) {
        if (q->info.si_signo == sig)
            return;
    }
    p->set &= ~SIGBIT(sig);
}

void signal_unqueue(struct signal_group *g, struct signal_queued *q)
{
    struct signal_thread *s;
    int sig = q->info.si_signo;
    spin_lock(&g->lock);
    if (!list_empty(&q->node)) {
        list_remove(&q->node);
        refresh_bit(&g->pending, sig);
        list_for_each (s, &g->threads, node)
            refresh_bit(&s->pending, sig);
    }
    spin_unlock(&g->lock);
}

void signal_send_current(int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_USER};
    struct task *t = current;
    info.pid = t->tgid;
    (void)signal_send_thread(task_signals(t), &info);
}

void signal_force(const struct abi_siginfo *info)
{
    struct signal_thread *s = task_signals(current);
    struct signal_group *g = s->group;
    int sig = info->si_signo;
    spin_lock(&g->lock);
    struct abi_sigaction *a = &g->action[sig];
    if (a->handler == SIG_IGN || (s->blocked & SIGBIT(sig))) {
        a->handler = SIG_DFL;
        s->blocked &= ~SIGBIT(sig);
    }
    pending_discard(g, &s->pending, SIGBIT(sig));
    (void)enqueue(g, &s->pending, info);
    notify_thread(s);
    spin_unlock(&g->lock);
}

void signal_force_simple(int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    signal_force(&info);
}

/* ---- threads come and go ---- */

void signal_thread_leave(struct signal_thread *s)
{
    struct signal_group *g = s->group;
    spin_lock(&g->lock);
    if (!list_empty(&s->node))
        list_remove(&s->node);
    pending_discard(g, &s->pending, ~0ull);
    /* Signals that were to be this thread's concern may be another's now. */
    for (uint64_t set = g->pending.set; set; set &= set - 1)
        notify_one(g, __builtin_ctzll(set) + 1);
    wait_wake_all(&g->arrival);
    spin_unlock(&g->lock);
}

void signal_exec(struct signal_group *g, struct signal_thread *s)
{
    spin_lock(&g->lock);
    for (int sig = 1; sig <= SIGMAX; sig++) {
        uint64_t h = g->action[sig].handler;
        memset(&g->action[sig], 0, sizeof(g->action[sig]));
        if (h == SIG_IGN)
            g->action[sig].handler = SIG_IGN;
    }
    memset(&s->altstack, 0, sizeof(s->altstack));
    s->altstack.ss_flags = SS_DISABLE;
    s->restore_mask = false;
    s->restart = NULL;
    spin_unlock(&g->lock);
}

/* ---- masks ---- */

void signal_mask_set_locked(struct signal_thread *s, uint64_t mask)
{
    s->blocked = mask & ~SIGNALS_UNBLOCKABLE;
    if (signal_deliverable_locked(s))
        atomic_fetch_or(&signal_task_of(s)->flags, TASK_SIGNAL);
}

void signal_mask_set(uint64_t mask)
{
    struct signal_thread *s = task_signals(current);
    struct signal_group *g = s->group;
    spin_lock(&s->group->lock);
    uint64_t newly = mask & ~s->blocked & g->pending.set;
    signal_mask_set_locked(s, mask);
    for (; newly; newly &= newly - 1)
        notify_one(g, __builtin_ctzll(newly) + 1);
    spin_unlock(&s->group->lock);
}

int signal_get_mask(uaddr_t mask, uint64_t size, uint64_t *out)
{
    if (size != sizeof(uint64_t))
        return -EINVAL;
    return get_user(out, mask);
}

int signal_mask_begin(uaddr_t address, uint64_t size)
{
    struct signal_thread *s = task_signals(current);
    uint64_t mask;
    if (!address)
        return 0;
    int r = signal_get_mask(address, size, &mask);
    if (r)
        return r;
    s->saved_mask = s->blocked;
    s->restore_mask = true;
    signal_mask_set(mask);
    return 0;
}

void signal_mask_end(bool interrupted)
{
    struct signal_thread *s = task_signals(current);
    if (!s->restore_mask)
        return;
    if (interrupted) {
        /* Delivery puts the old mask back, with or without a handler. */
        atomic_fetch_or(&current->flags, TASK_SIGNAL);
        return;
    }
    s->restore_mask = false;
    signal_mask_set(s->saved_mask);
}

/* ---- dispositions ---- */

void signal_action(int sig, const struct abi_sigaction *fresh, struct abi_sigaction *old)
{
    struct signal_group *g = task_signals(current)->group;
    spin_lock(&g->lock);
    *old = g->action[sig];
    if (fresh) {
        g->action[sig] = *fresh;
        if (fresh->handler == SIG_IGN ||
            (fresh->handler == SIG_DFL && signal_ignored_by_default(sig)))
            discard_everywhere(g, SIGBIT(sig));
    }
    spin_unlock(&g->lock);
}
