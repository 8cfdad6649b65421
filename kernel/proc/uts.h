/* SPDX-License-Identifier: BSD-3-Clause */
/* What uname(2) and /proc call this system. */
#pragma once

#include "lib/types.h"

#define UTS_RELEASE "6.6.0-occlum"
#define UTS_VERSION "#1 SMP Occlum"
#define UTS_MACHINE "x86_64"

/* Buffers of `size` bytes; either may be NULL. */
void uts_get_names(char *host, char *domain, size_t size);
void uts_set_name(const char *name, bool domain); /* at most 64 bytes */
