/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The only code that touches guest memory: range check, then one assembly copy with a fault
 * fixup; a fault on memory that is mapped but not present brings it in and goes on. Acts on
 * current->mm. May sleep (a page may come from a file): never with a spinlock held.
 */
#pragma once

#include "lib/types.h"

/* 0 or -EFAULT. On failure an unspecified part has been copied. */
int copy_from_user(void *dst, uaddr_t src, size_t size) MUST_CHECK;
int copy_to_user(uaddr_t dst, const void *src, size_t size) MUST_CHECK;
int clear_user(uaddr_t dst, size_t size) MUST_CHECK;
/* Bytes copied before the first fault. */
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t size);
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t size);
/* Length without the NUL, -EFAULT, or -ENAMETOOLONG if no NUL within `size` bytes. */
ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size) MUST_CHECK;
/* A NUL-terminated copy in kernel memory, to be freed with kfree(); at most `max` bytes with
 * NUL: else -ENAMETOOLONG. -EFAULT, -ENOMEM. */
int strdup_from_user(uaddr_t src, size_t max, char **out) MUST_CHECK;
/* True if [p, p+size) lies in the range that programs may use. */
bool user_range_ok(uaddr_t p, uint64_t size);

/* Scalars: *value is read or written once. */
#define get_user(value, address) copy_from_user((value), (address), sizeof(*(value)))
#define put_user(address, value)                                                               \
    ({                                                                                         \
        __typeof__(value) pu_ = (value);                                                       \
        copy_to_user((address), &pu_, sizeof(pu_));                                            \
    })

/* For the memory's own code: pages that are in place, of whichever memory; nothing is brought
 * in. Bytes not copied or cleared. */
size_t user_copy_present(uaddr_t dst, uaddr_t src, size_t size);
size_t user_clear_present(uaddr_t dst, size_t size);
/* A page in place, readable and writable, and one of the kernel's change contents. Only a host
 * that takes the page away can make it fail: the enclave stops. */
void user_swap_page(uaddr_t at, void *page);
/* A page in place, readable, has these contents. */
bool user_same_page(uaddr_t at, const void *page);

/* Atomics on guest memory for futexes: 0, -EFAULT. *old is what was there. */
int user_cmpxchg32(uaddr_t address, uint32_t expected, uint32_t desired,
                   uint32_t *old) MUST_CHECK;
int user_load32(uaddr_t address, uint32_t *value) MUST_CHECK;
