/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scheduling: yielding, affinity, priorities, membarrier.
 * LIMIT: no SCHED_DEADLINE, no utilisation clamps, no limit on what realtime tasks consume.
 */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "lib/string.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "sched/internal.h"
#include "syscall/syscall.h"
#include "time/time.h"

#define SCHED_OTHER         0
#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define PRIO_PROCESS        0
#define PRIO_PGRP           1
#define PRIO_USER           2
#define IDLE_WEIGHT         (350u * WEIGHT_UNIT)

int64_t sys_sched_yield(void)
{
    task_yield();
    return 0;
}

static struct thread *target(int tid)
{
    return tid ? thread_find(tid) : thread_get(current_thread);
}

static bool may_change(const struct thread *t)
{
    const struct cred *me = current->cred, *c = t->task.cred;
    return cred_can(me, CAP_SYS_NICE) || t->process == current_process ||
           (c && (me->euid == c->euid || me->euid == c->uid));
}

/* ---- affinity ---- */

static uint64_t online_mask(void)
{
    uint32_t n = atomic_load(&vcpu_online);
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

int64_t sys_sched_getaffinity(int pid, uint64_t len, uaddr_t at)
{
    if (len < sizeof(uint64_t) || (len & (sizeof(uint64_t) - 1)))
        return -EINVAL;
    struct thread *t = target(pid);
    if (!t)
        return -ESRCH;
    uint64_t mask = t->task.affinity ? t->task.affinity : ~0ull;
    thread_put(t);
    mask &= online_mask();
    int r = put_user(at, mask);
    return r ? r : (int64_t)sizeof(mask);
}

int64_t sys_sched_setaffinity(int pid, uint64_t len, uaddr_t at)
{
    uint64_t mask = 0;
    if (copy_from_user(&mask, at, MIN(len, sizeof(mask))))
        return -EFAULT;
    struct thread *t = target(pid);
    if (!t)
        return -ESRCH;
    int r = may_change(t) ? 0 : -EPERM;
    mask &= online_mask();
    if (!r && !mask)
        r = -EINVAL;
    if (!r)
        task_set_affinity(&t->task, mask);
    thread_put(t);
    return r;
}

int64_t sys_getcpu(uaddr_t cpu, uaddr_t node, uaddr_t cache)
{
    uint32_t index = this_vcpu()->index, zero = 0;
    if (cpu && put_user(cpu, index))
        return -EFAULT;
    return node ? put_user(node, zero) : 0;
}

/* ---- policies ---- */

static bool is_realtime(uint32_t policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int may_renice(const struct thread *t, int nice)
{
    if (!may_change(t))
        return -EPERM;
    if (nice < t->task.nice && !cred_can(current->cred, CAP_SYS_NICE) &&
        (uint64_t)(20 - nice) > process_limit(t->process, RLIMIT_NICE))
        return -EACCES;
    return 0;
}

/* What policy, priority and nice value mean to the scheduler. */
static void apply(struct thread *t)
{
    uint32_t policy = t->policy & ~SCHED_RESET_ON_FORK;
    struct task_priority p = {
        .realtime = is_realtime(policy) ? (uint8_t)t->priority : 0,
        .round_robin = policy == SCHED_RR,
        .batch = policy == SCHED_BATCH || policy == SCHED_IDLE,
        .weight = policy == SCHED_IDLE ? IDLE_WEIGHT : task_weight(t->task.nice),
    };
    task_set_priority(&t->task, &p);
}

static int set_policy(int pid, uint32_t policy, uint32_t priority, const int32_t *nice)
{
    uint32_t base = policy & ~SCHED_RESET_ON_FORK;
    if (pid < 0 || (base > SCHED_BATCH && base != SCHED_IDLE))
        return -EINVAL;
    if (is_realtime(base) ? priority < 1 || priority > 99 : priority != 0)
        return -EINVAL;
    struct thread *t = target(pid);
    if (!t)
        return -ESRCH;
    int r = may_change(t) ? 0 : -EPERM;
    if (!r && is_realtime(base) && !cred_can(current->cred, CAP_SYS_NICE) &&
        priority > process_limit(t->process, RLIMIT_RTPRIO))
        r = -EPERM;
    if (!r && nice && !is_realtime(base) && may_renice(t, *nice))
        r = -EPERM; /* setpriority(2) says EACCES */
    if (!r) {
        t->policy = policy;
        t->priority = priority;
        if (nice && !is_realtime(base))
            t->task.nice = *nice;
        apply(t);
    }
    thread_put(t);
    return r;
}

int64_t sys_sched_setscheduler(int pid, int policy, uaddr_t param)
{
    int32_t priority;
    if (policy < 0 || pid < 0 || !param)
        return -EINVAL;
    if (get_user(&priority, param))
        return -EFAULT;
    return set_policy(pid, (uint32_t)policy, (uint32_t)priority, NULL);
}

static int get_policy(int pid, uint32_t *policy, uint32_t *priority, int *nice)
{
    if (pid < 0)
        return -EINVAL;
    struct thread *t = target(pid);
    if (!t)
        return -ESRCH;
    *policy = t->policy;
    *priority = t->priority;
    *nice = t->task.nice;
    thread_put(t);
    return 0;
}

int64_t sys_sched_getscheduler(int pid)
{
    uint32_t policy, priority;
    int nice, r = get_policy(pid, &policy, &priority, &nice);
    return r ? r : (int64_t)policy;
}

int64_t sys_sched_setparam(int pid, uaddr_t param)
{
    uint32_t policy, priority;
    int32_t wanted;
    int nice;
    if (!param || pid < 0)
        return -EINVAL;
    if (get_user(&wanted, param))
        return -EFAULT;
    int r = get_policy(pid, &policy, &priority, &nice);
    return r ? r : set_policy(pid, policy, (uint32_t)wanted, NULL);
}

int64_t sys_sched_getparam(int pid, uaddr_t param)
{
    uint32_t policy, priority;
    int nice, r = param ? get_policy(pid, &policy, &priority, &nice) : -EINVAL;
    return r ? r : put_user(param, priority);
}

static int64_t priority_bound(int policy, int realtime)
{
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return realtime;
    if (policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE)
        return 0;
    return -EINVAL;
}

int64_t sys_sched_get_priority_max(int policy)
{
    return priority_bound(policy, 99);
}

int64_t sys_sched_get_priority_min(int policy)
{
    return priority_bound(policy, 1);
}

int64_t sys_sched_rr_get_interval(int pid, uaddr_t interval)
{
    uint32_t policy, priority;
    int nice, r = get_policy(pid, &policy, &priority, &nice);
    bool forever = (policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO;
    return r ? r : time_put_spec(interval, forever ? 0 : QUANTUM_NS);
}

#define SCHED_FLAG_RESET_ON_FORK 1u
#define SCHED_FLAG_KEEP_POLICY   8u
#define SCHED_FLAG_KEEP_PARAMS   16u

struct sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* A longer structure is fine as long as what we do not know is zero. */
static int get_attr(struct sched_attr *a, uaddr_t at)
{
    uint32_t size;
    uint8_t more;
    if (get_user(&size, at))
        return -EFAULT;
    if (!size)
        size = sizeof(*a);
    if (size < sizeof(*a) || size > PAGE_SIZE) {
        size = sizeof(*a);
        (void)!put_user(at, size);
        return -E2BIG;
    }
    if (copy_from_user(a, at, sizeof(*a)))
        return -EFAULT;
    for (uint32_t i = sizeof(*a); i < size; i++) {
        if (get_user(&more, at + i))
            return -EFAULT;
        if (more)
            return -E2BIG;
    }
    return 0;
}

int64_t sys_sched_setattr(int pid, uaddr_t attr, uint32_t flags)
{
    struct sched_attr a;
    uint32_t policy, priority;
    int nice;
    if (!attr || pid < 0 || flags)
        return -EINVAL;
    int r = get_attr(&a, attr);
    if (r)
        return r;
    if ((int32_t)a.policy < 0 || (a.flags & ~(uint64_t)(SCHED_FLAG_RESET_ON_FORK |
                                                        SCHED_FLAG_KEEP_POLICY |
                                                        SCHED_FLAG_KEEP_PARAMS)))
        return -EINVAL;
    r = get_policy(pid, &policy, &priority, &nice);
    if (r)
        return r;
    if (a.flags & SCHED_FLAG_KEEP_POLICY)
        a.policy = policy & ~SCHED_RESET_ON_FORK;
    if (a.flags & SCHED_FLAG_KEEP_PARAMS) {
        a.priority = priority;
        a.nice = nice;
    }
    if (a.flags & SCHED_FLAG_RESET_ON_FORK)
        a.policy |= SCHED_RESET_ON_FORK;
    a.nice = MIN(MAX(a.nice, -20), 19);
    return set_policy(pid, a.policy, a.priority, &a.nice);
}

int64_t sys_sched_getattr(int pid, uaddr_t attr, uint32_t size, uint32_t flags)
{
    struct sched_attr a = {.size = sizeof(a)};
    int nice = 0;
    if (!attr || pid < 0 || size < sizeof(a) || size > PAGE_SIZE || flags)
        return -EINVAL;
    int r = get_policy(pid, &a.policy, &a.priority, &nice);
    if (a.policy & SCHED_RESET_ON_FORK)
        a.flags = SCHED_FLAG_RESET_ON_FORK;
    a.policy &= ~SCHED_RESET_ON_FORK;
    a.nice = is_realtime(a.policy) ? 0 : nice;
    return r ? r : copy_to_user(attr, &a, sizeof(a));
}

/* ---- nice values ---- */

static bool chosen(const struct process *p, const struct thread *t, int which, int who)
{
    if (which == PRIO_PGRP)
        return p->pgid == (who ? who : current_process->pgid);
    return t->task.cred && t->task.cred->uid == (who ? (uint32_t)who : current->cred->uid);
}

static int set_nice(struct thread *t, int nice)
{
    int r = may_renice(t, nice);
    if (r)
        return r;
    t->task.nice = nice;
    apply(t);
    return 0;
}

/* `nice` NULL: the best value of those chosen, as 20 - nice. */
static int64_t each_chosen(int which, int who, const int *nice)
{
    int64_t r = -ESRCH;
    struct process *p;
    for (int pid = 2; (p = process_next(&pid)) != NULL; pid++) {
        struct thread *t;
        for (int tid = 1; (t = process_next_thread(p, &tid)) != NULL; tid++) {
            if (chosen(p, t, which, who)) {
                int64_t one = nice ? set_nice(t, *nice) : 20 - t->task.nice;
                r = r == -ESRCH || one > r ? one : r;
            }
            thread_put(t);
        }
        process_put(p);
    }
    return r;
}

int64_t sys_getpriority(int which, int who)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    if (which != PRIO_PROCESS)
        return each_chosen(which, who, NULL);
    struct thread *t = target(who);
    if (!t)
        return -ESRCH;
    int nice = t->task.nice;
    thread_put(t);
    return 20 - nice;
}

int64_t sys_setpriority(int which, int who, int prio)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    prio = MIN(MAX(prio, -20), 19);
    if (which != PRIO_PROCESS)
        return each_chosen(which, who, &prio);
    struct thread *t = target(who);
    if (!t)
        return -ESRCH;
    int r = set_nice(t, prio);
    thread_put(t);
    return r;
}

/* ---- membarrier ---- */

#define MEMBARRIER_QUERY                 0
#define MEMBARRIER_GLOBAL                1
#define MEMBARRIER_GLOBAL_EXPEDITED      2
#define MEMBARRIER_REGISTER_GLOBAL       4
#define MEMBARRIER_PRIVATE               8
#define MEMBARRIER_REGISTER_PRIVATE      16
#define MEMBARRIER_PRIVATE_SYNC_CORE     32
#define MEMBARRIER_REGISTER_PRIVATE_SYNC 64
#define MEMBARRIER_KNOWN                                                                       \
    (MEMBARRIER_GLOBAL | MEMBARRIER_GLOBAL_EXPEDITED | MEMBARRIER_REGISTER_GLOBAL |            \
     MEMBARRIER_PRIVATE | MEMBARRIER_REGISTER_PRIVATE | MEMBARRIER_PRIVATE_SYNC_CORE |         \
     MEMBARRIER_REGISTER_PRIVATE_SYNC)

/* Every other thread of the program has been through the kernel when this returns. */
static void barrier(void)
{
    struct sched_mm *mm = (struct sched_mm *)current->mm; /* its first member */
    sched_freeze(mm);
    sched_thaw(mm);
}

/* Every vCPU has been through schedule() when this returns: this thread has run on each. */
static void barrier_everywhere(void)
{
    uint64_t affinity = current->affinity;
    uint32_t n = atomic_load(&vcpu_online);
    for (uint32_t i = 0; i < n; i++) {
        task_set_affinity(current, 1ull << i);
        while (this_vcpu()->index != i)
            task_yield();
    }
    task_set_affinity(current, affinity);
}

int64_t sys_membarrier(int cmd, uint32_t flags, int cpu)
{
    if (flags)
        return -EINVAL;
    switch (cmd) {
    case MEMBARRIER_QUERY:
        return MEMBARRIER_KNOWN;
    case MEMBARRIER_GLOBAL:
    case MEMBARRIER_GLOBAL_EXPEDITED:
        barrier_everywhere();
        return 0;
    case MEMBARRIER_REGISTER_GLOBAL:
    case MEMBARRIER_REGISTER_PRIVATE:
    case MEMBARRIER_REGISTER_PRIVATE_SYNC:
        return 0;
    case MEMBARRIER_PRIVATE:
    case MEMBARRIER_PRIVATE_SYNC_CORE:
        barrier();
        return 0;
    default:
        return -EINVAL;
    }
}
