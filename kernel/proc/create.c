/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making processes and threads: allocation, inheritance, ids, the table. Nobody else sees a new
 * one before thread_publish().
 */
#include "abi/errno.h"
#include "enclave/config.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "proc/internal.h"
#include "time/time.h"

#define STACK_DEFAULT (8ull << 20)
#define MEMLOCK_DEFAULT (8ull << 20)
#define NOFILE_SOFT   1024u
#define NOFILE_HARD   1048576u
#define TIMER_SLACK   50000u

static void default_limits(struct process *p)
{
    const struct enclave_config *c = config_get();
    uint64_t stack = c->stack_size ? c->stack_size : STACK_DEFAULT;
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        p->limit[i] = (struct abi_rlimit){RLIM_INFINITY, RLIM_INFINITY};
    p->limit[RLIMIT_STACK].cur = stack;
    p->limit[RLIMIT_CORE].cur = 0;
    p->limit[RLIMIT_NPROC] = (struct abi_rlimit){threads_max() / 2, threads_max() / 2};
    p->limit[RLIMIT_NOFILE] = (struct abi_rlimit){NOFILE_SOFT, NOFILE_HARD};
    p->limit[RLIMIT_SIGPENDING] = (struct abi_rlimit){SIGNAL_QUEUE_MAX, SIGNAL_QUEUE_MAX};
    p->limit[RLIMIT_MEMLOCK] = (struct abi_rlimit){MEMLOCK_DEFAULT, MEMLOCK_DEFAULT};
    p->limit[RLIMIT_NICE] = (struct abi_rlimit){0, 0};
    p->limit[RLIMIT_RTPRIO] = (struct abi_rlimit){0, 0};
    p->limit[RLIMIT_MSGQUEUE] = (struct abi_rlimit){819200, 819200};
}

static void inherit(struct process *p, struct process *parent)
{
    spin_lock(&proc_lock);
    memcpy(p->limit, parent->limit, sizeof(p->limit));
    p->pgid = parent->pgid;
    p->sid = parent->sid;
    p->no_tty = parent->no_tty;
    p->dumpable = parent->dumpable;
    p->exe = parent->exe ? file_get(parent->exe) : NULL;
    spin_unlock(&proc_lock);
    spin_lock(&parent->signals.lock);
    p->signals.queue_max = parent->signals.queue_max;
    memcpy(p->signals.action, parent->signals.action, sizeof(p->signals.action));
    p->signals.restorer = parent->signals.restorer;
    spin_unlock(&parent->signals.lock);
}

/* /proc/PID/cmdline and auxv stay those of the parent until exec. */
static int inherit_strings(struct process *p, struct process *parent)
{
    size_t size = parent->cmdline_size, auxv = parent->auxv_size;
    if (!size && !auxv)
        return 0;
    p->cmdline = kmalloc(size ? size : 1);
    p->auxv = kmalloc(auxv ? auxv : 1);
    if (!p->cmdline || !p->auxv)
        return -ENOMEM;
    spin_lock(&proc_lock);
    p->cmdline_size = MIN(size, parent->cmdline_size);
    p->auxv_size = MIN(auxv, parent->auxv_size);
    memcpy(p->cmdline, parent->cmdline, p->cmdline_size);
    memcpy(p->auxv, parent->auxv, p->auxv_size);
    spin_unlock(&proc_lock);
    return 0;
}

struct process *process_new(struct process *parent)
{
    struct process *p = kzalloc(sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    p->start_ns = clock_monotonic_ns();
    p->exit_signal = SIGCHLD;
    p->dumpable = true;
    list_init(&p->sem_undo);
    list_init(&p->aio);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->threads);
    wait_queue_init(&p->child_wait);
    wait_queue_init(&p->exit_wait);
    signal_group_init(&p->signals);
    process_timers_init(p);
    if (!parent) {
        default_limits(p);
        return p;
    }
    inherit(p, parent);
    if (inherit_strings(p, parent)) {
        process_put(p);
        return NULL;
    }
    return p;
}

void process_free(struct process *p)
{
    signal_group_fini(&p->signals);
    file_put(p->exe);
    kfree(p->cmdline);
    kfree(p->auxv);
    kfree(p);
}

static void thread_release(struct task *task)
{
    thread_put(thread_of(task));
}

struct thread *thread_new(struct process *p, void (*entry)(void *), void *arg)
{
    struct thread *t = kzalloc(sizeof(*t));
    if (!t)
        return NULL;
    if (task_init(&t->task, entry, arg)) {
        kfree(t);
        return NULL;
    }
    t->refs = 1;
    t->task.release = thread_release;
    t->process = process_get(p);
    t->start_ns = clock_monotonic_ns();
    t->timer_slack_ns = TIMER_SLACK;
    list_init(&t->node);
    signal_thread_init(&t->signals, &p->signals);
    return t;
}

void thread_discard(struct thread *t)
{
    struct task *k = &t->task;
    if (k->mm)
        mm_put(k->mm);
    if (k->files)
        fd_table_put(k->files);
    if (k->fs)
        fs_context_put(k->fs);
    cred_put(k->cred);
    thread_put(t);
}

/* Ids and table entries. */
static int enter_tables(struct thread *t, struct process *fresh) HELD(proc_lock)
{
    int id = t->wanted_tid ? id_take_locked(t->wanted_tid) : id_alloc_locked();
    if (id < 0)
        return id;
    t->task.tid = id;
    t->task.tgid = fresh ? id : t->process->pid;
    int r = table_add_thread_locked(t);
    if (r || !fresh)
        return r;
    fresh->pid = id;
    r = table_add_process_locked(fresh);
    if (r)
        table_remove_thread_locked(t);
    return r;
}

int thread_publish(struct thread *t, struct process *fresh, struct process *parent)
{
    struct process *p = t->process;
    spin_lock(&proc_lock);
    bool full = table_full_locked(fresh != NULL, !current->mm);
    int r = full ? -EAGAIN : enter_tables(t, fresh);
    if (r)
        goto out;
    r = signal_thread_join(&t->signals);
    if (r) { /* a further thread of a dying process */
        table_remove_thread_locked(t);
        goto out;
    }
    list_append(&p->threads, &t->node);
    p->thread_count++;
    if (fresh) {
        process_set_parent(p, parent);
        list_append(&parent->children, &p->sibling);
        process_get(p); /* the table's, until it is reaped */
        if (!p->pgid)
            p->pgid = p->sid = p->pid;
    }
out:
    spin_unlock(&proc_lock);
    return r;
}
