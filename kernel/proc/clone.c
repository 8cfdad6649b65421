/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New threads and processes: with their parent's memory (vfork, posix_spawn) or a copy (fork).
 * LIMIT: no namespaces, no CLONE_SIGHAND between processes.
 */
#include "proc/clone.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/internal.h"
#include "proc/pidfd.h"
#include "proc/timers.h"
#include "sched/vector.h"

#define NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define FS_BASE_END 0x800000000000ull

static int check_flags(const struct abi_clone_args *a)
{
    uint64_t f = a->flags;
    if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && (!(f & CLONE_VM) || (f & CLONE_CLEAR_SIGHAND)))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && !(f & CLONE_THREAD))
        return -EINVAL;
    if ((f & CLONE_INTO_CGROUP) || ((f & CLONE_PIDFD) && (f & CLONE_THREAD)))
        return -EINVAL;
    if (f & NAMESPACES)
        return -EPERM;
    if ((f & CLONE_SETTLS) && a->tls >= FS_BASE_END)
        return -EPERM;
    if (a->exit_signal > SIGMAX)
        return -EINVAL;
    return 0;
}

/* The first steps of every new thread but the first. */
static void child_start(void *arg)
{
    struct thread *t = arg;
    if (t->set_child_tid)
        (void)!put_user(t->set_child_tid, (int32_t)t->task.tid);
    user_enter();
}

static int share_files(struct thread *t, uint64_t flags)
{
    struct task *me = current, *k = &t->task;
    int r;
    if (flags & CLONE_FILES)
        k->files = fd_table_get(me->files);
    else {
        r = fd_table_clone(me->files, &k->files);
        if (r)
            return r;
    }
    if (flags & CLONE_FS)
        k->fs = fs_context_get(me->fs);
    else {
        r = fs_context_clone(me->fs, &k->fs);
        if (r)
            return r;
    }
    k->cred = cred_get(me->cred);
    return 0;
}

static void copy_registers(struct thread *t, const struct abi_clone_args *a)
{
    struct regs *r = task_regs(&t->task);
    *r = *task_regs(current);
    r->rax = 0;
    r->orig_rax = UINT64_MAX;
    r->kind = REGS_FULL;
    if (a->stack)
        r->rsp = a->stack + a->stack_size;
    if (a->flags & CLONE_SETTLS)
        t->task.fs_base = a->tls;
    else
        __asm__ volatile("rdfsbase %0" : "=r"(t->task.fs_base));
    vector_save(current);
    memcpy(t->task.vector, current->vector, vector_bytes);
    t->task.vector_saved = true;
}

/* SCHED_RESET_ON_FORK: children are ordinary ones. */
static void copy_priority(struct thread *t, const struct thread *me)
{
    struct task_priority p = me->task.base;
    t->policy = me->policy;
    t->priority = me->priority;
    t->task.nice = me->task.nice;
    if (me->policy & SCHED_RESET_ON_FORK) {
        t->policy = p.realtime ? 0 : me->policy & ~SCHED_RESET_ON_FORK;
        t->priority = 0;
        t->task.nice = p.realtime ? 0 : MAX(me->task.nice, 0);
        p.realtime = 0;
        p.weight = MAX(p.weight, task_weight(t->task.nice));
    }
    task_set_priority(&t->task, &p);
}

