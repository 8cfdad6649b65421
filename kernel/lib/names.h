/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of errors and signals, for traces and messages. */
#pragma once

/* "ENOENT" for 2; NULL: it has none. */
const char *errno_name(int error);
/* "SIGHUP" for 1; NULL: it has none. */
const char *signal_name(int sig);
