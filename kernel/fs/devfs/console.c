/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's standard streams as descriptors 0, 1 and 2, and /dev/tty over them. Nothing that
 * passes here is secret or trusted. Reads and writes use the host's own file position, which
 * other programs of the host may share.
 *
 * Readiness: asked of the host at each poll. While somebody waits, a kernel task of the stream
 * has a poll pending with the host and wakes the queue when it returns.
 */
#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/core/fd.h"
#include "fs/devfs/devfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/hostio.h"
#include "sched/task.h"

#define CHUNK (64u * 1024)

struct console {
    struct inode inode;
    int fd;
    bool tty;
    bool waits;              /* reading can block */
    struct wait_queue ready; /* pollers */
    struct wait_queue work;  /* the watcher */
    _Atomic uint32_t wanted; /* events that pollers wait for */
    struct task *watcher;
    struct mutex lock; /* of `watcher` */
};

static struct console *consoles[3];
static _Atomic int foreground; /* process group of the terminal */

static struct console *console_of(struct file *f)
{
    return f->private;
}

static uint32_t ready_now(struct console *c)
{
    uint32_t both = POLLIN | POLLOUT;
    if (!c->waits)
        return both | POLLRDNORM | POLLWRNORM;
    int r = hostio_poll(c->fd, both, 0);
    if (r < 0)
        return r == -ERESTARTSYS ? 0 : POLLERR;
    uint32_t events = (uint32_t)r & (both | POLLERR | POLLHUP);
    if (events & POLLIN)
        events |= POLLRDNORM;
    if (events & POLLOUT)
        events |= POLLWRNORM;
    return events;
}

static ssize_t console_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct console *c = console_of(f);
    size_t size = MIN(to->remaining, (size_t)CHUNK);
    bool positioned = pos != &f->pos && inode_is_reg(&c->inode);
    if (size == 0)
        return 0;
    if (c->waits && (f->flags & O_NONBLOCK) && !(ready_now(c) & (POLLIN | POLLHUP | POLLERR)))
        return -EAGAIN;
    uint8_t *buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    ssize_t r = hostio_read(c->fd, buffer, size, positioned ? (int64_t)*pos : HOSTIO_STREAM);
    if (r > 0) {
        size_t n = iter_copy_to(to, buffer, (size_t)r);
        r = n ? (ssize_t)n : -EFAULT;
        *pos += n;
    }
    kfree(buffer);
    return r;
}

static ssize_t console_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct console *c = console_of(f);
    uint8_t small[256], *buffer = small;
    struct iter saved = *from;
    size_t size = MIN(from->remaining, (size_t)CHUNK);
    bool positioned = pos != &f->pos && inode_is_reg(&c->inode);
    if (size == 0)
        return 0;
    if (c->waits && (f->flags & O_NONBLOCK) && !(ready_now(c) & (POLLOUT | POLLERR | POLLHUP)))
        return -EAGAIN;
    if (size > sizeof(small))
        buffer = kmalloc(size);
    if (!buffer)
        return -ENOMEM;
    size = iter_copy_from(from, buffer, size);
    ssize_t r = -EFAULT;
    if (size)
        r = hostio_write(c->fd, buffer, size, positioned ? (int64_t)*pos : HOSTIO_STREAM);
    iter_revert(from, &saved);
    if (r > 0) {
        iter_advance(from, (size_t)r);
        *pos += (uint64_t)r;
    }
    if (buffer != small)
        kfree(buffer);
    return r;
}

static void watch(void *arg)
{
    struct console *c = arg;
    for (;;) {
        (void)!wait_event(&c->work, atomic_load(&c->wanted) != 0, NO_DEADLINE);
        uint32_t wanted = atomic_exchange(&c->wanted, 0);
        if (wanted)
            (void)!hostio_poll(c->fd, wanted, NO_DEADLINE);
        wait_wake_all(&c->ready);
    }
}

/* Asks the watcher, made at the first use, to announce one of the events. */
static void watch_for(struct console *c, uint32_t events)
{
    mutex_lock(&c->lock);
    if (!c->watcher) {
        c->watcher = kzalloc(sizeof(*c->watcher));
        if (c->watcher && task_init(c->watcher, watch, c) == 0) {
            task_start(c->watcher);
        } else {
            kfree(c->watcher);
            c->watcher = NULL;
        }
    }
    mutex_unlock(&c->lock);
    atomic_fetch_or(&c->wanted, events);
    wait_wake_all(&c->work);
}

