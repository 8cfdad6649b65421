/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error chains: how they read, which hint and which status win.
 */
/* LINK: cli/err.c */
#include <errno.h>
#include <string.h>

#include "cli/err.h"
#include "tests/unit/unit.h"

static void check_text(const struct err *err, const char *expected)
{
    char text[256];

    err_text(err, text, sizeof(text));
    if (strcmp(text, expected))
        fprintf(stderr, "\"%s\", not \"%s\"\n", text, expected);
    CHECK(!strcmp(text, expected));
}

static void check_printed(const struct err *err, const char *expected)
{
    char text[256] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");

    err_print(file, "occlum x", err);
    fclose(file);
    if (strcmp(text, expected))
        fprintf(stderr, "\"%s\", not \"%s\"\n", text, expected);
    CHECK(!strcmp(text, expected));
}

int main(void)
{
    struct err *err = err_sys(ENOENT, "%s cannot be opened", "it");

    CHECK_EQ(err_status(err), STATUS_FAILED);
    err = err_at(err, "c");
    err = err_at(err, "b");
    err = err_wrap(err, "reading %d", 7);
    check_text(err, "reading 7: b/c: it cannot be opened: No such file or directory");
    err = err_hint(err, "outer");
    check_printed(err,
                  "occlum x: reading 7: b/c: it cannot be opened: No such file or directory\n"
                  "  outer\n");
    err_free(err);

    err = err_hint(err_with_status(err_new("deep"), 126), "inner");
    err = err_hint(err_with_status(err_wrap(err, "high"), 127), "outer");
    check_printed(err, "occlum x: high: deep\n  inner\n");
    CHECK_EQ(err_status(err), 126);
    err_free(err);

    CHECK(!err_wrap(NULL, "x"));
    CHECK(!err_at(NULL, "x"));
    CHECK(!err_hint(NULL, "x"));
    CHECK(!err_with_status(NULL, 3));
    err = err_new("a long line that does not fit");
    char few[8];

    CHECK(!strcmp(err_text(err, few, sizeof(few)), "a long "));
    err_free(err);
    return 0;
}
