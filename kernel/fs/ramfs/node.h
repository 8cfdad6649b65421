/* SPDX-License-Identifier: BSD-3-Clause */
/* ramfs from the inside. */
#pragma once

#include "fs/core/file.h"
#include "lib/rbtree.h"

struct ram_super {
    struct super sb;
    uint64_t limit_pages; /* 0: what the heap gives */
    _Atomic uint64_t pages;
    _Atomic uint64_t inodes;
};

struct ram_node;

/* A name in a directory: found by name, listed by cookie. */
struct ram_entry {
    struct rb_node by_name;
    uint64_t cookie;
    struct ram_node *node; /* referenced */
    uint32_t len;
    char name[];
};

struct ram_xattr {
    struct list node;
    size_t size;
    uint8_t *value;
    char name[];
};

/* Everything here is under inode.lock. */
struct ram_node {
    struct inode inode;
    struct rb_root names; /* directories */
    struct radix order;
    uint64_t next_cookie;
    struct ram_node *parent; /* not counted: for "..", it outlives its children */
    char *target;            /* links */
    struct list xattrs;
};

static inline struct ram_node *ram_node(struct inode *i)
{
    return container_of(i, struct ram_node, inode);
}
static inline struct ram_super *ram_super(struct inode *i)
{
    return container_of(i->sb, struct ram_super, sb);
}

extern const struct file_ops ram_file_ops, ram_dir_file_ops;
int ram_setattr(struct inode *i, const struct attr_change *c);
/* Accounts for pages that came or went since `before`. */
void ram_account(struct inode *i, uint64_t before);

/* seal.c; the inode is locked for the last two: may bytes up to `end` be written, may that
 * change? -EPERM. */
int64_t ram_fcntl(struct file *f, int command, uint64_t arg);
int ram_seal_write(const struct inode *i, uint64_t end) MUST_CHECK;
int ram_seal_attr(const struct inode *i, const struct attr_change *c) MUST_CHECK;

/* xattr.c */
ssize_t ram_getxattr(struct inode *i, const char *name, void *buffer, size_t size);
int ram_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags);
ssize_t ram_listxattr(struct inode *i, char *buffer, size_t size);
void ram_xattr_free(struct ram_node *n);
