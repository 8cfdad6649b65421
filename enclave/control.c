/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking what the host posts. Each word is read once; the number taken is kept here, and the
 * host's only compared. The worst a lying host gets is requests that it could have made anyway.
 */
#include "enclave/control.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/hostcall.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/string.h"

void (*control_hook)(void);
static haddr_t page;
static uint64_t taken;

static uint64_t *word(size_t offset)
{
    return (uint64_t *)(page + offset);
}

void control_init(haddr_t address)
{
    if (!address)
        return;
    if (address % 4096 || !host_range_ok(address, align_up(sizeof(struct control_page), 4096)))
        panic("the control page from the host is out of range");
    page = address;
}

static uint64_t posted(void)
{
    return __atomic_load_n(word(offsetof(struct control_page, posted)), __ATOMIC_ACQUIRE);
}

bool control_pending(void)
{
    if (!page)
        return false;
    return __atomic_load_n(word(offsetof(struct control_page, signals)), __ATOMIC_RELAXED) ||
           posted() != __atomic_load_n(&taken, __ATOMIC_RELAXED);
}

uint64_t control_take_signals(void)
{
    uint64_t *at = word(offsetof(struct control_page, signals));
    return page ? __atomic_exchange_n(at, 0, __ATOMIC_ACQ_REL) & CONTROL_SIGNALS : 0;
}

bool control_next(struct control_request *out)
{
    if (!page || posted() == taken)
        return false;
    size_t slot = taken % CONTROL_SLOTS;
    host_copy_in(out, page + offsetof(struct control_page, slot) + slot * sizeof(*out),
                 sizeof(*out));
    return true;
}

void control_done(void)
{
    __atomic_store_n(&taken, taken + 1, __ATOMIC_RELAXED);
    __atomic_store_n(word(offsetof(struct control_page, taken)), taken, __ATOMIC_RELEASE);
}

int control_payload(const struct control_request *r, char **out)
{
    if (r->size > CONTROL_EXEC_MAX)
        return -E2BIG;
    if (r->address % 8 || !host_range_ok(r->address, align_up(r->size, 8)))
        return -EINVAL;
    char *copy = kzalloc(r->size + 8);
    if (!copy)
        return -ENOMEM;
    host_copy_in(copy, r->address, r->size);
    *out = copy;
    return 0;
}

void control_reply(uint32_t id, enum control_reply what, int64_t value, const char *text,
                   size_t size)
{
    haddr_t buffer = host_sync_area() + HOST_SYNC_DATA;
    size = MIN(size, (size_t)CONTROL_REPLY_MAX);
    if (size)
        host_copy_out(buffer, text, size);
    (void)hostcall(HOSTCALL_REPLY, id, what, (uint64_t)value, buffer, size, 0);
}
