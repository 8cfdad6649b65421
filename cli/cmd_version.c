/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum version.
 */
#include "cli/cli.h"

static struct err *version_main(int argc, char **argv, int *status)
{
    if (argc > 1)
        return usage_error(&cmd_version, "%s: no arguments are wanted", argv[1]);
    printf("occlum %s\n", OCCLUM_VERSION);
    *status = 0;
    return NULL;
}

const struct command cmd_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the version",
    .help = "",
    .failure = STATUS_FAILED,
    .run = version_main,
};
