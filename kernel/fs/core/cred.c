/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials: allocation, copies, group membership, how capabilities follow user ids. */
#include "fs/core/cred.h"

#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

struct cred *cred_new(uint32_t uid, uint32_t gid)
{
    struct cred *c = kzalloc(sizeof(*c));
    if (!c)
        return NULL;
    atomic_store(&c->refs, 1);
    c->uid = c->euid = c->suid = c->fsuid = uid;
    c->gid = c->egid = c->sgid = c->fsgid = gid;
    c->bounding = CAP_ALL;
    c->permitted = c->effective = uid ? 0 : CAP_ALL;
    return c;
}

struct cred *cred_dup(const struct cred *old)
{
    struct cred *c = kmalloc(sizeof(*c));
    size_t size = old->group_count * sizeof(old->groups[0]);
    if (!c)
        return NULL;
    memcpy(c, old, sizeof(*c));
    atomic_store(&c->refs, 1);
    c->groups = NULL;
    if (!size)
        return c;
    c->groups = kmalloc(size);
    if (!c->groups) {
        kfree(c);
        return NULL;
    }
    memcpy(c->groups, old->groups, size);
    return c;
}

struct cred *cred_get(struct cred *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void cred_put(struct cred *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    kfree(c->groups);
    kfree(c);
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (uint32_t i = 0; i < c->group_count; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

void cred_users_changed(struct cred *c, const struct cred *old)
{
    bool was_root = !old->uid || !old->euid || !old->suid;
    bool is_root = !c->uid || !c->euid || !c->suid;
    if (c->securebits & SECURE_NO_FIXUP)
        return;
    if (was_root && !is_root) {
        if (!(c->securebits & SECURE_KEEP_CAPS))
            c->permitted = c->effective = 0;
        c->ambient = 0;
    }
    if (!old->euid && c->euid)
        c->effective = 0;
    if (old->euid && !c->euid)
        c->effective = c->permitted;
}

void cred_fsuid_changed(struct cred *c, const struct cred *old)
{
    if (c->securebits & SECURE_NO_FIXUP)
        return;
    if (!old->fsuid && c->fsuid)
        c->effective &= ~CAP_FS;
    if (old->fsuid && !c->fsuid)
        c->effective |= c->permitted & CAP_FS;
}

void cred_exec(struct cred *c, bool raised)
{
    if (raised)
        c->ambient = 0;
    c->permitted = c->effective = c->ambient;
    if (!(c->securebits & SECURE_NOROOT)) {
        if (!c->euid || !c->uid)
            c->permitted |= c->inheritable | c->bounding;
        if (!c->euid)
            c->effective = c->permitted;
    }
    c->securebits &= ~SECURE_KEEP_CAPS;
}
