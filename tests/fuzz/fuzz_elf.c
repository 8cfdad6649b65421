/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as an ELF file and as ld.so.cache: what is found lies inside and ends in a zero.
 * LINK: bom/elf.c bom/loader.c bom/pool.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bom/elf.h"
#include "bom/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t limit)
{
    if (text && strlen(text) > limit)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool pool = {NULL};
    struct elf_needs needs;
    struct loader loader = {.musl = false};
    const char *why = NULL;
    if (!elf_parse(&pool, data, size, &needs, &why)) {
        if (!why || needs.is_elf)
            abort();
    } else if (needs.is_elf) {
        check(needs.interp, size);
        check(needs.rpath, size);
        check(needs.runpath, size);
        for (size_t i = 0; i < needs.needed_count; i++)
            check(needs.needed[i], size);
    }
    if (loader_parse_cache(&pool, &loader, data, size))
        for (size_t i = 0; i < loader.cache_count; i++)
            check(loader.cache[i].path, size);
    else if (loader.cache_count)
        abort();
    pool_fini(&pool);
    return 0;
}
