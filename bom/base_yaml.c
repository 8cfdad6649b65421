/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The base.yaml that boms include: the folders that every root has, and of the files that C
 * libraries look for those that this machine has. A base.yaml beside the bom or in an
 * --include-dir comes before this one.
 */
#include "bom/bom.h"

#include <unistd.h>

const char *bom_base_yaml(struct pool *pool)
{
    static const char *const files[] = {"/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime"};
    char *text = pool_printf(pool, "%s",
        "targets:\n"
        "  - target: /\n"
        "    mkdirs: [bin, sbin, lib, lib64, etc, dev, proc, sys, tmp, root, host, usr, var,\n"
        "             run]\n"
        "  - target: /dev\n"
        "    mkdirs: [shm]\n"
        "  - target: /etc\n"
        "    copy:\n");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (!access(files[i], R_OK))
            text = pool_printf(pool, "%s      - files: [%s]\n", text, files[i]);
    return text;
}
