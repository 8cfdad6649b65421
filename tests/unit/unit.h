/* SPDX-License-Identifier: BSD-3-Clause */
/* The assertion of unit tests: says what failed and ends the test. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define CHECK(e)                                                                               \
    do {                                                                                       \
        if (!(e)) {                                                                            \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #e);                    \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)
/* Both as integers; shows them. */
#define CHECK_EQ(a, b)                                                                         \
    do {                                                                                       \
        long long check_a_ = (long long)(a), check_b_ = (long long)(b);                        \
        if (check_a_ != check_b_) {                                                            \
            fprintf(stderr, "%s:%d: %s is %lld, not %s = %lld\n", __FILE__, __LINE__, #a,      \
                    check_a_, #b, check_b_);                                                   \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)
#define SKIP(why)                                                                              \
    do {                                                                                       \
        fprintf(stderr, "skipped: %s\n", why);                                                 \
        exit(77);                                                                              \
    } while (0)

/* A small generator, the same on every run. */
static inline unsigned long long unit_random(void)
{
    static unsigned long long state = 0x9e3779b97f4a7c15ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}
