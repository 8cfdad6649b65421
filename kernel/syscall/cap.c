/* SPDX-License-Identifier: BSD-3-Clause */
/* capget(2), capset(2), and the part of prctl(2) that is about capabilities. */
#include "syscall/cap.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "mm/user.h"
#include "proc/process.h"
#include "syscall/syscall.h"

#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

struct cap_header {
    uint32_t version;
    int32_t pid;
};
struct cap_data {
    uint32_t effective, permitted, inheritable;
};

/* The number of struct cap_data, or negative. */
static int cap_words(uaddr_t at, struct cap_header *h)
{
    uint32_t newest = CAP_VERSION_3;
    if (copy_from_user(h, at, sizeof(*h)))
        return -EFAULT;
    if (h->version == CAP_VERSION_1)
        return 1;
    if (h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
        return 2;
    return put_user(at, newest) ? -EFAULT : -EINVAL;
}

static struct cred *cred_of(int tid)
{
    struct thread *t = tid ? thread_find(tid) : thread_get(current_thread);
    if (!t)
        return NULL;
    spin_lock(&proc_lock);
    struct cred *c = t->task.cred ? cred_get(t->task.cred) : NULL;
    spin_unlock(&proc_lock);
    thread_put(t);
    return c;
}

int64_t sys_capget(uaddr_t header, uaddr_t data)
{
    struct cap_header h;
    struct cap_data d[2];
    int words = cap_words(header, &h);
    if (words < 0)
        return words == -EINVAL && !data ? 0 : words;
    if (h.pid < 0)
        return -EINVAL;
    struct cred *c = cred_of(h.pid);
    if (!c)
        return -ESRCH;
    for (int i = 0; i < 2; i++)
        d[i] = (struct cap_data){.effective = (uint32_t)(c->effective >> (32 * i)),
                                 .permitted = (uint32_t)(c->permitted >> (32 * i)),
                                 .inheritable = (uint32_t)(c->inheritable >> (32 * i))};
    cred_put(c);
    return copy_to_user(data, d, (size_t)words * sizeof(d[0]));
}

static uint64_t both(uint32_t low, uint32_t high)
{
    return (low | (uint64_t)high << 32) & CAP_ALL;
}

int64_t sys_capset(uaddr_t header, uaddr_t data)
{
    struct cap_header h;
    struct cap_data d[2] = {0};
    const struct cred *old = current->cred;
    int words = cap_words(header, &h);
    if (words < 0)
        return words;
    if (h.pid && h.pid != current->tid)
        return -EPERM;
    if (copy_from_user(d, data, (size_t)words * sizeof(d[0])))
        return -EFAULT;
    uint64_t effective = both(d[0].effective, d[1].effective);
    uint64_t permitted = both(d[0].permitted, d[1].permitted);
    uint64_t inheritable = both(d[0].inheritable, d[1].inheritable);
    bool any = cred_can(old, CAP_SETPCAP);
    if ((permitted & ~old->permitted) || (effective & ~permitted) ||
        (!any && (inheritable & ~(old->inheritable | old->permitted))) ||
        (inheritable & ~(old->inheritable | old->bounding)))
        return -EPERM;
    struct cred *c = cred_dup(old);
    if (!c)
        return -ENOMEM;
    c->effective = effective;
    c->permitted = permitted;
    c->inheritable = inheritable;
    c->ambient &= permitted & inheritable;
    cred_publish(c);
    return 0;
}

/* ---- prctl ---- */

static int64_t drop_bounding(uint64_t cap)
{
    if (cap > CAP_LAST)
        return -EINVAL;
    if (!cred_can(current->cred, CAP_SETPCAP))
        return -EPERM;
    struct cred *c = cred_dup(current->cred);
    if (!c)
        return -ENOMEM;
    c->bounding &= ~CAP_BIT(cap);
    cred_publish(c);
    return 0;
}

static int64_t set_securebits(uint64_t bits)
{
    const struct cred *old = current->cred;
    uint32_t locked = (old->securebits & SECURE_LOCKS) >> 1;
    if (((bits ^ old->securebits) & locked) || (old->securebits & SECURE_LOCKS & ~bits) ||
        (bits & ~(uint64_t)SECURE_KNOWN) || !cred_can(old, CAP_SETPCAP))
        return -EPERM;
    struct cred *c = cred_dup(old);
    if (!c)
        return -ENOMEM;
    c->securebits = (uint32_t)bits;
    cred_publish(c);
    return 0;
}

static int64_t set_keep(uint64_t on)
{
    if (on > 1)
        return -EINVAL;
    if (current->cred->securebits & (SECURE_KEEP_CAPS << 1))
        return -EPERM;
    struct cred *c = cred_dup(current->cred);
    if (!c)
        return -ENOMEM;
    c->securebits = on ? c->securebits | SECURE_KEEP_CAPS : c->securebits & ~SECURE_KEEP_CAPS;
    cred_publish(c);
    return 0;
}

#define AMBIENT_IS_SET    1
#define AMBIENT_RAISE     2
#define AMBIENT_LOWER     3
#define AMBIENT_CLEAR_ALL 4

static int64_t ambient(uint64_t what, uint64_t cap)
{
    const struct cred *old = current->cred;
    uint64_t now = old->ambient;
    if (what == AMBIENT_CLEAR_ALL && !cap)
        now = 0;
    else if (cap > CAP_LAST || what < AMBIENT_IS_SET || what > AMBIENT_LOWER)
        return -EINVAL;
    else if (what == AMBIENT_IS_SET)
        return now >> cap & 1;
    else if (what == AMBIENT_LOWER)
        now &= ~CAP_BIT(cap);
    else if (!(old->permitted & old->inheritable & CAP_BIT(cap)) ||
             (old->securebits & SECURE_NO_AMBIENT))
        return -EPERM;
    else
        now |= CAP_BIT(cap);
    struct cred *c = cred_dup(old);
    if (!c)
        return -ENOMEM;
    c->ambient = now;
    cred_publish(c);
    return 0;
}

int64_t cap_prctl(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
    switch (option) {
    case PR_GET_KEEPCAPS:
        return (current->cred->securebits & SECURE_KEEP_CAPS) != 0;
    case PR_SET_KEEPCAPS:
        return set_keep(arg2);
    case PR_CAPBSET_READ:
        return arg2 > CAP_LAST ? -EINVAL : (int64_t)(current->cred->bounding >> arg2 & 1);
    case PR_CAPBSET_DROP:
        return drop_bounding(arg2);
    case PR_GET_SECUREBITS:
        return current->cred->securebits;
    case PR_SET_SECUREBITS:
        return set_securebits(arg2);
    case PR_CAP_AMBIENT:
        return arg4 || arg5 ? -EINVAL : ambient(arg2, arg3);
    default:
        return -EINVAL;
    }
}
