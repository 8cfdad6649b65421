/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measured stream of a page plan: the 64-byte records of ECREATE, EADD and EEXTEND (SDM 3D,
 * 38.1) with the data that EEXTEND takes in. Its SHA-256 is MRENCLAVE; as a file it is SGXS.
 */
#pragma once

#include "image/file.h"
#include "image/image.h"

#define STREAM_ECREATE 0x0045544145524345ull /* "ECREATE" */
#define STREAM_EADD    0x0000000044444145ull /* "EADD" */
#define STREAM_EEXTEND 0x00444e4554584545ull /* "EEXTEND" */

#define STREAM_CHUNK    PLAN_CHUNK
#define STREAM_PAGE_MAX PLAN_STREAM_PAGE

struct stream_ecreate {
    uint64_t tag;
    uint32_t ssa_frame_size;
    uint64_t size;
    uint8_t reserved[44];
} __attribute__((packed));

struct stream_eadd {
    uint64_t tag;
    uint64_t offset;
    uint64_t secinfo[6];
};

struct stream_eextend {
    uint64_t tag;
    uint64_t offset;
    uint8_t reserved[48];
};
_Static_assert(sizeof(struct stream_ecreate) == 64, "ECREATE record");
_Static_assert(sizeof(struct stream_eadd) == 64, "EADD record");
_Static_assert(sizeof(struct stream_eextend) == 64, "EEXTEND record");

/* Calls `sink` with the stream, piece by piece; stops at the first nonzero answer and returns
 * it. */
int plan_stream(const struct page_plan *plan,
                int (*sink)(void *context, const void *bytes, size_t size), void *context);

/* plan.c: zeroed, page-aligned memory for the contents of a plan; NULL: no memory. */
uint8_t *plan_pages(size_t count);
/* plan.c: makes a plan the owner of the stream that its runs point into. On failure it is not.
 */
MUST_CHECK struct err *plan_adopt(struct page_plan *plan, const struct file_map *stream);
