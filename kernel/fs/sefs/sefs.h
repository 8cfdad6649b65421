/* SPDX-License-Identifier: BSD-3-Clause */
/* sefs, writable: an encrypted store in one file of the host. */
#pragma once

void sefs_register(void);
