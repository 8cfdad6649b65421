/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets and the queues that they wait in. */
#include "net/packet.h"

#include "abi/errno.h"
#include "fs/core/file.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/socket.h"
#include "sched/task.h"

/*
 * Letting go of a file can end a socket whose queue holds files, and so on: a chain as deep as
 * a program likes. Whoever comes second, also the same task further down, leaves its work to
 * the first.
 */
struct litter {
    struct list node;
    uint32_t count;
    struct file **files;
};
static struct spinlock litter_lock = SPINLOCK_INIT(RANK_EVENT);
static struct list litter = LIST_INIT(litter);
static bool sweeping;

static void sweep(struct litter *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        file_put(l->files[i]);
    kfree(l->files);
    kfree(l);
}

static void files_drop(struct file **files, uint32_t count)
{
    struct litter *l = kmalloc(sizeof(*l));
    if (!l) { /* no memory: at once, and deep if it must be */
        for (uint32_t i = 0; i < count; i++)
            file_put(files[i]);
        kfree(files);
        return;
    }
    l->count = count;
    l->files = files;
    spin_lock(&litter_lock);
    list_append(&litter, &l->node);
    bool mine = !sweeping;
    sweeping = true;
    while (mine && !list_empty(&litter)) {
        struct litter *next = list_entry(list_pop(&litter), struct litter, node);
        spin_unlock(&litter_lock);
        sweep(next);
        spin_lock(&litter_lock);
    }
    if (mine)
        sweeping = false;
    spin_unlock(&litter_lock);
}

void scm_free(struct scm *scm)
{
    if (scm->files)
        files_drop(scm->files, scm->file_count);
    kfree(scm->raw);
    *scm = (struct scm){0};
}

struct net_name *net_name_new(const struct sock_name *name)
{
    struct net_name *n = kzalloc(sizeof(*n));
    if (n) {
        atomic_store(&n->refs, 1);
        n->name = *name;
    }
    return n;
}

struct net_name *net_name_get(struct net_name *n)
{
    if (n)
        atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    return n;
}

void net_name_put(struct net_name *n)
{
    if (n && atomic_fetch_sub(&n->refs, 1) == 1)
        kfree(n);
}

/*
 * Large packets come and go fast, and what kfree() gets it scrubs: a few pieces of each size
 * are kept as they are. Whoever gets one fills it as far as its packet's size.
 */
#define NEAR_MAX  1920u /* with its head a slab's object */
#define KEPT_MIN  (16u << 10)
#define KEPT_MAX  (128u << 10)
#define KEPT_EACH 8u

static struct {
    uint32_t count;
    uint8_t *piece[KEPT_EACH];
} kept[4]; /* of KEPT_MIN << index bytes */
static struct spinlock kept_lock = SPINLOCK_INIT(RANK_EVENT);

static unsigned kept_index(uint32_t size)
{
    unsigned index = 0;
    while (KEPT_MIN << index < size)
        index++;
    return index;
}

static uint8_t *piece_new(uint32_t size)
{
    uint8_t *piece = NULL;
    if (size <= KEPT_MIN / 2 || size > KEPT_MAX)
        return kmalloc(size);
    unsigned index = kept_index(size);
    spin_lock(&kept_lock);
    if (kept[index].count)
        piece = kept[index].piece[--kept[index].count];
    spin_unlock(&kept_lock);
    return piece ? piece : kmalloc(KEPT_MIN << index);
}

static void piece_free(uint8_t *piece, uint32_t size)
{
    unsigned index = 0;
    bool keep = size > KEPT_MIN / 2 && size <= KEPT_MAX;
    if (keep) {
        index = kept_index(size);
        spin_lock(&kept_lock);
        keep = kept[index].count < KEPT_EACH;
        if (keep)
            kept[index].piece[kept[index].count++] = piece;
        spin_unlock(&kept_lock);
    }
    if (!keep)
        kfree(piece);
}

struct packet *packet_new(uint32_t size)
{
    bool near = size <= NEAR_MAX;
    struct packet *p = kzalloc(sizeof(*p) + (near ? size : 0));
    if (!p)
        return NULL;
    p->data = near ? p->near : piece_new(size);
    if (!p->data) {
        kfree(p);
        return NULL;
    }
    list_init(&p->node);
    p->size = size;
    p->charge = size + PACKET_OVERHEAD;
    return p;
}

