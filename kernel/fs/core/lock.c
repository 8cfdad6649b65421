/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Advisory locks. An inode has one list of ranges; a range belongs to an owner: a descriptor
 * table (POSIX), or an open file (flock, OFD). flock's locks cover everything and are of a kind
 * of their own: they do not meet record locks. Who waits for a POSIX lock is on a list with
 * whom it waits for, so that a circle is found before it closes.
 */
#include "fs/core/lock.h"

#include "abi/errno.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

struct range_lock {
    struct list node;
    const void *owner;
    uint64_t start, end; /* end inclusive */
    int16_t type;        /* F_RDLCK, F_WRLCK */
    bool flock, ofd;
    int pid;
};

struct file_locks {
    struct spinlock lock;
    struct list ranges;
    struct wait_queue changed;
};

static struct file_locks *locks_of(struct inode *i, bool make)
{
    struct file_locks *l = atomic_load(&i->locks), *none = NULL;
    if (l || !make)
        return l;
    l = kzalloc(sizeof(*l));
    if (!l)
        return NULL;
    spin_init(&l->lock, RANK_INODE_DATA);
    list_init(&l->ranges);
    wait_queue_init(&l->changed);
    if (!atomic_compare_exchange_strong(&i->locks, &none, l)) {
        kfree(l);
        return none;
    }
    return l;
}

