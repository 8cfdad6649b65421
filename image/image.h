/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `occlum build` makes and `occlum run` opens: the read-only file system image (EROFS,
 * then its dm-verity tree), the page plan of the enclave, its measurement, the SGXS file that
 * carries it, and the SIGSTRUCT that vouches for it. Trusts what the user points it at while
 * building; trusts no file while opening.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "boundary/config.h"
#include "boundary/sgx.h"
#include "cli/err.h"
#include "image/plan.h"

#define IMAGE_BLOCK 4096u

/* ---- the file system image ---------------------------------------------- */

struct erofs_options {
    const char *source; /* the directory that becomes the root */
    int has_epoch;      /* clamp modification times to `epoch` (SOURCE_DATE_EPOCH) */
    int64_t epoch;
    const uint8_t *xts_key;         /* CRYPT_KEY bytes: encrypted; NULL: not */
    const char *const *directories; /* absolute paths that are made where they are missing */
    size_t directory_count;
};

struct erofs_stats {
    uint64_t blocks; /* of IMAGE_BLOCK bytes; the file's length */
    uint64_t inodes;
    uint64_t bytes; /* of file contents */
};

/* A dm-verity tree: version 1, SHA-256, 4 KiB blocks, no salt, no superblock. */
struct verity_tree {
    uint64_t data_blocks;
    uint64_t hash_offset; /* bytes; where the data ends */
    uint64_t end;         /* bytes; where the tree ends */
    uint8_t root_hash[32];
};

/* Writes an uncompressed EROFS file system from offset 0 of `fd`, and its verity tree behind
 * it; `name` is for messages. */
MUST_CHECK struct err *erofs_write(const struct erofs_options *options, int fd,
                                   const char *name, struct erofs_stats *stats,
                                   struct verity_tree *tree);

/* Where the tree of that many blocks ends, in bytes. */
uint64_t verity_end(uint64_t data_blocks);

/* ---- the measured configuration ----------------------------------------- */

/* A growing blob: struct enclave_config, then records (boundary/config.h). */
struct config_blob {
    uint8_t *bytes;
    size_t used, room;
};

void config_blob_init(struct config_blob *blob, const struct enclave_config *header);
void config_blob_string(struct config_blob *blob, enum config_record_type type,
                        const char *text);
void config_blob_mount(struct config_blob *blob, const struct config_mount *mount,
                       const char *target, const char *source, const char *options);
/* Fills in the counts; the blob is complete then. */
MUST_CHECK struct err *config_blob_finish(struct config_blob *blob);
void config_blob_free(struct config_blob *blob);

/* One record of a complete blob. */
struct config_view {
    enum config_record_type type;
    const uint8_t *payload;
    size_t bytes;
};

/* Copies the header out and checks the framing; `name` is for messages. */
MUST_CHECK struct err *config_check(const uint8_t *bytes, size_t size, const char *name,
                                    struct enclave_config *header);
/* The record at *cursor (start with 0); false at the end. Only for blobs that config_check
 * passed. */
int config_next(const uint8_t *bytes, size_t *cursor, struct config_view *view);

/* ---- the enclave -------------------------------------------------------- */

struct plan_input {
    const char *kernel; /* path of the kernel's ELF file */
    const uint8_t *config;
    size_t config_bytes;
    uint64_t size; /* ELRANGE; a power of two, at least LAYOUT_MIN_SIZE */
    uint32_t tcs_count;
};

MUST_CHECK struct err *plan_build(const struct plan_input *input, struct page_plan *plan);
void plan_free(struct page_plan *plan);
/* The contents but for the configuration are not needed any more. */
void plan_loaded(const struct page_plan *plan);
/* The pages at LAYOUT_CONFIG; NULL if there are none. */
const uint8_t *plan_config(const struct page_plan *plan, size_t *bytes);

/* MRENCLAVE. */
MUST_CHECK struct err *plan_measure(const struct page_plan *plan, uint8_t mrenclave[32]);

/* An enclave as an SGXS stream (ECREATE, EADD, EEXTEND records), and beside it, in `sites`,
 * what the stream cannot hold: the ENCLU sites, bound to the measurement by a checksum. */
MUST_CHECK struct err *sgxs_write(const struct page_plan *plan, const char *path);
/* `mrenclave` NULL: not measured, and so nothing but form is checked. */
MUST_CHECK struct err *sgxs_read(const char *path, struct page_plan *plan,
                                 uint8_t mrenclave[32]);
MUST_CHECK struct err *sites_write(const struct page_plan *plan, const uint8_t mrenclave[32],
                                   const char *path);
MUST_CHECK struct err *sites_read(const char *path, const uint8_t mrenclave[32],
                                  struct page_plan *plan);

/* ---- the signature ------------------------------------------------------ */

struct sigstruct_input {
    uint8_t mrenclave[32];
    struct sgx_attributes attributes, attribute_mask;
    uint32_t miscselect, miscmask;
    uint16_t product_id, security_version;
    uint8_t family_id[16], ext_product_id[16];
    uint32_t date; /* BCD yyyymmdd */
};

struct sign_key; /* an RSA-3072 private key with exponent 3 */

/* `path` NULL: the development key that every Occlum binary carries; it is public. */
MUST_CHECK struct err *sign_key_load(const char *path, struct sign_key **key);
void sign_key_free(struct sign_key *key);

MUST_CHECK struct err *sigstruct_make(const struct sigstruct_input *input,
                                      const struct sign_key *key, struct sgx_sigstruct *out);
/* Form, exponent, signature over header and body, and Q1/Q2. `name` is for messages. */
MUST_CHECK struct err *sigstruct_verify(const struct sgx_sigstruct *sig, const char *name);
void sigstruct_mrsigner(const struct sgx_sigstruct *sig, uint8_t mrsigner[32]);
MUST_CHECK struct err *sigstruct_write(const struct sgx_sigstruct *sig, const char *path);
/* Reads and verifies. */
MUST_CHECK struct err *sigstruct_read(const char *path, struct sgx_sigstruct *sig);

/* SHA-256 of one buffer. */
void image_sha256(const void *data, size_t size, uint8_t digest[32]);
