/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor tables and the file system context (root, working directory, umask). Both are
 * counted: shared between threads by CLONE_FILES and CLONE_FS, else copied.
 */
#pragma once

#include <stdatomic.h>

#include "fs/core/file.h"
#include "sched/lock.h"

struct fd_slot {
    struct file *file;
    bool reserved;
    bool cloexec;
};

struct fd_table {
    _Atomic uint32_t refs;
    struct spinlock lock;
    struct fd_slot *slots;          /* under lock */
    uint32_t size;                  /* under lock */
    uint32_t next; /* under lock */ /* no free slot below */
};

struct fd_table *fd_table_new(void) MUST_CHECK;
struct fd_table *fd_table_get(struct fd_table *t);
/* A copy that shares the files. -ENOMEM. */
int fd_table_clone(struct fd_table *t, struct fd_table **out) MUST_CHECK;
void fd_table_put(struct fd_table *t); /* the last one closes all; may sleep */
/* exec: closes what is marked. The table must not be shared any more. */
void fd_table_close_on_exec(struct fd_table *t);

/* A counted file of the current task, or NULL. Files of O_PATH only from fd_file_any(). */
struct file *fd_file(int fd) MUST_CHECK;
struct file *fd_file_any(int fd) MUST_CHECK;
/* The same for another task's table, for /proc. */
struct file *fd_file_of(struct fd_table *t, int fd, bool *cloexec) MUST_CHECK;
/* The first used descriptor at or after `fd`; -1: none. */
int fd_next_used(struct fd_table *t, int fd);

/* Reserves the lowest free number >= min; -EMFILE. Then either fill it or give it back. */
int fd_reserve(int min) MUST_CHECK;
/* Takes over the reference on `f`. */
void fd_install(int fd, struct file *f, bool cloexec);
void fd_unreserve(int fd);
/* Reserve and install; on failure the reference is dropped. The number, or negative. */
int fd_add(struct file *f, bool cloexec) MUST_CHECK;
int fd_close(int fd) MUST_CHECK;
/* Fills a free number of a table that nobody uses yet; takes over the reference. */
int fd_put_at(struct fd_table *t, int fd, struct file *f) MUST_CHECK;
/* dup2 and dup3's work: takes over the reference. */
int fd_replace(int fd, struct file *f, bool cloexec) MUST_CHECK;
int fd_close_range(uint32_t first, uint32_t last, bool cloexec_only) MUST_CHECK;
int fd_get_cloexec(int fd) MUST_CHECK;
int fd_set_cloexec(int fd, bool on) MUST_CHECK;

struct fs_context {
    _Atomic uint32_t refs;
    struct spinlock lock;
    struct path root; /* under lock */
    struct path cwd;  /* under lock */
    _Atomic uint32_t umask;
};

int fs_context_new(struct fs_context **out) MUST_CHECK; /* root and cwd: the root of all */
struct fs_context *fs_context_get(struct fs_context *c);
int fs_context_clone(struct fs_context *c, struct fs_context **out) MUST_CHECK;
void fs_context_put(struct fs_context *c);
void fs_context_root(struct fs_context *c, struct path *out); /* with references */
void fs_context_cwd(struct fs_context *c, struct path *out);
void fs_context_set_root(struct fs_context *c, const struct path *p);
void fs_context_set_cwd(struct fs_context *c, const struct path *p);

/* Boot: descriptors 0, 1 and 2, and the first program's context. */
int fs_boot_console(struct fd_table *t) MUST_CHECK;
int fs_boot_context(const char *cwd, struct fs_context **out) MUST_CHECK;
