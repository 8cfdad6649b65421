/* SPDX-License-Identifier: BSD-3-Clause */
/* The measured configuration and its records. */
#pragma once

#include "boundary/config.h"
#include "lib/types.h"

const struct enclave_config *config_get(void);

/* The record after `previous` (NULL: the first), or NULL at the end. Bounds were checked at
 * boot; string payloads are NUL-terminated. The payload follows the record's header. */
const struct config_record *config_next(const struct config_record *previous);
static inline const void *config_payload(const struct config_record *record)
{
    return record + 1;
}

/* The first string of that type, or NULL. */
const char *config_string(enum config_record_type type);
/* The number that it says; 0 where it is absent. */
uint32_t config_number(enum config_record_type type);

/* A mount record's strings. */
const char *config_mount_target(const struct config_mount *m);
const char *config_mount_source(const struct config_mount *m);
const char *config_mount_options(const struct config_mount *m);

/* At boot: checks the whole blob; panics when it is malformed. */
void config_check(const struct enclave_config *config, uint64_t limit);
