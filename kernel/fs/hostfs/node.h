/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfs from the inside: nodes, and the bounded set of host descriptors that they share.
 *
 * A node knows its parent and its name there; a path is put together when a descriptor must be
 * opened, always from the mount's root, with RESOLVE_BENEATH and without following any link:
 * our own walk has resolved them. What the host answers is checked field by field.
 */
#pragma once

#include "fs/core/file.h"
#include "lib/list.h"

struct host_super {
    struct super sb;
    int root_fd;
    bool read_only;
    uint32_t dev_major, dev_minor; /* of the root, on the host */
    struct mutex scratch_lock;
    uint8_t *scratch; /* CACHE_BATCH_MAX pages */
};

/* A name of a node that has several. */
struct host_name {
    struct list link;
    struct host_node *parent; /* referenced */
    char text[];
};
#define HOST_NAMES_MAX 8u

struct host_node {
    struct inode inode;
    /* under names_lock: the name that is used, and others that were seen */
    struct host_node *parent; /* referenced; NULL: root */
    char *name;
    struct list others;
    uint32_t other_count;
    /* under fds_lock */
    int fd[2];      /* for reading, for writing (HOST_LIST); -1: none */
    uint32_t users; /* who needs them open */
    struct list lru;
    /* under no lock: what the host said last */
    uint64_t host_ino, host_dev;
    int64_t btime_sec;
    uint32_t btime_nsec;
    uint64_t checked_ns; /* when; 0: must be asked again */
    bool removed;
    const struct task *_Atomic made_by; /* just now: the open that made it need not ask again */
    char *_Atomic target; /* of a link that nobody changes, once it has been read */
};

static inline struct host_node *host_node(struct inode *i)
{
    return container_of(i, struct host_node, inode);
}
static inline struct host_super *host_super(struct inode *i)
{
    return container_of(i->sb, struct host_super, sb);
}

#define HOST_READ  0
#define HOST_WRITE 1
#define HOST_LIST  HOST_WRITE /* of a directory; by the other one things in it can be reached */

/* The node's descriptor, open until host_fd_put(); or negative errno. */
int host_fd_get(struct host_node *n, int which) MUST_CHECK;
void host_fd_put(struct host_node *n);
/* Makes an existing descriptor the node's; for files just created. */
void host_fd_adopt(struct host_node *n, int which, int fd);
void host_fd_close_all(struct host_node *n);

/* Name and parent as of now; the parent is referenced. -ENOENT for the root. */
int host_node_place(struct host_node *n, char name[NAME_MAX + 1],
                    struct host_node **parent) MUST_CHECK;
/* One more name, which is used from now on; one name less. */
void host_name_add(struct host_node *n, struct host_node *parent, const char *name);
void host_name_drop(struct host_node *n, const struct host_node *parent, const char *name);
void host_names_free(struct host_node *n);
int host_node_new(struct host_super *s, struct host_node *parent, const char *name,
                  const struct abi_statx *x, struct host_node **out) MUST_CHECK;
/* Takes over what statx said; drops cached pages if the file changed. -EIO: another type. */
int host_node_update(struct host_node *n, const struct abi_statx *x) MUST_CHECK;
/* Asks the host again. */
int host_node_refresh(struct host_node *n) MUST_CHECK;
/* The node of the file that statx told of under that name. */
int host_node_of(struct inode *dir, const char *name, const struct abi_statx *x,
                 struct inode **out) MUST_CHECK;
int host_lookup(struct inode *dir, const char *name, struct inode **out) MUST_CHECK;

extern const struct inode_ops host_dir_ops, host_file_ops_inode, host_link_ops, host_other_ops;
extern const struct file_ops host_file_ops, host_dir_file_ops;

/* host_names.c */
int host_create(struct inode *dir, const char *name, const struct inode_init *init,
                struct inode **out);
int host_link_name(struct inode *dir, const char *name, struct inode *target);
int host_unlink_name(struct inode *dir, const char *name, struct inode *victim);
int host_rename_name(const struct rename_args *args);
int host_setattr(struct inode *i, const struct attr_change *change);
ssize_t host_get_xattr(struct inode *i, const char *name, void *buffer, size_t size);
int host_set_xattr(struct inode *i, const char *name, const void *value, size_t size,
                   int flags);
ssize_t host_list_xattr(struct inode *i, char *buffer, size_t size);
int host_read_pages(struct inode *i, uint64_t index, void *const pages[], size_t count);
int host_open(struct inode *i, struct file *f);
int host_open_dir(struct inode *i, struct file *f);
