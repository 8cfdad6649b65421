/* SPDX-License-Identifier: BSD-3-Clause */
/* What `run`, `try` and `start` can show of a run: messages, system calls, counts. */
#pragma once

#include "cli/cli.h"

struct observe {
    uint8_t levels[LOG_SUBSYSTEMS];
    uint64_t trace[8];
    int traces, counts, perf_map;
    struct host_stats stats;
};

#define OBSERVE_HELP                                                                           \
    "  --strace[=WHAT]  show system calls: names, %file, %desc, %process, %network, "          \
    "%signal,\n"                                                                               \
    "                   %memory, %ipc, separated by commas; a ! in front: all but those\n"     \
    "  --stats          print counts at the end: system calls, exits, switches, pages\n"       \
    "  --perf-map       name functions for perf(1) in /tmp/perf-PID.map\n"

/* An option of these? Then *err is its error, or NULL. */
int observe_option(struct observe *o, const char *arg, struct err **err);
/* Fills in what it asks for, with OCCLUM_LOG_LEVEL. `most`: what the configuration allows;
 * `root`: the host's folder with the programs' files. */
MUST_CHECK struct err *observe_apply(struct observe *o, uint32_t most, const char *root,
                                     struct host_run_params *params);
/* The host's part of the counts, to standard error. */
void observe_report(const struct host_stats *stats);