void packet_free(struct packet *p)
{
    if (p->counted) {
        packet_hooks.lock();
        packet_hooks.landed(&p->scm);
        packet_hooks.unlock();
    }
    scm_free(&p->scm);
    net_name_put(p->name);
    if (p->data != p->near)
        piece_free(p->data, p->size);
    kfree(p);
}

void queue_init(struct packet_queue *q)
{
    spin_init(&q->lock, RANK_EVENT);
    list_init(&q->packets);
    mutex_init(&q->reader, RANK_INODE);
}

bool queue_push(struct packet_queue *q, struct packet *p)
{
    spin_lock(&q->lock);
    bool open = !q->closed;
    if (open) {
        list_append(&q->packets, &p->node);
        atomic_fetch_add(&q->bytes, p->size);
        atomic_fetch_add(&q->charge, p->charge);
        atomic_fetch_add(&q->count, 1);
    }
    spin_unlock(&q->lock);
    return open;
}

static struct packet *first(struct packet_queue *q)
{
    struct packet *p = NULL;
    spin_lock(&q->lock);
    if (!list_empty(&q->packets))
        p = list_entry(q->packets.next, struct packet, node);
    spin_unlock(&q->lock);
    return p;
}

static struct packet *following(struct packet_queue *q, struct packet *p)
{
    struct packet *n = NULL;
    spin_lock(&q->lock);
    if (p->node.next != &q->packets)
        n = list_entry(p->node.next, struct packet, node);
    spin_unlock(&q->lock);
    return n;
}

/* Out of the queue; the packet is the caller's then. */
static void take(struct packet_queue *q, struct packet *p, uint64_t *freed)
{
    spin_lock(&q->lock);
    list_remove(&p->node);
    atomic_fetch_sub(&q->count, 1);
    atomic_fetch_sub(&q->charge, p->charge);
    atomic_fetch_sub(&q->bytes, p->size - p->offset);
    spin_unlock(&q->lock);
    *freed += p->charge;
}

void queue_close(struct packet_queue *q)
{
    struct packet *p;
    uint64_t freed = 0;
    spin_lock(&q->lock);
    q->closed = true;
    spin_unlock(&q->lock);
    mutex_lock(&q->reader);
    while ((p = first(q)) != NULL) {
        take(q, p, &freed);
        mutex_unlock(&q->reader);
        packet_free(p);
        mutex_lock(&q->reader);
    }
    mutex_unlock(&q->reader);
}

void queue_fini(struct packet_queue *q)
{
    struct packet *p;
    uint64_t freed = 0;
    while ((p = first(q)) != NULL) {
        take(q, p, &freed);
        packet_free(p);
    }
}

void queue_drain(struct packet_queue *q, uint32_t max,
                 void (*sink)(void *arg, const void *data, uint32_t size), void *arg)
{
    struct packet *p;
    uint64_t freed = 0;
    while (max && (p = first(q)) != NULL) {
        uint32_t n = MIN(max, p->size - p->offset);
        if (sink)
            sink(arg, p->data + p->offset, n);
        p->offset += n;
        max -= n;
        atomic_fetch_sub(&q->bytes, n);
        if (p->offset < p->size)
            return;
        take(q, p, &freed);
        packet_free(p);
    }
}

uint32_t queue_first_size(struct packet_queue *q)
{
    uint32_t size = 0;
    spin_lock(&q->lock);
    if (!list_empty(&q->packets)) {
        struct packet *p = list_entry(q->packets.next, struct packet, node);
        size = p->size - p->offset;
    }
    spin_unlock(&q->lock);
    return size;
}

/* Peeking: the receiver gets references of its own. -ENOMEM. */
static int copy_files(const struct scm *from, struct scm *to)
{
    to->files = kcalloc(from->file_count, sizeof(*to->files));
    if (!to->files)
        return -ENOMEM;
    for (uint32_t i = 0; i < from->file_count; i++)
        to->files[i] = file_get(from->files[i]);
    to->file_count = from->file_count;
    return 0;
}

