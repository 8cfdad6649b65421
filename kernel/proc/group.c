/* SPDX-License-Identifier: BSD-3-Clause */
/* Process groups. There are no tables of them: groups are few where anybody asks. */
#include "proc/group.h"

#include "abi/errno.h"
#include "proc/internal.h"

void (*proc_session_ended)(int sid);
void (*proc_first_began)(struct proc_start *s);
void (*proc_stage_ended)(int wait_status);
void (*proc_outside_changed)(uint32_t id, int status, bool stopped);

bool group_exists(int pgid, int sid)
{
    uint64_t key = PID_INIT;
    bool found = false;
    struct process *p;
    spin_lock(&proc_lock);
    while (!found && (p = process_next_locked(&key)) != NULL) {
        found = p->pgid == pgid && (!sid || p->sid == sid);
        key++;
    }
    spin_unlock(&proc_lock);
    return found;
}

int group_signal(int pgid, const struct abi_siginfo *info)
{
    struct process *p;
    int r = -ESRCH;
    for (int pid = PID_INIT + 1; (p = process_next(&pid)) != NULL; pid++) {
        if (p->pgid == pgid) {
            (void)signal_send_group(&p->signals, info);
            r = 0;
        }
        process_put(p);
    }
    return r;
}

/* Whether `p` ties its group to the rest of the session. A process from outside is tied to
 * whoever started it there. */
static bool ties(const struct process *p) HELD(proc_lock)
{
    const struct process *parent = p->parent;
    if (p->outside)
        return true;
    return parent && parent != process_init && parent->sid == p->sid && parent->pgid != p->pgid;
}

static bool orphaned_locked(int pgid, const struct process *without) HELD(proc_lock)
{
    uint64_t key = PID_INIT;
    struct process *p;
    for (; (p = process_next_locked(&key)) != NULL; key++) {
        bool counts = p->pgid == pgid && p != without && p->state == PROCESS_LIVE;
        if (counts && p->parent != without && ties(p))
            return false;
    }
    return true;
}

bool group_orphaned(int pgid)
{
    spin_lock(&proc_lock);
    bool r = orphaned_locked(pgid, NULL);
    spin_unlock(&proc_lock);
    return r;
}

bool process_orphaned(struct signal_group *g)
{
    return group_orphaned(container_of(g, struct process, signals)->pgid);
}

static bool stopped_locked(int pgid, const struct process *without) HELD(proc_lock)
{
    uint64_t key = PID_INIT;
    struct process *p;
    for (; (p = process_next_locked(&key)) != NULL; key++) {
        if (p->pgid == pgid && p != without && p->state == PROCESS_LIVE && p->signals.stopped)
            return true;
    }
    return false;
}

static void consider(struct orphans *o, int pgid, const struct process *without) HELD(proc_lock)
{
    for (int i = 0; i < o->count; i++) {
        if (o->pgid[i] == pgid)
            return;
    }
    if (o->count < ORPHANS_MAX && stopped_locked(pgid, without) &&
        orphaned_locked(pgid, without))
        o->pgid[o->count++] = pgid;
}

void orphans_find_locked(struct process *p, struct orphans *o)
{
    struct process *c;
    if (ties(p))
        consider(o, p->pgid, p);
    list_for_each (c, &p->children, sibling) {
        if (c->sid == p->sid && c->pgid != p->pgid)
            consider(o, c->pgid, p);
    }
}

void orphans_signal(const struct orphans *o)
{
    struct abi_siginfo info = {.si_code = SI_KERNEL};
    for (int i = 0; i < o->count; i++) {
        info.si_signo = SIGHUP;
        (void)group_signal(o->pgid[i], &info);
        info.si_signo = SIGCONT;
        (void)group_signal(o->pgid[i], &info);
    }
}
