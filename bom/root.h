/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of copying that know nothing of boms. Destinations are looked up inside the root: a
 * link in it, absolute or not, never leads out of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What was done, for the closing line. */
struct copy_counts {
    uint64_t files, unchanged, folders, links, bytes;
};

/* A descriptor of the folder `path` inside `root_fd`, made with its parents if `create`; or
 * -errno. */
int root_open_dir(int root_fd, const char *path, bool create);

/* Copies contents, mode, times and, as root, the owner; what stood there is replaced in one
 * step. A file of the same size, mode and time is left alone. 0 or -errno. */
int root_copy_file(const char *src, int dir_fd, const char *name, struct copy_counts *counts);

/* A link with this text in place of a file, a link or an empty folder. 0 or -errno. */
int root_link(const char *text, int dir_fd, const char *name, struct copy_counts *counts);

/* True if a file of that name is anywhere below. */
bool root_has(int dir_fd, const char *name);