/* What lies beside the bytes, once a message. */
static int take_beside(struct packet *p, struct message *m, bool peek)
{
    int r = 0;
    m->scm.has_cred = p->scm.has_cred;
    m->scm.cred = p->scm.cred;
    if (p->scm.raw && peek) {
        m->scm.raw = kmalloc(p->scm.raw_size);
        if (!m->scm.raw)
            return -ENOMEM;
        memcpy(m->scm.raw, p->scm.raw, p->scm.raw_size);
        m->scm.raw_size = p->scm.raw_size;
    } else if (p->scm.raw) {
        m->scm.raw = p->scm.raw;
        m->scm.raw_size = p->scm.raw_size;
        p->scm.raw = NULL;
    }
    if (!p->scm.files)
        return 0;
    if (p->counted)
        packet_hooks.lock();
    if (peek) {
        r = copy_files(&p->scm, &m->scm);
    } else {
        if (p->counted)
            packet_hooks.landed(&p->scm);
        m->scm.files = p->scm.files;
        m->scm.file_count = p->scm.file_count;
        p->scm.files = NULL;
        p->scm.file_count = 0;
    }
    if (p->counted)
        packet_hooks.unlock();
    if (!peek)
        p->counted = false;
    return r;
}

static bool same_sender(const struct scm *a, const struct scm *b)
{
    return a->has_cred == b->has_cred && a->cred.pid == b->cred.pid &&
           a->cred.uid == b->cred.uid && a->cred.gid == b->cred.gid;
}

/* Bytes of one packet of a stream. */
static ssize_t read_part(struct packet_queue *q, struct packet *p, struct message *m, bool peek)
{
    size_t n = MIN((size_t)(p->size - p->offset), m->data->remaining);
    size_t copied = iter_copy_to(m->data, p->data + p->offset, n);
    if (copied < n && !copied)
        return -EFAULT;
    if (!peek) {
        p->offset += (uint32_t)copied;
        atomic_fetch_sub(&q->bytes, copied);
    }
    return (ssize_t)copied;
}

ssize_t queue_receive_stream(struct packet_queue *q, struct message *m, uint32_t flags,
                             uint64_t *freed)
{
    bool peek = flags & MSG_PEEK, ends = false;
    ssize_t done = 0, r = 0;
    struct scm sender = {0};
    mutex_lock(&q->reader);
    struct packet *p = first(q);
    if (!p)
        r = -EAGAIN;
    else if (p->name)
        m->name = p->name->name;
    while (p && (m->data->remaining || p->offset == p->size) && !ends) {
        if (done && (!same_sender(&sender, &p->scm) || (p->scm.files && m->scm.files)))
            break;
        sender.has_cred = p->scm.has_cred;
        sender.cred = p->scm.cred;
        r = read_part(q, p, m, peek);
        if (r >= 0) {
            ends = p->scm.files != NULL;
            done += r;
            r = done == r || ends ? take_beside(p, m, peek) : 0;
        }
        if (r < 0)
            break;
        struct packet *next = NULL;
        if (peek) {
            next = following(q, p);
        } else if (p->offset == p->size) {
            next = following(q, p);
            take(q, p, freed);
            packet_free(p);
        }
        p = next;
    }
    mutex_unlock(&q->reader);
    return done ? done : r;
}

ssize_t queue_receive_datagram(struct packet_queue *q, struct message *m, uint32_t flags,
                               uint64_t *freed)
{
    bool peek = flags & MSG_PEEK;
    mutex_lock(&q->reader);
    struct packet *p = first(q);
    if (!p) {
        mutex_unlock(&q->reader);
        return -EAGAIN;
    }
    size_t n = MIN((size_t)p->size, m->data->remaining);
    ssize_t r = iter_copy_to(m->data, p->data, n) < n ? -EFAULT : (ssize_t)n;
    if (r >= 0 && p->name)
        m->name = p->name->name;
    if (r >= 0) {
        int e = take_beside(p, m, peek);
        r = e < 0 ? e : r;
    }
    m->flags |= p->flags | (n < p->size ? MSG_TRUNC : 0);
    if (r >= 0 && (flags & MSG_TRUNC))
        r = p->size;
    if (!peek)
        take(q, p, freed);
    mutex_unlock(&q->reader);
    if (!peek)
        packet_free(p);
    return r;
}
