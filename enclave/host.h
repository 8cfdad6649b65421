/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The synchronous control calls (boundary/hostcalls.h), with every answer checked. Strings and
 * buffers are enclave memory; they are copied out and in. Results: >= 0, or negative errno; an
 * answer out of bounds becomes -EIO. They hold up the vCPU: short operations only.
 */
#pragma once

#include "abi/stat.h"
#include "boundary/boot.h"
#include "boundary/hostcalls.h"
#include "lib/types.h"

#define HOST_PATH_MAX   4096u
#define HOST_BUFFER_MAX (64u * 1024)

/* Any fd below 2^20; paths shorter than HOST_PATH_MAX. `resolve`: openat2(2)'s RESOLVE_*. */
/* A descriptor as an answer: bounded; one that the host could not give is -ENFILE. May log. */
int host_new_fd(int64_t r) MUST_CHECK;
int host_openat(int dirfd, const char *path, uint32_t flags, uint32_t mode,
                uint64_t resolve) MUST_CHECK;
void host_close(int fd);
/* Untrusted figures; only the file type is checked to be one that exists. */
int host_statx(int dirfd, const char *path, uint32_t flags, struct abi_statx *out) MUST_CHECK;
/* Raw getdents64 records into `buffer`; the caller parses them with bounds checks. */
ssize_t host_getdents(int fd, void *buffer, size_t size) MUST_CHECK;
ssize_t host_readlink(int dirfd, const char *path, char *buffer, size_t size) MUST_CHECK;
int host_mkdir(int dirfd, const char *path, uint32_t mode) MUST_CHECK;
int host_unlink(int dirfd, const char *path, uint32_t flags) MUST_CHECK;
int host_rename(int olddir, const char *old, int newdir, const char *new,
                uint32_t flags) MUST_CHECK;
int host_link(int olddir, const char *old, int newdir, const char *new,
              uint32_t flags) MUST_CHECK;
int host_symlink(const char *target, int dirfd, const char *path) MUST_CHECK;
int host_mknod(int dirfd, const char *path, uint32_t mode, uint64_t dev) MUST_CHECK;
int host_truncate(int fd, uint64_t length) MUST_CHECK;
/* At once, on this vCPU, at most 256 KiB; -EAGAIN: the ring must do it (sched/hostio.h). */
ssize_t host_pread(int fd, void *buffer, size_t size, uint64_t offset) MUST_CHECK;
ssize_t host_pwrite(int fd, const void *buffer, size_t size, uint64_t offset) MUST_CHECK;
/* Waits for the host's disk; nothing else runs on this vCPU meanwhile. */
int host_flush(int fd) MUST_CHECK;
int host_fallocate(int fd, uint32_t mode, uint64_t offset, uint64_t length) MUST_CHECK;
int64_t host_seek(int fd, int64_t offset, int whence) MUST_CHECK;
int host_chmod(int fd, uint32_t mode) MUST_CHECK;
int host_chown(int fd, uint32_t uid, uint32_t gid) MUST_CHECK;
/* times: access, modification; nsec may be UTIME_NOW, UTIME_OMIT. */
int host_utimens(int dirfd, const char *path, const struct timespec64 times[2],
                 uint32_t flags) MUST_CHECK;
int host_statfs(int fd, struct abi_statfs *out) MUST_CHECK;
ssize_t host_getxattr(int fd, const char *name, void *buffer, size_t size) MUST_CHECK;
ssize_t host_listxattr(int fd, char *buffer, size_t size) MUST_CHECK;
/* value NULL removes it. */
int host_setxattr(int fd, const char *name, const void *value, size_t size,
                  int flags) MUST_CHECK;
int host_flock(int fd, int operation) MUST_CHECK;
/* In and out through `buffer` of `size` bytes. */
int host_ioctl(int fd, uint32_t request, void *buffer, size_t size) MUST_CHECK;
/* The argument is a number. */
/* For profilers; no answer. */
void host_mapped(const char *path, uaddr_t address, uint64_t offset);
int host_ioctl_value(int fd, uint32_t request, uint64_t value) MUST_CHECK;

/* A read-only image mapped by the host: reads are copies of untrusted bytes, to be verified. */
uint64_t host_image_size(unsigned index); /* 0: there is none */
int host_image_read(unsigned index, uint64_t offset, void *buffer, size_t size) MUST_CHECK;
/* So much was: from time to time the host is told that its copy need not stay mapped. */
void host_image_was_read(unsigned index, size_t size);
