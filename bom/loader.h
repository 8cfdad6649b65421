/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where dynamic loaders look for libraries on this machine: glibc's and musl's rules.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bom/pool.h"

struct loader_cache_entry {
    const char *name;
    const char *path;
};

struct loader {
    bool musl;
    const char *name;           /* the file name of the interpreter */
    char **default_dirs;        /* known to the loader itself */
    size_t default_count;
    char **config_dirs;         /* from ld.so.conf or ld-musl-x86_64.path */
    size_t config_count;
    struct loader_cache_entry *cache;   /* ld.so.cache, glibc only */
    size_t cache_count;
    const char *config_file;    /* which an image needs if a library came from the above */
};

/* By the interpreter's file name; prefix is "" or a root to look in. Never fails: without
 * configuration files the defaults remain. */
struct loader *loader_open(struct pool *pool, const char *interp, const char *prefix);

/* ld.so.cache's contents; false if it is none or broken, then nothing is added. */
bool loader_parse_cache(struct pool *pool, struct loader *loader, const uint8_t *data,
                        size_t size);

/* The path the cache has for a library, or NULL. */
const char *loader_cached(const struct loader *loader, const char *name);
