/* SPDX-License-Identifier: BSD-3-Clause */
/* ramfs, shown as tmpfs: files in the enclave's memory alone. */
#pragma once

#include "fs/core/file.h"

void ramfs_register(void);
/* memfd_create(2): a file without a name, open for reading and writing. */
int ramfs_new_memfd(const char *name, uint32_t mode, struct file **out) MUST_CHECK;
