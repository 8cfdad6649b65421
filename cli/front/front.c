/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of bin/occlum: those that only talk to a service. All others are those of
 * lib/occlum-static, which this becomes: with what builds and opens images and runs enclaves, a
 * program takes longer to start than /bin/true to run in a service.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/main.h"

static const struct command *const commands[] = {
    &cmd_exec, &cmd_ps, &cmd_kill, &cmd_logs, &cmd_stop, &cmd_status,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

int command_other(int argc, char **argv)
{
    char path[PATH_MAX];
    struct err *err = installed_path("occlum-static", path, sizeof(path));

    (void)argc;
    if (!err) {
        execv(path, argv);
        err = err_sys(errno, "%s", path);
    }
    return command_failed(NULL, err, STATUS_OCCLUM);
}
