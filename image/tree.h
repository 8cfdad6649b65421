/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory tree in memory, as it will stand in an image: names sorted, hard links found,
 * xattrs in EROFS's form. File contents stay where they are.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "cli/err.h"

struct tree_inode;

struct tree_entry {
    char *name;
    struct tree_inode *inode;
};

struct tree_inode {
    mode_t mode;
    uint32_t uid, gid, rdev, mtime_ns;
    uint64_t size;
    int64_t mtime;
    uint32_t nlink; /* within the tree */
    uint32_t ino;   /* counts from 1, in the order of the walk */
    dev_t host_dev; /* whence it comes, to see that it did not change meanwhile */
    ino_t host_ino;
    char *link;      /* a symbolic link's target */
    uint8_t *xattrs; /* header and entries, a multiple of 4 bytes */
    uint32_t xattr_bytes;

    /* Directories: sorted by name, with "." and "..". */
    struct tree_entry *entries;
    size_t entry_count, entry_room;

    /* The writer's. */
    uint64_t nid;
    uint32_t start_block;
    uint32_t inline_bytes;
    int compact, emitted;

    struct tree_inode *next; /* all inodes in the order of the walk */
};

struct tree {
    struct tree_inode *root;
    struct tree_inode **tail;
    uint64_t inode_count;
    uint64_t bytes; /* of regular files */
    struct tree_links *links;
};

struct tree_clamp {
    int set;
    int64_t epoch; /* later modification times become this */
};

/* `name` is the directory as messages shall name it. */
MUST_CHECK struct err *tree_walk(int dirfd, const char *name, const struct tree_clamp *clamp,
                                 struct tree *tree);
/* Sees to it that a directory is there: an absolute path. */
MUST_CHECK struct err *tree_make_directory(struct tree *tree, const char *path);
void tree_free(struct tree *tree);

/* tree_xattr.c: fills in the xattrs of "name" in the directory `dirfd`. */
MUST_CHECK struct err *tree_read_xattrs(int dirfd, const char *name, struct tree_inode *inode);
