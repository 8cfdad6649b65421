/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Learning a bill of materials: while a program runs over this machine's tree, notes the files
 * that are looked up, the folders that are listed and the links that are followed, and writes
 * them as a bom.
 */
#pragma once

#include "cli/config.h"
#include "cli/err.h"
#include "host/run.h"

/* `root` is the tree that the program sees as /; what lies below a path of `except` is not
 * noted. Both stay the caller's, and alive. One at a time. */
void learn_begin(const char *root, const struct text_list *except);
extern const struct host_observer learn_observer;
/* Ends it. */
MUST_CHECK struct err *learn_write(const char *path);
