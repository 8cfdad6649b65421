/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's ELF file: a static-PIE linked at 0 with page-aligned segments and a section
 * .enclu that lists the addresses of its ENCLU instructions. Not here: any other kind of ELF
 * file; bom/ reads programs, the kernel loads them.
 */
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/err.h"

#define ELF_SEGMENTS_MAX 16u

struct elf_segment {
    uint64_t address, file_offset, file_bytes, memory_bytes;
    uint32_t flags; /* PF_* */
};

struct elf_image {
    const char *path;
    const uint8_t *bytes; /* the file, mapped */
    size_t size;
    uint64_t entry;
    struct elf_segment segment[ELF_SEGMENTS_MAX]; /* ascending, whole pages apart */
    uint32_t count;
    uint64_t *enclu; /* addresses; checked to be ENCLU and a three-byte NOP */
    size_t enclu_count;
};

MUST_CHECK struct err *elf_open(const char *path, struct elf_image *elf);
void elf_close(struct elf_image *elf);
