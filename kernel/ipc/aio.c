/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc/aio.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/wait.h"

struct aio_context {
    struct list node; /* aio_lock, with the owner's list */
    uint64_t id;
    uint32_t capacity;
    _Atomic uint32_t refs;
    struct wait_queue wait;

    /* aio_lock */
    bool ended;
    uint32_t reserved, first, count; /* reserved: with those that are there */
    struct aio_event events[];       /* a ring of `capacity` */
};

#define EVENTS_MAX 65536u /* of all contexts, as /proc/sys/fs/aio-max-nr */

static struct spinlock aio_lock = SPINLOCK_INIT(RANK_EVENT);
static _Atomic uint32_t events_total;

int aio_new(struct list *owner, uint64_t id, uint32_t capacity)
{
    if (capacity > EVENTS_MAX)
        return -EAGAIN;
    bool room = atomic_fetch_add(&events_total, capacity) + capacity <= EVENTS_MAX;
    struct aio_context *c = room ? kzalloc(sizeof(*c) + capacity * sizeof(c->events[0])) : NULL;
    if (!c) {
        atomic_fetch_sub(&events_total, capacity);
        return room ? -ENOMEM : -EAGAIN;
    }
    c->id = id;
    c->capacity = capacity;
    atomic_store(&c->refs, 1);
    wait_queue_init(&c->wait);
    spin_lock(&aio_lock);
    list_append(owner, &c->node);
    spin_unlock(&aio_lock);
    return 0;
}

static struct aio_context *find_locked(struct list *owner, uint64_t id) HELD(aio_lock)
{
    struct aio_context *c;
    list_for_each (c, owner, node) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

struct aio_context *aio_find(struct list *owner, uint64_t id)
{
    spin_lock(&aio_lock);
    struct aio_context *c = find_locked(owner, id);
    if (c)
        atomic_fetch_add(&c->refs, 1);
    spin_unlock(&aio_lock);
    return c;
}

void aio_put(struct aio_context *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    atomic_fetch_sub(&events_total, c->capacity);
    kfree(c);
}

static void end(struct aio_context *c)
{
    wait_wake_all(&c->wait);
    aio_put(c);
}

int aio_end(struct list *owner, uint64_t id)
{
    spin_lock(&aio_lock);
    struct aio_context *c = find_locked(owner, id);
    if (c) {
        list_remove(&c->node);
        c->ended = true;
    }
    spin_unlock(&aio_lock);
    if (!c)
        return -EINVAL;
    end(c);
    return 0;
}

void aio_end_all(struct list *owner)
{
    struct list *n;
    do {
        spin_lock(&aio_lock);
        n = list_pop(owner);
        if (n)
            list_entry(n, struct aio_context, node)->ended = true;
        spin_unlock(&aio_lock);
        if (n)
            end(list_entry(n, struct aio_context, node));
    } while (n);
}

bool aio_reserve(struct aio_context *c)
{
    spin_lock(&aio_lock);
    bool room = c->reserved < c->capacity;
    c->reserved += room;
    spin_unlock(&aio_lock);
    return room;
}

void aio_unreserve(struct aio_context *c)
{
    spin_lock(&aio_lock);
    c->reserved--;
    spin_unlock(&aio_lock);
}

void aio_complete(struct aio_context *c, const struct aio_event *event)
{
    spin_lock(&aio_lock);
    c->events[(c->first + c->count++) % c->capacity] = *event;
    spin_unlock(&aio_lock);
    wait_wake_all(&c->wait);
}

/* True: something to say. */
static bool take(struct aio_context *c, struct aio_event *out, uint32_t max, int *result)
{
    spin_lock(&aio_lock);
    uint32_t n = MIN(max, c->count);
    for (uint32_t i = 0; i < n; i++)
        out[i] = c->events[(c->first + i) % c->capacity];
    c->first = (c->first + n) % c->capacity;
    c->count -= n;
    c->reserved -= n;
    *result = n || !c->ended ? (int)n : -EINVAL;
    spin_unlock(&aio_lock);
    return *result;
}

int aio_take(struct aio_context *c, struct aio_event *out, uint32_t max, uint64_t deadline_ns)
{
    int result = 0;
    int r = wait_event(&c->wait, take(c, out, max, &result), deadline_ns);
    return r == -ERESTARTSYS ? -EINTR : result;
}
