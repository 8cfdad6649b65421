/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's standard streams as descriptors 0, 1 and 2; those that are terminals, and
 * /dev/tty. Reads and writes of files use the host's own position, which other programs of the
 * host may share.
 */
#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/core/fd.h"
#include "fs/devfs/devfs.h"
#include "fs/devfs/hosttty.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/process.h"
#include "sched/hostio.h"
#include "sched/task.h"

struct console {
    struct inode inode;
    struct stream *stream;
};

/* The terminal that the first program has as its own. */
static struct tty *boot_tty;

static struct console *console_of(struct file *f)
{
    return f->private;
}

static int fd_of(const struct console *c)
{
    return stream_fd(c->stream);
}

/* Where to read or write: the host's position, unless the program names another. */
static int64_t offset_of(struct file *f, const uint64_t *pos)
{
    return pos != &f->pos && inode_is_reg(f->inode) ? (int64_t)*pos : HOSTIO_STREAM;
}

static bool waits(struct file *f)
{
    return !(atomic_load(&f->flags) & O_NONBLOCK);
}

static ssize_t console_read(struct file *f, struct iter *to, uint64_t *pos)
{
    ssize_t r = stream_read(console_of(f)->stream, waits(f), to, offset_of(f, pos));
    if (r > 0)
        *pos += (uint64_t)r;
    return r;
}

static ssize_t console_write(struct file *f, struct iter *from, uint64_t *pos)
{
    ssize_t r = stream_write(console_of(f)->stream, waits(f), from, offset_of(f, pos));
    if (r > 0)
        *pos += (uint64_t)r;
    return r;
}

static uint32_t console_poll(struct file *f, struct poll_table *t)
{
    return stream_poll(console_of(f)->stream, f, t);
}

static int64_t console_seek(struct file *f, int64_t offset, int whence)
{
    struct console *c = console_of(f);
    if (whence < SEEK_SET || whence > SEEK_HOLE)
        return -EINVAL;
    int64_t r = host_seek(fd_of(c), offset, whence);
    if (r >= 0)
        f->pos = (uint64_t)r;
    return r;
}

static int64_t console_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct console *c = console_of(f);
    if (request != FIONREAD || inode_is_dir(&c->inode))
        return -ENOTTY;
    return stream_ioctl(c->stream, request, arg, 4, false);
}

static int console_fsync(struct file *f, bool data_only)
{
    struct console *c = console_of(f);
    return inode_is_reg(&c->inode) ? hostio_fsync(fd_of(c), data_only) : -EINVAL;
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
    int r = host_statx(fd_of(c), "", AT_EMPTY_PATH, &x);
    if (r == 0)
        take_attributes(c, &x);
    return r;
}

