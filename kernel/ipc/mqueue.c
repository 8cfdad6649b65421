/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POSIX message queues. One spinlock protects names, messages and notifications. LIMIT: there
 * is no mqueue file system to mount, and no notification by a new thread.
 */
#include "ipc/mqueue.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "signal/signal.h"

#define QUEUES_MAX       256u
#define DEFAULT_COUNT    10
#define DEFAULT_SIZE     8192
#define HARD_COUNT       65536
#define HARD_SIZE        (16 << 20)
#define MESSAGE_OVERHEAD 96u /* that RLIMIT_MSGQUEUE counts for each */
#define RLIMIT_MSGQUEUE  12

struct message {
    struct list node; /* the most urgent first, then in order of arrival */
    uint32_t priority;
    size_t size;
    char text[];
};

struct mqueue {
    /* const */
    char *name;
    uint32_t mode, uid, gid;
    int64_t count_max, size_max;
    /* mq_lock */
    uint32_t refs; /* its name, and open files */
    struct list node;
    struct list messages;
    int64_t count;
    uint64_t bytes;
    uint32_t receivers;          /* that wait */
    struct signal_group *notify; /* its process calls mq_notify_forget() before it goes */
    struct list in_notifying;
    int notify_pid, notify_signal;
    uint64_t notify_value;
    struct wait_queue changed;
};

static struct spinlock mq_lock = SPINLOCK_INIT(RANK_PROC); /* signals are sent with it */
static struct list queues = LIST_INIT(queues);
static struct list notifying = LIST_INIT(notifying);

static void queue_put(struct mqueue *q)
{
    struct list *n;
    spin_lock(&mq_lock);
    bool last = --q->refs == 0;
    if (last)
        list_remove(&q->in_notifying);
    spin_unlock(&mq_lock);
    if (!last)
        return;
    while ((n = list_pop(&q->messages)) != NULL)
        kfree(list_entry(n, struct message, node));
    kfree(q->name);
    kfree(q);
}

