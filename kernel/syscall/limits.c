/* SPDX-License-Identifier: BSD-3-Clause */
/* Resource limits. What enforces them: files, memory, signals; the rest is remembered. */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "proc/timers.h"
#include "syscall/syscall.h"

#define NOFILE_MAX 1048576u

static int check_limit(uint32_t resource, const struct abi_rlimit *n,
                       const struct abi_rlimit *o)
{
    if (n->cur > n->max)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && n->max > NOFILE_MAX)
        return -EPERM;
    if (n->max > o->max && !cred_can(current->cred, CAP_SYS_RESOURCE))
        return -EPERM;
    return 0;
}

/* The target's memory obeys at once. */
static void apply(struct process *p, uint32_t resource)
{
    struct mm *mm;
    if (resource == RLIMIT_SIGPENDING)
        p->signals.queue_max =
            (uint32_t)MIN(process_limit(p, RLIMIT_SIGPENDING), (uint64_t)SIGNAL_QUEUE_MAX);
    if (resource == RLIMIT_CPU)
        process_cpu_limit_changed(p);
    if (resource != RLIMIT_AS && resource != RLIMIT_DATA && resource != RLIMIT_STACK)
        return;
    mm = process_mm(p);
    if (!mm)
        return;
    vm_set_limits(mm, process_limit(p, RLIMIT_AS), process_limit(p, RLIMIT_DATA),
                  process_limit(p, RLIMIT_STACK));
    mm_put(mm);
}

static int change(struct process *p, uint32_t resource, const struct abi_rlimit *fresh,
                  struct abi_rlimit *old)
{
    int r = 0;
    if (resource >= RLIMIT_COUNT)
        return -EINVAL;
    spin_lock(&proc_lock);
    *old = p->limit[resource];
    if (fresh)
        r = check_limit(resource, fresh, old);
    if (fresh && !r)
        p->limit[resource] = *fresh;
    spin_unlock(&proc_lock);
    if (fresh && !r)
        apply(p, resource);
    return r;
}

static bool may_look(struct process *p)
{
    const struct cred *me = current->cred;
    struct cred *c;
    if (cred_can(me, CAP_SYS_RESOURCE) || p == current_process)
        return true;
    c = process_cred(p);
    bool ok = c && me->uid == c->uid && me->uid == c->euid && me->uid == c->suid;
    cred_put(c);
    return ok;
}

int64_t sys_prlimit64(int pid, uint32_t resource, uaddr_t fresh, uaddr_t old)
{
    struct abi_rlimit n, o;
    if (fresh && copy_from_user(&n, fresh, sizeof(n)))
        return -EFAULT;
    struct process *p = pid ? process_find(pid) : process_get(current_process);
    if (!p)
        return -ESRCH;
    int r = may_look(p) ? change(p, resource, fresh ? &n : NULL, &o) : -EPERM;
    process_put(p);
    if (!r && old)
        r = copy_to_user(old, &o, sizeof(o));
    return r;
}

int64_t sys_getrlimit(uint32_t resource, uaddr_t rlim)
{
    struct abi_rlimit o;
    int r = change(current_process, resource, NULL, &o);
    return r ? r : copy_to_user(rlim, &o, sizeof(o));
}

int64_t sys_setrlimit(uint32_t resource, uaddr_t rlim)
{
    struct abi_rlimit n, o;
    if (copy_from_user(&n, rlim, sizeof(n)))
        return -EFAULT;
    return change(current_process, resource, &n, &o);
}
