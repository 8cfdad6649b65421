/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Work on a store's file from outside, by the kernel's own code: for whoever has its key. All
 * functions return 0 or a negative errno; what is wrong with a store has been printed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STORE_KEY_MAX 32u

struct store_tool;

/* A key as `gen-image-key` writes it: 16 or 32 bytes, XX-XX-...; how many, or -EINVAL. */
int store_key_parse(const char *text, uint8_t key[STORE_KEY_MAX]);
/* The id of the newest root slot of a file, for whoever lacks the key; nothing is verified. */
int store_tool_newest(const char *path, uint8_t id[32]);
/* How its key is had: 0 given, else sealed. */
int store_tool_key_kind(const char *path, uint32_t *out);

int store_tool_format(const char *path, const uint8_t *key, size_t key_size);
int store_tool_open(const char *path, const uint8_t *key, size_t key_size, bool write,
                    struct store_tool **out);
/* Commits what was changed. */
int store_tool_close(struct store_tool *t);
void store_tool_id(struct store_tool *t, uint8_t id[32]);

struct store_tool_report {
    uint64_t problems, blocks, inodes;
    void (*line)(const char *text);
    void (*progress)(uint64_t blocks); /* so many more have been read */
};
int store_tool_check(struct store_tool *t, struct store_tool_report *r);
/* Lists a directory, or one file, as `ls -l` does. */
int store_tool_list(struct store_tool *t, const char *path, FILE *out);
int store_tool_cat(struct store_tool *t, const char *path, FILE *out);
/* A directory with all below it; owners and times are kept where that is allowed. */
int store_tool_export(struct store_tool *t, const char *path, const char *to);
/* Serves it as a file system on a directory, writable if it was opened so, until that is
 * unmounted or INT, TERM or HUP come; `ready` is called when it can be used. */
int store_tool_serve(struct store_tool *t, const char *where, void (*ready)(void));
int store_tool_import(struct store_tool *t, const char *from, const char *path);
