/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole files in and out of memory, for image/ and cli/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cli/err.h"

struct file_map {
    const uint8_t *bytes; /* NULL for an empty file */
    size_t size;
};

/* Maps a regular file read-only. */
MUST_CHECK struct err *file_map(const char *path, struct file_map *map);
void file_unmap(struct file_map *map);

/* Creates or replaces a file and writes it to the disk. */
MUST_CHECK struct err *file_put(const char *path, const void *bytes, size_t size);

/* pwrite of everything, or an error; `name` is for messages. */
MUST_CHECK struct err *file_write_at(int fd, const char *name, const void *bytes, size_t size,
                                     uint64_t offset);
