/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error chains, see err.h. An error is a list of links, outermost first. When memory is short a
 * static one stands in, so that making an error cannot fail.
 */
#include "cli/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct err {
    struct err *cause;
    char *text;
    char *hint;
    int status; /* 0: not set */
    int path;   /* a component of a path */
};

static char out_of_memory_text[] = "out of memory";
static struct err out_of_memory = {.text = out_of_memory_text};

static struct err *make(struct err *cause, const char *suffix, const char *format, va_list args)
{
    struct err *err = calloc(1, sizeof(*err));
    char *text = NULL;

    if (!err || vasprintf(&text, format, args) < 0) {
        free(err);
        err_free(cause);
        return &out_of_memory;
    }
    err->cause = cause;
    err->text = text;
    if (suffix && asprintf(&err->text, "%s: %s", text, suffix) >= 0)
        free(text);
    else
        err->text = text;
    return err;
}

struct err *err_new(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    struct err *err = make(NULL, NULL, format, args);
    va_end(args);
    return err;
}

struct err *err_sys(int errnum, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    struct err *err = make(NULL, strerror(errnum), format, args);
    va_end(args);
    return err;
}

struct err *err_wrap(struct err *cause, const char *format, ...)
{
    va_list args;

    if (!cause)
        return NULL;
    va_start(args, format);
    struct err *err = make(cause, NULL, format, args);
    va_end(args);
    return err;
}

struct err *err_at(struct err *cause, const char *name)
{
    struct err *err = err_wrap(cause, "%s", name);

    if (err && err != &out_of_memory)
        err->path = 1;
    return err;
}

/* What stands between a link and its cause. */
static const char *separator(const struct err *err)
{
    if (!err->cause)
        return "";
    return err->path && err->cause->path ? "/" : ": ";
}

struct err *err_hint(struct err *err, const char *format, ...)
{
    va_list args;

    if (!err || err == &out_of_memory)
        return err;
    free(err->hint);
    va_start(args, format);
    if (vasprintf(&err->hint, format, args) < 0)
        err->hint = NULL;
    va_end(args);
    return err;
}

struct err *err_with_status(struct err *err, int status)
{
    if (err && err != &out_of_memory)
        err->status = status;
    return err;
}

int err_status(const struct err *err)
{
    int status = STATUS_FAILED;

    for (; err; err = err->cause)
        if (err->status)
            status = err->status;
    return status;
}

char *err_text(const struct err *err, char *buffer, size_t size)
{
    size_t used = 0;

    if (size)
        buffer[0] = 0;
    for (; err && used < size; err = err->cause) {
        int n = snprintf(buffer + used, size - used, "%s%s", err->text, separator(err));

        used += n > 0 ? (size_t)n : 0;
    }
    return buffer;
}

void err_print(FILE *stream, const char *program, const struct err *err)
{
    const char *hint = NULL;

    fprintf(stream, "%s: ", program);
    for (; err; err = err->cause) {
        fprintf(stream, "%s%s", err->text, separator(err));
        if (err->hint)
            hint = err->hint;
    }
    fprintf(stream, "\n");
    if (hint)
        fprintf(stream, "  %s\n", hint);
}

void err_free(struct err *err)
{
    while (err && err != &out_of_memory) {
        struct err *cause = err->cause;

        free(err->text);
        free(err->hint);
        free(err);
        err = cause;
    }
}
