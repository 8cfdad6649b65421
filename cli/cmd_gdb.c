/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum gdb: gdb with gdb/occlum-gdb.py, which knows the enclave's kernel and its programs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "image/file.h"

#define ARGS_MAX 16

/* Whether what this instance runs may be looked at. */
static struct err *check_debuggable(void)
{
    struct page_plan plan;
    struct enclave_config config;
    uint8_t mrenclave[32];
    size_t size;
    struct err *err = instance_check_built();

    if (!err)
        err = sgxs_read(INSTANCE_BUILD "/" BUILD_SGXS, &plan, mrenclave);
    if (err)
        return err;
    const uint8_t *bytes = plan_config(&plan, &size);
    err = config_check(bytes, size, INSTANCE_BUILD "/" BUILD_SGXS, &config);
    if (!err && !(config.flags & CONFIG_FLAG_DEBUGGABLE))
        err = err_hint(err_new("the enclave is not debuggable"),
                       "set metadata.debuggable to true in Occlum.json and build again");
    plan_free(&plan);
    return err;
}

/* Where gdb finds the programs' files: `extra`, the instance's trees, the host's own. */
static struct err *set_environment(const char *extra)
{
    char kernel[4096], roots[8192], cwd[2048];
    struct err *err = kernel_path(kernel, sizeof(kernel));

    if (err)
        return err;
    if (!getcwd(cwd, sizeof(cwd)))
        return err_sys(errno, "the working directory");
    snprintf(roots, sizeof(roots), "%s:%s/" INSTANCE_IMAGE ":%s/" INSTANCE_INITFS ":", extra,
             cwd, cwd);
    if (setenv("OCCLUM_GDB_KERNEL", kernel, 1) || setenv("OCCLUM_GDB_ROOTS", roots, 1))
        return err_sys(errno, "the environment");
    return NULL;
}

/* Replaces this process: gdb FIRST... REST... */
static struct err *start_gdb(const char *const *first, char **rest, int count)
{
    static char script[4096];
    const char **args = calloc((size_t)count + ARGS_MAX, sizeof(*args));
    struct err *err = installed_path("occlum-gdb.py", script, sizeof(script));
    int n = 0;

    if (err || !args) {
        free(args);
        return err ? err : err_sys(ENOMEM, "gdb");
    }
    args[n++] = "gdb";
    args[n++] = "-q";
    args[n++] = "-x";
    args[n++] = script;
    while (*first)
        args[n++] = *first++;
    memcpy(args + n, rest, (size_t)count * sizeof(*args));
    execvp("gdb", (char **)args);
    err = err_sys(errno, "gdb");
    free(args);
    return err_hint(err, "install it: apt-get install gdb");
}

static struct err *attach(const char *pid, int argc, char **argv)
{
    const char *const first[] = {"-p", pid, NULL};
    struct err *err = set_environment("");

    return err ? err : start_gdb(first, argv, argc);
}

/* argv: run or try, and their arguments. */
static struct err *debug_new(int argc, char **argv)
{
    static char self[4096];
    const char *root = "";
    struct err *err = strcmp(argv[0], "run") ? NULL : check_debuggable();
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (!err && length < 0)
        err = err_sys(errno, "/proc/self/exe");
    for (int i = 1; i + 1 < argc; i++) {
        if (!strcmp(argv[i], "--root"))
            root = argv[i + 1];
    }
    if (!err)
        err = set_environment(root);
    const char *const first[] = {"--args", self, NULL};
    return err ? err : start_gdb(first, argv, argc);
}

static struct err *gdb_main(int argc, char **argv, int *status)
{
    char service[16];
    int pid;

    (void)status; /* gdb's own */
    if (argc > 1 && (!strcmp(argv[1], "run") || !strcmp(argv[1], "try")))
        return debug_new(argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] >= '1' && argv[1][0] <= '9')
        return attach(argv[1], argc - 2, argv + 2);
    struct err *err = check_debuggable();
    if (err)
        return err;
    if (!service_running(&pid) || !pid)
        return err_hint(err_new("no service runs here"),
                        "occlum start; or occlum gdb run PROGRAM; or occlum gdb PID");
    snprintf(service, sizeof(service), "%d", pid);
    return attach(service, argc - 1, argv + 1);
}

const struct command cmd_gdb = {
    .name = "gdb",
    .arguments = "[PID] [GDB OPTIONS...] | run|try [ARGUMENTS...]",
    .summary = "look at programs and the kernel inside with gdb",
    .help =
        "Attaches to the service of the instance, or to the `occlum run` or `occlum try` that "
        "is\n"
        "process PID; with run or try, starts that under gdb. The enclave must be debuggable\n"
        "(metadata.debuggable). gdb's threads are vCPUs. Programs' files are searched for in "
        "the\n"
        "instance's trees, then in the host's. Commands besides gdb's own:\n\n"
        "  occlum tasks      all tasks inside: number, process, state, name\n"
        "  occlum bt [TID]   backtrace through kernel and program; of all without TID\n"
        "  occlum symbols    load symbols of what was mapped since the last stop\n"
        "  occlum catch      stop where a signal ends a program\n\n"
        "Example:\n"
        "  occlum gdb -batch -ex 'occlum bt'\n",
    .failure = STATUS_FAILED,
    .run = gdb_main,
};
