/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGIO (fcntl(2), O_ASYNC): whoever owns a file hears when it becomes ready. Announcements
 * come under locks that signals must not be sent under, so a kernel task, made at the first
 * use, takes them from a list and sends.
 *
 * `lock` (mutex) protects which files are asynchronous, `list_lock` what was announced.
 */
#include "abi/errno.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"
#include "signal/signal.h"

#define POLL_CODE_IN  1
#define POLL_CODE_OUT 2
#define POLL_CODE_ERR 4

struct file_async {
    struct file *file; /* not counted: its end comes here first */
    int fd;            /* for siginfo */
    struct list node;  /* announced; list_lock */
    struct poll_table table;
};

static struct mutex lock;
static struct spinlock list_lock = SPINLOCK_INIT(RANK_TIMER);
static struct list announced = LIST_INIT(announced);
static struct wait_queue work;
static struct task *sender; /* lock */

static bool announce(struct waiter *w)
{
    struct poll_entry *e = container_of(w, struct poll_entry, waiter);
    struct file_async *a = e->owner;
    spin_lock(&list_lock);
    if (list_empty(&a->node))
        list_append(&announced, &a->node);
    spin_unlock(&list_lock);
    wait_wake_all(&work);
    return true;
}

static struct file_async *next(void)
{
    struct file_async *a = NULL;
    spin_lock(&list_lock);
    struct list *n = list_pop(&announced);
    if (n)
        a = list_entry(n, struct file_async, node);
    spin_unlock(&list_lock);
    return a;
}

static bool waiting(void)
{
    spin_lock(&list_lock);
    bool any = !list_empty(&announced);
    spin_unlock(&list_lock);
    return any;
}

static void tell(const struct file_async *a)
{
    struct file *f = a->file;
    uint32_t events = file_poll(f, NULL);
    struct abi_siginfo info = {.si_signo = f->owner_sig ? f->owner_sig : SIGIO,
                               .si_code = SI_KERNEL};
    if (!events || !f->owner_pid || !fs_hooks.signal_owner)
        return;
    if (f->owner_sig) {
        info.si_code = events & (POLLERR | POLLHUP) ? POLL_CODE_ERR
                       : events & POLLIN            ? POLL_CODE_IN
                                                    : POLL_CODE_OUT;
        info.band = events;
        info.fd = a->fd;
    }
    fs_hooks.signal_owner(f, &info);
}

static void send_all(void *arg)
{
    struct file_async *a;
    (void)arg;
    for (;;) {
        (void)!wait_event(&work, waiting(), NO_DEADLINE);
        mutex_lock(&lock);
        while ((a = next()) != NULL)
            tell(a);
        mutex_unlock(&lock);
    }
}

static int start_sender(void)
{
    if (sender)
        return 0;
    struct task *t = kzalloc(sizeof(*t));
    if (!t || task_init(t, send_all, NULL)) {
        kfree(t);
        return -ENOMEM;
    }
    memcpy(t->name, "sigio", 6);
    sender = t;
    task_start(t);
    return 0;
}

static void drop(struct file *f)
{
    struct file_async *a = f->async;
    if (!a)
        return;
    poll_table_fini(&a->table); /* no announcement after this */
    spin_lock(&list_lock);
    if (!list_empty(&a->node))
        list_remove(&a->node);
    spin_unlock(&list_lock);
    f->async = NULL;
    kfree(a);
}

static int add(struct file *f, int fd)
{
    struct file_async *a = kzalloc(sizeof(*a));
    int r = a ? start_sender() : -ENOMEM;
    if (r < 0) {
        kfree(a);
        return r;
    }
    a->file = f;
    a->fd = fd;
    list_init(&a->node);
    poll_table_init(&a->table, announce, a);
    f->async = a;
    (void)!file_poll(f, &a->table);
    if (!a->table.failed)
        return 0;
    drop(f);
    return -ENOMEM;
}

int sigio_set(struct file *f, int fd, bool on)
{
    int r = 0;
    if (!f->ops->poll)
        return -ENOTTY;
    mutex_lock(&lock);
    if (on && !f->async)
        r = add(f, fd);
    else if (!on)
        drop(f);
    mutex_unlock(&lock);
    if (r < 0)
        return r;
    if (on)
        atomic_fetch_or(&f->flags, O_ASYNC);
    else
        atomic_fetch_and(&f->flags, ~O_ASYNC);
    return 0;
}

static void forget(struct file *f)
{
    mutex_lock(&lock);
    drop(f);
    mutex_unlock(&lock);
}

void sigio_register(void)
{
    mutex_init(&lock, RANK_IO);
    wait_queue_init(&work);
    fs_hooks.async_forget = forget;
}
