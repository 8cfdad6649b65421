/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw access to host memory and the control call. Only enclave/ and the ring's users in sched/
 * include this. Host memory is read and written in aligned eight-byte units (Intel's advice on
 * stale data and MMIO), but for the ring's two indexes; each value is read once.
 */
#pragma once

#include "boundary/hostcalls.h"
#include "lib/types.h"

/* `from` and `to` are 8-byte aligned and were checked to lie outside the enclave. A copy out
 * may clear up to seven bytes behind the end. */
void host_copy_in(void *to, haddr_t from, size_t size);
void host_copy_out(haddr_t to, const void *from, size_t size);
uint32_t host_load32(haddr_t from);
void host_store32(haddr_t to, uint32_t value); /* with release order; costs 0.2 us */

/* The call; the result is the host's claim, negative errno clamped to -1..-4095. */
int64_t hostcall(enum hostcall_nr nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                 uint64_t a4, uint64_t a5);
#define hostcall0(nr)       hostcall(nr, 0, 0, 0, 0, 0, 0)
#define hostcall1(nr, a)    hostcall(nr, (uint64_t)(a), 0, 0, 0, 0, 0)
#define hostcall2(nr, a, b) hostcall(nr, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define hostcall3(nr, a, b, c)                                                                 \
    hostcall(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)

/* Clears the vector registers before the enclave is left; set by the scheduler at boot. */
extern void (*hostcall_prepare)(void);

/* Bounce buffers. Each vCPU has an area for synchronous calls; the rest is for the rings. */
#define HOST_SYNC_BYTES  (80u * 1024) /* two paths of 8 KiB, 64 KiB of data */
#define HOST_SYNC_DATA   (16u * 1024)
#define HOST_PATH_BYTES  (8u * 1024)
#define POOL_CHUNK_BYTES (256u * 1024)
#define POOL_CHUNKS_MAX  2048u

haddr_t host_sync_area(void);
/* A chunk of POOL_CHUNK_BYTES, or 0 when all are in use. */
haddr_t pool_get(void);
void pool_put(haddr_t chunk);
uint32_t pool_count(void);       /* chunks there are */
uint32_t pool_index(haddr_t at); /* number of the chunk that `at` lies in */
/* At boot: checks and divides the pool. */
void pool_init(haddr_t address, uint64_t size, uint32_t vcpus);
