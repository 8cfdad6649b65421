/* SPDX-License-Identifier: BSD-3-Clause */
/* Hooks of the address sanitizer; nothing in other builds. */
#pragma once

#include "lib/types.h"

#ifdef OCCLUM_SAN
void san_poison(const void *p, size_t size);
void san_unpoison(const void *p, size_t size);
#else
static inline void san_poison(const void *p, size_t size)
{
}
static inline void san_unpoison(const void *p, size_t size)
{
}
#endif
