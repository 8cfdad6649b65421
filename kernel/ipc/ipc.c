/* SPDX-License-Identifier: BSD-3-Clause */
/* What ipc fills in below itself. */
#include "ipc/ipc.h"

void ipc_register(void)
{
    pipe_register();
    epoll_register();
}
