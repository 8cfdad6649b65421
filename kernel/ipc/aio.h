/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contexts of io_setup(2): events that are over and wait to be fetched. A process has a list of
 * them, protected here.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct aio_context;

struct aio_event {
    uint64_t data, object;
    int64_t result, result2;
};

/* `id` is what the program calls it; capacity: events. -EAGAIN: too many of all processes. */
int aio_new(struct list *owner, uint64_t id, uint32_t capacity) MUST_CHECK;
/* With a reference, or NULL. */
struct aio_context *aio_find(struct list *owner, uint64_t id) MUST_CHECK;
void aio_put(struct aio_context *c);
/* No more found; who waits is told. -EINVAL: there is none. */
int aio_end(struct list *owner, uint64_t id) MUST_CHECK;
void aio_end_all(struct list *owner);

/* Room for one event; false: full. Used by aio_complete, or given back. */
bool aio_reserve(struct aio_context *c) MUST_CHECK;
void aio_unreserve(struct aio_context *c);
void aio_complete(struct aio_context *c, const struct aio_event *event);
/* Waits until there are some: how many, up to max. 0: the time is over; -EINVAL: ended;
 * -EINTR. */
int aio_take(struct aio_context *c, struct aio_event *out, uint32_t max,
             uint64_t deadline_ns) MUST_CHECK;
