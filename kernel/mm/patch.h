/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewriting of system call sites in running programs. Theory of operation: docs/patching.md. */
#pragma once

#include "lib/types.h"

struct mm;

/*
 * The `syscall` instruction at `site` of current->mm has trapped. From the PATCH_TRAPS-th time
 * on the site is rewritten, where that can be done. 0: it is; else a negative errno, of no
 * consequence: the call goes on as a trap. At CSSA 0, on the task's kernel stack, no locks
 * held.
 */
#define PATCH_TRAPS 6u
int patch_site(struct mm *mm, uaddr_t site);

/* The address in the program's own text that `rip`, perhaps in a trampoline, stands for. */
uaddr_t patch_site_of(struct mm *mm, uaddr_t rip);
/* Where to go on when `rip` lies inside a rewritten window; false: it does not. For #UD and for
 * addresses that signal frames held. Acts on current->mm; may sleep. */
bool patch_redirect(struct mm *mm, uaddr_t rip, uaddr_t *new_rip);

/* [start,end) is being unmapped or replaced; mm->lock is held. */
void patch_forget(struct mm *mm, uaddr_t start, uaddr_t end);

/* [start,end) becomes writable, or is about to be copied elsewhere: it gets its own bytes back.
 * mm->lock is held; may sleep. */
void patch_restore(struct mm *mm, uaddr_t start, uaddr_t end);

/* Before a fork copies mappings: room for trampolines that parent and child will share.
 * mm->lock is held. */
void patch_fork_prepare(struct mm *parent);
/* `child` has the same text, trampolines included. While memories share their sites, only text
 * and trampoline pages that are in place for all of them change. */
void patch_mm_fork(struct mm *child, struct mm *parent);
void patch_mm_fini(struct mm *mm);

struct patch_stats {
    uint64_t sites, patched, failed, zones; /* now */
    uint64_t traps, rewritten;              /* ever */
};
void patch_stats(struct mm *mm, struct patch_stats *out);
