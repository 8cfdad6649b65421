/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the page through which the host asks, and as what its requests point to: nothing
 * outside the host's memory is read, whatever counts, addresses and sizes it gives.
 * LINK: enclave/control.c kernel/service/parse.c tests/unit/net_fake.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "enclave/control.h"
#include "enclave/hostcall.h"
#include "lib/alloc.h"
#include "service/service.h"
#include "tests/unit/net_fake.h"

#define PAYLOAD 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void panic(const char *format, ...)
{
    abort();
}

static void start(const struct control_request *r)
{
    struct service_exec e;
    char *bytes;
    if (control_payload(r, &bytes) < 0)
        return;
    if (service_parse_exec(bytes, r->size, &e) == 0)
        service_parse_free(&e);
    kfree(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *area;
    static struct control_page *page;
    static uint64_t taken; /* as the enclave counts, whatever the page says */
    long blocks = fake_blocks;
    struct control_request r;
    if (!area) { /* the page, its requests' payloads, and room for an answer */
        area = aligned_alloc(4096, 4096 + PAYLOAD + HOST_SYNC_BYTES);
        fake_host_start = area;
        fake_host_size = 4096 + PAYLOAD;
        page = (struct control_page *)area;
        memset(area, 0, 4096 + PAYLOAD + HOST_SYNC_BYTES);
        control_init((uint64_t)page);
    }
    memset(area, 0, 4096 + PAYLOAD);
    memcpy(area, data, size < 4096 + PAYLOAD ? size : 4096 + PAYLOAD);
    page->posted = taken + page->posted % 5; /* so many at most are looked at */
    for (unsigned i = 0; i < CONTROL_SLOTS; i++) {
        if (page->slot[i].address < 4096 + PAYLOAD) /* small numbers: offsets */
            page->slot[i].address += (uint64_t)area;
    }
    if (control_take_signals() & ~CONTROL_SIGNALS || page->signals)
        abort();
    for (unsigned n = 0; control_next(&r); n++) {
        if (n >= 5)
            abort();
        start(&r);
        control_done();
        if (page->taken != ++taken)
            abort();
    }
    if (control_pending() || fake_blocks != blocks)
        abort();
    return 0;
}
