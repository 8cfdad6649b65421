/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page plan: every page that EADD puts into the enclave, in order, as `image/` makes it and
 * `host/` loads it. MRENCLAVE is a function of it alone; the base address is not part of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "boundary/sgx.h"

struct plan_run {
    uint64_t offset; /* from the enclave's base, page aligned */
    uint64_t pages;
    uint64_t secinfo;    /* SECINFO.FLAGS: permissions and page type */
    int measured;        /* EEXTEND every 256 bytes of every page */
    const uint8_t *data; /* pages * 4096 bytes, or NULL for zeros */
};

struct page_plan {
    uint64_t size;           /* ELRANGE, power of two */
    uint32_t ssa_frame_size; /* pages */
    uint32_t miscselect;
    struct plan_run *runs; /* ascending offsets */
    size_t count;
    uint64_t tcs_offset[64];
    uint32_t tcs_count;
    /* Offsets from the enclave's base of the ENCLU instructions in the kernel text (its .enclu
     * section), each followed by a three-byte NOP, so that an emulator may put a six-byte call
     * in its place. */
    uint64_t *enclu_sites;
    size_t enclu_count;
    void *owner; /* what plan_free() releases */
};
