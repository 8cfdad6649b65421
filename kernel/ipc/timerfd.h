/* SPDX-License-Identifier: BSD-3-Clause */
/* timerfd(2). */
#pragma once

#include "lib/types.h"

struct file;

#define TFD_TIMER_ABSTIME       1u
#define TFD_TIMER_CANCEL_ON_SET 2u

/* `flags`: O_NONBLOCK counts. */
int timerfd_new(int clock, uint32_t flags, struct file **out) MUST_CHECK;
/* -EINVAL: not a timerfd. The values are replaced by the old ones. */
int timerfd_set(struct file *f, bool absolute, uint64_t *interval_ns,
                uint64_t *value_ns) MUST_CHECK;
int timerfd_get(struct file *f, uint64_t *interval_ns, uint64_t *value_ns) MUST_CHECK;
