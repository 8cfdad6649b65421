/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of processes and threads, their ids, and references to them. */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/config.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "proc/internal.h"

/* Shares of the memory, so that what all of them take in the kernel is a part of it. */
#define THREAD_SHARE  (1ull << 20)
#define PROCESS_SHARE (8ull << 20)
#define COUNT_MIN     1024ull
#define THREADS_LIMIT (1ull << 20)
#define PROCESS_LIMIT (1ull << 13)
#define RESERVE       16u /* for what is started from outside, whatever programs do */

struct spinlock proc_lock = SPINLOCK_INIT(RANK_PROC_TABLE);
struct process *process_init;

static struct radix processes, threads; /* proc_lock */
static int last_id = PID_INIT;          /* proc_lock */
static bool ids_wrapped;                /* proc_lock */
static uint32_t live_processes, live_threads;

void table_init(void)
{
    radix_init(&processes);
    radix_init(&threads);
}

/* Process groups and sessions outlive the processes that they are named after. */
static bool id_names_group(int id)
{
    uint64_t key = 0;
    struct process *p;
    while ((p = radix_next(&processes, &key)) != NULL) {
        if (p->pgid == id || p->sid == id)
            return true;
        key++;
    }
    return false;
}

static uint32_t share(uint64_t bytes, uint64_t limit)
{
    return (uint32_t)MIN(MAX(boot_info->memory_bytes / bytes, COUNT_MIN), limit);
}

uint32_t threads_max(void)
{
    uint32_t configured = config_get()->max_threads;
    return configured ? configured : share(THREAD_SHARE, THREADS_LIMIT);
}

uint32_t processes_max(void)
{
    uint32_t configured = config_get()->max_threads;
    return configured ? configured : share(PROCESS_SHARE, PROCESS_LIMIT);
}

/* Is there no room for one more? */
static bool full(uint32_t count, uint32_t max, bool outside)
{
    return count >= max - (outside ? 0 : MIN(max / 4, RESERVE));
}

bool table_full_locked(bool process, bool outside)
{
    return full(live_threads, threads_max(), outside) ||
           (process && full(live_processes, processes_max(), outside));
}

int id_alloc_locked(void)
{
    for (int tries = 0; tries < PID_MAX; tries++) {
        if (++last_id >= PID_MAX) {
            last_id = 2;
            ids_wrapped = true;
        }
        if (!ids_wrapped)
            return last_id;
        uint64_t id = (uint64_t)last_id;
        if (!radix_get(&processes, id) && !radix_get(&threads, id) && !id_names_group(last_id))
            return last_id;
    }
    return -EAGAIN;
}

int id_take_locked(int id)
{
    uint64_t key = (uint64_t)id;
    if (radix_get(&processes, key) || radix_get(&threads, key) || id_names_group(id))
        return -EEXIST;
    if (id > last_id) /* those between are handed out when the numbers begin anew */
        ids_wrapped = true;
    return id;
}

void proc_ids_restart(void)
{
    spin_lock(&proc_lock);
    last_id = PID_INIT;
    spin_unlock(&proc_lock);
}

uint32_t threads_of_user(uint32_t uid)
{
    uint32_t n = 0;
    struct thread *t;
    spin_lock(&proc_lock);
    for (uint64_t tid = 0; (t = radix_next(&threads, &tid)) != NULL; tid++)
        n += t->task.cred && t->task.cred->uid == uid;
    spin_unlock(&proc_lock);
    return n;
}

struct process *process_lookup_locked(int pid)
{
    return pid > 0 ? radix_get(&processes, (uint64_t)pid) : NULL;
}

struct process *process_next_locked(uint64_t *key)
{
    return radix_next(&processes, key);
}

int table_add_process_locked(struct process *p)
{
    int r = radix_set(&processes, (uint64_t)p->pid, p);
    if (!r)
        live_processes++;
    return r;
}

int table_add_thread_locked(struct thread *t)
{
    int r = radix_set(&threads, (uint64_t)t->task.tid, t);
    if (!r)
        live_threads++;
    return r;
}

void table_remove_process_locked(struct process *p)
{
    if (radix_remove(&processes, (uint64_t)p->pid))
        live_processes--;
}

void table_remove_thread_locked(struct thread *t)
{
    if (radix_remove(&threads, (uint64_t)t->task.tid))
        live_threads--;
}

int table_rename_thread(struct thread *t, int tid)
{
    if (t->task.tid == tid)
        return 0;
    spin_lock(&proc_lock);
    int r = radix_set(&threads, (uint64_t)tid, t);
    if (!r) {
        (void)radix_remove(&threads, (uint64_t)t->task.tid);
        t->task.tid = tid;
    }
    spin_unlock(&proc_lock);
    return r;
}

/* ---- references ---- */

