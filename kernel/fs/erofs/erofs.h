/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the kernel knows of erofs: how to register it. */
#pragma once

void erofs_register(void);
