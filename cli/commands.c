/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of lib/occlum-static: all of them, and what explains them. */
#include <string.h>

#include "cli/main.h"

static const struct command *const commands[] = {
    &cmd_try,   &cmd_new,   &cmd_init,  &cmd_build,   &cmd_run,    &cmd_gen_key, &cmd_fsck,
    &cmd_store, &cmd_mount, &cmd_print, &cmd_package, &cmd_status, &cmd_doctor,  &cmd_version,
    &cmd_start, &cmd_exec,  &cmd_ps,    &cmd_kill,    &cmd_logs,   &cmd_stop,    &cmd_gdb,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_overview(FILE *stream)
{
    fprintf(stream, "Occlum runs unmodified Linux programs in an SGX enclave.\n\n"
                    "usage: occlum COMMAND [ARGS...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(stream, "  %-9s %s\n\n", "help", "explain a command");
    fprintf(stream, "`occlum help COMMAND` or `occlum COMMAND --help` says more about one.\n");
}

const struct command *command_find(const char *name)
{
    if (!strcmp(name, "--version"))
        name += 2;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    return command_failed(
        NULL,
        err_hint(err_new("\"%s\" is not a command", name), "occlum help lists the commands"),
        STATUS_USAGE);
}

static int help(const char *name)
{
    const struct command *command = name ? command_find(name) : NULL;

    if (name && !command)
        return unknown(name);
    if (command)
        command_help(command);
    else
        print_overview(stdout);
    return 0;
}

int command_other(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return help(argc > 2 ? argv[2] : NULL);
    return unknown(argv[1]);
}
