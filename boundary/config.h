/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measured configuration: what `occlum build` compiled Occlum.json into. A fixed header,
 * then records, little endian, each 8-byte aligned; the whole is measured at LAYOUT_CONFIG and
 * read-only. The kernel still parses it with bounds checks: a broken build must stop with a
 * message.
 */
#pragma once

#include <stdint.h>

#define CONFIG_MAGIC   0x31676663636f636full
#define CONFIG_VERSION 1u

/* Folders of the kernel, as messages of one kind. */
#define LOG_SUBSYSTEM_NAMES(X)                                                                 \
    X(boot)                                                                                    \
    X(crypto) X(fs) X(ipc) X(mm) X(net) X(proc) X(sched) X(service) X(signal) X(syscall)       \
        X(time) X(tty)
#define X(name) LOG_SUB_##name,
enum log_subsystem { LOG_SUBSYSTEM_NAMES(X) LOG_SUBSYSTEMS };
#undef X

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

struct enclave_config {
    uint64_t magic;
    uint32_t version;
    uint32_t total_bytes;     /* header and records */
    uint32_t flags;           /* CONFIG_FLAG_* */
    uint32_t tcs_count;       /* TCSs added; the upper bound of vCPUs */
    uint64_t kernel_heap_max; /* bytes; 0: automatic */
    uint64_t user_space_max;  /* bytes; 0: automatic */
    uint64_t stack_size;      /* process.default_stack_size */
    uint32_t max_threads;     /* 0: bounded by memory */
    uint32_t max_log_level;   /* enum log_level: the most the host may ask for */
    uint32_t record_count;
    uint32_t pad;
};

#define CONFIG_FLAG_DEBUGGABLE 1u
#define CONFIG_FLAG_TRY                                                                        \
    2u /* root is the host's tree, untrusted; any program, all environment */
#define CONFIG_FLAG_SAN 4u
#define CONFIG_FLAG_ANY_BASE                                                                   \
    8u /* no programs at fixed addresses: the host may choose the base */

#define CONFIG_FLAG_LOOPBACK_HOST                                                              \
    16u /* net.loopback: connections between programs inside pass the host, too */

enum config_record_type {
    CONFIG_ENTRY_POINT = 1,   /* string: absolute path prefix of programs that may be started */
    CONFIG_ENV_DEFAULT = 2,   /* string: NAME=VALUE */
    CONFIG_ENV_UNTRUSTED = 3, /* string: NAME the host may set; "*" any */
    CONFIG_MOUNT = 4,         /* struct config_mount, then its strings */
    CONFIG_USER = 5,          /* string: numeric user of programs started from outside */
    CONFIG_GROUP = 6,         /* string: their numeric group */
    CONFIG_WORKING_DIR = 7,   /* string: where they start */
    CONFIG_COMMAND = 8,       /* string, several: what runs where nothing is named */
};

struct config_record {
    uint32_t type;
    uint32_t bytes; /* of the payload that follows, without padding to 8 */
};

enum config_fs {
    CONFIG_FS_EROFS = 1, /* source: index of boot_image; verity fields are valid */
    CONFIG_FS_HOSTFS,    /* source: path on the host */
    CONFIG_FS_RAMFS,
    CONFIG_FS_DEVFS,
    CONFIG_FS_PROCFS,
    CONFIG_FS_SEFS,
    CONFIG_FS_UNIONFS,
};

#define CONFIG_MOUNT_RDONLY 1u
/* Not mounted by itself: a layer of the CONFIG_FS_UNIONFS record that follows, the lowest one
 * first; the last one that is not read-only takes the changes. */
#define CONFIG_MOUNT_LAYER 2u
/* EROFS: encrypted below the hash tree; options may hold the key. */
#define CONFIG_MOUNT_CRYPT 4u
/* Of the first stage, whose /bin/init then mounts the rest. */
#define CONFIG_MOUNT_INIT 8u

/* boot_info.image: the root's, and the first stage's. */
#define IMAGE_ROOTFS 0u
#define IMAGE_INITFS 1u
#define IMAGE_COUNT  2u

struct config_mount {
    uint32_t fs;    /* enum config_fs */
    uint32_t flags; /* CONFIG_MOUNT_* */
    uint32_t image; /* EROFS: index into boot_info.image */
    uint32_t target_bytes, source_bytes,
        options_bytes;    /* strings that follow, each with its NUL */
    uint64_t data_blocks; /* EROFS: 4 KiB blocks under the hash tree */
    uint64_t
        hash_offset; /* EROFS: byte offset of the hash tree's first block in the image file */
    uint8_t
        root_hash[32]; /* SHA-256, no salt, 4 KiB data and hash blocks, dm-verity version 1 */
};
