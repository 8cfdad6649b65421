/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A map from uint64_t to non-NULL pointers, six bits a level, grown on demand. No lock of its
 * own. Memory comes from the allocator given at init (the kernel's kzalloc and kfree).
 */
#pragma once

#include "lib/types.h"

struct radix_node;
struct radix {
    struct radix_node *root;
    uint32_t height; /* levels; 0 when empty */
    uint64_t count;
};

void radix_init(struct radix *r);
void *radix_get(const struct radix *r, uint64_t key);
/* The entries at `key` and after it, up to the first that is missing: how many, at most `max`.
 */
size_t radix_run(const struct radix *r, uint64_t key, void *out[], size_t max);
/* Replaces what was there; -ENOMEM. */
int radix_set(struct radix *r, uint64_t key, void *value) MUST_CHECK;
/* Removes and returns the value, or NULL. */
void *radix_remove(struct radix *r, uint64_t key);
/* First entry at or after *key, or NULL; sets *key to where it was found. */
void *radix_next(const struct radix *r, uint64_t *key);
