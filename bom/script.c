/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs a script: its first line, and the program that env(1) in it looks for.
 */
#include "bom/script.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t"

/* The next word of *text, or NULL. */
static char *next_word(struct pool *pool, const char **text)
{
    *text += strspn(*text, BLANKS);
    size_t length = strcspn(*text, BLANKS);
    const char *word = *text;
    *text += length;
    return length ? pool_copy(pool, word, length) : NULL;
}

char *program_in_path(struct pool *pool, const char *name)
{
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; *path;) {
        size_t span = strcspn(path, ":");
        char *file = path_join(pool, pool_copy(pool, path, span), name);
        if (file[0] == '/' && !access(file, X_OK))
            return file;
        path += span + (path[span] == ':');
    }
    return NULL;
}

/* env's options, and the variables that it sets, stand before the program's name. */
static char *named_by_env(struct pool *pool, const char *text)
{
    char *word;
    while ((word = next_word(pool, &text)))
        if (word[0] != '-' && !strchr(word, '='))
            return word;
    return NULL;
}

bool script_parse(struct pool *pool, const char *text, size_t size, struct script *out)
{
    if (size < 2 || text[0] != '#' || text[1] != '!')
        return false;
    const char *line = pool_copy(pool, text + 2, size - 2);
    line = pool_copy(pool, line, strcspn(line, "\n"));
    out->interp = next_word(pool, &line);
    out->found_by_env = NULL;
    if (!out->interp || out->interp[0] != '/')
        return false;
    if (!strcmp(path_basename(out->interp), "env"))
        out->found_by_env = named_by_env(pool, line);
    return true;
}

bool script_read(struct pool *pool, const char *path, struct script *out)
{
    char text[256]; /* as much as Linux reads */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return size > 0 && script_parse(pool, text, (size_t)size, out);
}

char *script_program(struct pool *pool, const struct script *script)
{
    return script->found_by_env ? program_in_path(pool, script->found_by_env) : script->interp;
}
