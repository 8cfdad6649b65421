/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image key: what encrypted images are opened with, and stores that are configured so. It
 * comes from the measured configuration or from whoever prepares the root (image_key_set), or
 * else, in the variable OCCLUM_IMAGE_KEY, from whoever starts the enclave, who then knows it.
 */
#pragma once

#include "lib/types.h"

#define IMAGE_KEY_MAX 32u

/* XX-XX-..., dashes or none between the bytes: how many bytes, or -EINVAL if more than fit. */
int key_parse(const char *text, uint8_t *out, size_t max) MUST_CHECK;

/* 16 or 32 bytes; at boot, before a file system needs it. */
void image_key_set(const uint8_t *key, size_t size);
/* How many bytes; -ENOKEY: there is none; -EINVAL: it makes no sense. */
int image_key_get(uint8_t key[IMAGE_KEY_MAX]) MUST_CHECK;
