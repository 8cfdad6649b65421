/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum: runs the command, prints what went wrong. The only place that does. Which commands
 * there are, the program says that this is linked into: commands.c, or front/front.c.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/main.h"

void command_help(const struct command *command)
{
    printf("usage: occlum %s%s%s\n\n%s.\n", command->name, command->arguments[0] ? " " : "",
           command->arguments, command->summary);
    if (command->help[0])
        printf("\n%s", command->help);
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

int command_failed(const char *name, struct err *err, int status)
{
    char program[64];

    snprintf(program, sizeof(program), "occlum%s%.32s", name ? " " : "", name ? name : "");
    err_print(stderr, program, err);
    err_free(err);
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    int status = 0;

    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        command_help(command);
        return 0;
    }
    struct err *err = command->run(argc, argv, &status);

    if (!err)
        return status;
    status = err_status(err);
    return command_failed(command->name, err,
                          status == STATUS_FAILED ? command->failure : status);
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;

    return command ? run(command, argc - 1, argv + 1) : command_other(argc, argv);
}
