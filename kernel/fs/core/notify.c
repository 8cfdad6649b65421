/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inotify: watches on inodes, queues of events. One spinlock covers all lists; events are
 * queued under it, so that they are in the order of what happened. A watch holds its inode, so
 * that the inode stays the same one. What a watch held is put after the lock.
 */
#include "fs/core/notify.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define QUEUE_MAX   16384u
#define WATCHES_MAX 1048576u

_Atomic uint32_t notify_watches;

struct event {
    struct list node;
    struct abi_inotify_event head; /* len: with padding */
    char name[];
};

/* All under notify_lock. */
struct inotify {
    struct list queue, watches;
    uint32_t count;
    size_t bytes;
    int last_wd;
    bool overflowed; /* the queue ends with the mark */
    struct wait_queue wait;
};

struct watch {
    struct list on_inode, on_owner, on_dead;
    struct inode *inode; /* referenced */
    struct inotify *owner;
    uint32_t mask;
    int wd;
};

static struct spinlock notify_lock = SPINLOCK_INIT(RANK_INODE_DATA);

static struct event *event_new(int wd, uint32_t mask, uint32_t cookie, const char *name)
{
    size_t len = name ? align_up(strlen(name) + 1, sizeof(struct abi_inotify_event)) : 0;
    struct event *e = kzalloc(sizeof(*e) + len);
    if (!e)
        return NULL;
    e->head = (struct abi_inotify_event){wd, mask, cookie, (uint32_t)len};
    if (name)
        memcpy(e->name, name, strlen(name));
    return e;
}

static bool same_event(const struct event *a, const struct event *b)
{
    return a->head.wd == b->head.wd && a->head.mask == b->head.mask &&
           a->head.cookie == b->head.cookie && a->head.len == b->head.len &&
           memcmp(a->name, b->name, a->head.len) == 0;
}

static void append_locked(struct inotify *n, struct event *e)
{
    list_append(&n->queue, &e->node);
    n->count++;
    n->bytes += sizeof(e->head) + e->head.len;
    wait_wake_all(&n->wait);
}

/* A full queue, or no memory, ends it with one IN_Q_OVERFLOW. */
static void queue_locked(struct inotify *n, int wd, uint32_t mask, uint32_t cookie,
                         const char *name)
{
    struct event *e = n->count < QUEUE_MAX ? event_new(wd, mask, cookie, name) : NULL;
    if (!e) {
        e = n->overflowed ? NULL : event_new(-1, IN_Q_OVERFLOW, 0, NULL);
        if (!e)
            return;
        n->overflowed = true;
    } else if (!list_empty(&n->queue) &&
               same_event(list_entry(n->queue.prev, struct event, node), e)) {
        kfree(e); /* nothing new */
        return;
    }
    append_locked(n, e);
}

/* Takes a watch off both lists; it goes to `dead`, to be freed after the lock. */
static void end_locked(struct watch *w, struct list *dead)
{
    list_remove(&w->on_inode);
    list_remove(&w->on_owner);
    w->inode->watches--;
    atomic_fetch_sub(&notify_watches, 1);
    queue_locked(w->owner, w->wd, IN_IGNORED, 0, NULL);
    list_append(dead, &w->on_dead);
}

static void free_dead(struct list *dead)
{
    while (!list_empty(dead)) {
        struct watch *w = list_entry(list_pop(dead), struct watch, on_dead);
        inode_put(w->inode);
        kfree(w);
    }
}

static void announce(struct inode *i, uint32_t event, uint32_t cookie, const char *name)
{
    struct list dead = LIST_INIT(dead);
    if (!atomic_load(&i->watches))
        return;
    spin_lock(&notify_lock);
    struct watch *w, *next;
    list_for_each_safe (w, next, &i->watch_list, on_inode) {
        if (!(event & w->mask & IN_ALL_EVENTS))
            continue;
        queue_locked(w->owner, w->wd, event, cookie, name);
        if (w->mask & IN_ONESHOT)
            end_locked(w, &dead);
    }
    spin_unlock(&notify_lock);
    free_dead(&dead);
}

void notify_dir_slow(struct inode *dir, const char *name, uint32_t event, uint32_t cookie)
{
    announce(dir, event, cookie, name);
}

static uint32_t dir_flag(const struct inode *i)
{
    return inode_is_dir(i) ? IN_ISDIR : 0;
}

void notify_inode_slow(struct inode *i, uint32_t event)
{
    announce(i, event | dir_flag(i), 0, NULL);
}

