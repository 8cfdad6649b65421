/* SPDX-License-Identifier: BSD-3-Clause */
/* Process groups: who is in one, sending to all of it, and orphaned ones (setpgid(2)). */
#pragma once

#include "proc/process.h"

/* Is there a process of that group, and (sid > 0) of that session? */
bool group_exists(int pgid, int sid);
/* To all its processes, as the kernel: 0, or -ESRCH. */
int group_signal(int pgid, const struct abi_siginfo *info);
/* No member has a parent in another group of its session. */
bool group_orphaned(int pgid);

#define ORPHANS_MAX 32
struct orphans {
    int count;
    int pgid[ORPHANS_MAX];
};
/* The groups with stopped members that the end of `p` orphans. LIMIT: of more than ORPHANS_MAX
 * the rest hears nothing. */
void orphans_find_locked(struct process *p, struct orphans *o) HELD(proc_lock);
/* SIGHUP and SIGCONT for each. */
void orphans_signal(const struct orphans *o);