static uint32_t console_poll(struct file *f, struct poll_table *t)
{
    struct console *c = console_of(f);
    if (t && c->waits)
        poll_add(t, &c->ready);
    uint32_t ready = ready_now(c);
    uint32_t missing = (POLLIN | POLLOUT) & ~ready;
    if (t && c->waits && !(ready & (POLLERR | POLLHUP)) && missing)
        watch_for(c, f->state & FILE_READ && !(ready & POLLIN) ? POLLIN : missing);
    return ready;
}

static int64_t console_seek(struct file *f, int64_t offset, int whence)
{
    struct console *c = console_of(f);
    if (whence < SEEK_SET || whence > SEEK_HOLE)
        return -EINVAL;
    int64_t r = host_seek(c->fd, offset, whence);
    if (r >= 0)
        f->pos = (uint64_t)r;
    return r;
}

static int64_t pass_ioctl(struct console *c, uint32_t request, uaddr_t arg, size_t size,
                          bool in)
{
    uint8_t buffer[64] = {0};
    if (in && copy_from_user(buffer, arg, size) < 0)
        return -EFAULT;
    int r = host_ioctl(c->fd, request, buffer, size);
    if (r < 0 || in)
        return r;
    return copy_to_user(arg, buffer, size) < 0 ? -EFAULT : 0;
}

#define KERNEL_TERMIOS_SIZE 36u
#define TIOCSCTTY           0x540eu
#define TIOCNOTTY           0x5422u
#define TIOCGSID            0x5429u

static int64_t terminal_ioctl(struct console *c, uint32_t request, uaddr_t arg)
{
    int32_t group;
    switch (request) {
    case TCGETS:
        return pass_ioctl(c, request, arg, KERNEL_TERMIOS_SIZE, false);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return pass_ioctl(c, request, arg, KERNEL_TERMIOS_SIZE, true);
    case TIOCGWINSZ:
        return pass_ioctl(c, request, arg, 8, false);
    case TIOCSWINSZ:
        return pass_ioctl(c, request, arg, 8, true);
    case TIOCGPGRP:
    case TIOCGSID:
        group = atomic_load(&foreground);
        return put_user(arg, group ? group : (int32_t)current->tgid);
    case TIOCSPGRP:
        if (get_user(&group, arg) < 0)
            return -EFAULT;
        if (group <= 0)
            return -EINVAL;
        atomic_store(&foreground, group);
        return 0;
    case TIOCSCTTY:
    case TIOCNOTTY:
        return 0;
    default:
        return -ENOTTY;
    }
}

static int64_t console_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct console *c = console_of(f);
    if (request == FIONREAD && !inode_is_dir(&c->inode))
        return pass_ioctl(c, request, arg, 4, false);
    return c->tty ? terminal_ioctl(c, request, arg) : -ENOTTY;
}

static int console_fsync(struct file *f, bool data_only)
{
    struct console *c = console_of(f);
    return inode_is_reg(&c->inode) ? hostio_fsync(c->fd, data_only) : -EINVAL;
}

static void take_attributes(struct console *c, const struct abi_statx *x)
{
    struct inode *i = &c->inode;
    i->mode = x->stx_mode & 07777;
    i->nlink = x->stx_nlink;
    i->uid = x->stx_uid;
    i->gid = x->stx_gid;
    i->size = MIN(x->stx_size, (uint64_t)INT64_MAX);
    i->blocks = x->stx_blocks;
    i->atime = (struct timespec64){x->stx_atime.tv_sec, x->stx_atime.tv_nsec % 1000000000u};
    i->mtime = (struct timespec64){x->stx_mtime.tv_sec, x->stx_mtime.tv_nsec % 1000000000u};
    i->ctime = (struct timespec64){x->stx_ctime.tv_sec, x->stx_ctime.tv_nsec % 1000000000u};
}

static int console_getattr(struct inode *i)
{
    struct console *c = container_of(i, struct console, inode);
    struct abi_statx x;
    int r = host_statx(c->fd, "", AT_EMPTY_PATH, &x);
    if (r == 0)
        take_attributes(c, &x);
    return r;
}

static int console_setattr(struct inode *i, const struct attr_change *change)
{
    struct console *c = container_of(i, struct console, inode);
    int r = 0;
    if (change->mask & ATTR_SIZE)
        r = host_truncate(c->fd, change->size);
    else if (change->mask & ATTR_MODE)
        r = host_chmod(c->fd, change->mode & 07777);
    else if (change->mask & (ATTR_UID | ATTR_GID))
        r = -EPERM;
    return r;
}

/* Opening /proc/self/fd/1 or /dev/stdout again gives the same stream. */
static int console_open(struct inode *i, struct file *f)
{
    f->private = container_of(i, struct console, inode);
    return 0;
}

static void console_free(struct inode *i)
{
    (void)i; /* consoles[] holds a reference for ever */
}

