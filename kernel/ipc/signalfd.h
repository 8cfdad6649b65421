/* SPDX-License-Identifier: BSD-3-Clause */
/* signalfd(2). LIMIT: poll and epoll see the signals of the process that waits or added it. */
#pragma once

#include "lib/types.h"

struct file;

int signalfd_new(uint64_t mask, uint32_t flags, struct file **out) MUST_CHECK;
/* -EINVAL: not a signalfd. */
int signalfd_set(struct file *f, uint64_t mask) MUST_CHECK;
