/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel for the file layer on the host: one task, locks that only check themselves, memory
 * that is counted, guest addresses that are the test's own. Link tests/unit/fs_fake.c.
 */
#pragma once

#include "fs/core/fd.h"
#include "sched/task.h"

extern long fake_live;       /* allocations not freed */
extern long fake_fail_after; /* >= 0: this many allocations succeed, then all fail */
extern unsigned fake_held;   /* spinlocks and mutexes held */
extern int fake_signal;      /* the last one sent to the current task */
extern uint64_t fake_now_ns;
extern unsigned fake_log_lines; /* log_always() */
extern char fake_log_last[512];
extern uint64_t fake_limit_fsize, fake_limit_nofile;

/* Sets up `current` with root's credentials and no files. */
void fake_kernel_init(void);
/* Mounts a tmpfs as the root of all; gives the task a context and a descriptor table. */
void fake_mount_root(void);
/* Takes both away again and forgets all unused names. */
void fake_leave(void);

/* The file system calls with the kernel's conventions, on the test's own memory. */
int fake_open(const char *path, uint32_t flags, uint32_t mode); /* a descriptor */
ssize_t fake_read(int fd, void *buffer, size_t size);
ssize_t fake_write(int fd, const void *buffer, size_t size);
ssize_t fake_pread(int fd, void *buffer, size_t size, uint64_t offset);
ssize_t fake_pwrite(int fd, const void *buffer, size_t size, uint64_t offset);
