/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Occlum in a program of one's own: programs of an instance, started from C. The names, the
 * structures and version 2 are the original's. Link with -locclum-pal.
 *
 * All functions return 0, or -1 with errno. One instance in a process; any thread may call.
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define OCCLUM_PAL_VERSION 2

struct occlum_pal_attr {
    const char *instance_dir; /* a built instance */
    const char *log_level;    /* as OCCLUM_LOG_LEVEL; NULL: that variable's */
};
#define OCCLUM_PAL_ATTR_INITVAL                                                                \
    {                                                                                          \
        ".", 0                                                                                 \
    }

struct occlum_stdio_fds {
    int stdin_fd, stdout_fd, stderr_fd;
};

struct occlum_pal_create_process_args {
    const char *path;                     /* inside, below an entry point */
    const char **argv;                    /* NULL-terminated */
    const char **env;                     /* NULL-terminated; NULL: none */
    const struct occlum_stdio_fds *stdio; /* NULL: the caller's own */
    int *pid;                             /* out */
};

struct occlum_pal_exec_args {
    int pid;
    int *exit_value; /* out: as from wait(2) */
};

int occlum_pal_get_version(void);
/* Starts the instance's enclave. Its messages go to run/occlum.log of the instance. */
int occlum_pal_init(const struct occlum_pal_attr *attr);
/* A new process. It begins to run at once. */
int occlum_pal_create_process(struct occlum_pal_create_process_args *args);
/* Waits for its end. */
int occlum_pal_exec(struct occlum_pal_exec_args *args);
/* A signal for a process, or for all: pid -1. */
int occlum_pal_kill(int pid, int sig);
/* Ends the enclave and what still runs in it. */
int occlum_pal_destroy(void);

#ifdef __cplusplus
}
#endif
