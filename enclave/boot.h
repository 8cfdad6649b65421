/* SPDX-License-Identifier: BSD-3-Clause */
/* What the enclave knows about itself and what the host told it, copied and checked at boot. */
#pragma once

#include "boundary/boot.h"
#include "boundary/config.h"
#include "boundary/sgx.h"
#include "lib/types.h"

struct enclave {
    uint64_t base, size;
    uint64_t user_start, user_end;   /* where programs may live */
    uint64_t heap_start, heap_end;   /* the kernel's heap */
    uint64_t stack_start, stack_end; /* kernel stacks, each with a guard below */
    const struct enclave_config *config;
    struct sgx_attributes attributes;
    uint8_t mrenclave[32], mrsigner[32];
    uint8_t cpusvn[16];
    uint16_t isv_svn;
};
extern struct enclave enclave;

/* Copies and checks everything; panics on a lie that cannot be worked with. Needs the heap. */
void boot_copy(haddr_t info);
/* Before the heap: finds the range, the configuration and the shared pages. */
void boot_early(haddr_t info);

/* True if [address, address+size) lies wholly outside the enclave. */
bool host_range_ok(haddr_t address, uint64_t size);

extern const struct boot_info *boot_info; /* the enclave's copy */

/* Strings of the host, in enclave memory: argv, envp (NULL-terminated), program, cwd, hostname.
 */
struct boot_args {
    char **argv, **envp;
    char *program, *cwd, *hostname;
};
extern struct boot_args boot_args;
/* The host's environment, NULL if it is not there. */
const char *boot_variable(const char *name);
