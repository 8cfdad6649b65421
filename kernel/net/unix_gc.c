/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets on their way in sockets (SCM_RIGHTS). A socket whose file is held by packets alone,
 * which wait in sockets that are held so too, can never be received again: it is ended.
 *
 * `lock` is held while files of sockets go into a packet, leave it, or are copied from it, so
 * that a socket is either in flight or in somebody's hands. A socket is suspect when all
 * references to its file are in flight. References from packets in suspects' queues are
 * subtracted; a suspect with some left, or reached from such a one, is alive.
 */
#include "abi/errno.h"
#include "fs/core/file.h"
#include "mm/kmalloc.h"
#include "net/unix.h"

#define FLYING_MANY 16000u /* so many are worth a look */

static struct spinlock lock = SPINLOCK_INIT(RANK_NET_GC);
static struct list flying = LIST_INIT(flying); /* by inflight_node */
static _Atomic uint32_t flying_count;          /* files of sockets in packets */

static struct unix_sock *unix_of_file(const struct file *f)
{
    struct socket *s = socket_of(f);
    return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

static void gc_lock(void) UNCHECKED_LOCKING
{
    spin_lock(&lock);
}

static void gc_unlock(void) UNCHECKED_LOCKING
{
    spin_unlock(&lock);
}

static void count_files(const struct scm *scm, int change)
{
    for (uint32_t i = 0; i < scm->file_count; i++) {
        struct unix_sock *u = unix_of_file(scm->files[i]);
        if (!u)
            continue;
        u->inflight += (uint32_t)change;
        atomic_fetch_add(&flying_count, (uint32_t)change);
        if (u->inflight && list_empty(&u->inflight_node))
            list_append(&flying, &u->inflight_node);
        if (!u->inflight && !list_empty(&u->inflight_node))
            list_remove(&u->inflight_node);
    }
}

static void landed(struct scm *scm)
{
    count_files(scm, -1);
}

const struct packet_hooks packet_hooks = {gc_lock, gc_unlock, landed};

int unix_push_files(struct packet_queue *q, struct packet *p)
{
    if (atomic_load(&flying_count) > FLYING_MANY)
        unix_collect();
    if (atomic_load(&flying_count) > fs_rlimit(FS_RLIMIT_NOFILE) &&
        !cred_can(fs_cred(), CAP_SYS_RESOURCE) && !cred_can(fs_cred(), CAP_SYS_ADMIN))
        return -ETOOMANYREFS;
    spin_lock(&lock);
    p->counted = true;
    count_files(&p->scm, 1);
    bool open = queue_push(q, p);
    if (!open) {
        count_files(&p->scm, -1);
        p->counted = false;
    }
    spin_unlock(&lock);
    return open ? 0 : -EPIPE;
}

/* ---- collecting ---- */

static bool suspect(const struct unix_sock *u)
{
    return u->sock.file && atomic_load(&u->sock.file->refs) == u->inflight;
}

/* Calls `each` for every socket in packets that wait in `q`. */
static void for_queue(struct packet_queue *q, void (*each)(struct unix_sock *u, struct list *w),
                      struct list *work)
{
    struct packet *p;
    spin_lock(&q->lock);
    list_for_each (p, &q->packets, node) {
        for (uint32_t i = 0; p->counted && i < p->scm.file_count; i++) {
            struct unix_sock *u = unix_of_file(p->scm.files[i]);
            if (u)
                each(u, work);
        }
    }
    spin_unlock(&q->lock);
}

/* Also what waits in connections that were not accepted. */
static void for_contents(struct unix_sock *u, void (*each)(struct unix_sock *u, struct list *w),
                         struct list *work)
{
    struct unix_sock *c;
    for_queue(&u->in, each, work);
    spin_lock(&unix_lock);
    list_for_each (c, &u->pending, pending_node) {
        for_queue(&c->in, each, work);
    }
    spin_unlock(&unix_lock);
}

static void subtract(struct unix_sock *u, struct list *work)
{
    (void)work;
    if (u->outside)
        u->outside--;
}

static void reach(struct unix_sock *u, struct list *work)
{
    if (u->reached)
        return;
    u->reached = true;
    list_append(work, &u->work_node);
}

/* All that are not reached get into `dead`, their files referenced. */
static uint32_t find_dead(struct file **dead, uint32_t max)
{
    struct list work = LIST_INIT(work), *n;
    struct unix_sock *u;
    uint32_t count = 0;
    list_for_each (u, &flying, inflight_node) {
        u->reached = false;
        u->outside = suspect(u) ? u->inflight : 0;
    }
    list_for_each (u, &flying, inflight_node) {
        if (suspect(u))
            for_contents(u, subtract, NULL);
    }
    list_for_each (u, &flying, inflight_node) {
        if (!suspect(u) || u->outside)
            reach(u, &work);
    }
    while ((n = list_pop(&work)) != NULL)
        for_contents(list_entry(n, struct unix_sock, work_node), reach, &work);
    list_for_each (u, &flying, inflight_node) {
        if (!u->reached && count < max)
            dead[count++] = file_get(u->sock.file);
    }
    return count;
}

/* Empties a dead socket: what its packets hold falls, and the circle is broken. */
static void empty(struct unix_sock *u)
{
    struct list pending = LIST_INIT(pending), *n;
    spin_lock(&unix_lock);
    while ((n = list_pop(&u->pending)) != NULL)
        list_append(&pending, n);
    u->pending_count = 0;
    spin_unlock(&unix_lock);
    queue_close(&u->in);
    while ((n = list_pop(&pending)) != NULL) {
        struct unix_sock *c = list_entry(n, struct unix_sock, pending_node);
        unix_end(c, true);
        unix_put(c);
    }
}

void unix_collect(void)
{
    uint32_t max = atomic_load(&flying_count);
    if (max == 0)
        return;
    struct file **dead = kcalloc(max, sizeof(*dead));
    if (!dead)
        return; /* the next end of a socket tries again */
    spin_lock(&lock);
    uint32_t count = find_dead(dead, max);
    spin_unlock(&lock);
    for (uint32_t i = 0; i < count; i++)
        empty(unix_of(socket_of(dead[i])));
    for (uint32_t i = 0; i < count; i++)
        file_put(dead[i]);
    kfree(dead);
}
