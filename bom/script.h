/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs a script, execve(2) and env(1): read, never executed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bom/pool.h"

struct script {
    char *interp;       /* absolute */
    char *found_by_env; /* a name, if the interpreter is env; else NULL */
};

/* False if it does not begin with "#!" and an absolute path. `text` is its first bytes. */
bool script_parse(struct pool *pool, const char *text, size_t size, struct script *out);
bool script_read(struct pool *pool, const char *path, struct script *out);

/* The program that interprets it here; NULL if env would not find it. */
char *script_program(struct pool *pool, const struct script *script);

/* Absolute, executable, found as a shell would; or NULL. */
char *program_in_path(struct pool *pool, const char *name);
