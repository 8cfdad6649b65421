/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What kernel/net/control.c and enclave/control.c need of the kernel, for fuzz targets: a heap
 * that counts, sixteen open files, one window of program memory, one of host memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FAKE_FILES 16

extern long fake_blocks;    /* of the heap, in use */
extern long fake_file_refs; /* beyond the table's own */
extern int fake_free_fds;   /* fd_reserve() has so many */
extern long fake_installed, fake_reserved;
extern uint64_t fake_user_at, fake_user_size;
extern uint8_t *fake_user;
extern void *fake_host_start; /* what copies from the host may touch */
extern size_t fake_host_size;

void net_fake_init(void);