static int console_setattr(struct inode *i, const struct attr_change *change)
{
    struct console *c = container_of(i, struct console, inode);
    int r = 0;
    if (change->mask & ATTR_SIZE)
        r = host_truncate(fd_of(c), change->size);
    else if (change->mask & ATTR_MODE)
        r = host_chmod(fd_of(c), change->mode & 07777);
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
    struct console *c = container_of(i, struct console, inode);
    stream_free(c->stream);
    kfree(c);
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

static int console_new(int fd, const struct abi_statx *x, bool owned, struct console **out)
{
    uint32_t type = x->stx_mode & S_IFMT;
    bool terminal = type == S_IFCHR && hosttty_is(fd);
    bool blocks = terminal || type == S_IFIFO || type == S_IFSOCK;
    struct console *c = kzalloc(sizeof(*c));
    if (c)
        c->stream = stream_new(fd, blocks, owned);
    if (!c || !c->stream) {
        kfree(c);
        return -ENOMEM;
    }
    inode_init(&c->inode, super_anonymous(), &console_inode_ops, x->stx_mode);
    c->inode.ino = x->stx_ino;
    c->inode.rdev = MAKEDEV(x->stx_rdev_major, x->stx_rdev_minor);
    c->inode.file_ops = type == S_IFREG ? &console_file_ops : &console_stream_ops;
    take_attributes(c, x);
    *out = c;
    return 0;
}

static void console_name(const struct console *c, char *name, size_t size)
{
    unsigned long long ino = c->inode.ino;
    if (c->inode.type == S_IFIFO)
        format_string(name, size, "pipe:[%llu]", ino);
    else if (c->inode.type == S_IFSOCK)
        format_string(name, size, "socket:[%llu]", ino);
    else if (c->inode.type == S_IFCHR && c->inode.rdev == MAKEDEV(1, 3))
        format_string(name, size, "/dev/null");
    else
        format_string(name, size, "host:[%llu]", ino);
}

int console_file(int fd, uint32_t flags, bool owned, struct file **out)
{
    struct console *c = NULL;
    struct abi_statx x;
    char name[40];
    int r = host_statx(fd, "", AT_EMPTY_PATH, &x);
    if (r == 0)
        r = console_new(fd, &x, owned, &c);
    if (r < 0)
        return r;
    console_name(c, name, sizeof(name));
    return file_new_anonymous(&c->inode, name, flags, c->inode.file_ops, c, out);
}

/* ---- the first program's ---- */

/* The first terminal among the streams; the others are the same one, or are just files. */
static int boot_terminal(int fd, const struct abi_statx *x)
{
    uint64_t rdev = MAKEDEV(x->stx_rdev_major, x->stx_rdev_minor);
    if ((x->stx_mode & S_IFMT) != S_IFCHR || !hosttty_is(fd))
        return -ENOTTY;
    if (boot_tty)
        return boot_tty->rdev == rdev ? 0 : -ENOTTY;
    return hosttty_new(fd, rdev, &boot_tty);
}

/* Standard input is for reading and the others for writing, but a terminal is for both. It is
 * opened through /dev/tty, so that ttyname(3) finds its name. */
static int boot_file(int fd, struct file **out)
{
    struct abi_statx x;
    int r = host_statx(fd, "", AT_EMPTY_PATH, &x);
    if (r < 0)
        return r;
    r = boot_terminal(fd, &x);
    if (r == 0)
        r = file_open(AT_FDCWD, "/dev/tty", O_RDWR, 0, 0, out);
    return r == 0 ? 0 : console_file(fd, fd == 0 ? O_RDONLY : O_WRONLY, false, out);
}

static int open_console(struct fd_table *t, int fd)
{
    struct file *f;
    int r = boot_file(fd, &f);
    if (r == -EBADF)
        return 0; /* closed on the host: closed here */
    return r < 0 ? r : fd_put_at(t, fd, f);
}

int fs_boot_console(struct fd_table *t)
{
    int r = 0;
    for (int fd = 0; fd < 3 && r == 0; fd++)
        r = open_console(t, fd);
    return r;
}

/* The first program leads a session, whose terminal this is. */
static void session_began(struct proc_start *s)
{
    int sid = current_process->sid;
    (void)s;
    if (boot_tty)
        tty_set_session(boot_tty, sid, sid);
}

struct tty *console_tty(void)
{
    return boot_tty;
}

/* While booting nobody has a terminal yet. */
static int tty_open(struct file *f)
{
    struct tty *t = NULL;
    if (current->tgid)
        t = tty_controlling();
    else if (boot_tty)
        t = tty_get(boot_tty);
    if (!t)
        return -ENXIO;
    tty_attach_file(t, f);
    return 0;
}

static int console_device_open(struct file *f)
{
    if (!boot_tty)
        return -ENXIO;
    tty_attach_file(tty_get(boot_tty), f);
    return 0;
}

void devfs_register_tty(void)
{
    static struct device tty = {.major = 5,
                                .minor = 0,
                                .name = "tty",
                                .state = FILE_STREAM,
                                .ops = &tty_file_ops,
                                .open = tty_open};
    static struct device console = {.major = 5,
                                    .minor = 1,
                                    .name = "console",
                                    .state = FILE_STREAM,
                                    .ops = &tty_file_ops,
                                    .open = console_device_open};
    device_register(&tty);
    device_register(&console);
    proc_first_began = session_began;
    tty_boot();
}
