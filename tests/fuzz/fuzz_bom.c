/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any text as a bom: parsed or refused with a status and a line, never more.
 * LINK: bom/parse.c bom/expand.c bom/pool.c cli/err.c LIBS: -lyaml
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bom/bom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bom *bom)
{
    for (size_t i = 0; i < bom->target_count; i++) {
        const struct bom_target *target = &bom->targets[i];
        if (target->target.text[0] != '/')
            abort();
        for (size_t j = 0; j < target->copy_count; j++)
            for (size_t k = 0; k < target->copies[j].file_count; k++)
                if (!target->copies[j].files[k].name.text[0])
                    abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool pool = {NULL};
    struct bom *bom = NULL;
    setenv("SET", "value", 1);
    setenv("EMPTY", "", 1);
    struct err *err = bom_parse(&pool, "x.yaml", (const char *)data, size, &bom);
    if (err ? err_status(err) != BOM_BAD_FILE || bom : !bom)
        abort();
    if (bom)
        check(bom);
    err_free(err);
    pool_fini(&pool);
    return 0;
}
