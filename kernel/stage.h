/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first of two stages of booting: a measured file system of its own whose /bin/init
 * prepares what the second needs, mounts the second's root over its own, and ends. See
 * docs/boot.md.
 */
#pragma once

#include "lib/types.h"

/* Does the measured configuration have a first stage? */
bool stage_configured(void);
/* In the boot task, with the first stage's file systems mounted: runs /bin/init to its end.
 * Does not return if it fails, or has mounted nothing. */
void stage_run(void);
/* Is it running now? */
bool stage_running(void);
/* Mounts what the configuration lists for a stage; 0, or the error, which has been explained.
 * Those of the second are mounted over the caller's root, which becomes the new one. */
int stage_mount(bool first) MUST_CHECK;
