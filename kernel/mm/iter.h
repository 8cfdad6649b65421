/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where bulk data goes to or comes from: guest memory or kernel memory, one or many segments.
 * Copies advance the iterator.
 */
#pragma once

#include "lib/types.h"

struct iter_segment {
    uint64_t base; /* uaddr_t, or a kernel pointer */
    size_t size;
};

struct iter {
    const struct iter_segment *segments;
    size_t segment_count;
    struct iter_segment single;
    size_t offset;    /* into the first segment left */
    size_t remaining; /* bytes, over all segments */
    bool user;
};

#define ITER_MAX_SEGMENTS 1024 /* IOV_MAX */
#define ITER_MAX_BYTES    0x7ffff000ull

void iter_user(struct iter *it, uaddr_t base, size_t size);
void iter_kernel(struct iter *it, void *base, size_t size);
/* From a guest's struct iovec array. *segments is kernel memory to kfree() after use (NULL if
 * none was needed). -EFAULT, -EINVAL (too many, negative or overflowing lengths), -ENOMEM. */
int iter_user_vector(struct iter *it, uaddr_t iov, size_t count,
                     struct iter_segment **segments) MUST_CHECK;

/* Bytes copied: less than `size` when the iterator ends or the guest's memory faults. */
size_t iter_copy_to(struct iter *it, const void *src, size_t size);
size_t iter_copy_from(struct iter *it, void *dst, size_t size);
size_t iter_zero(struct iter *it, size_t size);
void iter_advance(struct iter *it, size_t size);
void iter_revert(struct iter *it, const struct iter *saved);
