/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-line errors of the untrusted runtime: what failed and what to do, for the command to
 * print.
 */
#pragma once

struct host_error {
    char msg[512];
};

/* Formats the message and returns `code` (a negative errno), so that callers can return it. */
int host_fail(struct host_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
