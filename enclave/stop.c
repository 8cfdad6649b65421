/* SPDX-License-Identifier: BSD-3-Clause */
/* Log text and the kernel's stop. Works from the first instruction that has a shared page on.
 */
#include "enclave/stop.h"

#include "enclave/hostcall.h"
#include "enclave/vcpu.h"
#include "lib/string.h"

void log_write(const char *text, size_t size)
{
    struct vcpu *v = this_vcpu();

    if (!v->shared || !host_sync_area())
        return;
    haddr_t buffer = host_sync_area() + HOST_SYNC_DATA;
    size = MIN(size, (size_t)4096);
    host_copy_out(buffer, text, size);
    (void)hostcall2(HOSTCALL_LOG, buffer, size);
}

NORETURN void kernel_stop(uint32_t wait_status)
{
    for (;;) {
        if (this_vcpu()->shared)
            (void)hostcall1(HOSTCALL_EXIT, wait_status);
        __asm__ volatile("pause");
    }
}
