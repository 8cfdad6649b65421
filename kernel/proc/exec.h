/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading a program: the parts that exec.c, load.c and stack.c share. A struct exec holds
 * everything that a new program needs; building it changes nothing of the running one.
 */
#pragma once

#include "proc/args.h"
#include "proc/elf.h"
#include "proc/process.h"

struct exec {
    struct file *file;        /* the program (a script's interpreter) */
    struct file *interp_file; /* its PT_INTERP */
    struct elf_image *image, *interp;
    char *path; /* as given; relative to dirfd */
    char *name; /* AT_EXECFN: the same, or /dev/fd/N */
    char comm[TASK_NAME_BYTES];
    struct arg_block argv, envp;
    size_t arg_limit;
    int dirfd; /* where relative names start */
    uint32_t at_flags;

    struct mm *mm;
    uint64_t bias, interp_bias;
    uaddr_t entry; /* where it starts: the interpreter's, if there is one */
    uaddr_t stack_low, stack_top;
    uaddr_t vdso;
    struct cred *cred; /* what the new program has; NULL: as before */
    uint32_t uid, euid, gid, egid;
    uaddr_t rsp; /* filled by stack_write() */
    uint64_t *auxv;
    size_t auxv_size;
};

/* load.c: maps everything but the vDSO's contents; e->mm is complete or gone. */
int load_program(struct exec *e) MUST_CHECK;
/* stack.c: with e->mm current: strings, vectors, auxiliary vector. */
int stack_write(struct exec *e) MUST_CHECK;
/* vdso.c */
void vdso_init(void);
int vdso_map(struct mm *mm, uaddr_t *at) MUST_CHECK;
/* Where handlers return to, in the copy at `at`. */
void vdso_restorer(uaddr_t at, struct signal_restorer *out);

/* All of execve(2) for the current thread; 0: task_regs(current) are the new program's. */
int exec_run(struct exec *e) MUST_CHECK;
struct exec *exec_new(void) MUST_CHECK;
void exec_free(struct exec *e);
