/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 of whole files. */
#pragma once

#include "cli/err.h"

/* In 64 upper-case hexadecimal digits. */
MUST_CHECK struct err *file_hash(const char *path, char text[65]);
