/* SPDX-License-Identifier: BSD-3-Clause */
/* The frequency of the time stamp counter. */
#pragma once

#include <stdint.h>

struct tsc_sample {
    uint64_t tsc, ns;
};

/* Called early, so that time passes meanwhile. */
struct tsc_sample tsc_begin(void);
/* Ticks in a second; if it has to measure, a millisecond must have passed since `begin`. */
uint64_t tsc_hz(const struct tsc_sample *begin);
