/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MRENCLAVE of a page plan, see measure.h. SHA-256 by the low-level interface: the other one
 * looks for providers and reads a configuration first, which takes longer than all the rest.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "image/measure.h"

#include <openssl/sha.h>
#include <string.h>

/* One page's records into `out`; returns their length. */
static size_t page_records(const struct plan_run *run, uint64_t page, uint8_t *out)
{
    uint8_t data[SGX_PAGE] = {0};
    struct stream_eadd add = {.tag = STREAM_EADD, .offset = run->offset + page * SGX_PAGE};
    struct stream_eextend extend = {.tag = STREAM_EEXTEND};
    size_t used = sizeof(add);

    if (run->data)
        plan_page(run, page, data);
    add.secinfo[0] = run->secinfo;
    memcpy(out, &add, sizeof(add));
    for (unsigned at = 0; run->measured && at < SGX_PAGE; at += STREAM_CHUNK) {
        extend.offset = add.offset + at;
        memcpy(out + used, &extend, sizeof(extend));
        memcpy(out + used + sizeof(extend), data + at, STREAM_CHUNK);
        used += sizeof(extend) + STREAM_CHUNK;
    }
    return used;
}

int plan_stream(const struct page_plan *plan,
                int (*sink)(void *context, const void *bytes, size_t size), void *context)
{
    struct stream_ecreate create = {
        .tag = STREAM_ECREATE, .ssa_frame_size = plan->ssa_frame_size, .size = plan->size};
    int stop = sink(context, &create, sizeof(create));

    for (size_t i = 0; !stop && i < plan->count; i++) {
        for (uint64_t page = 0; !stop && page < plan->runs[i].pages; page++) {
            uint8_t records[STREAM_PAGE_MAX];
            size_t used = page_records(&plan->runs[i], page, records);

            stop = sink(context, records, used);
        }
    }
    return stop;
}

static int hash_sink(void *context, const void *bytes, size_t size)
{
    return !SHA256_Update(context, bytes, size);
}

struct err *plan_measure(const struct page_plan *plan, uint8_t mrenclave[32])
{
    SHA256_CTX hash;
    int failed = !SHA256_Init(&hash) || plan_stream(plan, hash_sink, &hash) ||
                 !SHA256_Final(mrenclave, &hash);

    return failed ? err_new("measuring the enclave: SHA-256 is not available") : NULL;
}

void image_sha256(const void *data, size_t size, uint8_t digest[32])
{
    SHA256_CTX hash;

    SHA256_Init(&hash);
    SHA256_Update(&hash, data, size);
    SHA256_Final(digest, &hash);
}
