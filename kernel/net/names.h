/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's names: /etc/resolv.conf, /etc/hosts and /etc/hostname. An image that has them
 * keeps its own, and so does a program that has put others there; else the host's are taken at
 * each boot, if they are nothing but what these files are.
 */
#pragma once

#include "lib/types.h"

enum names_kind { NAMES_RESOLV, NAMES_HOSTS, NAMES_HOSTNAME };
#define NAMES_MAX 16384u /* bytes of such a file */

/* Pure: is every line of that kind's form? */
bool names_valid(enum names_kind kind, const char *text, size_t size);
/* At boot, in a kernel task, with the root mounted. Nothing that fails here stops the boot. */
void names_import(void);
