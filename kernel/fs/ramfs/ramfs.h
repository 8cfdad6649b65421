/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of ramfs: how to register it. */
#pragma once

void ramfs_register(void);
