/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of a memory's system call sites, for patch.c and patch_table.c. */
#pragma once

#include "lib/rbtree.h"
#include "mm/internal.h"
#include "mm/patch.h"
#include "mm/patch_plan.h"

#define ZONE_BYTES PATCH_ZONE_BYTES
#define GRANULE    16ull
#define GRANULES   (ZONE_BYTES / GRANULE)

struct zone {
    struct list node;
    uaddr_t base;
    uaddr_t image; /* the one that it serves, or 0: whatever is in none */
    uint64_t used[GRANULES / 64];
};

enum { SITE_COUNTING, SITE_PATCHED, SITE_FAILED };

struct site {
    struct rb_node by_site, by_trampoline;
    uaddr_t at;
    uint32_t state;
    uint32_t traps, threshold;
    uint8_t jump[PATCH_JUMP], old[PATCH_JUMP];
    struct patch_site p; /* SITE_PATCHED */
};

struct patches {
    _Atomic uint32_t refs;
    _Atomic bool busy;    /* somebody is rewriting; guards the zones, too */
    struct spinlock lock; /* the trees and all that hangs in them */
    struct rb_root sites, trampolines;
    uint32_t site_count;
    uint64_t traps, rewritten; /* over the whole life */
    struct list zones;
    uint32_t zone_count;
};

/* The first site at or above `at`, and the one that follows. */
struct site *site_from(struct patches *p, uaddr_t at) HELD(p->lock);
struct site *site_next(struct site *s);
void site_insert(struct patches *p, struct site *s) HELD(p->lock);
void trampoline_insert(struct patches *p, struct site *s) HELD(p->lock);
void site_remove(struct patches *p, struct site *s) HELD(p->lock);
/* The rewritten site whose jump covers `rip`; the one whose trampoline does. */
struct site *site_around(struct patches *p, uaddr_t rip) HELD(p->lock);
struct site *site_of_trampoline(struct patches *p, uaddr_t rip) HELD(p->lock);
bool window_taken(struct patches *p, const struct patch_window *w);
struct patches *patches_make(struct mm *mm);
struct patches *patches_of(struct mm *mm);
void patches_put(struct patches *p);
