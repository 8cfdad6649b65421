/* SPDX-License-Identifier: BSD-3-Clause */
/* What others want of the network besides sockets. */
#pragma once

#include "lib/types.h"

/* Before the enclave ends: waits until what closed sockets had to send is with the host. */
void net_drain(uint64_t deadline_ns);
