/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments and environment on their way to a new program: NUL-terminated strings in a row. */
#pragma once

#include "lib/types.h"

#define ARG_STRING_MAX 131072u /* one string with its NUL */

struct arg_block {
    char *data;
    size_t used, capacity;
    uint32_t count;
};

/* -E2BIG when a string or the sum (of `limit` bytes, pointers included) is too large, -ENOMEM.
 */
int args_add(struct arg_block *b, const char *s, size_t limit) MUST_CHECK;
/* From a guest's array of pointers (0: empty); also -EFAULT. */
int args_add_user(struct arg_block *b, uaddr_t array, size_t limit) MUST_CHECK;
int args_add_array(struct arg_block *b, char *const *array, size_t limit) MUST_CHECK;
/* Scripts: the first string makes way for `count` others. */
int args_replace_first(struct arg_block *b, const char *const *with, size_t count,
                       size_t limit) MUST_CHECK;
void args_free(struct arg_block *b);
