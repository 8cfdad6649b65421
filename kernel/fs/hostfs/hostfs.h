/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of hostfs: how to register it. */
#pragma once

void hostfs_register(void);
