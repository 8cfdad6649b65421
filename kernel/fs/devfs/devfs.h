/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devfs: /dev, a tmpfs that comes with the usual nodes; /dev/pts; and the host's streams and
 * terminals.
 */
#pragma once

#include "fs/core/file.h"
#include "tty/pty.h"

void devfs_register(void);
/* mem.c, sgx.c, console.c, devpts.c: their character devices and file systems. */
void devfs_register_mem(void);
void devfs_register_sgx(void);
void devfs_register_tty(void);
void devpts_register(void);

/* console.c: a descriptor of the host as an open file; `owned`: closed with the file. */
int console_file(int fd, uint32_t flags, bool owned, struct file **out) MUST_CHECK;
/* The terminal of the first program, or NULL. */
struct tty *console_tty(void);

/* A pseudo terminal without a file for its master yet; the caller has the master's reference
 * (pty_master_close() gives it back). */
int devpts_new(struct pty **out) MUST_CHECK;
