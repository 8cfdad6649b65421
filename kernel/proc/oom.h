/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of processes when memory runs out. */
#pragma once

void oom_init(void);
