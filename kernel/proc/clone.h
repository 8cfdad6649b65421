/* SPDX-License-Identifier: BSD-3-Clause */
/* clone(2) in all its forms. */
#pragma once

#include "abi/process.h"
#include "lib/types.h"

/* The new thread's id or negative errno. Flags have been checked for what the call itself
 * forbids. */
int64_t clone_run(const struct abi_clone_args *args) MUST_CHECK;
