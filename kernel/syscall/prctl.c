/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prctl(2). What a Linux without the feature does not know gives EINVAL here, too: seccomp,
 * memory tagging, names of mappings, core scheduling, merging, system call dispatch.
 */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "lib/string.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "syscall/cap.h"
#include "syscall/syscall.h"

#define PR_SET_PDEATHSIG        1
#define PR_GET_PDEATHSIG        2
#define PR_GET_DUMPABLE         3
#define PR_SET_DUMPABLE         4
#define PR_GET_TIMING           13
#define PR_SET_TIMING           14
#define PR_SET_NAME             15
#define PR_GET_NAME             16
#define PR_GET_SECCOMP          21
#define PR_GET_TSC              25
#define PR_SET_TSC              26
#define PR_SET_TIMERSLACK       29
#define PR_GET_TIMERSLACK       30
#define PR_MCE_KILL_GET         34
#define PR_SET_MM               35
#define PR_SET_CHILD_SUBREAPER  36
#define PR_GET_CHILD_SUBREAPER  37
#define PR_SET_NO_NEW_PRIVS     38
#define PR_GET_NO_NEW_PRIVS     39
#define PR_GET_TID_ADDRESS      40
#define PR_GET_THP_DISABLE      42
#define PR_GET_SPECULATION_CTRL 52
#define PR_SET_SPECULATION_CTRL 53
#define PR_GET_MDWE             66
#define DEFAULT_SLACK_NS        50000u
#define TSC_ENABLE              1
#define MCE_KILL_DEFAULT        2

static int64_t name(int option, uaddr_t at)
{
    char text[TASK_NAME_BYTES] = "";
    if (option == PR_GET_NAME)
        return copy_to_user(at, current->name, sizeof(current->name));
    ssize_t n = strncpy_from_user(text, at, sizeof(text) - 1);
    if (n < 0 && n != -ENAMETOOLONG)
        return n;
    if (n < 0 && copy_from_user(text, at, sizeof(text) - 1))
        return -EFAULT;
    text[sizeof(text) - 1] = '\0';
    spin_lock(&proc_lock);
    memcpy(current->name, text, sizeof(text));
    spin_unlock(&proc_lock);
    return 0;
}

static int64_t set_flag(bool *flag, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    *flag = value;
    return 0;
}

/* PR_SET_MM_*: where /proc says that the parts are. */
static uaddr_t *layout_field(struct mm_layout *l, uint64_t what)
{
    switch (what) {
    case 1:
        return &l->code_start;
    case 2:
        return &l->code_end;
    case 3:
        return &l->data_start;
    case 4:
        return &l->data_end;
    case 5:
        return &l->stack_start;
    case 8:
        return &l->arg_start;
    case 9:
        return &l->arg_end;
    case 10:
        return &l->env_start;
    case 11:
        return &l->env_end;
    default: /* LIMIT: not the heap, the auxiliary vector and the program */
        return NULL;
    }
}

static int64_t set_mm(uint64_t what, uaddr_t at, uint64_t arg4, uint64_t arg5)
{
    uaddr_t *field = layout_field(mm_layout(current->mm), what);
    uint8_t byte;
    if (arg5 || arg4)
        return -EINVAL;
    if (!cred_can(current->cred, CAP_SYS_RESOURCE))
        return -EPERM;
    if (!field || !user_range_ok(at, 1) || get_user(&byte, at))
        return -EINVAL;
    *field = at;
    return 0;
}

static int64_t of_process(int option, uint64_t arg)
{
    struct process *p = current_process;
    switch (option) {
    case PR_GET_DUMPABLE:
        return p->dumpable;
    case PR_SET_DUMPABLE:
        return set_flag(&p->dumpable, arg);
    case PR_SET_CHILD_SUBREAPER:
        p->child_reaper = arg != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user(arg, (int32_t)p->child_reaper);
    default:
        return -EINVAL;
    }
}

static int64_t of_thread(int option, uint64_t arg)
{
    struct thread *t = current_thread;
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (arg > SIGMAX)
            return -EINVAL;
        t->parent_death_signal = (int)arg;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user(arg, (int32_t)t->parent_death_signal);
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = (int64_t)arg > 0 ? arg : DEFAULT_SLACK_NS;
        return 0;
    case PR_GET_TIMERSLACK:
        return (int64_t)t->timer_slack_ns;
    case PR_GET_TID_ADDRESS:
        return put_user(arg, t->clear_child_tid);
    default:
        return of_process(option, arg);
    }
}

/* What never changes here. */
static int64_t fixed(int option, uint64_t arg2, uint64_t rest)
{
    switch (option) {
    case PR_GET_TIMING:
    case PR_GET_SECCOMP:
        return 0;
    case PR_SET_TIMING:
        return arg2 ? -EINVAL : 0;
    case PR_GET_TSC:
        return put_user(arg2, (int32_t)TSC_ENABLE);
    case PR_SET_TSC: /* LIMIT: reading the clock's register is not forbidden to anybody */
        return arg2 == TSC_ENABLE ? 0 : -EINVAL;
    case PR_MCE_KILL_GET:
        return arg2 || rest ? -EINVAL : MCE_KILL_DEFAULT;
    case PR_GET_THP_DISABLE:
    case PR_GET_MDWE:
        return arg2 || rest ? -EINVAL : 0;
    case PR_GET_SPECULATION_CTRL:
        return rest ? -EINVAL : arg2 > 2 ? -ENODEV : 0; /* not affected */
    case PR_SET_SPECULATION_CTRL:
        return arg2 > 2 ? -ENODEV : -ENXIO;
    default:
        return of_thread(option, arg2);
    }
}

int64_t sys_prctl(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
    uint64_t rest = arg3 | arg4 | arg5;
    switch (option) {
    case PR_SET_NAME:
    case PR_GET_NAME:
        return name(option, arg2);
    case PR_SET_NO_NEW_PRIVS:
        if (arg2 != 1 || rest)
            return -EINVAL;
        current_thread->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return arg2 || rest ? -EINVAL : current_thread->no_new_privs;
    case PR_GET_KEEPCAPS:
    case PR_SET_KEEPCAPS:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_CAP_AMBIENT:
        return cap_prctl(option, arg2, arg3, arg4, arg5);
    case PR_SET_MM:
        return set_mm(arg2, arg3, arg4, arg5);
    default:
        return fixed(option, arg2, rest);
    }
}
