/* SPDX-License-Identifier: BSD-3-Clause */
/* System V message queues: lists of messages with types, under the table's lock. */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "ipc/sysv.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "signal/signal.h"

#define MESSAGE_MAX 8192u
#define QUEUE_BYTES 16384u

struct message {
    struct list node;
    int64_t type;
    size_t size;
    char text[];
};

struct queue {
    struct ipc_object object; /* first */
    struct list messages;
    uint64_t bytes, count, limit;
    int64_t send_time, receive_time, change_time;
    int last_sender, last_receiver;
    struct wait_queue changed;
};

static struct queue *queue_of(struct ipc_object *o)
{
    return container_of(o, struct queue, object);
}

static void queue_free(struct ipc_object *o)
{
    struct queue *q = queue_of(o);
    struct list *n;
    while ((n = list_pop(&q->messages)) != NULL)
        kfree(list_entry(n, struct message, node));
    kfree(q);
}

static struct ipc_table table = IPC_TABLE_INIT(IPC_MAX, queue_free);

static int make(uint64_t size, struct ipc_object **out)
{
    struct queue *q = kzalloc(sizeof(*q));
    (void)size;
    if (!q)
        return -ENOMEM;
    list_init(&q->messages);
    wait_queue_init(&q->changed);
    q->limit = QUEUE_BYTES;
    q->change_time = ipc_now();
    *out = &q->object;
    return 0;
}

int64_t msg_get(int key, int flags)
{
    struct ipc_get g = {.key = key, .flags = flags, .make = make};
    return ipc_get(&table, &g);
}

/* With a reference, and not locked. */
static int find(int id, uint32_t permissions, struct queue **out)
{
    int e;
    struct ipc_object *o = ipc_lock(&table, id, permissions, &e);
    if (!o)
        return e;
    atomic_fetch_add(&o->refs, 1);
    ipc_unlock(&table);
    *out = queue_of(o);
    return 0;
}

/* ---- sending ---- */

static int try_send(struct queue *q, struct message *m)
{
    int e = 0;
    spin_lock(&table.lock);
    if (q->object.removed)
        e = -EIDRM;
    else if (q->bytes + m->size > q->limit || q->count + 1 > q->limit)
        e = -EAGAIN;
    if (!e) {
        list_append(&q->messages, &m->node);
        q->bytes += m->size;
        q->count++;
        q->send_time = ipc_now();
        q->last_sender = current->tgid;
        wait_wake_all(&q->changed);
    }
    spin_unlock(&table.lock);
    return e;
}

int msg_send(int id, uaddr_t buffer, uint64_t size, int flags)
{
    struct queue *q = NULL;
    int64_t type;
    if (size > MESSAGE_MAX || id < 0)
        return -EINVAL;
    if (get_user(&type, buffer))
        return -EFAULT;
    if (type < 1)
        return -EINVAL;
    struct message *m = kmalloc(sizeof(*m) + size);
    if (!m)
        return -ENOMEM;
    m->type = type;
    m->size = size;
    int e = copy_from_user(m->text, buffer + sizeof(type), size);
    if (!e)
        e = find(id, 0222, &q);
    if (e) {
        kfree(m);
        return e;
    }
    e = try_send(q, m);
    if (e == -EAGAIN && !(flags & IPC_NOWAIT)) {
        int r = wait_event(&q->changed, (e = try_send(q, m)) != -EAGAIN, NO_DEADLINE);
        e = e == -EAGAIN && r ? -EINTR : e; /* it is never restarted */
    }
    if (e)
        kfree(m);
    ipc_put(&table, &q->object);
    return e;
}

/* ---- receiving ---- */

struct wish {
    int64_t type;
    uint64_t size;
    int flags;
};

static struct message *choose(struct queue *q, const struct wish *w) HELD(table.lock)
{
    struct message *m, *best = NULL;
    int64_t left = w->type;
    list_for_each (m, &q->messages, node) {
        if (w->flags & MSG_COPY) {
            if (left-- == 0)
                return m;
        } else if (!w->type) {
            return m;
        } else if (w->type > 0) {
            if ((m->type == w->type) != ((w->flags & MSG_EXCEPT) != 0))
                return m;
        } else if (m->type <= -w->type && (!best || m->type < best->type)) {
            best = m;
        }
    }
    return best;
}

static int copy_of(const struct message *m, struct message *copy, struct message **out)
{
    copy->type = m->type;
    copy->size = m->size;
    memcpy(copy->text, m->text, m->size);
    *out = copy;
    return 0;
}

/* `copy` has room for any message, for MSG_COPY. */
static int try_receive(struct queue *q, const struct wish *w, struct message *copy,
                       struct message **out)
{
    int e = -ENOMSG;
    spin_lock(&table.lock);
    struct message *m = q->object.removed ? NULL : choose(q, w);
    if (q->object.removed)
        e = -EIDRM;
    else if (m && m->size > w->size && !(w->flags & MSG_NOERROR))
        e = -E2BIG;
    else if (m && copy)
        e = copy_of(m, copy, out);
    else if (m) {
        list_remove(&m->node);
        q->bytes -= m->size;
        q->count--;
        q->receive_time = ipc_now();
        q->last_receiver = current->tgid;
        wait_wake_all(&q->changed);
        *out = m;
        e = 0;
    }
    spin_unlock(&table.lock);
    return e;
}

