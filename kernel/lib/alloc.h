/* SPDX-License-Identifier: BSD-3-Clause */
/* What lib/ needs of the heap, which lies above it; mm/kmalloc.h has the contracts. */
#pragma once

#include "lib/types.h"

void *kzalloc(size_t size) MUST_CHECK;
void kfree(void *p);
