/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MRENCLAVE of a page plan, see measure.h.
 */
#include "image/measure.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

/* One page's records into `out`; returns their length. */
static size_t page_records(const struct plan_run *run, uint64_t page, uint8_t *out)
{
    static const uint8_t zeros[SGX_PAGE];
    const uint8_t *data = run->data ? run->data + page * SGX_PAGE : zeros;
    struct stream_eadd add = {.tag = STREAM_EADD, .offset = run->offset + page * SGX_PAGE};
    struct stream_eextend extend = {.tag = STREAM_EEXTEND};
    size_t used = sizeof(add);

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
    return !EVP_DigestUpdate(context, bytes, size);
}

struct err *plan_measure(const struct page_plan *plan, uint8_t mrenclave[32])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int failed = !hash || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL) ||
                 plan_stream(plan, hash_sink, hash) ||
                 !EVP_DigestFinal_ex(hash, mrenclave, NULL);

    EVP_MD_CTX_free(hash);
    return failed ? err_new("measuring the enclave: SHA-256 is not available") : NULL;
}

void image_sha256(const void *data, size_t size, uint8_t digest[32])
{
    SHA256(data, size, digest);
}
