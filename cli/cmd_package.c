/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum package: what another machine needs to run a built instance, with an occlum that needs
 * nothing there. Checks that the build is whole first. Leaves out image/ and run/.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/pack.h"

struct package {
    int debug, oci;
    char name[PATH_MAX];
    struct page_plan plan;
    uint8_t mrenclave[32];
    struct enclave_config config;
};

/* Signature, enclave and configuration. */
static struct err *check_build(struct package *p)
{
    struct sgx_sigstruct sig;
    size_t size;
    struct err *err = sigstruct_read(INSTANCE_BUILD "/" BUILD_SIG, &sig);

    if (!err)
        err = sgxs_read(INSTANCE_BUILD "/" BUILD_SGXS, &p->plan, p->mrenclave);
    if (err)
        return err;
    if (memcmp(p->mrenclave, sig.enclave_hash, sizeof(p->mrenclave)))
        return err_new("%s: damaged", INSTANCE_BUILD "/" BUILD_SGXS);
    const uint8_t *bytes = plan_config(&p->plan, &size);

    err = config_check(bytes, size, INSTANCE_BUILD "/" BUILD_SGXS, &p->config);
    if (!err && (p->config.flags & CONFIG_FLAG_DEBUGGABLE) && !p->debug)
        err = err_hint(err_new("the enclave is debuggable: it keeps no secrets"),
                       "set metadata.debuggable to false in Occlum.json and build again, or "
                       "package it with --debug");
    return err;
}

/* The working directory's name, and what it becomes. */
static struct err *default_name(struct package *p)
{
    char here[PATH_MAX];

    if (!getcwd(here, sizeof(here)))
        return err_sys(errno, "the working directory");
    const char *base = strrchr(here, '/') + 1;

    snprintf(p->name, sizeof(p->name), "%.200s.%s", *base ? base : "instance",
             p->oci ? "oci" : "tar.gz");
    return NULL;
}

static struct err *read_options(struct package *p, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--debug"))
            p->debug = 1;
        else if (!strcmp(argv[i], "--oci"))
            p->oci = 1;
        else if (argv[i][0] == '-' || p->name[0])
            return usage_error(&cmd_package, "%s: not an option, or a second name", argv[i]);
        else
            snprintf(p->name, sizeof(p->name), "%s", argv[i]);
    }
    return NULL;
}

static struct err *write_package(struct package *p)
{
    char program[PATH_MAX];
    struct err *err = installed_path("occlum-static", program, sizeof(program));
    char **command = err ? NULL : configured_command(&p->plan);
    struct pack pack = {program, command, p->mrenclave};

    if (!err && !command)
        err = err_sys(ENOMEM, "packing");
    if (!err)
        err = p->oci ? pack_oci(&pack, p->name) : pack_archive(&pack, p->name);
    free(command);
    return err;
}

static struct err *package_main(int argc, char **argv, int *status)
{
    struct package *p = calloc(1, sizeof(*p));

    if (!p)
        return err_sys(ENOMEM, "starting");
    struct err *err = read_options(p, argc, argv);

    if (!err)
        err = instance_check_built();
    if (!err)
        err = check_build(p);
    if (!err && !p->name[0])
        err = default_name(p);
    if (!err && !access(p->name, F_OK))
        err = err_new("%s: exists already", p->name);
    if (!err)
        err = write_package(p);
    if (!err)
        printf("%s\n", p->name);
    plan_free(&p->plan);
    free(p);
    *status = 0;
    return err;
}

const struct command cmd_package = {
    .name = "package",
    .arguments = "[--debug] [--oci] [NAME]",
    .summary = "pack a built instance for another machine",
    .help = "Writes NAME, or one called after the instance: a tar.gz that holds Occlum.json, "
            "build/\n"
            "and an occlum that needs no libraries. Unpacked on any Linux machine, and if it "
            "is in an\n"
            "empty root directory, `./occlum run PROGRAM` works in it.\n\n"
            "  --oci     a container image instead, an OCI image layout in the directory NAME; "
            "its\n"
            "            command is process.command of Occlum.json. On hardware the container "
            "needs\n"
            "            /dev/sgx_enclave.\n"
            "  --debug   also where metadata.debuggable is true: such an enclave keeps no "
            "secrets\n",
    .failure = STATUS_FAILED,
    .run = package_main,
};
