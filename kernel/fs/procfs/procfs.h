/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of procfs. */
#pragma once

#include "lib/types.h"

struct file;
struct process;

void procfs_register(void);
/* Whose /proc/PID an open file is; counted. -EBADF: something else; -ESRCH: it has ended. */
int procfs_process(struct file *f, struct process **out) MUST_CHECK;
