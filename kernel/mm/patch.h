/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewriting of system call sites in running programs. Theory of operation: docs/patching.md. */
#pragma once

#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"

struct mm;
struct vma;

/*
 * The `syscall` instruction at `site` of current->mm has trapped. From the PATCH_TRAPS-th time
 * on the site is rewritten, where that can be done. 0: it is; else a negative errno, of no
 * consequence: the call goes on as a trap. At CSSA 0, on the task's kernel stack, no locks
 * held.
 */
#define PATCH_TRAPS 6u
int patch_site(struct mm *mm, uaddr_t site);

/* Rewrites what is certainly a cpuid in the present text of `v`, an image of mm, which nobody
 * runs any more and nobody shares. mm->lock is held. */
void patch_cpuid(struct mm *mm, struct vma *v);

/* The address in the program's own text that `rip`, perhaps in a trampoline, stands for. */
uaddr_t patch_site_of(struct mm *mm, uaddr_t rip);
/* Where to go on when `rip` lies inside a rewritten window; false: it does not. For #UD and for
 * addresses that signal frames held. Acts on current->mm; may sleep. */
bool patch_redirect(struct mm *mm, uaddr_t rip, uaddr_t *new_rip);

/* [start,end) is being unmapped or replaced; mm->lock is held. */
void patch_forget(struct mm *mm, uaddr_t start, uaddr_t end);

/* The first page of [start,end) of which something is rewritten, or `end`. */
uaddr_t patch_next(struct mm *mm, uaddr_t start, uaddr_t end);

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

/* What belongs to a rewritten text while no memory has it: its sites, and the zones that their
 * trampolines are in. Zones serve one image only (internal.h). */
struct patch_kept {
    struct rb_root sites;
    struct list zones;
};
#define PATCH_ZONE_BYTES 0x10000ull
/* The sites of [start,end), an image of mm, leave mm's table. False: there was a fork, and
 * others have them, too. mm->lock is held. */
bool patch_detach(struct mm *mm, uaddr_t start, uaddr_t end, struct patch_kept *out);
/* An image of mm begins at `to` from now on. */
void patch_image_moved(struct mm *mm, uaddr_t from, uaddr_t to);
/* They come into mm's table; false: there is no memory for one. */
bool patch_ready(struct mm *mm);
void patch_attach(struct mm *mm, struct patch_kept *kept);
void patch_kept_free(struct patch_kept *kept);
/* The address of its n-th zone; false: there is none. */
bool patch_kept_zone(const struct patch_kept *kept, unsigned n, uaddr_t *base);
/* [start,end), an image of mm, is gone: so are its zones. mm->lock is held. */
bool patch_zone_take(struct mm *mm, uaddr_t start, uaddr_t *base);

struct patch_stats {
    uint64_t sites, patched, failed, zones; /* now */
    uint64_t traps, rewritten;              /* ever */
};
void patch_stats(struct mm *mm, struct patch_stats *out);
