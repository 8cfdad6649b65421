/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What copy_bom wants to know of an ELF file. Files may be anything; every offset is checked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bom/pool.h"

struct elf_needs {
    /* 64-bit x86-64, executable or shared object; else nothing is set */
    bool is_elf;
    char *interp;           /* PT_INTERP or NULL */
    char *rpath;            /* DT_RPATH or NULL, ignored by loaders if there is a runpath */
    char *runpath;
    bool no_default_libs;   /* DF_1_NODEFLIB */
    char **needed;
    size_t needed_count;
};

/* False with a word in *why if it calls itself such an ELF file, but is broken. */
bool elf_parse(struct pool *pool, const uint8_t *data, size_t size, struct elf_needs *out,
               const char **why);

/* The same for a file; 0 or -errno; -EINVAL for a broken one, `why` as above. */
int elf_read(struct pool *pool, const char *path, struct elf_needs *out, const char **why);