static int64_t deliver(const struct message *m, uaddr_t buffer, uint64_t size)
{
    size = MIN(size, m->size);
    int e = put_user(buffer, m->type);
    if (!e)
        e = copy_to_user(buffer + sizeof(m->type), m->text, size);
    return e ? e : (int64_t)size;
}

int64_t msg_receive(int id, uaddr_t buffer, uint64_t size, int64_t type, int flags)
{
    struct wish w = {
        .type = type == INT64_MIN ? -INT64_MAX : type, .size = size, .flags = flags};
    struct message *m = NULL, *copy = NULL;
    struct queue *q = NULL;
    if (id < 0 || size > INT64_MAX)
        return -EINVAL;
    if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)))
        return -EINVAL;
    int e = find(id, 0444, &q);
    if (e)
        return e;
    if (flags & MSG_COPY) {
        copy = kmalloc(sizeof(*copy) + MESSAGE_MAX);
        e = copy ? 0 : -ENOMEM;
    }
    if (!e)
        e = try_receive(q, &w, copy, &m);
    if (e == -ENOMSG && !(flags & IPC_NOWAIT)) {
        int r =
            wait_event(&q->changed, (e = try_receive(q, &w, NULL, &m)) != -ENOMSG, NO_DEADLINE);
        e = e == -ENOMSG && r ? -EINTR : e;
    }
    int64_t result = e ? e : deliver(m, buffer, size);
    if (m != copy)
        kfree(m);
    kfree(copy);
    ipc_put(&table, &q->object);
    return result;
}

/* ---- msgctl ---- */

static int64_t stat(int id, int command, uaddr_t buffer)
{
    int e;
    struct ipc_object *o = ipc_lock_stat(&table, id, command, MSG_STAT, &e);
    if (!o)
        return e;
    struct queue *q = queue_of(o);
    struct abi_msqid d = {.perm = o->perm,
                          .stime = q->send_time,
                          .rtime = q->receive_time,
                          .ctime = q->change_time,
                          .cbytes = q->bytes,
                          .qnum = q->count,
                          .qbytes = q->limit,
                          .lspid = q->last_sender,
                          .lrpid = q->last_receiver};
    int result = command == IPC_STAT ? 0 : o->id;
    ipc_unlock(&table);
    return copy_to_user(buffer, &d, sizeof(d)) ? -EFAULT : result;
}

static int set(int id, uaddr_t buffer)
{
    struct abi_msqid d;
    int e = copy_from_user(&d, buffer, sizeof(d));
    struct ipc_object *o = e ? NULL : ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    struct queue *q = queue_of(o);
    if (d.qbytes > QUEUE_BYTES && !cred_can(current->cred, CAP_SYS_RESOURCE))
        e = -EPERM;
    if (!e)
        e = ipc_set_perm(o, &d.perm);
    if (!e) {
        q->limit = d.qbytes;
        q->change_time = ipc_now();
        wait_wake_all(&q->changed);
    }
    ipc_unlock(&table);
    return e;
}

static int queue_remove(int id)
{
    int e;
    struct ipc_object *o = ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    ipc_remove(&table, o);
    wait_wake_all(&queue_of(o)->changed);
    ipc_unlock(&table);
    ipc_put(&table, o);
    return 0;
}

static int64_t info(int command, uaddr_t buffer)
{
    struct abi_msginfo i = {.msgmax = MESSAGE_MAX,
                            .msgmnb = QUEUE_BYTES,
                            .msgmni = IPC_MAX,
                            .msgpool = IPC_MAX * QUEUE_BYTES / 1024,
                            .msgmap = QUEUE_BYTES,
                            .msgssz = 16,
                            .msgtql = QUEUE_BYTES,
                            .msgseg = 0xffff};
    struct ipc_object *o;
    if (command == MSG_INFO) {
        i.msgpool = i.msgmap = i.msgtql = 0;
        spin_lock(&table.lock);
        i.msgpool = (int32_t)table.objects.count;
        for (uint64_t k = 0; (o = radix_next(&table.objects, &k)) != NULL; k++) {
            i.msgmap += (int32_t)queue_of(o)->count;
            i.msgtql += (int32_t)queue_of(o)->bytes;
        }
        spin_unlock(&table.lock);
    }
    return copy_to_user(buffer, &i, sizeof(i)) ? -EFAULT : ipc_highest(&table);
}

int64_t msg_control(int id, int command, uaddr_t buffer)
{
    switch (command & ~IPC_64) {
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return stat(id, command & ~IPC_64, buffer);
    case IPC_SET:
        return set(id, buffer);
    case IPC_RMID:
        return queue_remove(id);
    case IPC_INFO:
    case MSG_INFO:
        return info(command & ~IPC_64, buffer);
    default:
        return -EINVAL;
    }
}
