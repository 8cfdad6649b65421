/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes as files: pidfd_open(2), CLONE_PIDFD; and who may look into whom. */
#pragma once

#include "proc/process.h"

#define PIDFD_NONBLOCK O_NONBLOCK

int pidfd_new(struct process *p, uint32_t flags, struct file **out) MUST_CHECK;
/* The process, with a reference; -EBADF if it is another kind of file. */
int pidfd_process(struct file *f, struct process **out) MUST_CHECK;

/* May the current task send it a signal; look into its memory, descriptors and the like? */
bool process_may_signal(struct process *p, int sig);
bool process_may_inspect(struct process *p);
