/* SPDX-License-Identifier: BSD-3-Clause */
/* One-line errors of the untrusted runtime. */
#include "host/error.h"

#include <stdarg.h>
#include <stdio.h>

int host_fail(struct host_error *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    return code;
}
