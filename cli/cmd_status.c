/* SPDX-License-Identifier: BSD-3-Clause */
/* occlum status: how far the instance got. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "image/file.h"

static struct err *status_main(int argc, char **argv, int *status)
{
    struct file_map map;

    int json = argc == 2 && !strcmp(argv[1], "--json");

    if (argc > 1 + json)
        return usage_error(&cmd_status, "%s: not an option", argv[1]);
    struct err *err = instance_check();
    int pid;

    if (!err && service_running(&pid)) {
        printf(json ? "{\"status\": \"running\", \"pid\": %d}\n" : "running\n", pid);
        *status = 0;
        return NULL;
    }
    if (!err)
        err = file_map(INSTANCE_STATUS, &map);
    if (err)
        return err;
    int length = (int)map.size - (map.size && map.bytes[map.size - 1] == '\n');

    printf(json ? "{\"status\": \"%.*s\"}\n" : "%.*s\n", length, (const char *)map.bytes);
    file_unmap(&map);
    *status = 0;
    return NULL;
}

const struct command cmd_status = {
    .name = "status",
    .arguments = "[--json]",
    .summary = "print how far the instance got: initialized, built, running",
    .help = "",
    .failure = STATUS_FAILED,
    .run = status_main,
};
