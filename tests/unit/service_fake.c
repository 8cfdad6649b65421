/* SPDX-License-Identifier: BSD-3-Clause */
/* What kernel/service/parse.c needs of the kernel, from the C library. */
#include <stdlib.h>

void *kcalloc(size_t count, size_t size);
void kfree(void *p);

void *kcalloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void kfree(void *p)
{
    free(p);
}
