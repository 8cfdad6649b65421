/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a program or script: what the loader accepts keeps its promises.
 * LINK: kernel/proc/elf.c
 */
#include <stdlib.h>
#include <string.h>

#include "proc/elf.h"
#include "tests/unit/bytes.h"

void *kzalloc(size_t size)
{
    return calloc(1, size);
}
void kfree(void *p)
{
    free(p);
}

static void check(const struct elf_image *im)
{
    uint64_t end = 0;
    if (!im->segment_count || im->start >= im->end || im->entry < im->start ||
        im->entry >= im->end || !memchr(im->interp, 0, sizeof(im->interp)))
        abort();
    for (uint32_t i = 0; i < im->segment_count; i++) {
        const struct elf_segment *s = &im->segment[i];
        if (s->vaddr < end || s->vaddr + s->mem_size <= s->vaddr ||
            s->vaddr + s->mem_size > im->end || s->file_size > s->mem_size ||
            s->vaddr < im->start)
            abort();
        end = s->vaddr + s->mem_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct elf_image im;
    struct bytes b = {(uint8_t *)data, size}; /* only read */
    struct elf_source s = {read_bytes, &b};
    char line[256] = "", *interpreter, *argument;
    if (!elf_parse(&s, &im))
        check(&im);
    memcpy(line, data, size < sizeof(line) ? size : sizeof(line));
    if (!script_parse(line, sizeof(line), &interpreter, &argument)) {
        if (!*interpreter || (argument && argument <= interpreter))
            abort();
    }
    return 0;
}
