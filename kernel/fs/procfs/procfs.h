/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of procfs: how to register it. */
#pragma once

void procfs_register(void);