void notify_dentry_slow(struct dentry *d, uint32_t event)
{
    char name[NAME_MAX + 1];
    struct inode *dir = NULL;
    uint32_t flag = dir_flag(d->inode);
    dcache_lock_names();
    if (d->parent != d && atomic_load(&d->parent->inode->watches) && !d->unlinked &&
        d->name_len <= NAME_MAX) {
        dir = inode_get(d->parent->inode);
        memcpy(name, d->name, d->name_len + 1);
    }
    dcache_unlock_names();
    if (dir) {
        announce(dir, event | flag, 0, name);
        inode_put(dir);
    }
    announce(d->inode, event | flag, 0, NULL);
}

void notify_setattr(struct dentry *d, uint32_t mask)
{
    uint32_t event = 0, times = mask & (ATTR_ATIME | ATTR_MTIME);
    if (!notify_any())
        return;
    if (mask & (ATTR_MODE | ATTR_UID | ATTR_GID))
        event |= IN_ATTRIB;
    if (mask & ATTR_SIZE)
        event |= IN_MODIFY;
    else if (times == (ATTR_ATIME | ATTR_MTIME))
        event |= IN_ATTRIB;
    else if (times)
        event |= times & ATTR_ATIME ? IN_ACCESS : IN_MODIFY;
    notify_dentry_slow(d, event);
}

void notify_moved(struct inode *from, const char *old, struct inode *to, const char *name,
                  struct inode *moved)
{
    static _Atomic uint32_t cookies;
    if (!notify_any())
        return;
    uint32_t cookie = atomic_fetch_add(&cookies, 1) + 1, flag = dir_flag(moved);
    announce(from, IN_MOVED_FROM | flag, cookie, old);
    announce(to, IN_MOVED_TO | flag, cookie, name);
    announce(moved, IN_MOVE_SELF, 0, NULL);
}

void notify_gone(struct inode *i, uint32_t event)
{
    struct list dead = LIST_INIT(dead);
    if (!atomic_load(&i->watches))
        return;
    spin_lock(&notify_lock);
    struct watch *w, *next;
    list_for_each_safe (w, next, &i->watch_list, on_inode) {
        if ((event & w->mask) || event == IN_UNMOUNT)
            queue_locked(w->owner, w->wd, event, 0, NULL);
        end_locked(w, &dead);
    }
    spin_unlock(&notify_lock);
    free_dead(&dead);
}

/* ---- the file ---- */

static struct list all_watchers = LIST_INIT(all_watchers); /* struct inotify.node */

struct inotify_file {
    struct inotify inotify;
    struct list node; /* in all_watchers */
};

static struct inotify *inotify_of(struct file *f)
{
    return &((struct inotify_file *)f->private)->inotify;
}

static struct inode *any_on(struct super *sb)
{
    struct inotify_file *f;
    struct inode *found = NULL;
    spin_lock(&notify_lock);
    list_for_each (f, &all_watchers, node) {
        struct watch *w;
        list_for_each (w, &f->inotify.watches, on_owner) {
            if (!found && w->inode->sb == sb)
                found = inode_get(w->inode);
        }
    }
    spin_unlock(&notify_lock);
    return found;
}

void notify_unmounted(struct super *sb)
{
    struct inode *i;
    while (notify_any() && (i = any_on(sb)) != NULL) {
        notify_gone(i, IN_UNMOUNT);
        inode_put(i);
    }
}

/* The first event, if it fits. */
static struct event *take(struct inotify *n, size_t room, bool *any)
{
    struct event *e = NULL;
    spin_lock(&notify_lock);
    *any = !list_empty(&n->queue);
    if (*any) {
        e = list_entry(n->queue.next, struct event, node);
        size_t size = sizeof(e->head) + e->head.len;
        if (size > room) {
            e = NULL;
        } else {
            list_remove(&e->node);
            n->count--;
            n->bytes -= size;
            if (e->head.mask & IN_Q_OVERFLOW)
                n->overflowed = false;
        }
    }
    spin_unlock(&notify_lock);
    return e;
}

static ssize_t inotify_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct inotify *n = inotify_of(f);
    size_t done = 0;
    bool any = true, whole = true;
    (void)pos;
    while (whole) {
        struct event *e = take(n, to->remaining, &any);
        if (!e)
            break;
        size_t size = sizeof(e->head) + e->head.len;
        whole = iter_copy_to(to, &e->head, sizeof(e->head)) == sizeof(e->head) &&
                iter_copy_to(to, e->name, e->head.len) == e->head.len;
        done += whole ? size : 0;
        kfree(e);
    }
    if (done)
        return (ssize_t)done;
    return !whole ? -EFAULT : any ? -EINVAL : -EAGAIN;
}

