/* SPDX-License-Identifier: BSD-3-Clause */
/* The FUSE server, between its two files: what reads, and what changes. */
#pragma once

#include <linux/fuse.h>

#include "image/sefs/inside.h"

#define SERVE_MAX   (128u << 10) /* bytes of one read or write */
#define REQUEST_MAX (FUSE_MIN_READ_BUFFER + SERVE_MAX)

#define SERVE_VALID 3600 /* seconds: nobody else changes anything */

struct opened { /* how often a file is open, that it may go when nobody has it */
    uint64_t ino;
    uint32_t count;
};

struct server {
    struct store_tool *store;
    int fd;
    union {
        struct fuse_in_header head;
        char bytes[REQUEST_MAX];
    } in;
    size_t in_size;
    char out[SERVE_MAX + SEFS_BLOCK];
    struct opened *opened;
    size_t opened_count, opened_size;
    uint64_t uncommitted; /* bytes */
};

typedef void serve_fn(struct server *s);

void serve_reply(struct server *s, int error, const void *data, size_t size);
/* What follows the header: NULL if it is shorter than it should be. */
const void *serve_argument(const struct server *s, size_t size);
/* The name that begins `at` bytes behind the header, NULL if it does not end or is too long;
 * *after: what follows it. */
const char *serve_name(const struct server *s, size_t at, size_t *after);
void serve_attr(uint64_t ino, const struct sefs_inode *i, struct fuse_attr *a);
int serve_entry(struct server *s, uint64_t ino, struct fuse_entry_out *out);

/* ---- serve_write.c ---- */

/* By opcode; NULL: no operation that changes anything. */
serve_fn *serve_change(uint32_t opcode);
int serve_opened(struct server *s, uint64_t ino);
void serve_closed(struct server *s, uint64_t ino);
/* Between requests: commits when much has changed, or nobody has asked for a while. */
void serve_pause(struct server *s, bool idle);
