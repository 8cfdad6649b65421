/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdint.h>

/* Ticks of the time stamp counter in a second. */
uint64_t tsc_hz(void);