static uint32_t inotify_poll(struct file *f, struct poll_table *t)
{
    struct inotify *n = inotify_of(f);
    poll_add(t, &n->wait);
    spin_lock(&notify_lock);
    uint32_t events = list_empty(&n->queue) ? 0 : POLLIN | POLLRDNORM;
    spin_unlock(&notify_lock);
    return events;
}

static int64_t inotify_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    if (request != FIONREAD)
        return -ENOTTY;
    spin_lock(&notify_lock);
    int bytes = (int)inotify_of(f)->bytes;
    spin_unlock(&notify_lock);
    return put_user(arg, bytes);
}

static void inotify_release(struct file *f)
{
    struct inotify *n = inotify_of(f);
    struct list dead = LIST_INIT(dead);
    spin_lock(&notify_lock);
    list_remove(&((struct inotify_file *)f->private)->node);
    while (!list_empty(&n->watches))
        end_locked(list_entry(n->watches.next, struct watch, on_owner), &dead);
    spin_unlock(&notify_lock);
    free_dead(&dead);
    while (!list_empty(&n->queue))
        kfree(list_entry(list_pop(&n->queue), struct event, node));
    kfree(f->private);
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
};

int inotify_new(uint32_t flags, struct file **out)
{
    struct inotify_file *n = kzalloc(sizeof(*n));
    struct inode *i;
    if (!n)
        return -ENOMEM;
    list_init(&n->inotify.queue);
    list_init(&n->inotify.watches);
    wait_queue_init(&n->inotify.wait);
    int r = inode_new_anonymous(0600, &i);
    if (r == 0)
        r = file_new_anonymous(i, "anon_inode:inotify", O_RDONLY | (flags & O_NONBLOCK),
                               &inotify_ops, n, out);
    if (r < 0) {
        kfree(n);
        return r;
    }
    spin_lock(&notify_lock);
    list_append(&all_watchers, &n->node);
    spin_unlock(&notify_lock);
    return 0;
}

static struct watch *watch_of_locked(struct inotify *n, const struct inode *i)
{
    struct watch *w;
    list_for_each (w, &i->watch_list, on_inode) {
        if (w->owner == n)
            return w;
    }
    return NULL;
}

static int change_locked(struct watch *w, uint32_t mask)
{
    if (mask & IN_MASK_CREATE)
        return -EEXIST;
    w->mask = mask & IN_MASK_ADD ? w->mask | mask : mask;
    return w->wd;
}

static int add_locked(struct inotify *n, struct watch *w, struct inode *i, uint32_t mask)
{
    if (atomic_load(&notify_watches) >= WATCHES_MAX || n->last_wd == INT32_MAX)
        return -ENOSPC;
    w->inode = inode_get(i);
    w->owner = n;
    w->mask = mask;
    w->wd = ++n->last_wd;
    list_append(&i->watch_list, &w->on_inode);
    list_append(&n->watches, &w->on_owner);
    i->watches++;
    atomic_fetch_add(&notify_watches, 1);
    return w->wd;
}

int inotify_add(struct file *f, struct inode *i, uint32_t mask)
{
    if (f->ops != &inotify_ops)
        return -EINVAL;
    struct watch *fresh = kzalloc(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    list_init(&fresh->on_dead);
    struct inotify *n = inotify_of(f);
    spin_lock(&notify_lock);
    struct watch *w = watch_of_locked(n, i);
    int r = w ? change_locked(w, mask) : add_locked(n, fresh, i, mask);
    bool used = !w && r >= 0;
    spin_unlock(&notify_lock);
    if (!used)
        kfree(fresh);
    return r;
}

int inotify_remove(struct file *f, int wd)
{
    struct list dead = LIST_INIT(dead);
    if (f->ops != &inotify_ops)
        return -EINVAL;
    spin_lock(&notify_lock);
    struct watch *w, *next;
    list_for_each_safe (w, next, &inotify_of(f)->watches, on_owner) {
        if (w->wd == wd)
            end_locked(w, &dead);
    }
    spin_unlock(&notify_lock);
    int r = list_empty(&dead) ? -EINVAL : 0;
    free_dead(&dead);
    return r;
}
