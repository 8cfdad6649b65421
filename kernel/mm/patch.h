/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewriting of system call sites. See docs/patching.md. */
#pragma once

#include "lib/types.h"

struct mm;

/* The address in the program's own text that `rip`, perhaps in a trampoline, stands for. */
uaddr_t patch_site_of(struct mm *mm, uaddr_t rip);
/* Where to go on when `rip` lies inside a rewritten window; false: it does not. */
bool patch_redirect(struct mm *mm, uaddr_t rip, uaddr_t *new_rip);
/* Forgets the sites in [start, end), which is being unmapped or overwritten. */
void patch_forget(struct mm *mm, uaddr_t start, uaddr_t end);
/* After a system call instruction at `site` trapped: rewrites it if it can. 0, or why not. */
int patch_site(struct mm *mm, uaddr_t site);
void patch_mm_fini(struct mm *mm);
