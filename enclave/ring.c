/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring client; see ring.h for what it trusts (nothing). */
#include "enclave/ring.h"

#include <stdatomic.h>

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "enclave/hostcall.h"
#include "enclave/vcpu.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/string.h"

#define LIES_MAX   1000u
#define SLOTS_MAX  (1u << 18)
#define NO_SLOT    UINT32_MAX
#define OVERDUE_NS 250000u

struct slot {
    struct ring_request *request; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct ring {
    struct ring_map map; /* our checked copy */
    uint32_t sq_tail, cq_head;
    uint32_t in_flight, waited_for, lies; /* waited_for: by tasks, of those in flight */
    bool urgent;                          /* a task waits for what is not submitted */
    uint64_t since_tsc;                   /* the first entry that is not submitted */
    uint64_t asked_tsc;                   /* when completions were looked for */
    uint64_t late_tsc;                    /* since when there is something in `late` */
    struct list late;                     /* struct ring_async, still growing */
    struct list backlog;                  /* the same, for when there is room */
    uint32_t slot_count, free_slot;
    struct slot *slot;
};

static void check_area(haddr_t at, uint64_t size, unsigned alignment)
{
    if (at % alignment || !host_range_ok(at, size))
        panic("the host's ring lies in the wrong place");
}

/* Every submission uses the entry of its own index. */
static void fill_array(const struct ring_map *m)
{
    for (uint64_t i = 0; i < m->sq_entries; i += 2) {
        uint64_t pair = i | (i + 1) << 32;
        host_copy_out(m->sq_array + 4 * i, &pair, sizeof(pair));
    }
}

void ring_init(struct vcpu *v)
{
    struct ring *r = kzalloc(sizeof(*r));
    struct ring_map *m;

    if (!r)
        panic("no memory for a ring");
    m = &r->map;
    host_copy_in(m, v->shared + offsetof(struct vcpu_shared, ring), sizeof(*m));
    if (m->sq_entries < 2 || m->sq_entries > 4096 || (m->sq_entries & (m->sq_entries - 1)) ||
        m->cq_entries < m->sq_entries || m->cq_entries > 65536 ||
        (m->cq_entries & (m->cq_entries - 1)))
        panic("the host's ring has an impossible size");
    const haddr_t words[] = {m->sq_head, m->sq_tail, m->cq_head, m->cq_tail, m->sq_flags};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        check_area(words[i], 4, 4);
    check_area(m->sq_array, 4ull * m->sq_entries, 8);
    check_area(m->sqes, sizeof(struct ring_sqe) * (uint64_t)m->sq_entries, 8);
    check_area(m->cqes, sizeof(struct ring_cqe) * (uint64_t)m->cq_entries, 8);
    fill_array(m);
    r->sq_tail = host_load32(m->sq_tail);
    r->cq_head = host_load32(m->cq_head);
    r->free_slot = NO_SLOT;
    list_init(&r->backlog);
    list_init(&r->late);
    v->ring = r;
}

static bool slots_grow(struct ring *r)
{
    uint32_t count = r->slot_count ? r->slot_count * 2 : RING_ENTRIES;
    struct slot *slot = count > SLOTS_MAX ? NULL : kzalloc(count * sizeof(*slot));

    if (!slot)
        return false;
    if (r->slot_count)
        memcpy(slot, r->slot, r->slot_count * sizeof(*slot));
    for (uint32_t i = r->slot_count; i < count; i++) {
        slot[i].next_free = r->free_slot;
        r->free_slot = i;
    }
    kfree(r->slot);
    r->slot = slot;
    r->slot_count = count;
    return true;
}

static struct slot *slot_get(struct ring *r, uint32_t *index)
{
    if (r->free_slot == NO_SLOT && !slots_grow(r))
        return NULL;
    *index = r->free_slot;
    struct slot *s = &r->slot[*index];
    r->free_slot = s->next_free;
    return s;
}

static void slot_put(struct ring *r, uint32_t index)
{
    r->slot[index].request = NULL;
    r->slot[index].next_free = r->free_slot;
    r->free_slot = index;
}

/* Has the host entries to take still? Its word decides about delays alone. */
static bool pending(const struct ring *r)
{
    return host_load32(r->map.sq_head) != r->sq_tail;
}

/* Does the host hold completions back? The same. */
static bool held_back(const struct ring *r)
{
    return r->in_flight && host_load32(r->map.sq_flags) & RING_SQ_TASKRUN;
}

static bool overdue(uint64_t since_tsc)
{
    return clock_tsc_to_ns(rdtsc() - since_tsc) > OVERDUE_NS;
}

static int submit(struct ring *r, struct ring_sqe *sqe, struct ring_request *request)
{
    uint32_t index, at = r->sq_tail & (r->map.sq_entries - 1);

    if (r->sq_tail - host_load32(r->map.sq_head) >= r->map.sq_entries)
        return -EAGAIN;
    struct slot *s = slot_get(r, &index);
    if (!s)
        return -EAGAIN;
    s->request = request;
    s->generation++;
    request->user_data = (uint64_t)s->generation << 32 | index;
    request->vcpu = this_vcpu()->index;
    sqe->user_data = request->user_data;
    host_copy_out(r->map.sqes + at * sizeof(*sqe), sqe, sizeof(*sqe));
    if (!pending(r))
        r->since_tsc = rdtsc();
    r->sq_tail++;
    r->in_flight++;
    host_store32(r->map.sq_tail, r->sq_tail);
    return 0;
}

int ring_submit(struct ring_sqe *sqe, struct ring_request *request)
{
    struct ring *r = this_vcpu()->ring;
    int e = submit(r, sqe, request);

    request->waited_for = true;
    if (e == 0) {
        r->urgent = true;
        r->waited_for++;
    }
    return e;
}

static void unload_backlog(struct ring *r)
{
    while (!list_empty(&r->backlog)) {
        struct ring_async *a = list_entry(r->backlog.next, struct ring_async, node);
        list_remove(&a->node);
        if (submit(r, &a->sqe, &a->request) == 0)
            continue;
        list_push(&r->backlog, &a->node);
        return;
    }
}

void ring_queue(struct ring_async *a)
{
    struct ring *r = this_vcpu()->ring;

    a->request.vcpu = this_vcpu()->index;
    list_append(&r->backlog, &a->node);
    unload_backlog(r);
}

void ring_queue_late(struct ring_async *a)
{
    struct ring *r = this_vcpu()->ring;

    a->request.vcpu = this_vcpu()->index;
    if (list_empty(&r->late))
        r->late_tsc = rdtsc();
    list_append(&r->late, &a->node);
}

/* An exit is near: all goes. */
static void unload(struct ring *r)
{
    struct list *n;

    while ((n = list_pop(&r->late)) != NULL) {
        struct ring_async *a = list_entry(n, struct ring_async, node);
        if (a->seal(a))
            list_append(&r->backlog, &a->node);
    }
    unload_backlog(r);
}

static void lie(struct ring *r, uint64_t user_data)
{
    log_debug("ring: a completion for nothing in flight (%lx) was dropped", user_data);
    if (++r->lies > LIES_MAX)
        panic("the host keeps inventing completions");
}

static void complete(struct ring *r, const struct ring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data;

    if (index >= r->slot_count || !r->slot[index].request ||
        r->slot[index].generation != (uint32_t)(cqe->user_data >> 32)) {
        lie(r, cqe->user_data);
        return;
    }
    struct ring_request *request = r->slot[index].request;
    slot_put(r, index);
    r->in_flight--;
    r->waited_for -= request->waited_for;
    if (cqe->res < -MAX_ERRNO || cqe->res > request->max_result)
        request->result = -EIO;
    else
        request->result = cqe->res;
    request->complete(request);
}

unsigned ring_reap(void)
{
    struct ring *r = this_vcpu()->ring;
    uint32_t tail = host_load32(r->map.cq_tail);
    unsigned count = 0;

    r->asked_tsc = rdtsc();
    if (tail - r->cq_head > r->map.cq_entries) {
        lie(r, 0);
        return 0;
    }
    while (r->cq_head != tail) {
        struct ring_cqe cqe;
        uint32_t at = r->cq_head & (r->map.cq_entries - 1);
        host_copy_in(&cqe, r->map.cqes + at * sizeof(cqe), sizeof(cqe));
        r->cq_head++;
        complete(r, &cqe);
        count++;
    }
    if (count)
        host_store32(r->map.cq_head, r->cq_head);
    return count;
}

bool ring_unsubmitted(void)
{
    struct ring *r = this_vcpu()->ring;

    unload(r);
    return pending(r) || held_back(r);
}

static bool urgent(struct ring *r)
{
    r->urgent = r->urgent && pending(r);
    if (r->urgent || (pending(r) && overdue(r->since_tsc)))
        return true;
    if (!list_empty(&r->late) && overdue(r->late_tsc))
        return true;
    return held_back(r) && (r->waited_for || overdue(r->asked_tsc));
}

bool ring_urgent(void)
{
    struct ring *r = this_vcpu()->ring;

    unload_backlog(r);
    bool go = urgent(r);
    if (go)
        unload(r);
    return go;
}

bool ring_backlogged(void)
{
    struct ring *r = this_vcpu()->ring;
    return !list_empty(&r->backlog);
}

bool ring_has_completions(void)
{
    struct ring *r = this_vcpu()->ring;
    return host_load32(r->map.cq_tail) != r->cq_head;
}

uint32_t ring_ready(void)
{
    struct ring *r = this_vcpu()->ring;
    return MIN(host_load32(r->map.cq_tail) - r->cq_head, r->map.cq_entries);
}

unsigned ring_in_flight(void)
{
    struct ring *r = this_vcpu()->ring;
    return r->in_flight + !list_empty(&r->late);
}

unsigned ring_waited_for(void)
{
    struct ring *r = this_vcpu()->ring;
    return r->waited_for;
}