static bool overlap(const struct range_lock *a, const struct range_lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

static bool conflicts(const struct range_lock *have, const struct range_lock *want)
{
    return have->flock == want->flock && have->owner != want->owner && overlap(have, want) &&
           (have->type == F_WRLCK || want->type == F_WRLCK);
}

static struct range_lock *find_conflict(struct file_locks *l, const struct range_lock *want)
{
    struct range_lock *r;
    list_for_each (r, &l->ranges, node) {
        if (conflicts(r, want))
            return r;
    }
    return NULL;
}

/* Cuts [want->start, want->end] out of the owner's ranges. *spare is for a split. */
static void cut_out(struct file_locks *l, const struct range_lock *want,
                    struct range_lock **spare)
{
    struct range_lock *r, *next;
    list_for_each_safe (r, next, &l->ranges, node) {
        if (r->owner != want->owner || r->flock != want->flock || !overlap(r, want))
            continue;
        bool before = r->start<want->start, after = r->end> want->end;
        if (before && after) {
            struct range_lock *tail = *spare;
            *spare = NULL;
            *tail = *r;
            tail->start = want->end + 1;
            list_init(&tail->node);
            list_push(&r->node, &tail->node);
            r->end = want->start - 1;
            return; /* no other range of this owner can overlap */
        }
        if (before) {
            r->end = want->start - 1;
        } else if (after) {
            r->start = want->end + 1;
        } else {
            list_remove(&r->node);
            kfree(r);
        }
    }
}

/* Puts the lock in force, or says who is in the way. The spares are taken as needed. */
static int try_lock(struct file_locks *l, const struct range_lock *want,
                    struct range_lock **own, struct range_lock **spare)
{
    int r = 0;
    spin_lock(&l->lock);
    if (want->type != F_UNLCK && find_conflict(l, want)) {
        r = -EAGAIN;
    } else {
        cut_out(l, want, spare);
        if (want->type != F_UNLCK) {
            **own = *want;
            list_append(&l->ranges, &(*own)->node);
            *own = NULL;
        }
    }
    spin_unlock(&l->lock);
    if (r == 0)
        wait_wake_all(&l->changed);
    return r;
}

/* ---- waiting for POSIX locks ---- */

struct waiting {
    struct list node;
    const void *owner, *blocker;
};
static struct spinlock waiting_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct list all_waiting = LIST_INIT(all_waiting);

static const void *blocker_of_locked(const void *owner)
{
    struct waiting *w;
    list_for_each (w, &all_waiting, node) {
        if (w->owner == owner)
            return w->blocker;
    }
    return NULL;
}

/* Would waiting for `blocker` close a circle? Else it is noted. */
static bool closes_circle(struct waiting *w, const void *blocker)
{
    bool circle = false;
    spin_lock(&waiting_lock);
    const void *at = blocker;
    for (unsigned steps = 0; at && !circle && steps < 64; steps++) {
        circle = at == w->owner;
        at = blocker_of_locked(at);
    }
    w->blocker = circle ? NULL : blocker;
    spin_unlock(&waiting_lock);
    return circle;
}

static const void *blocker_now(struct file_locks *l, const struct range_lock *want)
{
    spin_lock(&l->lock);
    struct range_lock *r = find_conflict(l, want);
    const void *owner = r && !r->ofd ? r->owner : NULL;
    spin_unlock(&l->lock);
    return owner;
}

/* One more try of a task that waits: -EAGAIN to wait on. */
static int retry_lock(struct file_locks *l, const struct range_lock *want,
                      struct range_lock *spares[2], struct waiting *w)
{
    int r = try_lock(l, want, &spares[0], &spares[1]);
    if (r == -EAGAIN && !want->flock && !want->ofd && closes_circle(w, blocker_now(l, want)))
        r = -EDEADLK;
    return r;
}

static int wait_for_lock(struct file_locks *l, const struct range_lock *want,
                         struct range_lock *spares[2])
{
    struct waiting w = {.owner = want->owner};
    int got = -EAGAIN;
    spin_lock(&waiting_lock);
    list_append(&all_waiting, &w.node);
    spin_unlock(&waiting_lock);
    int r = wait_event(&l->changed, (got = retry_lock(l, want, spares, &w)) != -EAGAIN,
                       NO_DEADLINE);
    spin_lock(&waiting_lock);
    list_remove(&w.node);
    spin_unlock(&waiting_lock);
    return r == 0 ? got : r;
}

static int set_lock(struct file *f, const struct range_lock *want, bool wait)
{
    struct file_locks *l = locks_of(f->inode, want->type != F_UNLCK);
    if (!l)
        return want->type == F_UNLCK ? 0 : -ENOLCK;
    struct range_lock *spares[2] = {kzalloc(sizeof(*spares[0])), kzalloc(sizeof(*spares[0]))};
    int r = spares[0] && spares[1] ? try_lock(l, want, &spares[0], &spares[1]) : -ENOLCK;
    if (r == -EAGAIN && wait)
        r = wait_for_lock(l, want, spares);
    if (r == 0 && (want->flock || want->ofd))
        atomic_store(&f->locked, true);
    kfree(spares[0]);
    kfree(spares[1]);
    return r;
}

int file_flock(struct file *f, int operation)
{
    struct range_lock want = {.owner = f, .end = UINT64_MAX, .flock = true};
    switch (operation & ~LOCK_NB) {
    case LOCK_SH:
        want.type = F_RDLCK;
        break;
    case LOCK_EX:
        want.type = F_WRLCK;
        break;
    case LOCK_UN:
        want.type = F_UNLCK;
        break;
    default:
        return -EINVAL;
    }
    return set_lock(f, &want, !(operation & LOCK_NB));
}

static int range_of(struct file *f, const struct abi_flock *l, struct range_lock *out)
{
    int64_t base, start, end;
    if (l->l_whence != SEEK_SET && l->l_whence != SEEK_CUR && l->l_whence != SEEK_END)
        return -EINVAL;
    base = l->l_whence == SEEK_SET
               ? 0
               : (int64_t)(l->l_whence == SEEK_CUR ? f->pos : f->inode->size);
    if (add_overflows(base, l->l_start, &start))
        return -EOVERFLOW;
    if (l->l_len < 0) {
        end = start - 1;
        if (add_overflows(start, l->l_len, &start))
            return -EINVAL;
    } else if (l->l_len == 0) {
        end = INT64_MAX;
    } else if (add_overflows(start, l->l_len - 1, &end)) {
        return -EOVERFLOW;
    }
    if (start < 0)
        return -EINVAL;
    out->start = (uint64_t)start;
    out->end = end == INT64_MAX ? UINT64_MAX : (uint64_t)end;
    return 0;
}

static int want_of(struct file *f, const struct abi_flock *l, bool ofd, struct range_lock *want)
{
    if (l->l_type != F_RDLCK && l->l_type != F_WRLCK && l->l_type != F_UNLCK)
        return -EINVAL;
    if (ofd && l->l_pid != 0)
        return -EINVAL;
    *want = (struct range_lock){.type = l->l_type, .ofd = ofd, .pid = ofd ? -1 : current->tgid};
    want->owner = ofd ? (const void *)f : (const void *)current->files;
    return range_of(f, l, want);
}

int file_record_lock(struct file *f, const struct abi_flock *l, bool ofd, bool wait)
{
    struct range_lock want;
    int r = want_of(f, l, ofd, &want);
    if (r < 0)
        return r;
    if ((want.type == F_RDLCK && !(f->state & FILE_READ)) ||
        (want.type == F_WRLCK && !(f->state & FILE_WRITE)))
        return -EBADF;
    return set_lock(f, &want, wait);
}

int file_record_test(struct file *f, struct abi_flock *l, bool ofd)
{
    struct range_lock want, *hit = NULL;
    int r = l->l_type == F_UNLCK && !ofd ? -EINVAL : want_of(f, l, ofd, &want);
    if (r < 0)
        return r;
    struct file_locks *locks = locks_of(f->inode, false);
    l->l_type = F_UNLCK;
    if (!locks)
        return 0;
    spin_lock(&locks->lock);
    hit = find_conflict(locks, &want);
    if (hit) {
        l->l_type = hit->type;
        l->l_whence = SEEK_SET;
        l->l_start = (int64_t)hit->start;
        l->l_len = hit->end == UINT64_MAX ? 0 : (int64_t)(hit->end - hit->start + 1);
        l->l_pid = hit->pid;
    }
    spin_unlock(&locks->lock);
    return 0;
}

static void drop_owner(struct inode *i, const void *owner)
{
    struct file_locks *l = atomic_load(&i->locks);
    bool any = false;
    if (!l)
        return;
    spin_lock(&l->lock);
    struct range_lock *r, *next;
    list_for_each_safe (r, next, &l->ranges, node) {
        if (r->owner != owner)
            continue;
        list_remove(&r->node);
        kfree(r);
        any = true;
    }
    spin_unlock(&l->lock);
    if (any)
        wait_wake_all(&l->changed);
}

void file_locks_close(struct file *f, struct fd_table *owner)
{
    drop_owner(f->inode, owner);
}

void file_locks_release(struct file *f)
{
    drop_owner(f->inode, f);
}

void file_locks_free(struct inode *inode)
{
    struct file_locks *l = atomic_load(&inode->locks);
    struct list *n;
    if (!l)
        return;
    while ((n = list_pop(&l->ranges)) != NULL)
        kfree(list_entry(n, struct range_lock, node));
    kfree(l);
}
