/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Variables in a bom's strings. An undefined or empty variable is an error, because the path
 * that would be left is never the one that was meant.
 */
#include "bom/bom.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct expansion {
    struct pool *pool;
    const char *where;
    const char *at;         /* next character to read */
    char *out;              /* so far */
};

static void append(struct expansion *x, const char *text, size_t length)
{
    x->out = pool_printf(x->pool, "%s%.*s", x->out, (int)length, text);
}

static struct err *append_variable(struct expansion *x, const char *name, const char *other)
{
    const char *value = getenv(name);
    if (!value || !*value)
        value = other;
    if (!value || !*value)
        return err_with_status(err_new("%s: the variable %s is not set, or empty", x->where,
                                       name), BOM_BAD_FILE);
    append(x, value, strlen(value));
    return NULL;
}

static size_t name_length(const char *text)
{
    size_t n = 0;
    if (isalpha((unsigned char)text[0]) || text[0] == '_')
        while (isalnum((unsigned char)text[n]) || text[n] == '_')
            n++;
    return n;
}

static struct err *malformed(struct expansion *x)
{
    return err_with_status(err_new("%s: ${ without a name and }", x->where), BOM_BAD_FILE);
}

/* x->at is behind "${". */
static struct err *expand_braced(struct expansion *x)
{
    size_t n = name_length(x->at);
    const char *name = pool_copy(x->pool, x->at, n), *other = NULL;
    x->at += n;
    const char *end = strchr(x->at, '}');
    if (!n || !end)
        return malformed(x);
    if (!strncmp(x->at, ":-", 2))
        other = pool_copy(x->pool, x->at + 2, (size_t)(end - x->at) - 2);
    else if (x->at != end)
        return malformed(x);
    x->at = end + 1;
    return append_variable(x, name, other);
}

/* x->at is behind "$". */
static struct err *expand_dollar(struct expansion *x)
{
    if (*x->at == '{') {
        x->at++;
        return expand_braced(x);
    }
    size_t n = name_length(x->at);
    const char *name = pool_copy(x->pool, x->at, n);
    if (!n) {
        append(x, "$", 1);
        x->at += *x->at == '$';
        return NULL;
    }
    x->at += n;
    return append_variable(x, name, NULL);
}

struct err *bom_expand(struct pool *pool, const char *where, const char *text, char **out)
{
    struct expansion x = {pool, where, text, pool_copy(pool, "", 0)};
    struct err *err = NULL;
    if (x.at[0] == '~' && (!x.at[1] || x.at[1] == '/')) {
        x.at++;
        err = append_variable(&x, "HOME", NULL);
    }
    while (!err && *x.at) {
        size_t plain = strcspn(x.at, "$");
        append(&x, x.at, plain);
        x.at += plain;
        if (*x.at == '$') {
            x.at++;
            err = expand_dollar(&x);
        }
    }
    *out = x.out;
    return err;
}
