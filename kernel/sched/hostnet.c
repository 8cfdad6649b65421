/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring's client for sockets, and the pieces of host memory that data passes through. */
#include "sched/hostnet.h"

#include "abi/errno.h"
#include "abi/socket.h"
#include "enclave/hostcall.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/string.h"
#include "sched/gather.h"
#include "sched/lock.h"
#include "sched/task.h"

#define FD_MAX     (1 << 20)
#define RESERVE    8u   /* chunks that stay for files */
#define NAME_AT    128u /* in a message's head */
#define CONTROL_AT 256u
#define SIZE_AT    BOUNCE_NAME

/* ---- buffers ---- */

/* Chunks of the pool, cut into pieces of one size; a chunk whose pieces are all back goes. */
struct cut {
    struct list node; /* in `with_room`, while pieces are free */
    haddr_t chunk;
    uint32_t size, count;
    uint64_t free; /* bit set: that piece is free */
};

static struct spinlock cuts_lock = SPINLOCK_INIT(RANK_RING);
static struct list with_room[3] = {LIST_INIT(with_room[0]), LIST_INIT(with_room[1]),
                                   LIST_INIT(with_room[2])};
static struct cut *cuts[POOL_CHUNKS_MAX]; /* by the chunk's number */
static _Atomic uint32_t taken;            /* chunks */

static struct list *room_for(uint32_t size)
{
    return &with_room[(size >= BOUNCE_LARGE) + (size == BOUNCE_BULK)];
}

static uint64_t all_free(uint32_t count)
{
    return count == 64 ? UINT64_MAX : (1ull << count) - 1;
}

static struct cut *cut_new(uint32_t size)
{
    struct cut *c = kzalloc(sizeof(*c));
    bool may = atomic_fetch_add(&taken, 1) + RESERVE < pool_count();
    haddr_t chunk = c && may ? pool_get() : 0;

    if (!chunk) {
        atomic_fetch_sub(&taken, 1);
        kfree(c);
        return NULL;
    }
    c->chunk = chunk;
    c->size = size;
    c->count = POOL_CHUNK_BYTES / size;
    c->free = all_free(c->count);
    list_init(&c->node);
    return c;
}

bool bounce_get(struct bounce *b, uint32_t size)
{
    struct list *room = room_for(size);

    spin_lock(&cuts_lock);
    if (list_empty(room)) {
        spin_unlock(&cuts_lock);
        struct cut *made = cut_new(size);
        if (!made)
            return false;
        spin_lock(&cuts_lock);
        cuts[pool_index(made->chunk)] = made;
        list_push(room, &made->node);
    }
    struct cut *c = list_entry(room->next, struct cut, node);
    unsigned piece = (unsigned)__builtin_ctzll(c->free);
    c->free &= c->free - 1;
    if (!c->free)
        list_remove(&c->node);
    spin_unlock(&cuts_lock);
    *b = (struct bounce){.at = c->chunk + (uint64_t)piece * size, .size = size};
    return true;
}

void bounce_put(struct bounce *b)
{
    if (!b->at)
        return;
    spin_lock(&cuts_lock);
    uint32_t index = pool_index(b->at);
    struct cut *c = cuts[index];
    if (!c->free)
        list_push(room_for(c->size), &c->node);
    c->free |= 1ull << ((b->at - c->chunk) / c->size);
    bool whole = c->free == all_free(c->count);
    if (whole) {
        list_remove(&c->node);
        cuts[index] = NULL;
    }
    spin_unlock(&cuts_lock);
    *b = (struct bounce){0};
    if (whole) {
        pool_put(c->chunk);
        atomic_fetch_sub(&taken, 1);
        kfree(c);
    }
}

void bounce_append(struct bounce *b, const void *data, uint32_t size)
{
    const uint8_t *from = data;
    uint32_t part = b->used % 8, n = part ? MIN(8 - part, size) : 0;

    assert(size <= b->size - b->used);
    if (n) { /* completes the word that was left open */
        memcpy((uint8_t *)&b->last + part, from, n);
        host_copy_out(b->at + b->used - part, &b->last, 8);
        b->used += n;
        from += n;
        size -= n;
    }
    if (!size)
        return;
    host_copy_out(b->at + b->used, from, size);
    b->used += size;
    if (size % 8) {
        b->last = 0;
        memcpy(&b->last, from + size - size % 8, size % 8);
    }
}

void bounce_read(const struct bounce *b, uint32_t offset, void *data, uint32_t size)
{
    assert(offset % 8 == 0 && offset <= b->size && size <= b->size - offset);
    host_copy_in(data, b->at + offset, size);
}

/* ---- operations ---- */

static void complete(struct ring_request *r)
{
    struct net_op *op =
        container_of(container_of(r, struct ring_async, request), struct net_op, ring);
    uint8_t opcode = op->ring.sqe.opcode;
    if (r->result > 0 && (opcode == RING_OP_RECV || opcode == RING_OP_RECVMSG))
        gather_note(&op->stamp);
    op->done(op, r->result);
}

static void prepare(struct net_op *op, const struct ring_sqe *sqe, int32_t max_result)
{
    op->ring.request = (struct ring_request){.max_result = max_result, .complete = complete};
    op->ring.sqe = *sqe;
}

static void queue(struct net_op *op, const struct ring_sqe *sqe, int32_t max_result)
{
    prepare(op, sqe, max_result);
    ring_queue(&op->ring);
    atomic_fetch_or(&current->flags, TASK_TICK); /* goes out before long in any case */
}

