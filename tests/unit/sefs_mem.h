/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block device in memory that can fail at any call, and remembers in which order it was
 * written and flushed. Link tests/unit/sefs_mem.c.
 */
#pragma once

#include "fs/sefs/store.h"

struct mem_write {
    uint64_t block;
    uint8_t *data; /* one block; NULL: a flush */
};

struct mem_dev {
    struct sefs_dev dev;
    uint8_t *bytes;
    uint64_t blocks;
    bool recording;
    struct mem_write *log;
    size_t log_count, log_size;
    long fail_after; /* >= 0: this many calls succeed, then all fail with `error` */
    int error;
    bool fail_once; /* only one call fails */
    uint64_t calls, writes, written, flushes, punched;
};

void mem_dev_init(struct mem_dev *m, uint64_t blocks);
void mem_dev_fini(struct mem_dev *m);
/* A device that holds what is there now. */
void mem_dev_copy(struct mem_dev *to, const struct mem_dev *from);
void mem_dev_log_clear(struct mem_dev *m);

static const uint8_t mem_key[32] = "a master key for all the tests!";
struct store *mem_store(struct mem_dev *m, uint64_t limit_blocks);
struct store *mem_reopen(struct mem_dev *m, uint64_t limit_blocks);
