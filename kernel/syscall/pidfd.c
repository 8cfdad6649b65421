/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls on other processes: by pidfd, their memory, what they share. */
#include "abi/errno.h"
#include "crypto/random.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "fs/procfs/procfs.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/pidfd.h"
#include "sched/family.h"
#include "syscall/syscall.h"

int64_t sys_pidfd_open(int pid, uint32_t flags)
{
    struct file *f;
    if (flags & ~(uint32_t)PIDFD_NONBLOCK || pid <= 0)
        return -EINVAL;
    struct process *p = process_find(pid);
    if (!p) {
        struct thread *t = thread_find(pid);
        int r = t ? -EINVAL : -ESRCH;
        thread_put(t);
        return r;
    }
    int r = pidfd_new(p, flags, &f);
    process_put(p);
    return r < 0 ? r : fd_add(f, true);
}

static int process_of_fd(int fd, struct process **out)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = pidfd_process(f, out);
    file_put(f);
    return r;
}

static int signal_info(struct abi_siginfo *info, uaddr_t at, int sig, const struct process *p)
{
    if (!at) {
        *info = (struct abi_siginfo){.si_signo = sig, .si_code = SI_USER};
        info->pid = current->tgid;
        info->uid = current->cred->uid;
        return 0;
    }
    if (copy_from_user(info, at, sizeof(*info)))
        return -EFAULT;
    if (info->si_signo != sig)
        return -EINVAL;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && p != current_process)
        return -EPERM;
    return 0;
}

int64_t sys_pidfd_send_signal(int fd, int sig, uaddr_t info_at, uint32_t flags)
{
    struct process *p;
    struct abi_siginfo info;
    if (flags)
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = pidfd_process(f, &p);
    if (r == -EBADF)
        r = procfs_process(f, &p);
    file_put(f);
    if (r)
        return r;
    if (sig < 0 || sig > SIGMAX)
        r = -EINVAL;
    else if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_REAPED)
        r = -ESRCH;
    if (!r)
        r = signal_info(&info, info_at, sig, p);
    if (!r && !process_may_signal(p, sig))
        r = -EPERM;
    if (!r && sig && p != process_init)
        r = signal_send_group(&p->signals, &info);
    process_put(p);
    return r;
}

int64_t sys_pidfd_getfd(int fd, int target, uint32_t flags)
{
    struct process *p;
    bool cloexec;
    if (flags)
        return -EINVAL;
    int r = process_of_fd(fd, &p);
    if (r)
        return r;
    struct fd_table *files = NULL;
    struct file *f = NULL;
    if (!process_may_inspect(p))
        r = -EPERM;
    else if (!(files = process_files(p)))
        r = -ESRCH;
    else if (!(f = fd_file_of(files, target, &cloexec)))
        r = -EBADF;
    if (files)
        fd_table_put(files);
    process_put(p);
    return r ? r : fd_add(f, true);
}

/* ---- another process's memory ---- */

#define CHUNK_PAGES 16u

struct remote {
    struct mm *mm;     /* the other's; counted */
    bool write;        /* to it */
    struct iter local; /* in the caller's memory */
    struct iter there; /* addresses of mm */
    void *buffer;
};

/* The caller's task turns to the other memory: only then are its pages in place. */
static size_t copy_there(struct remote *r, size_t size)
{
    struct sched_mm *mine = (struct sched_mm *)current->mm;
    sched_set_mm((struct sched_mm *)r->mm);
    size_t n = r->write ? iter_copy_to(&r->there, r->buffer, size)
                        : iter_copy_from(&r->there, r->buffer, size);
    sched_set_mm(mine);
    return n;
}

