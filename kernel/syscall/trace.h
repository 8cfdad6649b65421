/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of a trace, and what puts arguments into them. */
#pragma once

#include "lib/types.h"

#define TRACE_LINE_BYTES   480
#define TRACE_STRING_SHOWN 48

struct trace_text {
    char text[TRACE_LINE_BYTES];
    size_t used;
};

void trace_put(struct trace_text *l, const char *format, ...) PRINTF(2, 3);
/* Up to `size` bytes of the program's as a quoted string; `to_nul`: it ends at a NUL. */
void trace_put_string(struct trace_text *l, uaddr_t at, uint64_t size, bool to_nul);

/* An argument as its decoder in abi/syscalls.tbl says. */
struct trace_argument {
    const char *decoder;
    uint64_t value, following; /* the argument itself, and the next one */
    int64_t result;            /* of the call; 0 before its end */
};
/* False: no such decoder, or nothing to be read there. */
bool trace_put_name(struct trace_text *l, const struct trace_argument *a);
bool trace_put_memory(struct trace_text *l, const struct trace_argument *a);
