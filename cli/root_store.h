/* SPDX-License-Identifier: BSD-3-Clause */
/* The encrypted store that holds what programs wrote to an instance's root. */
#pragma once

#include "cli/config.h"

/* Its file, which the caller frees; NULL where what is written is not kept. */
MUST_CHECK struct err *root_store_built(char **path);
/* The same for a configuration that is not built yet, with the options of its mount. */
char *root_store_configured(const struct instance_config *config, const char **options);

/* An error that says what to do if `view` is the record of a store that cannot be written. */
MUST_CHECK struct err *root_store_check(const struct config_view *view);
/* Does it exist? */
int root_store_exists(const char *path);
/* Removes it; an error if an enclave has it open. */
MUST_CHECK struct err *root_store_remove(const char *path);
