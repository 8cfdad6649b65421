/* SPDX-License-Identifier: BSD-3-Clause */
/* CPU-time clocks: of the calling process and thread, and clockids of other ones. */
#pragma once

#include "lib/types.h"

/* Any clock, clock_getcpuclockid(3)'s included; -EINVAL. */
int clock_read_any(int id, uint64_t *ns) MUST_CHECK;
/* Does such a clock exist? */
bool clock_is_cpu(int id);
