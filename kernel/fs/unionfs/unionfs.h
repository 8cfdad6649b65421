/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unionfs: directories of other file systems, one over the other, with overlayfs's semantics;
 * the topmost may take the changes.
 */
#pragma once

#include "fs/core/path.h"

#define UNION_LAYERS_MAX 16u

void unionfs_register(void);
/* lowers: topmost first; upper with work, an empty directory beside it on the same file
 * system, or both NULL. The paths stay the caller's. */
int unionfs_new(const struct path lowers[], size_t count, const struct path *upper,
                const struct path *work, struct super **out) MUST_CHECK;
/* The same for whole file systems, at boot: the upper one keeps directories upper and work. */
int unionfs_new_supers(struct super *const lowers[], size_t count, struct super *upper,
                       struct super **out) MUST_CHECK;
