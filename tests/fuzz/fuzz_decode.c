/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes through the instruction decoder: it stays inside them, and what it says fits
 * together.
 * LINK: kernel/mm/x86_decode.c
 */
#include <stdlib.h>

#include "mm/x86_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct x86_insn d, again;
        if (x86_decode(data + at, size - at, &d)) {
            at++;
            continue;
        }
        if (!d.length || d.length > X86_MAX_LENGTH || d.length > size - at ||
            d.relative_at + d.relative_bytes > d.length || d.opcode_at >= d.length ||
            (d.rip_disp_at && d.rip_disp_at + 4 > d.length))
            abort();
        /* Only its own bytes matter. */
        if (x86_decode(data + at, d.length, &again) || again.length != d.length ||
            again.kind != d.kind || x86_decode(data + at, d.length - 1, &again) == 0)
            abort();
        at += d.length;
    }
    return 0;
}
