/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line of progress for long work, redrawn in place on standard error; silent when that is
 * not a terminal, and for work that is over within a quarter of a second.
 */
#pragma once

#include <stdint.h>

/* Begins a step; `total` in bytes, 0 if unknown. A step that was open is ended. */
void progress_begin(const char *what, uint64_t total);
void progress_add(uint64_t bytes);
void progress_end(void);