static void copy_thread(struct thread *t, const struct abi_clone_args *a)
{
    struct thread *me = current_thread;
    uint64_t f = a->flags;
    t->task.affinity = me->task.affinity;
    memcpy(t->task.name, me->task.name, sizeof(t->task.name));
    t->signals.blocked = me->signals.blocked;
    if (!(f & CLONE_VM) || (f & CLONE_VFORK))
        t->signals.altstack = me->signals.altstack;
    copy_priority(t, me);
    t->timer_slack_ns = me->timer_slack_ns;
    t->personality = me->personality;
    t->io_priority = me->io_priority;
    t->no_new_privs = me->no_new_privs;
    if (f & CLONE_CHILD_SETTID)
        t->set_child_tid = a->child_tid;
    if (f & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = a->child_tid;
}

static struct process *new_process(const struct abi_clone_args *a)
{
    struct process *p = process_new(current_process);
    if (!p)
        return NULL;
    p->exit_signal =
        a->flags & CLONE_PARENT ? current_process->exit_signal : (int)a->exit_signal;
    if (a->flags & CLONE_CLEAR_SIGHAND) {
        for (int sig = 1; sig <= SIGMAX; sig++) {
            if (p->signals.action[sig].handler != SIG_IGN)
                p->signals.action[sig] = (struct abi_sigaction){0};
        }
    }
    return p;
}

static struct process *parent_of_child(uint64_t flags)
{
    struct process *p = current_process;
    return (flags & CLONE_PARENT) && p->parent ? p->parent : p;
}

/* Sleeps until the child has called exec or ended. */
static void vfork_sleep(struct thread *child, struct vfork_wait *v)
{
    struct thread *me = current_thread;
    me->signals.killable = true;
    for (;;) {
        atomic_store(&me->task.state, TASK_UNINTERRUPTIBLE);
        if (atomic_load(&v->done) || current_process->signals.dying)
            break;
        schedule();
    }
    atomic_store(&me->task.state, TASK_RUNNABLE);
    me->signals.killable = false;
    spin_lock(&proc_lock);
    if (child->vfork == v)
        child->vfork = NULL;
    spin_unlock(&proc_lock);
}

static int64_t start(struct thread *t, struct process *fresh, const struct abi_clone_args *a)
{
    struct vfork_wait v;
    int r = share_files(t, a->flags);
    if (r)
        return r;
    copy_thread(t, a);
    copy_registers(t, a);
    if (a->flags & CLONE_VM)
        t->task.mm = mm_get(current->mm);
    else
        r = mm_fork(&t->task.mm);
    if (r)
        return r;
    if (a->flags & CLONE_VFORK) {
        v.parent = current_thread;
        atomic_store(&v.done, false);
        t->vfork = &v;
        thread_get(t);
    }
    r = thread_publish(t, fresh, parent_of_child(a->flags));
    if (r) {
        if (a->flags & CLONE_VFORK)
            thread_put(t);
        return r;
    }
    int tid = t->task.tid;
    if (fresh && process_limit(fresh, RLIMIT_CPU) != RLIM_INFINITY)
        process_cpu_limit_changed(fresh);
    if ((a->flags & CLONE_VM) && (a->flags & CLONE_PARENT_SETTID))
        (void)!put_user(a->parent_tid, (int32_t)tid);
    task_start(&t->task);
    if (a->flags & CLONE_VFORK) {
        vfork_sleep(t, &v);
        thread_put(t);
    }
    return tid;
}

/* RLIMIT_NPROC, which does not hold for user 0 and who may have more. */
static bool too_many(void)
{
    const struct cred *c = current->cred;
    uint64_t limit = process_limit(current_process, RLIMIT_NPROC);
    uint32_t all;
    (void)process_count(&all);
    return all >= limit && c->uid && !cred_can(c, CAP_SYS_RESOURCE) &&
           !cred_can(c, CAP_SYS_ADMIN) && threads_of_user(c->uid) >= limit;
}

/* A number for the parent's pidfd, which is in its memory before that is copied. */
static int reserve_pidfd(const struct abi_clone_args *a, struct process *p, struct file **out)
{
    int fd = fd_reserve(0);
    if (fd < 0)
        return fd;
    int r = pidfd_new(p, 0, out);
    if (!r && put_user(a->pidfd, (int32_t)fd)) {
        file_put(*out);
        *out = NULL;
        r = -EFAULT;
    }
    if (r)
        fd_unreserve(fd);
    return r ? r : fd;
}

int64_t clone_run(const struct abi_clone_args *a)
{
    struct process *p = current_process, *fresh = NULL;
    struct file *pidfd = NULL;
    int fd = -1;
    int64_t r = check_flags(a);
    if (!r && too_many())
        r = -EAGAIN;
    if (r)
        return r;
    if (!(a->flags & CLONE_THREAD)) {
        fresh = new_process(a);
        if (!fresh)
            return -ENOMEM;
        p = fresh;
    }
    struct thread *t = thread_new(p, child_start, NULL);
    process_put(fresh);
    if (!t)
        return -ENOMEM;
    t->task.arg = t;
    t->wanted_tid = (int)a->set_tid;
    if (a->flags & CLONE_PIDFD)
        r = fd = reserve_pidfd(a, p, &pidfd);
    if (r >= 0)
        r = start(t, fresh, a);
    if (r < 0)
        thread_discard(t);
    if (pidfd && r > 0) {
        fd_install(fd, pidfd, true);
    } else if (pidfd) {
        fd_unreserve(fd);
        file_put(pidfd);
    }
    if (!(a->flags & CLONE_VM)) { /* the child's pages are in place: let it run first */
        task_yield();
        if (r > 0 && (a->flags & CLONE_PARENT_SETTID))
            (void)!put_user(a->parent_tid, (int32_t)r);
    }
    return r;
}
