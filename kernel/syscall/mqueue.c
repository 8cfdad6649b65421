/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls of POSIX message queues. */
#include "ipc/mqueue.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "fs/core/fd.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "syscall/syscall.h"
#include "time/time.h"

#define NAME_BYTES 256u

static int get_name(uaddr_t at, char **out)
{
    char *name;
    int e = strdup_from_user(at, NAME_BYTES, &name);
    if (e)
        return e;
    if (!name[0])
        e = -ENOENT;
    for (const char *c = name; *c && !e; c++)
        e = *c == '/' ? -EACCES : 0;
    if (e)
        kfree(name);
    else
        *out = name;
    return e;
}

int64_t sys_mq_open(uaddr_t name_at, uint32_t flags, uint32_t mode, uaddr_t attr_at)
{
    struct abi_mq_attr attr;
    struct file *f;
    char *name;
    bool with = (flags & O_CREAT) && attr_at;
    if (with && copy_from_user(&attr, attr_at, sizeof(attr)))
        return -EFAULT;
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    int e = get_name(name_at, &name);
    if (e)
        return e;
    mode &= 0777 & ~atomic_load(&current->fs->umask);
    e = mq_new(name, flags, mode, with ? &attr : NULL, &f);
    kfree(name);
    return e ? e : fd_add(f, true);
}

int64_t sys_mq_unlink(uaddr_t name_at)
{
    char *name;
    int e = get_name(name_at, &name);
    if (e)
        return e;
    e = mq_unlink(name);
    kfree(name);
    return e;
}

static int get_deadline(uaddr_t timeout, uint64_t *deadline)
{
    uint64_t ns;
    *deadline = NO_DEADLINE;
    if (!timeout)
        return 0;
    int e = time_get_spec(timeout, &ns);
    if (!e)
        *deadline = time_deadline_realtime(ns);
    return e;
}

/* The open queue, if it may be used so: FILE_READ or FILE_WRITE; 0: whichever. */
static int get_queue(int fd, uint32_t state, struct file **out)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    if (!mq_is(f) || (f->state & state) != state) {
        file_put(f);
        return -EBADF;
    }
    *out = f;
    return 0;
}

int64_t sys_mq_timedsend(int fd, uaddr_t text, uint64_t size, uint32_t priority,
                         uaddr_t timeout)
{
    struct file *f;
    uint64_t deadline;
    if (priority >= MQ_PRIO_MAX)
        return -EINVAL;
    int e = get_deadline(timeout, &deadline);
    if (!e)
        e = get_queue(fd, FILE_WRITE, &f);
    if (e)
        return e;
    e = mq_send(f, text, size, priority, deadline);
    file_put(f);
    return e;
}

int64_t sys_mq_timedreceive(int fd, uaddr_t text, uint64_t size, uaddr_t priority_at,
                            uaddr_t timeout)
{
    struct file *f;
    uint64_t deadline;
    uint32_t priority;
    int64_t r = get_deadline(timeout, &deadline);
    if (!r)
        r = get_queue(fd, FILE_READ, &f);
    if (r)
        return r;
    r = mq_receive(f, text, size, &priority, deadline);
    file_put(f);
    if (r >= 0 && priority_at && put_user(priority_at, priority))
        r = -EFAULT;
    return r;
}

int64_t sys_mq_notify(int fd, uaddr_t event_at)
{
    struct abi_sigevent ev = {.notify = SIGEV_NONE};
    struct file *f;
    if (event_at && copy_from_user(&ev, event_at, sizeof(ev)))
        return -EFAULT;
    if (ev.notify != SIGEV_NONE && ev.notify != SIGEV_SIGNAL) /* LIMIT: no SIGEV_THREAD */
        return -EINVAL;
    if (ev.notify == SIGEV_SIGNAL && (ev.signo < 0 || ev.signo > SIGMAX))
        return -EINVAL;
    int e = get_queue(fd, 0, &f);
    if (e)
        return e;
    if (event_at)
        e = mq_notify_set(f, ev.notify == SIGEV_SIGNAL ? ev.signo : 0, ev.value);
    else
        mq_notify_remove(f);
    file_put(f);
    return e;
}

int64_t sys_mq_getsetattr(int fd, uaddr_t fresh_at, uaddr_t old_at)
{
    struct abi_mq_attr fresh, old;
    struct file *f;
    if (fresh_at && copy_from_user(&fresh, fresh_at, sizeof(fresh)))
        return -EFAULT;
    if (fresh_at && (fresh.flags & ~(int64_t)O_NONBLOCK))
        return -EINVAL;
    int e = get_queue(fd, 0, &f);
    if (e)
        return e;
    mq_attr(f, &old);
    if (fresh_at && fresh.flags)
        atomic_fetch_or(&f->flags, O_NONBLOCK);
    else if (fresh_at)
        atomic_fetch_and(&f->flags, ~(uint32_t)O_NONBLOCK);
    file_put(f);
    return old_at ? copy_to_user(old_at, &old, sizeof(old)) : 0;
}
