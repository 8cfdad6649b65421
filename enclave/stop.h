/* SPDX-License-Identifier: BSD-3-Clause */
/* The last words. */
#pragma once

#include "lib/types.h"

/* Stops the whole enclave; `wait_status` as in wait(2), or STOP_PANIC. */
NORETURN void kernel_stop(uint32_t wait_status);
#define STOP_PANIC 0x80000000u

/* Raw text to the host's standard error. */
void log_write(const char *text, size_t size);
