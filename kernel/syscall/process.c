/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that make, replace, end and wait for processes and threads. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "proc/clone.h"
#include "proc/exec.h"
#include "proc/pidfd.h"
#include "proc/rusage.h"
#include "proc/wait.h"
#include "syscall/syscall.h"

#define EXEC_PATH_MAX 4096u
#define CLONE3_MAX    4096u

/* ---- clone ---- */

int64_t sys_clone(uint64_t flags, uaddr_t stack, uaddr_t parent_tid, uaddr_t child_tid,
                  uint64_t tls)
{
    struct abi_clone_args a = {
        .flags = flags & 0xffffffffull & ~CLONE_EXIT_SIGNAL & ~CLONE_DETACHED,
        .exit_signal = flags & CLONE_EXIT_SIGNAL,
        .stack = stack,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
        .tls = tls,
        .pidfd = parent_tid,
    };
    if ((flags & CLONE_PIDFD) && (flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
        return -EINVAL;
    return clone_run(&a);
}

int64_t sys_fork(void)
{
    struct abi_clone_args a = {.exit_signal = SIGCHLD};
    return clone_run(&a);
}

int64_t sys_vfork(void)
{
    struct abi_clone_args a = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
    return clone_run(&a);
}

/* Bytes beyond what we know must be zero. */
static int copy_clone_args(struct abi_clone_args *a, uaddr_t at, uint64_t size)
{
    memset(a, 0, sizeof(*a));
    if (size > CLONE3_MAX)
        return -E2BIG;
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    int r = copy_from_user(a, at, MIN(size, sizeof(*a)));
    for (uint64_t i = sizeof(*a); i < size && !r; i++) {
        uint8_t byte;
        r = get_user(&byte, at + i);
        if (!r && byte)
            r = -E2BIG;
    }
    return r;
}

/* With no other namespaces there is one id to choose. a->set_tid becomes its value. */
static int get_set_tid(struct abi_clone_args *a)
{
    int32_t tid;
    if (!a->set_tid != !a->set_tid_size || a->set_tid_size > 1)
        return -EINVAL;
    if (!a->set_tid)
        return 0;
    if (get_user(&tid, a->set_tid))
        return -EFAULT;
    if (tid < 1 || tid >= PID_MAX)
        return -EINVAL;
    if (!cred_can(current->cred, CAP_CHECKPOINT_RESTORE) &&
        !cred_can(current->cred, CAP_SYS_ADMIN))
        return -EPERM;
    a->set_tid = (uint64_t)tid;
    return 0;
}

int64_t sys_clone3(uaddr_t args, uint64_t size)
{
    struct abi_clone_args a;
    int r = copy_clone_args(&a, args, size);
    if (r)
        return r;
    r = get_set_tid(&a);
    if (r)
        return r;
    if (a.flags & (CLONE_DETACHED | CLONE_EXIT_SIGNAL) & ~CLONE_NEWTIME)
        return -EINVAL;
    if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
        return -EINVAL;
    if (!a.stack != !a.stack_size || (a.stack && !user_range_ok(a.stack, a.stack_size)))
        return -EINVAL;
    return clone_run(&a);
}

/* ---- exec ---- */

static int64_t exec_user(int dirfd, uaddr_t path, uaddr_t argv, uaddr_t envp, uint32_t at_flags)
{
    struct exec *e = exec_new();
    if (!e)
        return -ENOMEM;
    e->dirfd = dirfd;
    e->at_flags = at_flags;
    int r = strdup_from_user(path, EXEC_PATH_MAX, &e->path);
    if (!r && !e->path[0] && !(at_flags & AT_EMPTY_PATH))
        r = -ENOENT;
    if (!r)
        r = args_add_user(&e->argv, argv, e->arg_limit);
    if (!r && !e->argv.count)
        r = args_add(&e->argv, "", e->arg_limit);
    if (!r)
        r = args_add_user(&e->envp, envp, e->arg_limit);
    if (!r)
        r = exec_run(e);
    exec_free(e);
    return r;
}

int64_t sys_execve(uaddr_t path, uaddr_t argv, uaddr_t envp)
{
    return exec_user(AT_FDCWD, path, argv, envp, 0);
}

int64_t sys_execveat(int dirfd, uaddr_t path, uaddr_t argv, uaddr_t envp, int flags)
{
    if ((uint32_t)flags & ~(uint32_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return exec_user(dirfd, path, argv, envp, (uint32_t)flags);
}

/* ---- the end ---- */

int64_t sys_exit(int status)
{
    thread_exit((status & 0xff) << 8);
}

int64_t sys_exit_group(int status)
{
    process_exit((status & 0xff) << 8);
}

/* ---- wait ---- */

int64_t sys_wait4(int pid, uaddr_t status, uint32_t options, uaddr_t rusage)
{
    struct wait_request q = {.type = P_ALL, .options = options | WEXITED};
    struct wait_result res;
    const uint32_t known =
        WNOHANG | WUNTRACED | WCONTINUED | W__WNOTHREAD | W__WALL | W__WCLONE;
    if (options & ~known)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid > 0) {
        q.type = P_PID;
        q.id = pid;
    } else if (pid != -1) {
        q.type = P_PGID;
        q.id = pid ? -pid : current_process->pgid;
    }
    int r = wait_child(&q, &res);
    if (r || !res.pid)
        return r;
    if (status)
        r = put_user(status, (int32_t)res.status);
    if (!r && rusage)
        r = rusage_put(rusage, &res.usage);
    return r ? r : res.pid;
}

static void wait_siginfo(const struct wait_result *res, struct abi_siginfo *info)
{
    *info = (struct abi_siginfo){0};
    if (!res->pid)
        return;
    info->si_signo = SIGCHLD;
    info->pid = res->pid;
    info->uid = res->uid;
    if (res->status == 0xffff) {
        info->si_code = CLD_CONTINUED;
        info->status = SIGCONT;
    } else if ((res->status & 0xff) == 0x7f) {
        info->si_code = CLD_STOPPED;
        info->status = res->status >> 8;
    } else if (res->status & 0x7f) {
        info->si_code = res->status & WAIT_CORE ? CLD_DUMPED : CLD_KILLED;
        info->status = res->status & 0x7f;
    } else {
        info->si_code = CLD_EXITED;
        info->status = res->status >> 8;
    }
}

/* One that must not block answers EAGAIN instead. */
static int wait_pidfd(int fd, struct wait_request *q, struct wait_result *res)
{
    struct process *p;
    if (fd < 0)
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    bool nonblock = atomic_load(&f->flags) & O_NONBLOCK;
    bool asked = q->options & WNOHANG;
    int r = pidfd_process(f, &p);
    file_put(f);
    if (r)
        return r;
    q->process = p;
    if (nonblock)
        q->options |= WNOHANG;
    r = wait_child(q, res);
    process_put(p);
    return !r && !res->pid && nonblock && !asked ? -EAGAIN : r;
}

int64_t sys_waitid(int type, int id, uaddr_t info_at, uint32_t options, uaddr_t rusage)
{
    struct wait_request q = {.type = type, .id = id, .options = options};
    struct wait_result res;
    struct abi_siginfo info;
    const uint32_t known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | W__WNOTHREAD |
                           W__WALL | W__WCLONE;
    if ((options & ~known) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    if (type < P_ALL || type > P_PIDFD)
        return -EINVAL;
    if ((type == P_PID && id <= 0) || (type == P_PGID && id < 0))
        return -EINVAL;
    if (type == P_PGID && !id)
        q.id = current_process->pgid;
    int r = type == P_PIDFD ? wait_pidfd(id, &q, &res) : wait_child(&q, &res);
    if (r)
        return r;
    wait_siginfo(&res, &info);
    if (rusage && res.pid)
        r = rusage_put(rusage, &res.usage);
    if (!r && info_at)
        r = copy_to_user(info_at, &info, sizeof(info));
    return r;
}

/* ---- what threads leave behind ---- */

int64_t sys_set_tid_address(uaddr_t tidptr)
{
    current_thread->clear_child_tid = tidptr;
    return current->tid;
}

int64_t sys_set_robust_list(uaddr_t head, uint64_t len)
{
    if (len != sizeof(struct abi_robust_list_head))
        return -EINVAL;
    current_thread->robust_list = head;
    return 0;
}

int64_t sys_get_robust_list(int pid, uaddr_t head, uaddr_t len)
{
    struct thread *t = pid ? thread_find(pid) : thread_get(current_thread);
    if (!t)
        return -ESRCH;
    uaddr_t at = t->robust_list;
    int r = put_user(len, (uint64_t)sizeof(struct abi_robust_list_head));
    if (!r)
        r = put_user(head, at);
    thread_put(t);
    return r;
}
