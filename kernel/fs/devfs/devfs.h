/* SPDX-License-Identifier: BSD-3-Clause */
/* devfs: /dev, a tmpfs that comes with the usual nodes; and the host's standard streams. */
#pragma once

#include "fs/core/file.h"

void devfs_register(void);
/* mem.c, console.c: their character devices. */
void devfs_register_mem(void);
void devfs_register_tty(void);
