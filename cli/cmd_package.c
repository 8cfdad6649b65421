/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum package: what another machine needs to run a built instance, as one compressed tar
 * file. Checks that the build is whole first. Leaves out image/ and run/.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

/* Signature, enclave and configuration; says whether the enclave may be debugged. */
static struct err *check_build(int *debuggable)
{
    struct sgx_sigstruct sig;
    struct page_plan plan;
    struct enclave_config config;
    uint8_t mrenclave[32];
    size_t size;
    struct err *err = sigstruct_read(INSTANCE_BUILD "/" BUILD_SIG, &sig);

    if (!err)
        err = sgxs_read(INSTANCE_BUILD "/" BUILD_SGXS, &plan, mrenclave);
    if (err)
        return err;
    if (memcmp(mrenclave, sig.enclave_hash, sizeof(mrenclave))) {
        err = err_new("%s: damaged", INSTANCE_BUILD "/" BUILD_SGXS);
    } else {
        const uint8_t *bytes = plan_config(&plan, &size);

        err = config_check(bytes, size, INSTANCE_BUILD "/" BUILD_SGXS, &config);
    }
    if (!err)
        *debuggable = !!(config.flags & CONFIG_FLAG_DEBUGGABLE);
    plan_free(&plan);
    return err;
}

/* The working directory's name and .tar.gz. */
static struct err *default_name(char *name, size_t size)
{
    char here[PATH_MAX];

    if (!getcwd(here, sizeof(here)))
        return err_sys(errno, "the working directory");
    const char *base = strrchr(here, '/') + 1;

    snprintf(name, size, "%s.tar.gz", *base ? base : "instance");
    return NULL;
}

static struct err *run_tar(const char *name)
{
    int status;
    pid_t child = fork();

    if (child < 0)
        return err_sys(errno, "starting tar");
    if (child == 0) {
        execlp("tar", "tar", "--sort=name", "--owner=0", "--group=0", "-czf", name,
               INSTANCE_CONFIG, INSTANCE_STATUS, INSTANCE_BUILD, (char *)NULL);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(errno, "waiting for tar");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    unlink(name);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_new("tar cannot be started");
    return err_new("%s: tar failed", name);
}

static struct err *package_main(int argc, char **argv, int *status)
{
    char name[PATH_MAX] = "";
    int allow_debug = 0, debuggable = 0;
    struct err *err = NULL;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--debug"))
            allow_debug = 1;
        else if (argv[i][0] == '-' || name[0])
            return usage_error(&cmd_package, "%s: not an option, or a second name", argv[i]);
        else
            snprintf(name, sizeof(name), "%s", argv[i]);
    }
    err = instance_check_built();
    if (!err)
        err = check_build(&debuggable);
    if (!err && debuggable && !allow_debug)
        err = err_hint(err_new("the enclave is debuggable: it keeps no secrets"),
                       "set metadata.debuggable to false in Occlum.json and build again, or "
                       "package it with --debug");
    if (!err && !name[0])
        err = default_name(name, sizeof(name));
    if (!err && !access(name, F_OK))
        err = err_new("%s: exists already", name);
    if (!err)
        err = run_tar(name);
    if (!err)
        printf("%s\n", name);
    *status = 0;
    return err;
}

const struct command cmd_package = {
    .name = "package",
    .arguments = "[--debug] [NAME.tar.gz]",
    .summary = "pack a built instance for another machine",
    .help = "Holds Occlum.json and build/. Unpacked elsewhere, `occlum run` works in it.\n\n"
            "  --debug   also where metadata.debuggable is true: such an enclave keeps no "
            "secrets\n",
    .failure = STATUS_FAILED,
    .run = package_main,
};
