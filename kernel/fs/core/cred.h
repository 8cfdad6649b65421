/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Credentials: immutable once shared; a change makes a new struct cred and swaps current->cred.
 * Capabilities are those of the user id: effective uid 0 has all, everyone else none.
 */
#pragma once

#include <stdatomic.h>

#include "lib/types.h"

#define CRED_MAX_GROUPS 64u

struct cred {
    _Atomic uint32_t refs;
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    uint32_t group_count;
    uint32_t groups[CRED_MAX_GROUPS];
};

/* One reference, all ids set. NULL: no memory. */
struct cred *cred_new(uint32_t uid, uint32_t gid) MUST_CHECK;
/* A private copy with one reference, to be changed and then published. */
struct cred *cred_dup(const struct cred *c) MUST_CHECK;
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c); /* NULL is fine */

/* Acts with all privileges over files (CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN ...). */
static inline bool cred_fs_root(const struct cred *c)
{
    return c->fsuid == 0;
}
/* Is `gid` the file system group or a supplementary one? */
bool cred_in_group(const struct cred *c, uint32_t gid);
