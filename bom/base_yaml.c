/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The base.yaml that boms include: the folders that every root has, and the few files that C
 * libraries look for. A base.yaml beside the bom or in an --include-dir comes before this one.
 */
#include "bom/bom.h"

const char bom_base_yaml[] =
    "targets:\n"
    "  - target: /\n"
    "    mkdirs: [bin, sbin, lib, lib64, etc, dev, proc, sys, tmp, root, host, usr, var, run]\n"
    "  - target: /dev\n"
    "    mkdirs: [shm]\n"
    "  - target: /etc\n"
    "    copy:\n"
    "      - files: [/etc/hosts, /etc/nsswitch.conf, /etc/localtime]\n";
