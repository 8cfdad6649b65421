/* SPDX-License-Identifier: BSD-3-Clause */
/* Between main.c and the program's table of commands. */
#pragma once

#include "cli/cli.h"

/* The table's: a command of this program, or NULL; then what the others do. */
const struct command *command_find(const char *name);
int command_other(int argc, char **argv);

/* main.c's: `occlum NAME --help`; prints the error, frees it, and hands `status` back. */
void command_help(const struct command *command);
int command_failed(const char *name, struct err *err, int status);
