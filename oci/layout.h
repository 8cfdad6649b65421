/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding the parts of a container image: its configuration and its layers, in order. Blobs are
 * compared with their digests before anything of them is believed.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "cli/err.h"

struct oci_layout {
    int dir;        /* where the paths below begin */
    json_t *config; /* the image's configuration */
    char **layers;  /* paths, lowest first */
    size_t layer_count;
};

/* An OCI image layout (image-layout 1.0.0); `tag` NULL: the only image there is. */
MUST_CHECK struct err *layout_open(int dir, const char *name, const char *tag,
                                   struct oci_layout *out);
/* What `docker save` packs, unpacked. */
MUST_CHECK struct err *docker_open(int dir, const char *name, const char *tag,
                                   struct oci_layout *out);
void layout_close(struct oci_layout *layout);
