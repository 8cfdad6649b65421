/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unionfs from the inside.
 *
 * A node stands for a name's layers: the upper dentry, once there is one, and below it the
 * lower ones that it shows: all directories down to the first opaque one, or the one file.
 * Inode fields are copies of the topmost layer's, taken by union_mirror().
 *
 * What has been copied up keeps its inode number by an attribute that names where it came from
 * (origin). Files with several names go into the index, a directory in which the origin is the
 * name; their lower names then lead there, so they stay one file. A directory that moves keeps
 * its lower layers by an attribute with their path (redirect). Removed lower names are covered
 * by whiteouts: character devices 0:0.
 *
 * All changes of names and all copying up happen under one mutex, `change`. What is to appear
 * in the upper layer is made in the work directory, then renamed.
 */
#pragma once

#include "fs/core/layer.h"
#include "fs/unionfs/unionfs.h"

struct union_layer {
    struct mount *mount;
    struct dentry *root;
};

struct union_ref {
    struct dentry *dentry; /* referenced */
    uint32_t layer;
};

#define UNION_DEVS_MAX 63u
struct union_super {
    struct super sb;
    /* const after the mounting */
    struct union_layer lower[UNION_LAYERS_MAX];
    size_t lower_count;
    struct union_layer upper; /* mount NULL: read-only */
    struct dentry *work, *index;
    const char *prefix; /* of our attributes: "trusted.overlay." or "user.overlay." */

    struct mutex change;
    uint64_t temp_number; /* under change */
    struct spinlock devs_lock;
    uint64_t devs[UNION_DEVS_MAX]; /* under devs_lock: (layer, device), by prefix */
    uint32_t dev_count;
};

struct union_node {
    struct inode inode;
    _Atomic(struct dentry *) upper; /* set once, under change */
    /* under change */
    struct union_node *parent; /* referenced; NULL: root, or without a name */
    char *name;
    bool removed; /* its last name is gone */
    bool indexed; /* upper is the index's entry; nlink is kept in an attribute */
    /* const */
    bool hard_links; /* the lower file has several names */
    uint32_t lower_count;
    struct union_ref lower[];
};

static inline struct union_node *union_node(struct inode *i)
{
    return container_of(i, struct union_node, inode);
}
static inline struct union_super *union_super(struct inode *i)
{
    return container_of(i->sb, struct union_super, sb);
}
static inline struct dentry *union_upper(struct union_node *n)
{
    return atomic_load_explicit(&n->upper, memory_order_acquire);
}
/* The topmost layer's dentry. */
static inline struct dentry *union_real(struct union_node *n)
{
    struct dentry *d = union_upper(n);
    return d ? d : n->lower[0].dentry;
}
static inline bool union_whiteout(const struct inode *i)
{
    return i->type == S_IFCHR && i->rdev == 0;
}

extern const struct inode_ops union_dir_ops, union_file_inode_ops, union_other_ops;
extern const struct file_ops union_file_ops, union_dir_file_ops;

/* lookup.c */
/* What a name leads to in all layers. */
struct union_stack {
    struct dentry *upper; /* referenced, or NULL */
    struct union_ref lower[UNION_LAYERS_MAX];
    uint32_t count;
};
void union_stack_put(struct union_stack *s);
int union_lookup(struct inode *dir, const char *name, struct inode **out);
bool union_revalidate(struct inode *dir, const char *name, struct inode *inode);
/* Does a lower layer have a name here that an absence in the upper one would show? */
int union_lower_has(struct union_node *dir, const char *name, bool *out) MUST_CHECK;
/* Takes over the stack's references. parent NULL: the root. */
int union_node_get(struct union_super *s, struct union_node *parent, const char *name,
                   struct union_stack *stack, struct inode **out) MUST_CHECK;
/* Fills the inode's fields from the topmost layer. */
int union_mirror(struct union_node *n);
uint64_t union_ino(struct union_super *s, uint32_t layer, const struct inode *i);

/* attr.c: our own attributes; size of the value or negative errno. */
#define UNION_VALUE_MAX 4200u
ssize_t union_attr_get(struct union_super *s, struct inode *i, const char *name, char *value,
                       size_t size) MUST_CHECK;
int union_attr_set(struct union_super *s, struct inode *i, const char *name,
                   const char *value) MUST_CHECK;
#define UNION_UPPER 0xffu /* the layer number of the upper one */
struct union_origin {
    uint32_t layer;
    uint64_t dev, ino;
};
struct union_origin union_origin_new(uint32_t layer, const struct inode *i);
int union_origin_get(struct union_super *s, struct inode *i, struct union_origin *out);
uint64_t union_origin_ino(struct union_super *s, const struct union_origin *o);
int union_getattr(struct inode *i);
int union_setattr(struct inode *i, const struct attr_change *change);
ssize_t union_readlink(struct inode *i, char *buffer, size_t size);
ssize_t union_getxattr(struct inode *i, const char *name, void *buffer, size_t size);
int union_setxattr(struct inode *i, const char *name, const void *value, size_t size,
                   int flags);
ssize_t union_listxattr(struct inode *i, char *buffer, size_t size);

/* copy_up.c */
#define UNION_TEMP_MAX 32u
/* `size`: how much of a file's contents are needed. change is held by _locked. */
int union_copy_up(struct union_node *n, uint64_t size) MUST_CHECK;
int union_copy_up_locked(struct union_node *n, uint64_t size) MUST_CHECK;
void union_temp_name(struct union_super *s, char name[UNION_TEMP_MAX]);
/* The name in the index: where the file came from. */
void union_index_name(const struct union_origin *o, char name[UNION_TEMP_MAX * 2]);
void union_origin_of(const struct union_node *n, struct union_origin *out);

/* names.c */
int union_create(struct inode *dir, const char *name, const struct inode_init *init,
                 struct inode **out);
int union_tmpfile(struct inode *dir, const struct inode_init *init, struct inode **out);
int union_link(struct inode *dir, const char *name, struct inode *target);
int union_unlink(struct inode *dir, const char *name, struct inode *victim);
/* rename.c */
int union_rename(const struct rename_args *args);
/* What the upper layer has at a name: *out NULL for nothing. */
int union_upper_entry(struct union_node *dir, const char *name, struct dentry **out) MUST_CHECK;
/* change held: puts a whiteout at `name`, over what is there, which is removed. */
int union_cover(struct union_node *dir, const char *name) MUST_CHECK;
/* change held: removes an upper directory that holds nothing but whiteouts. */
int union_remove_dir(struct union_super *s, struct dentry *dir, const char *name) MUST_CHECK;
void union_unlinked(struct union_node *n);
void union_count_link(struct union_node *n, int change);

/* dir.c */
int union_dir_empty(struct union_node *n) MUST_CHECK; /* -ENOTEMPTY */
/* file.c */
int union_open(struct inode *i, struct file *f);
