/* SPDX-License-Identifier: BSD-3-Clause */
/* Advisory locks: flock(2), POSIX and open-file-description record locks (fcntl(2)). */
#pragma once

#include "fs/core/file.h"

struct fd_table;

int file_flock(struct file *f, int operation) MUST_CHECK;
/* F_SETLK and F_SETLKW. Owner: the descriptor table, or the file for OFD locks. */
int file_record_lock(struct file *f, const struct abi_flock *l, bool ofd, bool wait) MUST_CHECK;
/* F_GETLK: changes *l to the first lock in the way, or to F_UNLCK. */
int file_record_test(struct file *f, struct abi_flock *l, bool ofd) MUST_CHECK;
/* Close of a descriptor: POSIX locks of that table on the file's inode go. */
void file_locks_close(struct file *f, struct fd_table *owner);
/* Last reference: flock and OFD locks go. */
void file_locks_release(struct file *f);
void file_locks_free(struct inode *inode);
