/* SPDX-License-Identifier: BSD-3-Clause */
/* The store's surroundings on the host: its log, and hooks for tests. */
#pragma once

#include <stdbool.h>

/* Before anything of the store. */
void port_init(void);

extern long port_live;       /* allocations not freed */
extern long port_fail_after; /* >= 0: this many allocations succeed, then all fail */
extern unsigned port_log_lines;
extern char port_log_last[512];
extern bool port_log_quiet; /* lines are counted and kept, not printed */
