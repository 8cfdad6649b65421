/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dynamic enclave memory (EDMM): pages come by EAUG and EACCEPT, change their permissions by
 * EMODPE and EMODPR, and go by trimming. The host does its half on request; EACCEPT, run by the
 * CPU inside, tells whether it did. A host that does not is stopped at; it cannot change
 * contents. Callers keep track of what is present. Addresses are linear, page aligned, inside
 * the enclave.
 */
#pragma once

#include "lib/types.h"

#define PAGES_R 1u
#define PAGES_W 2u
#define PAGES_X 4u

/* New pages, zero, readable and writable. -ENOMEM when the host has none. */
int enclave_pages_add(uint64_t address, uint64_t count) MUST_CHECK;
/* Changes permissions of present pages that all have `from`; panics if the host refuses. */
void enclave_pages_protect(uint64_t address, uint64_t count, uint32_t from, uint32_t to);
/* Gives pages back; their contents are lost. */
void enclave_pages_drop(uint64_t address, uint64_t count);

/* ENCLU by leaf; for reports and keys. Operands as in the manual; returns RAX. */
uint64_t enclu(uint32_t leaf, const volatile void *rbx, volatile void *rcx, volatile void *rdx);
