/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll(7). Each item waits on its file's queues for good; an announcement moves it to the
 * ready list. Collecting polls the items on that list again: level-triggered ones that are
 * still ready stay on it.
 *
 * Locks: ep->lock (mutex) orders control and collection; ep->ready_lock (spinlock) protects the
 * ready list and is taken in announcements, under a wait queue's lock of another object. The
 * lock of epolls that watch epolls nests, bounded by NEST_MAX; a circle is refused (-ELOOP). An
 * item does not keep its file open: the file's end removes it (epoll_forget).
 */
#include "abi/errno.h"
#include "ipc/ipc.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

#define NEST_MAX 5

struct epoll {
    struct mutex lock;
    struct rb_root items; /* by file and descriptor; lock */
    uint64_t rounds;      /* calls of epoll_wait(2) that found something; lock */
    struct spinlock ready_lock;
    struct list ready; /* ready_lock */
    struct wait_queue wait;
    struct file *file; /* its own; not counted */
};

struct epoll_item {
    struct rb_node node;
    struct list ready_node; /* ready_lock */
    struct list file_node;  /* file->epoll_items; links_lock */
    struct epoll *ep;
    struct file *file; /* not counted */
    int fd;
    uint32_t events; /* with EPOLLET, EPOLLONESHOT */
    uint64_t data;
    bool disabled;  /* one shot was fired */
    uint64_t round; /* told in that one; the epoll's lock */
    struct poll_table table;
};

static const struct file_ops epoll_ops;
/* All items of all files: file->epoll_items. Held while a file goes away, so that neither the
 * item nor its epoll can vanish under the other. */
static struct mutex links_lock;

static bool announce(struct waiter *w)
{
    struct poll_entry *e = container_of(w, struct poll_entry, waiter);
    struct epoll_item *item = e->owner;
    struct epoll *ep = item->ep;
    spin_lock(&ep->ready_lock);
    if (list_empty(&item->ready_node))
        list_append(&ep->ready, &item->ready_node);
    spin_unlock(&ep->ready_lock);
    return wait_wake(&ep->wait, 1) != 0;
}

static int item_compare(const struct epoll_item *a, const struct file *f, int fd)
{
    uintptr_t x = (uintptr_t)a->file, y = (uintptr_t)f;
    if (x != y)
        return x < y ? -1 : 1;
    return a->fd < fd ? -1 : a->fd > fd;
}

static struct epoll_item *item_find(struct epoll *ep, struct file *f, int fd)
{
    struct rb_node *n = ep->items.node;
    while (n) {
        struct epoll_item *i = container_of(n, struct epoll_item, node);
        int c = item_compare(i, f, fd);
        if (c == 0)
            return i;
        n = c > 0 ? n->left : n->right;
    }
    return NULL;
}

static void item_insert(struct epoll *ep, struct epoll_item *item)
{
    struct rb_node *parent = NULL, **link = &ep->items.node;
    while (*link) {
        parent = *link;
        struct epoll_item *at = container_of(parent, struct epoll_item, node);
        link = item_compare(at, item->file, item->fd) > 0 ? &parent->left : &parent->right;
    }
    rb_insert(&ep->items, parent, link, &item->node);
}

static uint32_t item_poll(struct epoll_item *item, struct poll_table *t)
{
    return file_poll(item->file, t) & (item->events | POLLERR | POLLHUP);
}

static void make_ready(struct epoll_item *item)
{
    spin_lock(&item->ep->ready_lock);
    if (list_empty(&item->ready_node))
        list_append(&item->ep->ready, &item->ready_node);
    spin_unlock(&item->ep->ready_lock);
    wait_wake(&item->ep->wait, 1);
}

static void item_remove(struct epoll_item *item)
{
    struct epoll *ep = item->ep;
    poll_table_fini(&item->table); /* no announcement after this */
    spin_lock(&ep->ready_lock);
    if (!list_empty(&item->ready_node))
        list_remove(&item->ready_node);
    spin_unlock(&ep->ready_lock);
    rb_remove(&ep->items, &item->node);
    list_remove(&item->file_node);
    atomic_fetch_sub(&item->file->epolls, 1);
    kfree(item);
}

/* How deep epolls nest below `f`; NEST_MAX or more: too deep, or `target` is among them. */
static int depth_below(struct file *f, struct file *target, int level)
{
    int deepest = level;
    if (f == target || level >= NEST_MAX)
        return NEST_MAX;
    if (!epoll_is(f))
        return level;
    struct epoll *ep = f->private;
    for (struct rb_node *n = rb_first(&ep->items); n; n = rb_next(n)) {
        struct epoll_item *item = container_of(n, struct epoll_item, node);
        if (epoll_is(item->file))
            deepest = MAX(deepest, depth_below(item->file, target, level + 1));
    }
    return deepest;
}

