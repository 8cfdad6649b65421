/* SPDX-License-Identifier: BSD-3-Clause */
/* The vDSO. LIMIT: there is none yet; libcs then use system calls. */
#include "proc/exec.h"

void vdso_init(void)
{
}

int vdso_map(struct mm *mm, uaddr_t *at)
{
    *at = 0;
    return 0;
}

int vdso_write(struct mm *mm, uaddr_t at)
{
    return 0;
}
