/* SPDX-License-Identifier: BSD-3-Clause */
/* Scalar types and compiler attributes of the kernel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A guest address: an integer, never dereferenced outside mm/user. */
typedef uint64_t uaddr_t;
/* A host address: an integer, never dereferenced outside enclave/. */
typedef uint64_t haddr_t;
typedef int64_t ssize_t;

#define PAGE_SIZE  4096ull
#define PAGE_SHIFT 12
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define NORETURN                        __attribute__((noreturn))
#define PRINTF(a, b)                    __attribute__((format(printf, a, b)))
#define ALWAYS_INLINE                   static inline __attribute__((always_inline))
#define likely(x)                       __builtin_expect(!!(x), 1)
#define unlikely(x)                     __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                                                              \
    ({                                                                                         \
        __typeof__(a) min_a_ = (a);                                                            \
        __typeof__(b) min_b_ = (b);                                                            \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                     \
    })
#define MAX(a, b)                                                                              \
    ({                                                                                         \
        __typeof__(a) max_a_ = (a);                                                            \
        __typeof__(b) max_b_ = (b);                                                            \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                     \
    })

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
    return (v + a - 1) & ~(a - 1);
}
static inline uint64_t align_down(uint64_t v, uint64_t a)
{
    return v & ~(a - 1);
}

/* Overflow-checked arithmetic: true when the result does not fit. */
#define add_overflows(a, b, out) __builtin_add_overflow(a, b, out)
#define mul_overflows(a, b, out) __builtin_mul_overflow(a, b, out)

struct timespec64 {
    int64_t sec;
    int64_t nsec;
};
