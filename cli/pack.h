/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packing a built instance together with an occlum that needs nothing of the machine. The same
 * build gives the same bytes.
 */
#pragma once

#include <stdint.h>

#include "cli/err.h"

struct pack {
    const char *program;  /* the statically linked occlum */
    char *const *command; /* what runs where nothing is named; NULL-terminated, may be empty */
    const uint8_t *mrenclave;
};

/* A tar.gz that is an instance where it is unpacked: ./occlum run ... */
MUST_CHECK struct err *pack_archive(const struct pack *p, const char *name);
/* An OCI image layout (image-spec 1.1) in a new directory, the instance in /instance. */
MUST_CHECK struct err *pack_oci(const struct pack *p, const char *directory);
