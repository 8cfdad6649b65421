/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /tmp/perf-PID.map, where perf(1) finds names for addresses that are no file's to it: those of
 * the enclave's kernel, and of what programs map to be executed.
 */
#pragma once

#include <stdint.h>

#include "cli/err.h"

/* Creates the file. `root`: the host's folder with the programs' files. */
MUST_CHECK struct err *perf_map_begin(const char *root);
/* struct host_run_params.mapped. A file that cannot be read has no names. */
void perf_map_add(const char *path, uint64_t address, uint64_t offset);