struct process *process_get(struct process *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void process_put(struct process *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        process_free(p);
}

struct thread *thread_get(struct thread *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void thread_put(struct thread *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    process_put(t->process);
    task_fini(&t->task);
    kfree(t);
}

struct process *process_find(int pid)
{
    spin_lock(&proc_lock);
    struct process *p = process_lookup_locked(pid);
    if (p)
        process_get(p);
    spin_unlock(&proc_lock);
    return p;
}

struct thread *thread_find(int tid)
{
    spin_lock(&proc_lock);
    struct thread *t = tid > 0 ? radix_get(&threads, (uint64_t)tid) : NULL;
    if (t)
        thread_get(t);
    spin_unlock(&proc_lock);
    return t;
}

struct process *process_next(int *pid)
{
    uint64_t key = *pid > 0 ? (uint64_t)*pid : 0;
    spin_lock(&proc_lock);
    struct process *p = radix_next(&processes, &key);
    if (p) {
        process_get(p);
        *pid = p->pid;
    }
    spin_unlock(&proc_lock);
    return p;
}

struct thread *process_next_thread(struct process *p, int *tid)
{
    struct thread *t, *best = NULL;
    spin_lock(&proc_lock);
    list_for_each (t, &p->threads, node) {
        if (t->task.tid >= *tid && (!best || t->task.tid < best->task.tid))
            best = t;
    }
    if (best) {
        thread_get(best);
        *tid = best->task.tid;
    }
    spin_unlock(&proc_lock);
    return best;
}

uint32_t process_count(uint32_t *thread_count)
{
    spin_lock(&proc_lock);
    uint32_t n = live_processes;
    if (thread_count)
        *thread_count = live_threads;
    spin_unlock(&proc_lock);
    return n;
}

/* The first thread whose task still has what is asked for. */
static struct thread *first_thread(struct process *p) HELD(proc_lock)
{
    if (list_empty(&p->threads))
        return NULL;
    return list_entry(p->threads.next, struct thread, node);
}

bool process_uses(struct process *p, const struct mm *mm)
{
    spin_lock(&proc_lock);
    struct thread *t = first_thread(p);
    bool uses = t && t->task.mm == mm;
    spin_unlock(&proc_lock);
    return uses;
}

struct mm *process_mm(struct process *p)
{
    spin_lock(&proc_lock);
    struct thread *t = first_thread(p);
    struct mm *mm = t && t->task.mm ? mm_get(t->task.mm) : NULL;
    spin_unlock(&proc_lock);
    return mm;
}

struct fd_table *process_files(struct process *p)
{
    spin_lock(&proc_lock);
    struct thread *t = first_thread(p);
    struct fd_table *f = t && t->task.files ? fd_table_get(t->task.files) : NULL;
    spin_unlock(&proc_lock);
    return f;
}

struct fs_context *process_fs(struct process *p)
{
    spin_lock(&proc_lock);
    struct thread *t = first_thread(p);
    struct fs_context *f = t && t->task.fs ? fs_context_get(t->task.fs) : NULL;
    spin_unlock(&proc_lock);
    return f;
}

struct cred *process_cred(struct process *p)
{
    spin_lock(&proc_lock);
    struct thread *t = first_thread(p);
    struct cred *c = t && t->task.cred ? cred_get(t->task.cred) : NULL;
    spin_unlock(&proc_lock);
    return c;
}

struct file *process_exe(struct process *p)
{
    spin_lock(&proc_lock);
    struct file *f = p->exe ? file_get(p->exe) : NULL;
    spin_unlock(&proc_lock);
    return f;
}

uint64_t process_limit(const struct process *p, unsigned which)
{
    return which < RLIMIT_COUNT ? __atomic_load_n(&p->limit[which].cur, __ATOMIC_RELAXED)
                                : RLIM_INFINITY;
}

/* ---- what /proc and the accounting calls show ---- */

void process_cpu_ns(struct process *p, uint64_t *user_ns, uint64_t *system_ns)
{
    struct usage u;
    process_usage(p, &u);
    *user_ns = u.user_ns;
    *system_ns = u.system_ns;
}

void process_usage(struct process *p, struct usage *out)
{
    struct thread *t;
    spin_lock(&proc_lock);
    *out = p->left;
    list_for_each (t, &p->threads, node) {
        struct usage one;
        usage_of_task(&t->task, &one);
        usage_add(out, &one);
    }
    spin_unlock(&proc_lock);
}

char process_state_letter(struct process *p)
{
    struct thread *t;
    char letter = 'S';
    spin_lock(&proc_lock);
    if (p->state != PROCESS_LIVE)
        letter = 'Z';
    else if (p->signals.stopped)
        letter = 'T';
    else
        list_for_each (t, &p->threads, node) {
            if (atomic_load(&t->task.state) == TASK_RUNNABLE)
                letter = 'R';
        }
    spin_unlock(&proc_lock);
    return letter;
}
