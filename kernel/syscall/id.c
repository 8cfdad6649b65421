/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a program is: ids of processes, groups and sessions, users and groups. */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "proc/group.h"
#include "proc/process.h"
#include "syscall/syscall.h"

#define KEEP UINT32_MAX /* -1: leave as it is */

int64_t sys_getpid(void)
{
    return current->tgid;
}

int64_t sys_gettid(void)
{
    return current->tid;
}

int64_t sys_getppid(void)
{
    return atomic_load_explicit(&current_process->parent_pid, memory_order_relaxed);
}

/* ---- groups and sessions ---- */

static int64_t get_id(int pid, bool session)
{
    struct process *p = pid ? process_find(pid) : process_get(current_process);
    if (!p)
        return -ESRCH;
    int id = session ? p->sid : p->pgid;
    process_put(p);
    return id;
}

int64_t sys_getpgid(int pid)
{
    return get_id(pid, false);
}

int64_t sys_getpgrp(void)
{
    return get_id(0, false);
}

int64_t sys_getsid(int pid)
{
    return get_id(pid, true);
}

static int check_setpgid(struct process *p, int pgid)
{
    struct process *me = current_process;
    if (p != me && p->parent != me)
        return -ESRCH;
    if (p != me && p->did_exec)
        return -EACCES;
    if (p->sid != me->sid || p->sid == p->pid)
        return -EPERM;
    if (pgid != p->pid && !group_exists(pgid, me->sid))
        return -EPERM;
    return 0;
}

int64_t sys_setpgid(int pid, int pgid)
{
    if (pid < 0)
        return -ESRCH;
    if (pgid < 0)
        return -EINVAL;
    struct process *p = pid ? process_find(pid) : process_get(current_process);
    if (!p)
        return -ESRCH;
    if (!pgid)
        pgid = p->pid;
    int r = check_setpgid(p, pgid);
    if (!r) {
        spin_lock(&proc_lock);
        p->pgid = pgid;
        spin_unlock(&proc_lock);
    }
    process_put(p);
    return r;
}

int64_t sys_setsid(void)
{
    struct process *p = current_process;
    if (group_exists(p->pid, 0))
        return -EPERM;
    spin_lock(&proc_lock);
    p->pgid = p->sid = p->pid;
    p->no_tty = false;
    spin_unlock(&proc_lock);
    return p->pid;
}

/* ---- users ---- */

int64_t sys_getuid(void)
{
    return current->cred->uid;
}
int64_t sys_geteuid(void)
{
    return current->cred->euid;
}
int64_t sys_getgid(void)
{
    return current->cred->gid;
}
int64_t sys_getegid(void)
{
    return current->cred->egid;
}

void cred_publish(struct cred *fresh)
{
    spin_lock(&proc_lock);
    struct cred *old = current->cred;
    current->cred = fresh;
    spin_unlock(&proc_lock);
    cred_put(old);
}

static bool may_set(bool group)
{
    return cred_can(current->cred, group ? CAP_SETGID : CAP_SETUID);
}

/* The four ids of one kind, users' or groups'. */
struct ids {
    uint32_t real, effective, saved, fs;
};

static struct ids get_ids(bool group)
{
    const struct cred *c = current->cred;
    if (group)
        return (struct ids){c->gid, c->egid, c->sgid, c->fsgid};
    return (struct ids){c->uid, c->euid, c->suid, c->fsuid};
}

/* Capabilities go with the user ids; setfsuid(2) changes the last one alone. */
static void follow(struct cred *c, const struct cred *old)
{
    if (c->uid != old->uid || c->euid != old->euid || c->suid != old->suid)
        cred_users_changed(c, old);
    else
        cred_fsuid_changed(c, old);
}

static int64_t set_ids(bool group, struct ids n)
{
    struct cred *c = cred_dup(current->cred);
    if (!c)
        return -ENOMEM;
    if (group) {
        c->gid = n.real, c->egid = n.effective, c->sgid = n.saved, c->fsgid = n.fs;
    } else {
        c->uid = n.real, c->euid = n.effective, c->suid = n.saved, c->fsuid = n.fs;
        follow(c, current->cred);
    }
    cred_publish(c);
    return 0;
}

static bool one_of(uint32_t id, const struct ids *o, bool with_saved)
{
    return id == KEEP || id == o->real || id == o->effective || (with_saved && id == o->saved);
}

