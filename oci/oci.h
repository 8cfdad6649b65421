/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Container images as the source of an instance: OCI image layouts (OCI image-spec 1.1), the
 * archives of `docker save`, and plain directories. Nothing in them is trusted: whatever they
 * name, only files below the target directory are made, and no more bytes than allowed.
 */
#pragma once

#include <stdint.h>

#include "cli/err.h"

/* What the image says about its program; strings are owned, NULL where it says nothing. */
struct oci_config {
    char **env;     /* NAME=VALUE, NULL-terminated */
    char **command; /* entry point and its arguments, NULL-terminated */
    char *user;     /* "", "name", "uid", "uid:gid" ... */
    char *working_dir;
};

/*
 * Unpacks `reference` ("oci:DIR[:TAG]", "docker-archive:FILE[:TAG]", "dir:DIR") into the
 * directory `target`, which exists. `scratch` is a directory that may be made, filled and
 * removed. At most max_bytes are written. After an error the target holds anything.
 */
MUST_CHECK struct err *oci_import(const char *reference, const char *target,
                                  const char *scratch, uint64_t max_bytes,
                                  struct oci_config *config);
void oci_config_free(struct oci_config *config);
