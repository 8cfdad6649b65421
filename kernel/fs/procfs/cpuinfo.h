/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/cpuinfo, from what cpuid tells programs. */
#pragma once

#include "fs/procfs/node.h"

int proc_cpuinfo_show(const struct proc_key *key, struct text *t);
