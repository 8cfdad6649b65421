/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file system that is built on others does to them. Names are changed as names.c does,
 * with locks and the cache of names kept right, but nobody's permissions are asked: the file
 * system above has done that. Such a file system's own locks have the ranks RANK_STACK_*.
 */
#pragma once

#include "fs/core/file.h"

/* A mount of this tree that nobody can walk to; it keeps the file system. */
int layer_mount(struct super *sb, struct dentry *root, uint32_t flags,
                struct mount **out) MUST_CHECK;
/* A directory at the root of a layer; made if it is missing. */
int layer_make_dir(struct dentry *dir, const char *name, uint32_t mode,
                   struct dentry **out) MUST_CHECK;
/* *out is positive and referenced; negative is -ENOENT. */
int layer_lookup(struct dentry *dir, const char *name, struct dentry **out) MUST_CHECK;
int layer_create(struct dentry *dir, const char *name, const struct inode_init *init,
                 struct dentry **out) MUST_CHECK;
int layer_link(struct dentry *dir, const char *name, struct inode *target) MUST_CHECK;
int layer_unlink(struct dentry *dir, const char *name) MUST_CHECK;
/* flags: 0 or RENAME_EXCHANGE. Without it what stands at the target is replaced. */
int layer_rename(struct dentry *from, const char *old, struct dentry *to, const char *name,
                 uint32_t flags) MUST_CHECK;
int layer_open(struct mount *m, struct dentry *d, uint32_t flags, struct file **out) MUST_CHECK;
/* All names of a directory, from its beginning. */
int layer_list(struct mount *m, struct dentry *d, struct dir_sink *sink) MUST_CHECK;
