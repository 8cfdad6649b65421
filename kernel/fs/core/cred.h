/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Credentials: immutable once shared; a change makes a new struct cred and swaps current->cred.
 * Capabilities are kept and follow user ids as capabilities(7) says. LIMIT: files have none.
 */
#pragma once

#include <stdatomic.h>

#include "lib/types.h"

#define CRED_MAX_GROUPS 65536u

enum capability {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_DAC_READ_SEARCH = 2,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_LINUX_IMMUTABLE = 9,
    CAP_NET_BIND_SERVICE = 10,
    CAP_NET_ADMIN = 12,
    CAP_NET_RAW = 13,
    CAP_IPC_LOCK = 14,
    CAP_IPC_OWNER = 15,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_PTRACE = 19,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_MKNOD = 27,
    CAP_MAC_OVERRIDE = 32,
    CAP_CHECKPOINT_RESTORE = 40,
    CAP_LAST = 40,
};
#define CAP_BIT(cap) (1ull << (cap))
#define CAP_ALL      ((CAP_BIT(CAP_LAST) << 1) - 1)
/* What follows the file system's user id. */
#define CAP_FS                                                                                 \
    (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |           \
     CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) |                \
     CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_MAC_OVERRIDE))

#define SECURE_NOROOT     0x01u
#define SECURE_NO_FIXUP   0x04u
#define SECURE_KEEP_CAPS  0x10u
#define SECURE_NO_AMBIENT 0x40u
#define SECURE_KNOWN      0xffu /* each is followed by its lock */
#define SECURE_LOCKS      0xaau

struct cred {
    _Atomic uint32_t refs;
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    uint64_t permitted, effective, inheritable, bounding, ambient; /* CAP_BIT() */
    uint32_t securebits;
    uint32_t group_count;
    uint32_t *groups; /* its own; NULL: none */
};

/* One reference, all ids set. NULL: no memory. */
struct cred *cred_new(uint32_t uid, uint32_t gid) MUST_CHECK;
/* A private copy with one reference, to be changed and then published. */
struct cred *cred_dup(const struct cred *c) MUST_CHECK;
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c); /* NULL is fine */

static inline bool cred_can(const struct cred *c, enum capability cap)
{
    return c->effective & CAP_BIT(cap);
}
/* Is `gid` the file system group or a supplementary one? */
bool cred_in_group(const struct cred *c, uint32_t gid);

/* `c` is a private copy of `old` with other user ids: capabilities follow. */
void cred_users_changed(struct cred *c, const struct cred *old);
void cred_fsuid_changed(struct cred *c, const struct cred *old);
/* What execve(2) makes of the capabilities, after it has set the ids; `raised`: by set-user-ID
 * or set-group-ID. */
void cred_exec(struct cred *c, bool raised);
