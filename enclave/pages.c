/* SPDX-License-Identifier: BSD-3-Clause */
/* Dynamic enclave memory; SDM volume 3D, 36.5.7 to 36.5.9 and the EACCEPT and EMODPE leaves. */
#include "enclave/pages.h"

#include "abi/errno.h"
#include "boundary/sgx.h"
#include "enclave/boot.h"
#include "enclave/hostcall.h"
#include "lib/log.h"

static uint64_t accept_all(uint64_t address, uint64_t count, uint64_t flags)
{
    struct sgx_secinfo info = {.flags = flags};

    for (uint64_t i = 0; i < count; i++) {
        uint64_t error = enclu(ENCLU_EACCEPT, &info, (void *)(address + i * PAGE_SIZE), NULL);
        if (error)
            return error;
    }
    return 0;
}

int enclave_pages_add(uint64_t address, uint64_t count)
{
    int64_t r = hostcall2(HOSTCALL_AUG, address - enclave.base, count);

    if (r < 0)
        return -ENOMEM;
    uint64_t flags = SECINFO_R | SECINFO_W | SECINFO_PENDING | SECINFO_TYPE(PT_REG);
    uint64_t error = accept_all(address, count, flags);
    if (error)
        panic("EACCEPT of new pages at 0x%lx failed with %lu", address, error);
    return 0;
}

void enclave_pages_protect(uint64_t address, uint64_t count, uint32_t from, uint32_t to)
{
    uint64_t offset = address - enclave.base;

    if (to & ~from) {
        struct sgx_secinfo info = {.flags = (from | to) | SECINFO_TYPE(PT_REG)};
        for (uint64_t i = 0; i < count; i++)
            enclu(ENCLU_EMODPE, &info, (void *)(address + i * PAGE_SIZE), NULL);
    }
    if (!(from & ~to)) {
        if (hostcall3(HOSTCALL_EXTEND, offset, count, to) < 0)
            panic("the host did not extend permissions at 0x%lx", address);
        return;
    }
    if (hostcall3(HOSTCALL_RESTRICT, offset, count, to) < 0)
        panic("the host did not restrict permissions at 0x%lx", address);
    uint64_t error = accept_all(address, count, to | SECINFO_PR | SECINFO_TYPE(PT_REG));
    if (error)
        panic("EACCEPT of restricted pages at 0x%lx failed with %lu", address, error);
}

void enclave_pages_drop(uint64_t address, uint64_t count)
{
    uint64_t offset = address - enclave.base;

    if (hostcall2(HOSTCALL_TRIM, offset, count) < 0)
        panic("the host did not trim pages at 0x%lx", address);
    uint64_t error = accept_all(address, count, SECINFO_MODIFIED | SECINFO_TYPE(PT_TRIM));
    if (error)
        panic("EACCEPT of trimmed pages at 0x%lx failed with %lu", address, error);
    (void)hostcall2(HOSTCALL_REMOVE, offset, count);
}
