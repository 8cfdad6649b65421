/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of prctl(2) that are about capabilities. */
#pragma once

#include "lib/types.h"

#define PR_GET_KEEPCAPS   7
#define PR_SET_KEEPCAPS   8
#define PR_CAPBSET_READ   23
#define PR_CAPBSET_DROP   24
#define PR_GET_SECUREBITS 27
#define PR_SET_SECUREBITS 28
#define PR_CAP_AMBIENT    47

int64_t cap_prctl(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5);
