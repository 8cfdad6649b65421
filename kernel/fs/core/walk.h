/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of one walk; for path.c and open.c, which must go on after a last link. */
#pragma once

#include "fs/core/path.h"

struct walk {
    struct path at;       /* referenced */
    struct path boundary; /* root, or the start for WALK_BENEATH and WALK_IN_ROOT; referenced */
    const struct cred *cred;
    uint32_t flags;
    uint32_t links;
    bool need_dir; /* a slash stood behind the last component */
    const char *rest;
    char *owned; /* what `rest` points into, after a link */
};

/* `start` NULL: dirfd or, for absolute names, the root. */
int walk_begin(struct walk *w, int dirfd, const struct path *start, const char *name,
               uint32_t flags) MUST_CHECK;
void walk_end(struct walk *w);
/* To the end; with WALK_PARENT up to the last name. */
int walk_run(struct walk *w, struct last_name *last) MUST_CHECK;
/* Puts a link's target before the rest; w->at is its directory. */
int walk_push_link(struct walk *w, const struct path *link) MUST_CHECK;
/* Goes on to the topmost mount over p; -EXDEV. */
int walk_cross(struct walk *w, struct path *p) MUST_CHECK;
