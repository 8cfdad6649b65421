/* SPDX-License-Identifier: BSD-3-Clause */
/* Removing trees, never through links. 0, or -1 and errno. */
#pragma once

int remove_at(int dir, const char *name);
/* All that is in the open directory. */
int remove_contents(int dir);
