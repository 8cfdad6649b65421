/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of an instance: is it one, is it built, and its status file.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "image/file.h"

struct err *instance_check(void)
{
    if (!access(INSTANCE_CONFIG, F_OK))
        return NULL;
    if (errno != ENOENT)
        return err_sys(errno, INSTANCE_CONFIG);
    return err_hint(err_new("no instance here: %s is missing", INSTANCE_CONFIG),
                    "make one with: occlum new PATH, then go there");
}

struct err *instance_check_built(void)
{
    struct err *err = instance_check();

    if (err)
        return err;
    if (!access(INSTANCE_BUILD "/" BUILD_SGXS, F_OK))
        return NULL;
    return err_hint(err_new("the instance is not built"), "build it with: occlum build");
}

struct err *instance_set_status(const char *status)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%s\n", status);
    struct err *err = file_put(INSTANCE_STATUS ".new", text, (size_t)n);

    if (err)
        return err;
    if (rename(INSTANCE_STATUS ".new", INSTANCE_STATUS))
        return err_sys(errno, INSTANCE_STATUS);
    return NULL;
}