static int64_t set_one(bool group, uint32_t id)
{
    struct ids o = get_ids(group);
    if (id == KEEP)
        return -EINVAL;
    if (may_set(group))
        return set_ids(group, (struct ids){id, id, id, id});
    if (id != o.real && id != o.saved)
        return -EPERM;
    return set_ids(group, (struct ids){o.real, id, o.saved, id});
}

static int64_t set_two(bool group, uint32_t real, uint32_t effective)
{
    struct ids o = get_ids(group), n = o;
    if (!may_set(group) && (!one_of(real, &o, false) || !one_of(effective, &o, true)))
        return -EPERM;
    if (real != KEEP)
        n.real = real;
    if (effective != KEEP)
        n.effective = effective;
    if (real != KEEP || (effective != KEEP && effective != o.real))
        n.saved = n.effective;
    n.fs = n.effective;
    return set_ids(group, n);
}

static int64_t set_three(bool group, uint32_t real, uint32_t effective, uint32_t saved)
{
    struct ids o = get_ids(group), n = o;
    if (!may_set(group) &&
        (!one_of(real, &o, true) || !one_of(effective, &o, true) || !one_of(saved, &o, true)))
        return -EPERM;
    if (real != KEEP)
        n.real = real;
    if (effective != KEEP)
        n.effective = effective;
    if (saved != KEEP)
        n.saved = saved;
    n.fs = n.effective;
    return set_ids(group, n);
}

static int64_t set_fs(bool group, uint32_t id)
{
    struct ids o = get_ids(group), n = o;
    n.fs = id;
    if (id != KEEP && (may_set(group) || one_of(id, &o, true) || id == o.fs) &&
        set_ids(group, n))
        return o.fs;
    return o.fs;
}

static int64_t put_three(bool group, uaddr_t real, uaddr_t effective, uaddr_t saved)
{
    struct ids o = get_ids(group);
    int r = put_user(real, o.real);
    if (!r)
        r = put_user(effective, o.effective);
    return r ? r : put_user(saved, o.saved);
}

int64_t sys_setuid(uint32_t uid)
{
    return set_one(false, uid);
}
int64_t sys_setgid(uint32_t gid)
{
    return set_one(true, gid);
}
int64_t sys_setreuid(uint32_t ruid, uint32_t euid)
{
    return set_two(false, ruid, euid);
}
int64_t sys_setregid(uint32_t rgid, uint32_t egid)
{
    return set_two(true, rgid, egid);
}
int64_t sys_setresuid(uint32_t ruid, uint32_t euid, uint32_t suid)
{
    return set_three(false, ruid, euid, suid);
}
int64_t sys_setresgid(uint32_t rgid, uint32_t egid, uint32_t sgid)
{
    return set_three(true, rgid, egid, sgid);
}
int64_t sys_getresuid(uaddr_t ruid, uaddr_t euid, uaddr_t suid)
{
    return put_three(false, ruid, euid, suid);
}
int64_t sys_getresgid(uaddr_t rgid, uaddr_t egid, uaddr_t sgid)
{
    return put_three(true, rgid, egid, sgid);
}
int64_t sys_setfsuid(uint32_t uid)
{
    return set_fs(false, uid);
}
int64_t sys_setfsgid(uint32_t gid)
{
    return set_fs(true, gid);
}

int64_t sys_getgroups(int size, uaddr_t list)
{
    const struct cred *c = current->cred;
    if (size < 0)
        return -EINVAL;
    if (!size)
        return c->group_count;
    if ((uint32_t)size < c->group_count)
        return -EINVAL;
    int r = copy_to_user(list, c->groups, c->group_count * sizeof(uint32_t));
    return r ? r : (int64_t)c->group_count;
}

int64_t sys_setgroups(uint64_t size, uaddr_t list)
{
    uint32_t *groups = NULL;
    if (!cred_can(current->cred, CAP_SETGID))
        return -EPERM;
    if (size > CRED_MAX_GROUPS)
        return -EINVAL;
    if (size && !(groups = kmalloc(size * sizeof(*groups))))
        return -ENOMEM;
    if (size && copy_from_user(groups, list, size * sizeof(*groups))) {
        kfree(groups);
        return -EFAULT;
    }
    struct cred *c = cred_dup(current->cred);
    if (!c) {
        kfree(groups);
        return -ENOMEM;
    }
    kfree(c->groups);
    c->groups = groups;
    c->group_count = (uint32_t)size;
    cred_publish(c);
    return 0;
}
