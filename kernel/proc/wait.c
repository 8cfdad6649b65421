/* SPDX-License-Identifier: BSD-3-Clause */
/* wait(2): finds a child whose state changed, reports it once, and reaps the dead. */
#include "proc/wait.h"

#include "abi/errno.h"
#include "proc/internal.h"

static bool matches(const struct process *c, const struct wait_request *q)
{
    if (q->type == P_PID && c->pid != q->id)
        return false;
    if (q->type == P_PIDFD && c != q->process)
        return false;
    if (q->type == P_PGID && c->pgid != q->id)
        return false;
    if (q->options & W__WALL)
        return true;
    return (c->exit_signal != SIGCHLD) == ((q->options & W__WCLONE) != 0);
}

/* True: *out is filled; *dead is to be put by the caller if set. */
static bool collect(struct process *c, const struct wait_request *q, struct wait_result *out,
                    struct process **dead) HELD(proc_lock)
{
    bool keep = q->options & WNOWAIT;
    *out = (struct wait_result){.pid = c->pid, .uid = c->uid};
    if (c->state == PROCESS_ZOMBIE) {
        if (!(q->options & WEXITED))
            return false;
        out->status = c->wait_status;
        out->usage = c->left;
        usage_add(&out->usage, &c->reaped);
        if (!keep) {
            process_reap_locked(c);
            *dead = c;
        }
        return true;
    }
    if ((q->options & WSTOPPED) && c->stop_signal) {
        out->status = c->stop_signal << 8 | 0x7f;
        if (!keep)
            c->stop_signal = 0;
        return true;
    }
    if ((q->options & WCONTINUED) && c->continued) {
        out->status = 0xffff;
        if (!keep)
            c->continued = false;
        return true;
    }
    return false;
}

/* 1: found; 0: not yet; -ECHILD. */
static int look(const struct wait_request *q, struct wait_result *out)
{
    struct process *p = current_process, *c, *dead = NULL;
    int r = -ECHILD;
    spin_lock(&proc_lock);
    list_for_each (c, &p->children, sibling) {
        if (!matches(c, q))
            continue;
        r = collect(c, q, out, &dead);
        if (r)
            break;
    }
    spin_unlock(&proc_lock);
    process_put(dead);
    return r;
}

int wait_child(const struct wait_request *q, struct wait_result *out)
{
    struct process *p = current_process;
    int found = 0;
    *out = (struct wait_result){0};
    if (q->options & WNOHANG) {
        found = look(q, out);
    } else {
        int r = wait_event(&p->child_wait, (found = look(q, out)) != 0, NO_DEADLINE);
        if (r && !found)
            return r;
    }
    if (found <= 0)
        *out = (struct wait_result){0};
    return found < 0 ? found : 0;
}
