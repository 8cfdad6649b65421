/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host I/O through the vCPU's ring: the calling task is parked, other tasks run meanwhile.
 * Buffers are kernel memory; data passes through bounce buffers in host memory and results are
 * bounded by what was asked. Results: bytes, or negative errno; -ERESTARTSYS when a signal
 * ended an interruptible wait before anything was transferred: hostio_poll, and reads and
 * writes with HOSTIO_STREAM. With an offset, and for hostio_fsync, signals wait, as with disks.
 */
#pragma once

#include "lib/types.h"

#define HOSTIO_MAX                                                                             \
    (256u * 1024)          /* bytes one operation moves at most; longer requests are cut */
#define HOSTIO_STREAM (-1) /* offset: none, the file's own position */

ssize_t hostio_read(int fd, void *buffer, size_t size, int64_t offset) MUST_CHECK;
ssize_t hostio_write(int fd, const void *buffer, size_t size, int64_t offset) MUST_CHECK;
/* At an offset of a regular file: at once where the host need not wait for a disk, which costs
 * an exit, but no parking and no wake-up; else through the ring. */
ssize_t hostio_pread(int fd, void *buffer, size_t size, uint64_t offset) MUST_CHECK;
ssize_t hostio_pwrite(int fd, const void *buffer, size_t size, uint64_t offset) MUST_CHECK;
int hostio_fsync(int fd, bool data_only) MUST_CHECK;
/* Lets the host begin to write what it has of the file to its disk, and does not wait. Only an
 * advice: a host that does not follow it makes the next hostio_fsync slower. */
void hostio_start_writing(int fd);
/* Waits for POLLIN.. events; returns the events, 0 at the deadline. */
int hostio_poll(int fd, uint32_t events, uint64_t deadline_ns) MUST_CHECK;
