/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key mount of Occlum.json.
 */
#pragma once

#include "cli/config.h"
#include "cli/json.h"

/* Reads the array into config->mounts; a struct json_key's `read`. */
MUST_CHECK struct err *config_read_mounts(struct json_place *place, json_t *value, void *out);

/* Adds what every instance has unless it says otherwise, and puts parents before children. */
MUST_CHECK struct err *config_complete_mounts(struct instance_config *config);
