/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum: finds the command, runs it, prints what went wrong. The only place that does.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

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

static void print_help(const struct command *command)
{
    printf("usage: occlum %s%s%s\n\n%s.\n", command->name, command->arguments[0] ? " " : "",
           command->arguments, command->summary);
    if (command->help[0])
        printf("\n%s", command->help);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

struct err *usage_error(const struct command *command, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct err *err = err_hint(err_new("%s", text), "usage: occlum %s%s%s", command->name,
                               command->arguments[0] ? " " : "", command->arguments);

    return err_with_status(err,
                           command->failure == STATUS_OCCLUM ? STATUS_OCCLUM : STATUS_USAGE);
}

static int fail(const char *name, struct err *err, int status)
{
    char program[64];

    snprintf(program, sizeof(program), "occlum%s%.32s", name ? " " : "", name ? name : "");
    err_print(stderr, program, err);
    err_free(err);
    return status;
}

static int unknown(const char *name)
{
    return fail(
        NULL,
        err_hint(err_new("\"%s\" is not a command", name), "occlum help lists the commands"),
        STATUS_USAGE);
}

static int help(const char *name)
{
    const struct command *command = name ? find_command(name) : NULL;

    if (name && !command)
        return unknown(name);
    if (command)
        print_help(command);
    else
        print_overview(stdout);
    return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
    int status = 0;

    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        print_help(command);
        return 0;
    }
    struct err *err = command->run(argc, argv, &status);

    if (!err)
        return status;
    status = err_status(err);
    return fail(command->name, err, status == STATUS_FAILED ? command->failure : status);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return help(argc > 2 ? argv[2] : NULL);
    if (!strcmp(argv[1], "--version"))
        argv[1] += 2;
    const struct command *command = find_command(argv[1]);

    return command ? run(command, argc - 1, argv + 1) : unknown(argv[1]);
}