static int item_add(struct epoll *ep, int fd, struct file *f,
                    const struct abi_epoll_event *event)
{
    if (item_find(ep, f, fd))
        return -EEXIST;
    struct epoll_item *item = kzalloc(sizeof(*item));
    if (!item)
        return -ENOMEM;
    item->ep = ep;
    item->file = f;
    item->fd = fd;
    item->events = event->events;
    item->data = event->data;
    list_init(&item->ready_node);
    poll_table_init(&item->table, announce, item);
    item->table.exclusive = event->events & EPOLLEXCLUSIVE;
    item_insert(ep, item);
    list_append(&f->epoll_items, &item->file_node);
    atomic_fetch_add(&f->epolls, 1);
    uint32_t ready = item_poll(item, &item->table);
    if (item->table.failed) {
        item_remove(item);
        return -ENOMEM;
    }
    if (ready)
        make_ready(item);
    return 0;
}

static int item_change(struct epoll *ep, int fd, struct file *f,
                       const struct abi_epoll_event *event)
{
    struct epoll_item *item = item_find(ep, f, fd);
    if (!item)
        return -ENOENT;
    if ((item->events | event->events) & EPOLLEXCLUSIVE)
        return -EINVAL;
    item->events = event->events;
    item->data = event->data;
    item->disabled = false;
    if (item_poll(item, NULL))
        make_ready(item);
    return 0;
}

/* One of several that watch a file is woken: only where nothing else is asked for. */
static bool exclusive_ok(const struct file *f, uint32_t events)
{
    static const uint32_t with = EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP | POLLIN | POLLOUT |
                                 POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    return !(events & EPOLLEXCLUSIVE) || (!(events & ~with) && !epoll_is(f));
}

static int control_locked(struct epoll *ep, int op, int fd, struct file *f,
                          const struct abi_epoll_event *event)
{
    struct epoll_item *item;
    switch (op) {
    case EPOLL_CTL_ADD:
        if (!exclusive_ok(f, event->events))
            return -EINVAL;
        if (epoll_is(f) && depth_below(f, ep->file, 1) >= NEST_MAX)
            return -ELOOP;
        return item_add(ep, fd, f, event);
    case EPOLL_CTL_MOD:
        return item_change(ep, fd, f, event);
    case EPOLL_CTL_DEL:
        item = item_find(ep, f, fd);
        if (item)
            item_remove(item);
        return item ? 0 : -ENOENT;
    default:
        return -EINVAL;
    }
}

int epoll_control(struct file *file, int op, int fd, struct file *f,
                  const struct abi_epoll_event *event)
{
    struct epoll *ep = file->private;
    if (f == file)
        return -EINVAL;
    if (!f->ops->poll)
        return -EPERM; /* regular files and directories */
    mutex_lock(&links_lock);
    mutex_lock(&ep->lock);
    int r = control_locked(ep, op, fd, f, event);
    mutex_unlock(&ep->lock);
    mutex_unlock(&links_lock);
    return r;
}

/* The last reference to a file is gone: so are its items. */
static void epoll_forget(struct file *f)
{
    mutex_lock(&links_lock);
    while (!list_empty(&f->epoll_items)) {
        struct epoll_item *item = list_entry(f->epoll_items.next, struct epoll_item, file_node);
        struct epoll *ep = item->ep;
        mutex_lock(&ep->lock);
        item_remove(item);
        mutex_unlock(&ep->lock);
    }
    mutex_unlock(&links_lock);
}

/* Polls what is on the ready list until `max` events are found; what stays ready, being
 * level-triggered, goes to its end, and is not told again in the same round. */
static int collect(struct epoll *ep, struct abi_epoll_event *out, int max, uint64_t *round)
{
    struct list again = LIST_INIT(again), *n;
    int count = 0;
    mutex_lock(&ep->lock);
    if (!*round)
        *round = ++ep->rounds;
    spin_lock(&ep->ready_lock);
    while (count < max && (n = list_pop(&ep->ready)) != NULL) {
        struct epoll_item *item = list_entry(n, struct epoll_item, ready_node);
        if (item->round == *round) {
            list_append(&again, n);
            break;
        }
        spin_unlock(&ep->ready_lock);
        uint32_t ready = item->disabled ? 0 : item_poll(item, NULL);
        spin_lock(&ep->ready_lock);
        if (!ready)
            continue;
        out[count++] = (struct abi_epoll_event){ready, item->data};
        item->round = *round;
        if (item->events & EPOLLONESHOT)
            item->disabled = true;
        else if (!(item->events & EPOLLET) && list_empty(&item->ready_node))
            list_append(&again, &item->ready_node);
    }
    while ((n = list_pop(&again)) != NULL)
        list_append(&ep->ready, n);
    bool more = !list_empty(&ep->ready);
    spin_unlock(&ep->ready_lock);
    mutex_unlock(&ep->lock);
    if (more) /* for the next one who waits */
        wait_wake(&ep->wait, 1);
    return count;
}