static ssize_t remote_copy(struct remote *r)
{
    size_t done = 0;
    while (r->local.remaining && r->there.remaining) {
        size_t size = MIN(r->local.remaining, r->there.remaining), n;
        size = MIN(size, (size_t)(CHUNK_PAGES * PAGE_SIZE));
        if (r->write) {
            n = iter_copy_from(&r->local, r->buffer, size);
            n = copy_there(r, n);
        } else {
            n = copy_there(r, size);
            n = iter_copy_to(&r->local, r->buffer, n);
        }
        done += n;
        if (n < size || task_signalled())
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

static int find_memory(int pid, struct mm **out)
{
    struct thread *t = thread_find(pid);
    if (!t)
        return -ESRCH;
    *out = NULL;
    int r = process_may_inspect(t->process) ? 0 : -EPERM;
    if (!r) {
        *out = process_mm(t->process);
        r = *out ? 0 : -ESRCH;
    }
    thread_put(t);
    return r;
}

struct vectors {
    uaddr_t local;
    uint64_t local_count;
    uaddr_t there;
    uint64_t there_count;
};

static int64_t process_vm(int pid, const struct vectors *v, uint64_t flags, bool write)
{
    struct remote r = {.write = write};
    struct iter_segment *local = NULL, *there = NULL;
    if (flags)
        return -EINVAL;
    ssize_t e = iter_user_vector(&r.local, v->local, v->local_count, &local);
    if (!e)
        e = iter_user_vector(&r.there, v->there, v->there_count, &there);
    if (!e && r.local.remaining && r.there.remaining) {
        e = find_memory(pid, &r.mm);
        r.buffer = e ? NULL : pages_alloc(CHUNK_PAGES);
        if (!e)
            e = r.buffer ? remote_copy(&r) : -ENOMEM;
        if (r.buffer)
            pages_free(r.buffer, CHUNK_PAGES);
        mm_put(r.mm);
    }
    kfree(local);
    kfree(there);
    return e;
}

int64_t sys_process_vm_readv(int pid, uaddr_t local, uint64_t local_count, uaddr_t there,
                             uint64_t there_count, uint64_t flags)
{
    struct vectors v = {local, local_count, there, there_count};
    return process_vm(pid, &v, flags, false);
}

int64_t sys_process_vm_writev(int pid, uaddr_t local, uint64_t local_count, uaddr_t there,
                              uint64_t there_count, uint64_t flags)
{
    struct vectors v = {local, local_count, there, there_count};
    return process_vm(pid, &v, flags, true);
}

/* ---- what two processes share ---- */

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM };

/* Equal for equal objects; says nothing of where they are. */
static int compare(const void *a, const void *b)
{
    static uint64_t secret;
    uint64_t none = 0, fresh;
    if (!__atomic_load_n(&secret, __ATOMIC_RELAXED)) {
        random_bytes(&fresh, sizeof(fresh));
        fresh |= 1;
        __atomic_compare_exchange_n(&secret, &none, fresh, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
    uint64_t x = (uint64_t)a * secret, y = (uint64_t)b * secret;
    return x == y ? 0 : x < y ? 1 : 2;
}

static int compare_files(struct thread *one, struct thread *two, int fd1, int fd2)
{
    struct fd_table *a = process_files(one->process), *b = process_files(two->process);
    struct file *x = NULL, *y = NULL;
    bool cloexec;
    if (a && b) {
        x = fd_file_of(a, fd1, &cloexec);
        y = fd_file_of(b, fd2, &cloexec);
    }
    int r = x && y ? compare(x, y) : -EBADF;
    file_put(x);
    file_put(y);
    if (a)
        fd_table_put(a);
    if (b)
        fd_table_put(b);
    return r;
}

static int compare_threads(struct thread *a, struct thread *b, int type)
{
    const void *x[2] = {0};
    struct thread *t[2] = {a, b};
    spin_lock(&proc_lock);
    for (int i = 0; i < 2; i++) {
        x[i] = type == KCMP_VM      ? (void *)t[i]->task.mm
               : type == KCMP_FILES ? (void *)t[i]->task.files
               : type == KCMP_FS    ? (void *)t[i]->task.fs
               : type == KCMP_IO    ? NULL
                                    : (void *)t[i]->process;
    }
    spin_unlock(&proc_lock);
    return compare(x[0], x[1]);
}

int64_t sys_kcmp(int pid1, int pid2, int type, uint64_t idx1, uint64_t idx2)
{
    struct thread *a = thread_find(pid1), *b = thread_find(pid2);
    int r = -ESRCH;
    if (!a || !b)
        goto out;
    r = -EPERM;
    if (!process_may_inspect(a->process) || !process_may_inspect(b->process))
        goto out;
    if (type == KCMP_FILE)
        r = idx1 > INT32_MAX || idx2 > INT32_MAX ? -EBADF
                                                 : compare_files(a, b, (int)idx1, (int)idx2);
    else if (type > KCMP_FILE && type <= KCMP_SYSVSEM)
        r = compare_threads(a, b, type);
    else
        r = -EINVAL;
out:
    thread_put(a);
    thread_put(b);
    return r;
}
