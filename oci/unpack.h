/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unpacks archives of anybody's into a directory. Names are followed as a program inside the
 * directory would follow them (RESOLVE_IN_ROOT), so neither "..", absolute names nor planted
 * links lead out of it; an entry replaces what stands at its name and never writes through it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "cli/err.h"

struct archive;

struct unpack_folder {
    char *path;
    size_t sequence;
    mode_t mode;
    struct timespec time;
};

struct unpack {
    int root; /* the directory */
    uint64_t bytes_left, entries_left, max_bytes;
    unsigned devices_skipped;
    struct unpack_folder *folders; /* their modes and times are set at the end */
    size_t folder_count;
};

#define UNPACK_ENTRIES_MAX 4000000u

MUST_CHECK struct err *unpack_begin(struct unpack *u, const char *directory,
                                    uint64_t max_bytes);
/* Gives the folders their modes and times, if all went well. */
MUST_CHECK struct err *unpack_end(struct unpack *u, bool complete);

/* A tar archive, plain or compressed (gzip, zstd). `layer`: names that begin with ".wh." remove
 * what earlier layers brought, as OCI's image-spec says, instead of being made. */
MUST_CHECK struct err *unpack_file(struct unpack *u, int fd, const char *name, bool layer);
/* A directory of this machine. */
MUST_CHECK struct err *unpack_directory(struct unpack *u, const char *directory);

/* Opens `path` as seen inside of directory `root`: links do not lead out. -1 and errno. */
int open_inside(int root, const char *path, int flags);
