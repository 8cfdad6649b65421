/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of EROFS's on-disk format that the writer uses: uncompressed files, tails inline
 * behind the inode. Little endian. Names follow the kernel's documentation (filesystems/erofs).
 */
#pragma once

#include <stdint.h>

#define EROFS_MAGIC        0xe0f5e1e2u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_BLOCK_BITS   12u
#define EROFS_BLOCK        (1u << EROFS_BLOCK_BITS)
#define EROFS_SLOT         32u /* a nid counts these from the start of the metadata */

#define EROFS_COMPAT_SB_CHECKSUM 1u
#define EROFS_COMPAT_MTIME       2u

struct erofs_super {
    uint32_t magic;
    uint32_t checksum; /* CRC-32C from here to the end of the block, with 0 in its place */
    uint32_t feature_compat;
    uint8_t block_bits;
    uint8_t extra_slots;
    uint16_t root_nid;
    uint64_t inodes;
    uint64_t build_time;
    uint32_t build_time_ns;
    uint32_t blocks;
    uint32_t meta_block;
    uint32_t xattr_block;
    uint8_t uuid[16];
    uint8_t volume_name[16];
    uint32_t feature_incompat;
    uint16_t compression;
    uint16_t extra_devices;
    uint16_t device_slot;
    uint8_t dir_block_bits;
    uint8_t xattr_prefix_count;
    uint32_t xattr_prefix_start;
    uint64_t packed_nid;
    uint8_t reserved[24];
};
_Static_assert(sizeof(struct erofs_super) == 128, "super block");

/* i_format: bit 0 extended, bits 1-3 where the data is. */
#define EROFS_EXTENDED    1u
#define EROFS_FLAT_PLAIN  (0u << 1)
#define EROFS_FLAT_INLINE (2u << 1)

struct erofs_inode_compact {
    uint16_t format;
    uint16_t xattr_count; /* 0, or 1 + the xattrs' bytes / 4 */
    uint16_t mode;
    uint16_t nlink;
    uint32_t size;
    uint32_t reserved1;
    uint32_t start; /* first block, or the device's number */
    uint32_t ino;
    uint16_t uid, gid;
    uint32_t reserved2;
};
_Static_assert(sizeof(struct erofs_inode_compact) == 32, "compact inode");

struct erofs_inode_extended {
    uint16_t format;
    uint16_t xattr_count;
    uint16_t mode;
    uint16_t reserved1;
    uint64_t size;
    uint32_t start;
    uint32_t ino;
    uint32_t uid, gid;
    uint64_t mtime;
    uint32_t mtime_ns;
    uint32_t nlink;
    uint8_t reserved2[16];
};
_Static_assert(sizeof(struct erofs_inode_extended) == 64, "extended inode");

struct erofs_xattr_header {
    uint32_t name_filter;
    uint8_t shared_count;
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "xattr header");

/* Then the name without its prefix, the value, and zeros up to a multiple of 4. */
struct erofs_xattr_entry {
    uint8_t name_bytes;
    uint8_t prefix; /* enum erofs_xattr_prefix */
    uint16_t value_bytes;
};

enum erofs_xattr_prefix {
    EROFS_XATTR_USER = 1,
    EROFS_XATTR_ACL_ACCESS = 2,
    EROFS_XATTR_ACL_DEFAULT = 3,
    EROFS_XATTR_TRUSTED = 4,
    EROFS_XATTR_SECURITY = 6,
};

/* A directory block: entries, then their names; the first name's offset tells how many. */
struct erofs_dirent {
    uint64_t nid;
    uint16_t name_offset;
    uint8_t file_type;
    uint8_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "directory entry");

enum erofs_file_type {
    EROFS_FT_REG = 1,
    EROFS_FT_DIR,
    EROFS_FT_CHR,
    EROFS_FT_BLK,
    EROFS_FT_FIFO,
    EROFS_FT_SOCK,
    EROFS_FT_SYMLINK,
};
