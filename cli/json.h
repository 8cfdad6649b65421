/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strict reading of JSON by a table of keys. Every refusal names the file, the path of the key,
 * the value found and what would be right.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/err.h"

enum json_kind {
    JSON_KIND_SIZE,    /* "300MB", "auto"; uint64_t bytes */
    JSON_KIND_COUNT,   /* integer in [min, max]; uint64_t */
    JSON_KIND_BOOL,    /* uint64_t 0 or 1 */
    JSON_KIND_HEX,     /* "0x1f"; uint64_t */
    JSON_KIND_STRINGS, /* array of strings; struct text_list */
    JSON_KIND_OBJECT,  /* `keys` apply */
    JSON_KIND_CUSTOM,  /* `read` does it */
};

struct json_place {
    const char *file;
    char path[192]; /* of the key being read: mount[1].options */
};

struct json_key {
    const char *name;
    enum json_kind kind;
    size_t offset; /* of the field in what json_read_object fills */
    uint64_t min, max;
    const struct json_key *keys;
    struct err *(*read)(struct json_place *place, json_t *value, void *out);
};

/* Reads `value`, an object, by `keys` (ended by a NULL name) into `out`. */
MUST_CHECK struct err *json_read_object(struct json_place *place, json_t *value,
                                        const struct json_key *keys, void *out);

/* Appends ".name" or "[index]" to the path; returns the length to give to json_leave. */
size_t json_enter(struct json_place *place, const char *name);
size_t json_enter_index(struct json_place *place, size_t index);
void json_leave(struct json_place *place, size_t length);

/* "FILE: PATH: VALUE: right" */
MUST_CHECK struct err *json_refuse(const struct json_place *place, const json_t *value,
                                   const char *right, ...) PRINTF(3, 4);

/* "300MB" to bytes; 0 on success. */
int json_parse_size(const char *text, uint64_t *bytes);
