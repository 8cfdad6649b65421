/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks of the address sanitizer (MODE=san): the allocators tell which bytes may not be
 * touched. Nothing in other builds. The runtime is in lib/san/.
 */
#pragma once

#include "lib/types.h"

/* A function that touches guest memory on purpose. */
#if defined(__clang__)
#define NO_SAN __attribute__((no_sanitize("kernel-address")))
#else
#define NO_SAN __attribute__((no_sanitize_address))
#endif

#ifdef OCCLUM_SAN
#define SAN_REDZONE 16u /* bytes behind each object that belong to nobody */

struct san_env {
    uint64_t heap_start, heap_end; /* watched: all of it is good until it is poisoned */
    uint64_t user_start, user_end; /* compiled code has no business there */
    uint64_t shadow;               /* (heap_end - heap_start) / 8 bytes of range, not present */
    int (*add_pages)(uint64_t address, uint64_t count);
};
/* Once, when pages can be had; runs the constructors that register global variables. */
void san_start(const struct san_env *env);

/* `p` is aligned to 8; the end is rounded up (poison) or exact (unpoison). */
void san_poison(const void *p, size_t size);
void san_unpoison(const void *p, size_t size);
/* For code that the compiler does not watch. */
void san_check(const void *p, size_t size, bool write);

/* Breaks a rule, by name ("heap-overflow", "use-after-free", "global-overflow", "shift",
 * "guest"), and returns only if nobody noticed. */
void san_self_test(const char *name);
#else
#define SAN_REDZONE 0u
static inline void san_poison(const void *p, size_t size)
{
}
static inline void san_unpoison(const void *p, size_t size)
{
}
static inline void san_check(const void *p, size_t size, bool write)
{
}
#endif
