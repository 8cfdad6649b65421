/* SPDX-License-Identifier: BSD-3-Clause */
/* ioprio_set(2), ioprio_get(2): kept for programs to see; the host orders what leaves here. */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "proc/pidfd.h"
#include "syscall/syscall.h"

#define WHO_PROCESS 1
#define WHO_PGRP    2
#define WHO_USER    3

#define CLASS_SHIFT   13
#define CLASS_NONE    0
#define CLASS_RT      1
#define CLASS_BE      2
#define CLASS_IDLE    3
#define PRIO(c, data) ((c) << CLASS_SHIFT | (data))
#define DEFAULT_PRIO  PRIO(CLASS_BE, 4)

static int check_prio(int prio)
{
    switch (prio >> CLASS_SHIFT) {
    case CLASS_RT:
        return cred_can(current->cred, CAP_SYS_NICE) ? 0 : -EPERM;
    case CLASS_BE:
    case CLASS_IDLE:
        return 0;
    case CLASS_NONE:
        return prio ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

static bool chosen(struct process *p, int which, int who)
{
    bool is;
    if (which == WHO_PGRP)
        return p->pgid == (who ? who : current_process->pgid);
    struct cred *c = process_cred(p);
    is = c && c->uid == (who ? (uint32_t)who : current->cred->uid);
    cred_put(c);
    return is;
}

static int set_thread(struct thread *t, int prio)
{
    if (!process_may_inspect(t->process))
        return -EPERM;
    __atomic_store_n(&t->io_priority, prio, __ATOMIC_RELAXED);
    return 0;
}

/* The more urgent of the two; 0 stands for the default. */
static int best(int a, int b)
{
    a = a ? a : DEFAULT_PRIO;
    b = b ? b : DEFAULT_PRIO;
    return MIN(a, b);
}

/* All threads of the chosen processes: sets (prio >= 0) or finds the best. */
static int for_many(int which, int who, int prio)
{
    struct process *p;
    struct thread *t;
    int r = -ESRCH;
    for (int pid = PID_INIT + 1; (p = process_next(&pid)) != NULL; pid++) {
        bool match = chosen(p, which, who);
        for (int tid = 0; match && (t = process_next_thread(p, &tid)) != NULL; tid++) {
            int now = __atomic_load_n(&t->io_priority, __ATOMIC_RELAXED);
            if (prio >= 0)
                r = set_thread(t, prio);
            else
                r = r < 0 ? best(now, 0x7fff) : best(now, r);
            thread_put(t);
        }
        process_put(p);
    }
    return r;
}

static int for_one(int tid, int prio)
{
    struct thread *t = tid ? thread_find(tid) : thread_get(current_thread);
    if (!t)
        return -ESRCH;
    int r =
        prio >= 0 ? set_thread(t, prio) : __atomic_load_n(&t->io_priority, __ATOMIC_RELAXED);
    thread_put(t);
    return r;
}

int64_t sys_ioprio_set(int which, int who, int prio)
{
    int r = prio < 0 ? -EINVAL : check_prio(prio);
    if (r)
        return r;
    if (which == WHO_PROCESS)
        return for_one(who, prio);
    return which == WHO_PGRP || which == WHO_USER ? for_many(which, who, prio) : -EINVAL;
}

int64_t sys_ioprio_get(int which, int who)
{
    if (which == WHO_PROCESS)
        return for_one(who, -1);
    return which == WHO_PGRP || which == WHO_USER ? for_many(which, who, -1) : -EINVAL;
}
