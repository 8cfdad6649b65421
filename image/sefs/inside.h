/* SPDX-License-Identifier: BSD-3-Clause */
/* The tools' own view of an open store. */
#pragma once

#include "image/sefs/tools.h"
#include "kernel/crypto/sha256.h"
#include "kernel/fs/sefs/store.h"

struct store_tool {
    struct sefs_dev dev;
    int fd;
    bool write;
    struct store *store;
};

int tool_walk(struct store_tool *t, const char *path, uint64_t *ino);
/* Hands a file's contents over piece by piece. */
int tool_read(struct store_tool *t, uint64_t ino, uint64_t size,
              int (*give)(void *arg, uint64_t at, const void *data, size_t n), void *arg);