static bool maybe_ready(struct epoll *ep)
{
    spin_lock(&ep->ready_lock);
    bool any = !list_empty(&ep->ready);
    spin_unlock(&ep->ready_lock);
    return any;
}

/* Sleeps, one of several, until there may be something. */
static int sleep_for_ready(struct epoll *ep, uint64_t deadline_ns)
{
    struct waiter w = {.exclusive = true};
    int r = 0;
    for (;;) {
        wait_prepare(&ep->wait, &w, TASK_SLEEPING);
        if (maybe_ready(ep))
            break;
        if (task_signalled()) {
            r = -ERESTARTSYS;
            break;
        }
        if (!schedule_until(deadline_ns)) {
            r = -ETIMEDOUT;
            break;
        }
    }
    wait_finish(&ep->wait, &w);
    if (r < 0 && maybe_ready(ep)) /* a wake-up that was meant for somebody who stays */
        wait_wake(&ep->wait, 1);
    return r;
}

int epoll_wait_events(struct file *file, struct abi_epoll_event *out, int max,
                      uint64_t deadline_ns, uint64_t *round)
{
    struct epoll *ep = file->private;
    for (;;) {
        int count = maybe_ready(ep) ? collect(ep, out, max, round) : 0;
        if (count || deadline_ns == 0)
            return count;
        int r = sleep_for_ready(ep, deadline_ns);
        if (r == -ETIMEDOUT)
            deadline_ns = 0; /* one last look */
        else if (r < 0)
            return r;
    }
}

/* Is some item really ready? Those that are not leave the list. */
static bool really_ready(struct epoll *ep)
{
    struct list *n;
    bool found = false;
    mutex_lock(&ep->lock);
    spin_lock(&ep->ready_lock);
    while (!found && (n = list_pop(&ep->ready)) != NULL) {
        struct epoll_item *item = list_entry(n, struct epoll_item, ready_node);
        spin_unlock(&ep->ready_lock);
        found = !item->disabled && item_poll(item, NULL);
        spin_lock(&ep->ready_lock);
        if (found && list_empty(&item->ready_node))
            list_push(&ep->ready, &item->ready_node);
    }
    spin_unlock(&ep->ready_lock);
    mutex_unlock(&ep->lock);
    return found;
}

static uint32_t epoll_poll(struct file *f, struct poll_table *t)
{
    struct epoll *ep = f->private;
    poll_add(t, &ep->wait);
    return maybe_ready(ep) && really_ready(ep) ? POLLIN | POLLRDNORM : 0;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->private;
    struct rb_node *n;
    mutex_lock(&links_lock);
    mutex_lock(&ep->lock);
    while ((n = rb_first(&ep->items)) != NULL)
        item_remove(container_of(n, struct epoll_item, node));
    mutex_unlock(&ep->lock);
    mutex_unlock(&links_lock);
    kfree(ep);
}

static const struct file_ops epoll_ops = {.poll = epoll_poll, .release = epoll_release};

bool epoll_is(const struct file *f)
{
    return f->ops == &epoll_ops;
}

int epoll_new(struct file **out)
{
    struct inode *i;
    struct epoll *ep = kzalloc(sizeof(*ep));
    if (!ep)
        return -ENOMEM;
    mutex_init(&ep->lock, RANK_EPOLL);
    spin_init(&ep->ready_lock, RANK_WAIT);
    list_init(&ep->ready);
    wait_queue_init(&ep->wait);
    int r = inode_new_anonymous(0600, &i);
    if (r == 0)
        r = file_new_anonymous(i, "anon_inode:[eventpoll]", O_RDWR, &epoll_ops, ep, out);
    if (r < 0)
        kfree(ep);
    else
        ep->file = *out;
    return r;
}

void epoll_register(void)
{
    mutex_init(&links_lock, RANK_EPOLL_LINKS);
    fs_hooks.epoll_forget = epoll_forget;
}
