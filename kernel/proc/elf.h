/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and checks an ELF program's headers: pure code over a read function; what comes out is
 * bounded and consistent, whatever the file says.
 */
#pragma once

#include "lib/types.h"

#define ELF_MAX_SEGMENTS 64u
#define ELF_MAX_PHDRS    1170u /* what fits 64 KiB, Linux's limit */
#define ELF_INTERP_MAX   4096u
#define ELF_ADDRESS_END  0x7ffffffff000ull

struct elf_source {
    /* Bytes read, fewer only at the end of the file, or negative errno. */
    ssize_t (*read)(void *file, void *buffer, size_t size, uint64_t offset);
    void *file;
};

/* A PT_LOAD; page-aligned where it says page. offset and vaddr agree modulo the page size. */
struct elf_segment {
    uint64_t vaddr, offset, file_size, mem_size;
    uint32_t prot; /* PROT_* of mm/vm.h */
};

struct elf_image {
    bool fixed; /* ET_EXEC: addresses are absolute */
    bool exec_stack;
    uint64_t entry;
    uint64_t phdr; /* address of the program headers in memory, or 0 */
    uint16_t phnum;
    uint64_t start, end; /* of all segments, page aligned; start < end */
    uint64_t align;      /* what the image as a whole asks for; power of two */
    uint32_t segment_count;
    struct elf_segment segment[ELF_MAX_SEGMENTS]; /* ascending, bytes do not overlap */
    char interp[ELF_INTERP_MAX];                  /* "" if none */
};

/* 0; -ENOEXEC when malformed or for another machine, -EIO when cut short, -ENOMEM. */
int elf_parse(const struct elf_source *source, struct elf_image *out) MUST_CHECK;

/* What "#!" says: the interpreter and its one optional argument (NULL), pointers into `line`,
 * which is changed. -ENOEXEC when it is not a usable script; `size` bytes were read. */
int script_parse(char *line, size_t size, char **interpreter, char **argument) MUST_CHECK;