void netop_receive(struct net_op *op, int fd)
{
    struct ring_sqe sqe = {
        .opcode = RING_OP_RECV, .fd = fd, .addr = op->bounce.at, .len = op->bounce.size};

    queue(op, &sqe, (int32_t)op->bounce.size);
}

static struct ring_sqe send_sqe(const struct net_op *op, int fd, uint32_t flags)
{
    return (struct ring_sqe){.opcode = RING_OP_SEND,
                             .fd = fd,
                             .addr = op->bounce.at + op->progress,
                             .len = op->bounce.used - op->progress,
                             .op_flags = flags | MSG_NOSIGNAL};
}

void netop_send(struct net_op *op, int fd, uint32_t flags)
{
    struct ring_sqe sqe = send_sqe(op, fd, flags);

    queue(op, &sqe, (int32_t)sqe.len);
}

static bool seal(struct ring_async *a)
{
    struct net_op *op = container_of(a, struct net_op, ring);

    if (!op->seal(op))
        return false;
    a->sqe.addr = op->bounce.at;
    a->sqe.len = op->bounce.used;
    a->request.max_result = (int32_t)op->bounce.used;
    return true;
}

void netop_send_late(struct net_op *op, int fd, bool (*sealed)(struct net_op *op))
{
    struct ring_sqe sqe = send_sqe(op, fd, 0);

    assert(!op->progress);
    op->seal = sealed;
    prepare(op, &sqe, 0);
    op->ring.seal = seal;
    ring_queue_late(&op->ring);
    atomic_fetch_or(&current->flags, TASK_TICK);
}

void netop_accept(struct net_op *op, int fd)
{
    const uint64_t room = BOUNCE_NAME;
    struct ring_sqe sqe = {.opcode = RING_OP_ACCEPT,
                           .fd = fd,
                           .addr = op->bounce.at,
                           .off = op->bounce.at + SIZE_AT,
                           .op_flags = SOCK_CLOEXEC};

    host_copy_out(op->bounce.at + SIZE_AT, &room, sizeof(room));
    queue(op, &sqe, FD_MAX - 1);
}

uint32_t netop_accepted_name(const struct net_op *op, uint8_t name[BOUNCE_NAME])
{
    uint32_t size = host_load32(op->bounce.at + SIZE_AT);

    size = MIN(size, BOUNCE_NAME);
    memset(name, 0, BOUNCE_NAME);
    bounce_read(&op->bounce, 0, name, size);
    return size;
}

void netop_connect(struct net_op *op, int fd, const void *name, uint32_t size)
{
    struct ring_sqe sqe = {
        .opcode = RING_OP_CONNECT, .fd = fd, .addr = op->bounce.at, .off = size};

    bounce_append(&op->bounce, name, size);
    queue(op, &sqe, 0);
}

void netop_shutdown(struct net_op *op, int fd, int how)
{
    struct ring_sqe sqe = {.opcode = RING_OP_SHUTDOWN, .fd = fd, .len = (uint32_t)how};

    queue(op, &sqe, 0);
}

bool netop_cancellable(const struct net_op *other)
{
    return other->ring.request.vcpu == this_vcpu()->index && list_empty(&other->ring.node);
}

void netop_cancel(struct net_op *op, const struct net_op *other)
{
    struct ring_sqe sqe = {
        .opcode = RING_OP_ASYNC_CANCEL, .fd = -1, .addr = other->ring.request.user_data};

    queue(op, &sqe, 0);
}

void netop_close(struct net_op *op, int fd)
{
    struct ring_sqe sqe = {.opcode = RING_OP_CLOSE, .fd = fd};

    queue(op, &sqe, 0);
}

/* struct msghdr, and the one struct iovec that it points to. */
struct message_header {
    uint64_t name;
    uint32_t name_size, pad0;
    uint64_t iov, iov_count, control, control_size;
    uint32_t flags, pad1;
    uint64_t base, size;
};
_Static_assert(sizeof(struct message_header) <= NAME_AT, "lies in front of the name");

void netop_receive_message(struct net_op *op, int fd, bool error_queue)
{
    haddr_t at = op->bounce.at;
    struct message_header h = {
        .name = at + NAME_AT,
        .name_size = BOUNCE_NAME,
        .iov = at + offsetof(struct message_header, base),
        .iov_count = 1,
        .control = at + CONTROL_AT,
        .control_size = BOUNCE_CONTROL,
        .base = at + BOUNCE_HEAD,
        .size = op->bounce.size - BOUNCE_HEAD,
    };
    struct ring_sqe sqe = {.opcode = RING_OP_RECVMSG, .fd = fd, .addr = at, .len = 1};

    sqe.op_flags = error_queue ? MSG_ERRQUEUE | MSG_DONTWAIT : 0;
    host_copy_out(at, &h, sizeof(h));
    queue(op, &sqe, (int32_t)(op->bounce.size - BOUNCE_HEAD));
}

void netop_message(const struct net_op *op, struct net_message *out)
{
    struct message_header h;

    bounce_read(&op->bounce, 0, &h, sizeof(h));
    out->name_size = MIN(h.name_size, BOUNCE_NAME);
    out->control_size = (uint32_t)MIN(h.control_size, (uint64_t)BOUNCE_CONTROL);
    out->flags = h.flags;
    bounce_read(&op->bounce, NAME_AT, out->name, BOUNCE_NAME);
    bounce_read(&op->bounce, CONTROL_AT, out->control, out->control_size);
}

void netop_flush(void)
{
    if (ring_unsubmitted())
        gather_submit();
    ring_reap();
}
