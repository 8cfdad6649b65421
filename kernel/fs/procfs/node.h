/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * procfs as data: tables of nodes with callbacks. A new entry is one line in a table.
 * An inode is a node and the ids it is about; it is made at lookup and holds nothing else, so
 * that a process that is gone simply answers -ENOENT or -ESRCH.
 */
#pragma once

#include "fs/core/file.h"

struct text {
    char *bytes;
    size_t used, size;
    bool failed; /* out of memory */
};
void text_add(struct text *t, const char *format, ...) PRINTF(2, 3);
/* Room for `size` more bytes, counted as used; NULL: no memory. */
char *text_room(struct text *t, size_t size);

struct proc_node;

/* What an inode is about; 0 (fd: -1) where it does not matter. */
struct proc_key {
    const struct proc_node *node;
    int pid, tid, fd;
};

struct proc_inode {
    struct inode inode;
    struct proc_key key;
    uint64_t start_ns; /* the process's, whose id may be another's later */
};

struct proc_node {
    const char *name;
    uint32_t mode; /* with the type */
    /* Regular files: the whole contents; 0 or negative errno. */
    int (*show)(const struct proc_key *key, struct text *t);
    /* Writes, at once and whole; NULL: read-only. */
    int (*store)(const struct proc_key *key, const char *data, size_t size);
    /* Instead of show and store: bytes at a position. */
    ssize_t (*transfer)(const struct proc_key *key, struct iter *it, uint64_t *pos, bool write);
    /* Links: the text, and (magic ones) the place. */
    ssize_t (*link)(const struct proc_key *key, char *buffer, size_t size);
    int (*jump)(const struct proc_key *key, struct path *out);
    /* Directories: fixed entries, then what these two find. lookup fills in *child; list gives
     * the first entry whose number is >= *number, false at the end. */
    const struct proc_node *children;
    size_t count;
    int (*lookup)(const struct proc_key *dir, const char *name, struct proc_key *child);
    bool (*list)(const struct proc_key *dir, uint64_t *number, char name[16],
                 uint32_t *dt_type);
};

#define PROC_FILE(n, f)                                                                        \
    {                                                                                          \
        .name = n, .mode = S_IFREG | 0444, .show = f                                           \
    }
#define PROC_PRIVATE(n, f)                                                                     \
    {                                                                                          \
        .name = n, .mode = S_IFREG | 0400, .show = f                                           \
    }
#define PROC_WRITABLE(n, f, s)                                                                 \
    {                                                                                          \
        .name = n, .mode = S_IFREG | 0644, .show = f, .store = s                               \
    }
#define PROC_DIR(n, table)                                                                     \
    {                                                                                          \
        .name = n, .mode = S_IFDIR | 0555, .children = table, .count = ARRAY_SIZE(table)       \
    }

extern const struct proc_node proc_root_node, sys_root_node;
extern const struct proc_node proc_pid_node; /* pid.c: /proc/PID */
int proc_mounts_show(const struct proc_key *key, struct text *t);
/* A decimal number without sign or leading zeros; false: something else. */
bool proc_number(const char *name, int *out);
