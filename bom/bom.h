/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bill of materials: what copy_bom reads, what it makes of it, and how it carries it out.
 *   bom_load -> struct bom, one YAML file;  plan_make -> struct bom_plan, all files merged;
 *   deps_find adds the libraries;  copy_plan changes the root.
 * Errors carry copy_bom's documented exit statuses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bom/pool.h"
#include "cli/err.h"

enum bom_status {
    BOM_NO_FILE = 255,      /* something to be read is not there */
    BOM_COPY_FILE = 254,
    BOM_BAD_FILE = 253,     /* the bom itself, or a variable in it */
    BOM_MKDIR = 252,
    BOM_LINK = 251,
    BOM_COPY_DIR = 250,
    BOM_HASH = 249,
    BOM_NO_LIBRARY = 248,
};

/* ---- one file, as written; variables are expanded ---- */

struct bom_text {
    char *text;
    int line;
};

struct bom_texts {
    struct bom_text *items;
    size_t count;
};

struct bom_file {
    struct bom_text name;
    char *hash;             /* 64 hexadecimal digits, or NULL */
    char *rename;           /* or NULL */
    bool autodep;
    struct bom_texts helpers; /* built-in boms that it asks for */
};

struct bom_copy {
    struct bom_text from;   /* .text NULL if not given */
    struct bom_texts dirs;
    struct bom_file *files;
    size_t file_count;
};

struct bom_link {
    struct bom_text src;
    struct bom_text linkname;
};

struct bom_target {
    struct bom_text target;
    struct bom_texts mkdirs;
    struct bom_link *links;
    size_t link_count;
    struct bom_copy *copies;
    size_t copy_count;
};

struct bom {
    const char *path;
    struct bom_texts includes;
    struct bom_texts excludes;
    struct bom_target *targets;
    size_t target_count;
};

/* `path` only names the text in messages. */
MUST_CHECK struct err *bom_parse(struct pool *pool, const char *path, const char *text,
                                 size_t size, struct bom **out);

/* NULL if no file of that name is found; "" never is. */
MUST_CHECK struct err *bom_load(struct pool *pool, const char *path, struct bom **out);

/* $NAME, ${NAME}, ${NAME:-else}, $$ and a leading ~; `where` is "file:line". */
MUST_CHECK struct err *bom_expand(struct pool *pool, const char *where, const char *text,
                                  char **out);

/* ---- built-in boms ---- */

/* "base", "java", ... */
bool bom_fragment_named(const char *name, size_t length);

/* All but base, for messages. */
const char *bom_fragment_names(struct pool *pool);

/* The text of NAME[-VARIANT].yaml, made for this machine; `program` is the file that asks for
 * it with autodep, or NULL. BOM_NO_FILE if the machine lacks what belongs into it. */
MUST_CHECK struct err *bom_fragment(struct pool *pool, const char *name, const char *program,
                                    const char **out);

/* ---- all files, merged ---- */

struct plan_item {
    /* "file:line" that asked for it, or the file that needs the library */
    const char *where;
    char *src;              /* absolute; for a link, its text */
    char *dest;             /* absolute inside the root */
    const char *hash;
    bool autodep;
    bool contents;          /* of a folder: its entries, not itself */
};

struct plan_items {
    struct plan_item *items;
    size_t count;
};

/* A library that was not found here; it may still be in the finished root. */
struct plan_missing {
    const char *name;
    const char *needed_by;
    bool fatal;             /* else, from a copied folder, worth a warning */
};

struct bom_plan {
    struct pool *pool;
    struct plan_items mkdirs, links, dirs, files, libs;
    struct bom_texts excludes;
    struct plan_missing *missing;
    size_t missing_count;
};

struct bom_options {
    const char *file;
    const char *root;       /* absolute */
    const char *workspace;  /* what relative sources are relative to */
    const char **include_dirs;
    size_t include_count;
    bool dry_run, verify, learn;
    char **program; /* to learn from; NULL-terminated */
};

MUST_CHECK struct err *plan_make(struct bom_plan *plan, const struct bom_options *options);

/* Entry whose destination is `dest`, or NULL. */
struct plan_item *plan_find(struct plan_items *items, const char *dest);
struct plan_item *plan_add(struct pool *pool, struct plan_items *items,
                           const struct plan_item *item);

/* True if the transfer leaves it out: `name` is its path inside the transfer, `src` on this
 * machine. */
bool plan_excluded(const struct bom_plan *plan, const char *src, const char *name);

/* Where a path of the original's own toolchains is on this machine, or NULL. */
char *deps_system_path(struct pool *pool, const char *path);

/* Fills plan->libs and plan->missing from files and dirs. Nothing is executed. */
MUST_CHECK struct err *deps_find(struct bom_plan *plan, const struct bom_options *options);

/* Changes nothing; says on standard error what is missing or different. */
MUST_CHECK struct err *verify_plan(const struct bom_plan *plan,
                                   const struct bom_options *options);

MUST_CHECK struct err *copy_plan(struct bom_plan *plan, const struct bom_options *options);

/* One line on standard output if OCCLUM_LOG_LEVEL is info or more, or in a dry run. */
extern bool bom_verbose;
void bom_say(const char *format, ...) PRINTF(1, 2);
void bom_warn(const char *format, ...) PRINTF(1, 2);
