/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands: one cmd_*.c each, listed in main.c. A command returns an error, or NULL and the
 * exit status. What several of them share is below.
 */
#pragma once

#include "cli/err.h"
#include "host/run.h"
#include "image/image.h"

struct command {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *summary;   /* one line */
    const char *help;      /* what `occlum NAME --help` says below them */
    int failure;           /* exit status of its own failures */
    struct err *(*run)(int argc, char **argv, int *status); /* argv[0]: the command's name */
};

extern const struct command cmd_new, cmd_init, cmd_build, cmd_run, cmd_print, cmd_status,
    cmd_try, cmd_version, cmd_doctor, cmd_package, cmd_gen_key, cmd_fsck, cmd_store, cmd_mount,
    cmd_start, cmd_stop, cmd_exec, cmd_ps, cmd_kill, cmd_logs, cmd_gdb;

/* ---- files of an instance, relative to it
 * ---------------------------------------------------- */

#define INSTANCE_CONFIG    "Occlum.json"
#define INSTANCE_STATUS    ".__occlum_status"
#define INSTANCE_LOCK      ".__occlum_lock"
#define INSTANCE_IMAGE     "image"
#define INSTANCE_INITFS    "initfs"
#define INSTANCE_INIT      INSTANCE_INITFS "/bin/init"
#define INSTANCE_BUILD     "build"
#define INSTANCE_BUILD_NEW ".__occlum_build.new"
#define INSTANCE_RUN       "run"
#define BUILD_ROOTFS       "rootfs.img"
#define BUILD_INITFS       "initfs.img"
#define BUILD_SGXS         "enclave.sgxs"
#define BUILD_SIG          "enclave.sig"
#define BUILD_SITES        "enclave.sites"
#define BUILD_MODE         ".sgx_mode"

/* Whether the working directory is an instance; the error says what to do. */
MUST_CHECK struct err *instance_check(void);
/* Whether it is built as well. */
MUST_CHECK struct err *instance_check_built(void);
MUST_CHECK struct err *instance_set_status(const char *status);

/* A key file as `occlum gen-image-key` makes it: 16 or 32 bytes into key[32]. */
MUST_CHECK struct err *image_key_read(const char *path, uint8_t *key, size_t *size);

/* cmd_run.c: hands --image-key FILE or --require-root ROOT at argv[*index] over to the kernel,
 * in the environment; 0: that is another option, else *index is that of the value. */
int hand_over_option(char **argv, int *index, struct err **err);

/* ---- launching
 * ------------------------------------------------------------------------------- */

/* Path of a file installed with this program: in ../lib, in ../lib/occlum, or beside it. */
MUST_CHECK struct err *installed_path(const char *name, char *path, size_t size);
/* Path of the kernel's ELF file: OCCLUM_KERNEL, or beside this program. */
MUST_CHECK struct err *kernel_path(char *path, size_t size);
/* SGX_MODE: HW, SIM, or unset; `text` NULL is unset. */
MUST_CHECK struct err *mode_parse(const char *text, const char *where, enum host_mode *mode);
/* Today, or the day of SOURCE_DATE_EPOCH, as a SIGSTRUCT has it. */
uint32_t date_bcd(void);
/* SOURCE_DATE_EPOCH; 0 when it is not set. */
int source_epoch(int64_t *epoch);
/* Runs an enclave to its end; *status is the exit status for the shell. */
MUST_CHECK struct err *launch(const struct host_run_params *params, int *status);

/* cmd_run.c: process.command of a plan's configuration, NULL-terminated; to be freed, the
 * strings are the plan's. NULL: no memory. */
char **configured_command(const struct page_plan *plan);
/* cmd_run.c: the instance's enclave as a service on a listening socket, to its end. */
struct observe;
struct run_service {
    struct observe *observe;
    int listen_fd;
    void (*ready)(void *arg);
    void *arg;
};
MUST_CHECK struct err *run_as_service(const struct run_service *service, int *status);

/* ---- options
 * --------------------------------------------------------------------------------- */

/* An error with the usage line of a command as its hint. */
MUST_CHECK struct err *usage_error(const struct command *command, const char *format, ...)
    PRINTF(2, 3);
