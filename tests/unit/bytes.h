/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes in memory as the file that a struct elf_source reads. */
#pragma once

#include <string.h>

#include "proc/elf.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

static inline ssize_t read_bytes(void *file, void *buffer, size_t size, uint64_t offset)
{
    const struct bytes *b = file;
    if (offset >= b->size)
        return 0;
    size_t n = b->size - offset < size ? b->size - offset : size;
    memcpy(buffer, b->data + offset, n);
    return (ssize_t)n;
}
