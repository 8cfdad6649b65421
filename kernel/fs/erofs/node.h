/* SPDX-License-Identifier: BSD-3-Clause */
/* EROFS from the inside: the structures on disk, and inodes in memory. */
#pragma once

#include "fs/erofs/erofs.h"

#define EROFS_MAGIC        0xe0f5e1e2u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_SLOT         32u /* inodes are numbered in these */

struct erofs_disk_super {
    uint32_t magic, checksum, feature_compat;
    uint8_t block_bits, extra_slots;
    uint16_t root_nid;
    uint64_t inodes, build_time;
    uint32_t build_time_nsec, blocks, meta_block, xattr_block;
    uint8_t uuid[16], volume[16];
    uint32_t feature_incompat;
    uint16_t compression, extra_devices, device_slot;
    uint8_t dir_block_bits, xattr_prefix_count;
    uint32_t xattr_prefix_start;
    uint64_t packed_nid;
    uint8_t reserved[24];
};
_Static_assert(sizeof(struct erofs_disk_super) == 128, "EROFS super block");

#define EROFS_INCOMPAT_ZERO_PADDING 1u /* concerns compressed data alone */

struct erofs_disk_compact {
    uint16_t format, xattr_count, mode, nlink;
    uint32_t size, reserved, union_u, ino;
    uint16_t uid, gid;
    uint32_t reserved2;
};
_Static_assert(sizeof(struct erofs_disk_compact) == 32, "compact inode");

struct erofs_disk_extended {
    uint16_t format, xattr_count, mode, reserved;
    uint64_t size;
    uint32_t union_u, ino, uid, gid;
    uint64_t mtime;
    uint32_t mtime_nsec, nlink;
    uint8_t reserved2[16];
};
_Static_assert(sizeof(struct erofs_disk_extended) == 64, "extended inode");

enum erofs_layout { EROFS_PLAIN = 0, EROFS_INLINE = 2, EROFS_CHUNKS = 4 };

struct __attribute__((packed)) erofs_disk_dirent {
    uint64_t nid;
    uint16_t name_offset;
    uint8_t type, reserved;
};
_Static_assert(sizeof(struct erofs_disk_dirent) == 12, "directory entry");

struct erofs_disk_xattr {
    uint8_t name_len, name_index;
    uint16_t value_size;
};

struct erofs_super {
    struct super sb;
    struct block_source *source;
    struct inode *blocks; /* of no name: its cache holds metadata by block */
    uint64_t meta_start;  /* bytes */
    uint64_t xattr_start;
    uint64_t bytes; /* of the image */
    uint64_t inode_count;
    struct timespec64 build_time;
};

struct erofs_node {
    struct inode inode;
    uint64_t position; /* of the inode on disk, bytes */
    uint32_t inode_size;
    uint32_t xattr_size; /* bytes of the in-body area, 0: none */
    uint32_t layout;
    uint32_t first_block;
};

static inline struct erofs_super *erofs_super(struct inode *i)
{
    return container_of(i->sb, struct erofs_super, sb);
}
static inline struct erofs_node *erofs_node(struct inode *i)
{
    return container_of(i, struct erofs_node, inode);
}

/* A stretch of metadata within one block, pinned until erofs_unmap(). */
struct erofs_map {
    struct cached_page *page;
    const uint8_t *at;
    size_t size; /* up to the block's end */
};
int erofs_map(struct erofs_super *s, uint64_t position, struct erofs_map *out) MUST_CHECK;
void erofs_unmap(struct erofs_map *m);
/* Copies metadata, across blocks. */
int erofs_copy(struct erofs_super *s, uint64_t position, void *buffer, size_t size) MUST_CHECK;
/* Where byte `offset` of a directory or link lies; *size: what follows in one piece. */
int erofs_locate(struct erofs_node *n, uint64_t offset, uint64_t *position,
                 size_t *size) MUST_CHECK;
int erofs_iget(struct erofs_super *s, uint64_t nid, struct inode **out) MUST_CHECK;

int erofs_lookup(struct inode *dir, const char *name, struct inode **out);
ssize_t erofs_getxattr(struct inode *i, const char *name, void *buffer, size_t size);
ssize_t erofs_listxattr(struct inode *i, char *buffer, size_t size);
extern const struct file_ops erofs_dir_file_ops;
