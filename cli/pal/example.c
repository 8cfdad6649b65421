/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a program of an instance and passes its exit status on:
 *   cc example.c -locclum-pal -o example && ./example INSTANCE /bin/program ARGS...
 */
#include <occlum_pal.h>
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;
    int pid, status = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: example INSTANCE PROGRAM [ARGS...]\n");
        return 2;
    }
    attr.instance_dir = argv[1];
    if (occlum_pal_init(&attr)) {
        perror("occlum_pal_init");
        return 1;
    }
    struct occlum_pal_create_process_args create = {
        .path = argv[2], .argv = (const char **)argv + 2, .pid = &pid};
    struct occlum_pal_exec_args exec = {.exit_value = &status};
    int failed = occlum_pal_create_process(&create);

    if (!failed) {
        exec.pid = pid;
        failed = occlum_pal_exec(&exec);
    }
    if (failed)
        perror(argv[2]);
    occlum_pal_destroy();
    if (failed)
        return 1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
