/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal of the host as one of ours. */
#pragma once

#include "fs/devfs/stream.h"
#include "tty/tty.h"

/* One reference. -ENOMEM. */
int hosttty_new(int fd, uint64_t rdev, struct tty **out) MUST_CHECK;
bool hosttty_is(int fd); /* is that descriptor of the host a terminal? */
