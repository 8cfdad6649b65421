/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of devfs: how to register it. */
#pragma once

void devfs_register(void);
