/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials: allocation, copies, group membership. */
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
    return c;
}

struct cred *cred_dup(const struct cred *old)
{
    struct cred *c = kmalloc(sizeof(*c));
    if (!c)
        return NULL;
    memcpy(c, old, sizeof(*c));
    atomic_store(&c->refs, 1);
    return c;
}

struct cred *cred_get(struct cred *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void cred_put(struct cred *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        kfree(c);
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (uint32_t i = 0; i < c->group_count && i < CRED_MAX_GROUPS; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}
