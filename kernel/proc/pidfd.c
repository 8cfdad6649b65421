/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that name a process and become readable when it ends. */
#include "proc/pidfd.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "lib/string.h"

static uint32_t pidfd_poll(struct file *f, struct poll_table *t)
{
    struct process *p = f->private;
    poll_add(t, &p->exit_wait);
    enum process_state state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
    if (state == PROCESS_LIVE)
        return 0;
    return POLLIN | POLLRDNORM | (state == PROCESS_REAPED ? POLLHUP : 0);
}

static void pidfd_release(struct file *f)
{
    process_put(f->private);
}

static int pidfd_info(struct file *f, char *buffer, size_t size)
{
    struct process *p = f->private;
    bool gone = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_REAPED;
    int pid = gone ? -1 : p->pid;
    return format_string(buffer, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
    .fdinfo = pidfd_info,
};

int pidfd_new(struct process *p, uint32_t flags, struct file **out)
{
    struct inode *i;
    int r = inode_new_anonymous(0600, &i);
    if (r == 0)
        r = file_new_anonymous(i, "anon_inode:[pidfd]", O_RDWR | (flags & O_NONBLOCK),
                               &pidfd_ops, process_get(p), out);
    if (r < 0)
        process_put(p);
    return r;
}

int pidfd_process(struct file *f, struct process **out)
{
    if (f->ops != &pidfd_ops)
        return -EBADF;
    *out = process_get(f->private);
    return 0;
}

bool process_may_signal(struct process *p, int sig)
{
    const struct cred *me = current->cred;
    if (cred_can(me, CAP_KILL) || p == current_process)
        return true;
    struct cred *c = process_cred(p);
    if (!c)
        return true; /* a zombie: nothing will happen */
    bool ok = me->euid == c->suid || me->euid == c->uid || me->uid == c->suid ||
              me->uid == c->uid || (sig == SIGCONT && p->sid == current_process->sid);
    cred_put(c);
    return ok;
}

bool process_may_inspect(struct process *p)
{
    const struct cred *me = current->cred;
    if (p == current_process || cred_can(me, CAP_SYS_PTRACE))
        return true;
    struct cred *c = process_cred(p);
    if (!c)
        return true; /* a zombie has nothing to show */
    bool ok = p->dumpable && me->uid == c->uid && me->uid == c->euid && me->uid == c->suid &&
              me->gid == c->gid && me->gid == c->egid && me->gid == c->sgid;
    cred_put(c);
    return ok;
}
