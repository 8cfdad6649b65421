/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page plan: every page that EADD puts into the enclave, in order, as `image/` makes it and
 * `host/` loads it. MRENCLAVE is a function of it alone; the base address is not part of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "boundary/sgx.h"

struct plan_run {
    uint64_t offset; /* from the enclave's base, page aligned */
    uint64_t pages;
    uint64_t secinfo;    /* SECINFO.FLAGS: permissions and page type */
    int measured;        /* EEXTEND every 256 bytes of every page */
    const uint8_t *data; /* pages * 4096 bytes, or NULL for zeros */
    int stream;          /* `data` is the pages' part of a measured stream: see plan_page() */
};

/* A measured page in a stream: an EADD record, then chunks with an EEXTEND record each. */
#define PLAN_RECORD      64u
#define PLAN_CHUNK       256u
#define PLAN_PAGE        4096u
#define PLAN_STREAM_PAGE (PLAN_RECORD + PLAN_PAGE / PLAN_CHUNK * (PLAN_RECORD + PLAN_CHUNK))

/* The contents of a page of a run that has any. */
static inline void plan_page(const struct plan_run *run, uint64_t page, uint8_t *to)
{
    const uint8_t *at = run->data + page * (run->stream ? PLAN_STREAM_PAGE : PLAN_PAGE);

    if (!run->stream) {
        memcpy(to, at, PLAN_PAGE);
        return;
    }
    at += 2 * PLAN_RECORD;
    for (uint32_t done = 0; done < PLAN_PAGE; done += PLAN_CHUNK) {
        memcpy(to + done, at, PLAN_CHUNK);
        at += PLAN_RECORD + PLAN_CHUNK;
    }
}

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
