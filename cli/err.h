/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hosted side's errors: a chain of sentences, from what the user wanted down to what went
 * wrong, with an optional hint and the exit status to leave with. A function that can fail
 * returns NULL or an error that its caller owns: it hands it up (wrapped in its own context) or
 * frees it. Only main() prints. Used by cli/, bom/ and image/; knows nothing of them.
 */
#pragma once

#include <stdio.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* The status for Occlum's own failures; programs use 0-255 themselves, see docs/commands.md. */
#define STATUS_OCCLUM    125
#define STATUS_NOT_EXEC  126
#define STATUS_NOT_FOUND 127
#define STATUS_USAGE     2
#define STATUS_FAILED    1

struct err;

MUST_CHECK struct err *err_new(const char *format, ...) PRINTF(1, 2);

/* Ends in ": " and the description of errnum. */
MUST_CHECK struct err *err_sys(int errnum, const char *format, ...) PRINTF(2, 3);

/* Puts context in front; takes over `cause`. NULL stays NULL. */
MUST_CHECK struct err *err_wrap(struct err *cause, const char *format, ...) PRINTF(2, 3);

/* A component of a path: neighbours are joined by "/" instead of ": ". */
MUST_CHECK struct err *err_at(struct err *cause, const char *name);

/* What to do about it, printed on a line of its own; the innermost hint wins. */
MUST_CHECK struct err *err_hint(struct err *err, const char *format, ...) PRINTF(2, 3);

/* Exit status that main() leaves with; the innermost set one wins; STATUS_FAILED if none is. */
MUST_CHECK struct err *err_with_status(struct err *err, int status);
int err_status(const struct err *err);

/* "PROGRAM: outer: inner: innermost\n  hint\n" */
void err_print(FILE *stream, const char *program, const struct err *err);

/* The chain as one line, for tests and logs; returns `buffer`. */
char *err_text(const struct err *err, char *buffer, size_t size);

void err_free(struct err *err);