static struct mqueue *find(const char *name) HELD(mq_lock)
{
    struct mqueue *q;
    list_for_each (q, &queues, node) {
        if (strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

/* ---- as a file ---- */

static ssize_t mq_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct mqueue *q = f->private;
    char text[96];
    spin_lock(&mq_lock);
    int n = format_string(text, sizeof(text),
                          "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q->bytes,
                          q->notify && !q->notify_signal ? 1 : 0, q->notify_signal,
                          q->notify ? q->notify_pid : 0);
    spin_unlock(&mq_lock);
    if (*pos >= (uint64_t)n)
        return 0;
    size_t done = iter_copy_to(to, text + *pos, (size_t)n - *pos);
    *pos += done;
    return (ssize_t)done;
}

static uint32_t mq_poll(struct file *f, struct poll_table *t)
{
    struct mqueue *q = f->private;
    poll_add(t, &q->changed);
    spin_lock(&mq_lock);
    uint32_t events = q->count ? POLLIN | POLLRDNORM : 0;
    if (q->count < q->count_max)
        events |= POLLOUT | POLLWRNORM;
    spin_unlock(&mq_lock);
    return events;
}

static void notify_end(struct mqueue *q) HELD(mq_lock);

/* Whoever is to be told and closes it is not told any more. LIMIT: not before all descriptors
 * of that open file are closed. */
static void mq_release(struct file *f)
{
    struct mqueue *q = f->private;
    spin_lock(&mq_lock);
    if (q->notify && q->notify_pid == current->tgid)
        notify_end(q);
    spin_unlock(&mq_lock);
    queue_put(q);
}

static const struct file_ops mq_ops = {
    .read = mq_read,
    .seek = file_seek_generic,
    .poll = mq_poll,
    .release = mq_release,
};

bool mq_is(const struct file *f)
{
    return f->ops == &mq_ops;
}

/* ---- names ---- */

static int check_attr(const struct abi_mq_attr *a)
{
    bool root = cred_can(current->cred, CAP_SYS_RESOURCE);
    if (a->maxmsg <= 0 || a->msgsize <= 0)
        return -EINVAL;
    if (a->maxmsg > (root ? HARD_COUNT : DEFAULT_COUNT) ||
        a->msgsize > (root ? HARD_SIZE : DEFAULT_SIZE))
        return -EINVAL;
    return 0;
}

static uint64_t cost(const struct mqueue *q)
{
    return (uint64_t)q->count_max * ((uint64_t)q->size_max + MESSAGE_OVERHEAD);
}

static int queue_new(const char *name, uint32_t mode, const struct abi_mq_attr *attr,
                     struct mqueue **out)
{
    struct mqueue *q;
    int e = attr ? check_attr(attr) : 0;
    if (e)
        return e;
    q = kzalloc(sizeof(*q));
    if (!q || !(q->name = kstrdup(name))) {
        kfree(q);
        return -ENOMEM;
    }
    q->mode = mode;
    q->uid = current->cred->fsuid;
    q->gid = current->cred->fsgid;
    q->count_max = attr ? attr->maxmsg : DEFAULT_COUNT;
    q->size_max = attr ? attr->msgsize : DEFAULT_SIZE;
    q->refs = 1;
    list_init(&q->node);
    list_init(&q->in_notifying);
    list_init(&q->messages);
    wait_queue_init(&q->changed);
    *out = q;
    return 0;
}

/* Room for one more queue of that cost? */
static int check_room(const struct mqueue *fresh, uint64_t limit) HELD(mq_lock)
{
    struct mqueue *q;
    uint64_t sum = cost(fresh);
    uint32_t count = 0;
    list_for_each (q, &queues, node) {
        sum += q->uid == fresh->uid ? cost(q) : 0;
        count++;
    }
    if (sum > limit)
        return -EMFILE;
    return count >= QUEUES_MAX && !cred_can(current->cred, CAP_SYS_RESOURCE) ? -ENOSPC : 0;
}

static int permit(const struct mqueue *q, uint32_t flags)
{
    static const uint32_t wanted[4] = {4, 2, 6, 0};
    const struct cred *c = current->cred;
    uint32_t granted = q->mode;
    if (c->fsuid == q->uid)
        granted >>= 6;
    else if (cred_in_group(c, q->gid))
        granted >>= 3;
    return (wanted[flags & O_ACCMODE] & ~granted) && !cred_can(c, CAP_DAC_OVERRIDE) ? -EACCES
                                                                                    : 0;
}

/* A reference to what is there already, or to `fresh`, which then gets its name. */
static int take(const char *name, uint32_t flags, struct mqueue *fresh, struct mqueue **out)
{
    uint64_t limit = fs_rlimit(RLIMIT_MSGQUEUE);
    int e = 0;
    spin_lock(&mq_lock);
    struct mqueue *q = find(name);
    if (q)
        e = (flags & O_CREAT) && (flags & O_EXCL) ? -EEXIST : permit(q, flags);
    else if (!fresh)
        e = -ENOENT;
    else
        e = check_room(fresh, limit);
    if (!e && !q) {
        q = fresh;
        q->refs += 2; /* for its name, and for the caller */
        list_append(&queues, &q->node);
    } else if (!e) {
        q->refs++;
    }
    spin_unlock(&mq_lock);
    *out = q;
    return e;
}

static int queue_file(struct mqueue *q, uint32_t flags, struct file **out)
{
    struct inode *i;
    char name[258] = "/";
    (void)!str_copy(name + 1, sizeof(name) - 1, q->name);
    int e = inode_new_anonymous(S_IFREG | q->mode, &i);
    if (!e)
        e = file_new_anonymous(i, name, flags & (O_ACCMODE | O_NONBLOCK), &mq_ops, q, out);
    if (e)
        queue_put(q);
    return e;
}

int mq_new(const char *name, uint32_t flags, uint32_t mode, const struct abi_mq_attr *attr,
           struct file **out)
{
    struct mqueue *fresh = NULL, *q;
    int e = take(name, flags, NULL, &q);
    if (e == -ENOENT && (flags & O_CREAT)) {
        e = queue_new(name, mode, attr, &fresh);
        if (!e)
            e = take(name, flags, fresh, &q);
    }
    if (fresh)
        queue_put(fresh);
    return e ? e : queue_file(q, flags, out);
}

int mq_unlink(const char *name)
{
    const struct cred *c = current->cred;
    int e = 0;
    spin_lock(&mq_lock);
    struct mqueue *q = find(name);
    if (!q)
        e = -ENOENT;
    else if (!cred_can(c, CAP_FOWNER) && c->fsuid != q->uid)
        e = -EACCES;
    if (!e) {
        list_remove(&q->node);
    }
    spin_unlock(&mq_lock);
    if (!e)
        queue_put(q);
    return e;
}

/* ---- notification ---- */

static void notify_end(struct mqueue *q) HELD(mq_lock)
{
    q->notify = NULL;
    q->notify_pid = q->notify_signal = 0;
    list_remove(&q->in_notifying);
}

static void notify(struct mqueue *q) HELD(mq_lock)
{
    struct abi_siginfo info = {.si_signo = q->notify_signal, .si_code = SI_MESGQ};
    struct signal_group *g = q->notify;
    notify_end(q);
    if (!g || !info.si_signo)
        return;
    info.pid = current->tgid;
    info.uid = current->cred->uid;
    info.value = q->notify_value;
    (void)signal_send_group(g, &info);
}

int mq_notify_set(struct file *f, int sig, uint64_t value)
{
    struct mqueue *q = f->private;
    spin_lock(&mq_lock);
    int e = q->notify ? -EBUSY : 0;
    if (!e) {
        q->notify = task_signals(current)->group;
        q->notify_pid = current->tgid;
        q->notify_signal = sig;
        q->notify_value = value;
        list_append(&notifying, &q->in_notifying);
    }
    spin_unlock(&mq_lock);
    return e;
}

void mq_notify_remove(struct file *f)
{
    struct mqueue *q = f->private;
    spin_lock(&mq_lock);
    if (q->notify == task_signals(current)->group)
        notify_end(q);
    spin_unlock(&mq_lock);
}

void mq_notify_forget(struct signal_group *g)
{
    struct mqueue *q, *next;
    spin_lock(&mq_lock);
    list_for_each_safe (q, next, &notifying, in_notifying) {
        if (q->notify == g)
            notify_end(q);
    }
    spin_unlock(&mq_lock);
}

/* ---- messages ---- */

static void enqueue(struct mqueue *q, struct message *m) HELD(mq_lock)
{
    struct list *at = q->messages.prev;
    while (at != &q->messages && list_entry(at, struct message, node)->priority < m->priority)
        at = at->prev;
    list_push(at, &m->node); /* behind it */
    q->bytes += m->size;
    if (q->count++ == 0 && !q->receivers)
        notify(q);
    wait_wake_all(&q->changed);
}

static int try_send(struct mqueue *q, struct message *m)
{
    spin_lock(&mq_lock);
    bool full = q->count >= q->count_max;
    if (!full)
        enqueue(q, m);
    spin_unlock(&mq_lock);
    return full ? -EAGAIN : 0;
}

int mq_send(struct file *f, uaddr_t text, size_t size, uint32_t priority, uint64_t deadline_ns)
{
    struct mqueue *q = f->private;
    if (size > (uint64_t)q->size_max)
        return -EMSGSIZE;
    struct message *m = kmalloc(sizeof(*m) + size);
    if (!m)
        return -ENOMEM;
    m->priority = priority;
    m->size = size;
    int e = copy_from_user(m->text, text, size);
    if (!e)
        e = try_send(q, m);
    if (e == -EAGAIN && !(atomic_load(&f->flags) & O_NONBLOCK)) {
        int r = wait_event(&q->changed, (e = try_send(q, m)) != -EAGAIN, deadline_ns);
        e = e == -EAGAIN ? r : e;
    }
    if (e)
        kfree(m);
    return e;
}

/* `waiting`: whether the caller is counted as one who waits, which changes. */
static struct message *try_receive(struct mqueue *q, bool wait, bool *waiting)
{
    struct message *m = NULL;
    spin_lock(&mq_lock);
    struct list *n = list_pop(&q->messages);
    if (n) {
        m = list_entry(n, struct message, node);
        q->count--;
        q->bytes -= m->size;
        wait_wake_all(&q->changed);
    }
    bool now = wait && !m;
    q->receivers += (uint32_t)now - (uint32_t)*waiting;
    *waiting = now;
    spin_unlock(&mq_lock);
    return m;
}

int64_t mq_receive(struct file *f, uaddr_t text, size_t size, uint32_t *priority,
                   uint64_t deadline_ns)
{
    struct mqueue *q = f->private;
    bool waiting = false;
    int64_t r = 0;
    if (size < (uint64_t)q->size_max)
        return -EMSGSIZE;
    struct message *m = try_receive(q, false, &waiting);
    if (!m && (atomic_load(&f->flags) & O_NONBLOCK))
        return -EAGAIN;
    if (!m)
        r = wait_event(&q->changed, (m = try_receive(q, true, &waiting)) != NULL, deadline_ns);
    if (!m && waiting)
        m = try_receive(q, false, &waiting);
    if (!m)
        return r ? r : -EINTR;
    *priority = m->priority;
    r = copy_to_user(text, m->text, m->size) ? -EFAULT : (int64_t)m->size;
    kfree(m);
    return r;
}

void mq_attr(struct file *f, struct abi_mq_attr *out)
{
    struct mqueue *q = f->private;
    spin_lock(&mq_lock);
    *out = (struct abi_mq_attr){.flags = atomic_load(&f->flags) & O_NONBLOCK,
                                .maxmsg = q->count_max,
                                .msgsize = q->size_max,
                                .curmsgs = q->count};
    spin_unlock(&mq_lock);
}