static const struct inode_ops console_inode_ops = {
    .getattr = console_getattr,
    .setattr = console_setattr,
    .open = console_open,
    .free = console_free,
};

static const struct file_ops console_stream_ops = {
    .read = console_read,
    .write = console_write,
    .poll = console_poll,
    .ioctl = console_ioctl,
};
static const struct file_ops console_file_ops = {
    .read = console_read,
    .write = console_write,
    .seek = console_seek,
    .ioctl = console_ioctl,
    .fsync = console_fsync,
    .vm = &file_vm_ops_ro,
};

static bool is_tty(int fd)
{
    uint8_t termios[KERNEL_TERMIOS_SIZE];
    return host_ioctl(fd, TCGETS, termios, sizeof(termios)) == 0;
}

static int console_new(int fd, struct console **out)
{
    struct abi_statx x;
    int r = host_statx(fd, "", AT_EMPTY_PATH, &x);
    if (r < 0)
        return r;
    struct console *c = kzalloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    uint32_t type = x.stx_mode & S_IFMT;
    inode_init(&c->inode, super_anonymous(), &console_inode_ops, x.stx_mode);
    c->inode.ino = x.stx_ino;
    c->inode.rdev = MAKEDEV(x.stx_rdev_major, x.stx_rdev_minor);
    c->fd = fd;
    c->tty = type == S_IFCHR && is_tty(fd);
    c->waits = c->tty || type == S_IFIFO || type == S_IFSOCK;
    c->inode.file_ops = type == S_IFREG ? &console_file_ops : &console_stream_ops;
    wait_queue_init(&c->ready);
    wait_queue_init(&c->work);
    mutex_init(&c->lock, RANK_IO);
    take_attributes(c, &x);
    *out = c;
    return 0;
}

static void console_name(const struct console *c, char *name, size_t size)
{
    unsigned long long ino = c->inode.ino;
    if (c->tty)
        format_string(name, size, "/dev/tty");
    else if (c->inode.type == S_IFIFO)
        format_string(name, size, "pipe:[%llu]", ino);
    else if (c->inode.type == S_IFSOCK)
        format_string(name, size, "socket:[%llu]", ino);
    else if (c->inode.type == S_IFCHR && c->inode.rdev == MAKEDEV(1, 3))
        format_string(name, size, "/dev/null");
    else
        format_string(name, size, "host:[%llu]", ino);
}

/* A terminal is opened through /dev/tty, so that ttyname(3) finds its name. */
static int console_file(struct console *c, uint32_t flags, struct file **out)
{
    char name[40];
    int r = c->tty ? file_open(AT_FDCWD, "/dev/tty", flags | O_NOCTTY, 0, 0, out) : -ENXIO;
    if (r == 0) {
        (*out)->private = c;
        return 0;
    }
    console_name(c, name, sizeof(name));
    inode_get(&c->inode);
    return file_new_anonymous(&c->inode, name, flags, c->inode.file_ops, c, out);
}

/* Standard input is for reading and the others for writing, but a terminal is for both. */
static int open_console(struct fd_table *t, int fd)
{
    struct console *c;
    struct file *f;
    int r = console_new(fd, &c);
    if (r == -EBADF)
        return 0; /* closed on the host: closed here */
    if (r < 0)
        return r;
    consoles[fd] = c;
    r = console_file(c, c->tty ? O_RDWR : fd == 0 ? O_RDONLY : O_WRONLY, &f);
    if (r < 0)
        return r;
    struct fd_table *own = current->files;
    current->files = t;
    int got = fd_reserve(fd);
    if (got == fd) {
        fd_install(fd, f, false);
    } else {
        file_put(f);
        r = got < 0 ? got : -EBUSY;
    }
    current->files = own;
    return r;
}

int fs_boot_console(struct fd_table *t)
{
    int r = 0;
    for (int fd = 0; fd < 3 && r == 0; fd++)
        r = open_console(t, fd);
    return r;
}

static int tty_open(struct file *f)
{
    for (int i = 0; i < 3; i++) {
        if (consoles[i] && consoles[i]->tty) {
            f->private = consoles[i];
            return 0;
        }
    }
    return -ENXIO;
}

void devfs_register_tty(void)
{
    static struct device tty = {.major = 5,
                                .minor = 0,
                                .name = "tty",
                                .state = FILE_STREAM,
                                .ops = &console_stream_ops,
                                .open = tty_open};
    static struct device console = {.major = 5,
                                    .minor = 1,
                                    .name = "console",
                                    .state = FILE_STREAM,
                                    .ops = &console_stream_ops,
                                    .open = tty_open};
    device_register(&tty);
    device_register(&console);
}
