/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Occlum.json, read strictly, and what it turns into: the measured configuration and the fields
 * of the signature. docs/config.md lists the keys.
 */
#pragma once

#include <stdint.h>

#include "boundary/config.h"
#include "cli/err.h"
#include "image/image.h"

struct text_list {
    char **items;
    size_t count;
};

struct mount_entry {
    char *target, *source, *options; /* source and options may be "" */
    uint32_t fs;                     /* enum config_fs */
    uint32_t flags;                  /* CONFIG_MOUNT_* */
};

/* Numbers are all uint64_t, so that the table of keys can say where each one goes. 0:
 * automatic. */
struct instance_config {
    uint64_t kernel_heap_size, kernel_heap_max, kernel_stack_size;
    uint64_t user_space_size, user_space_max;
    uint64_t init_threads, max_threads, marshal_size, enclave_size;
    uint64_t stack_size, heap_size, mmap_size;
    uint64_t product_id, version_number, debuggable, disable_log, enable_kss;
    uint64_t family_high, family_low, ext_product_high, ext_product_low;
    uint64_t amx, pkru, io_uring, enable_edmm, posix_shm, fixed_addresses;
    int loopback_host; /* net.loopback */
    struct text_list entry_points, env_default, env_untrusted;
    struct text_list command; /* what `occlum run` runs where nothing is named */
    uint64_t uid, gid;
    char *working_dir;          /* NULL: / */
    struct mount_entry *mounts; /* parents before children; "/" is the first */
    size_t mount_count;
    struct text_list notes; /* what was accepted but has no effect, or less than asked for */
};

/* Reads and checks a file; `config` is to be freed also after an error. */
MUST_CHECK struct err *config_read(const char *path, struct instance_config *config);
/* The same from text; `name` is for messages. */
MUST_CHECK struct err *config_parse(const char *text, size_t size, const char *name,
                                    struct instance_config *config);
/* What holds when nothing is said; no mounts. */
void config_defaults(struct instance_config *config);
void config_free(struct instance_config *config);

MUST_CHECK struct err *config_add_mount(struct instance_config *config, uint32_t fs,
                                        const char *target, const char *source, uint32_t flags);
/* Appends a copy. */
MUST_CHECK struct err *text_list_add(struct text_list *list, const char *text);
void text_list_free(struct text_list *list);

/* Size of ELRANGE and number of TCSs that the configuration asks for. */
uint64_t config_enclave_size(const struct instance_config *config);
uint32_t config_tcs_count(const struct instance_config *config);

/* The mounts of a first stage, on the instance's second image. */
MUST_CHECK struct err *config_add_init(struct instance_config *config);
/* The measured form. `trees` are those of the root's image and of the first stage's; NULL when
 * there are none. */
MUST_CHECK struct err *config_compile(const struct instance_config *config, uint32_t flags,
                                      const struct verity_tree *trees,
                                      struct config_blob *blob);
/* All of the signature's fields but MRENCLAVE. */
void config_signature(const struct instance_config *config, struct sigstruct_input *input);
