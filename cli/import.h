/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instance from a container image: its files under image/, and Occlum.json from what the
 * image says about its program.
 */
#pragma once

#include <stdint.h>

#include "cli/err.h"

/* The Occlum.json that `occlum new` writes. */
extern const char instance_template[];

/* Fills the empty directory `instance`; after an error it holds anything. */
MUST_CHECK struct err *import_image(const char *reference, const char *instance,
                                    uint64_t max_bytes);
