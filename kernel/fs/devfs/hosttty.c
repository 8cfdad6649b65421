/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's terminal. The host's own line discipline edits, echoes and makes signals of keys,
 * as our programs set it; sessions, groups and who may read now are ours. The signals come in
 * as the host's (docs/terminals.md).
 */
#include "fs/devfs/hosttty.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "enclave/host.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"

struct hosttty {
    struct tty tty;
    struct stream *stream;
};

static struct hosttty *of(struct tty *t)
{
    return container_of(t, struct hosttty, tty);
}

static bool waits(struct file *f)
{
    return !(atomic_load(&f->flags) & O_NONBLOCK);
}

static ssize_t host_read(struct tty *t, struct file *f, struct iter *to)
{
    return stream_read(of(t)->stream, waits(f), to, HOSTIO_STREAM);
}

static ssize_t host_write(struct tty *t, struct file *f, struct iter *from)
{
    return stream_write(of(t)->stream, waits(f), from, HOSTIO_STREAM);
}

static uint32_t host_poll(struct tty *t, struct file *f, struct poll_table *p)
{
    return stream_poll(of(t)->stream, f, p);
}

static int host_get_termios(struct tty *t, struct abi_termios2 *out)
{
    memset(out, 0, sizeof(*out));
    out->ispeed = out->ospeed = 38400;
    return host_ioctl(stream_fd(of(t)->stream), TCGETS, out, sizeof(struct abi_termios));
}

static int host_set_termios(struct tty *t, const struct abi_termios2 *in, uint32_t request)
{
    struct abi_termios2 copy = *in;
    return host_ioctl(stream_fd(of(t)->stream), request, &copy, sizeof(struct abi_termios));
}

static int host_get_size(struct tty *t, struct abi_winsize *out)
{
    return host_ioctl(stream_fd(of(t)->stream), TIOCGWINSZ, out, sizeof(*out));
}

/* SIGWINCH comes from the host. */
static int host_set_size(struct tty *t, const struct abi_winsize *in)
{
    struct abi_winsize copy = *in;
    return host_ioctl(stream_fd(of(t)->stream), TIOCSWINSZ, &copy, sizeof(copy));
}

static int64_t host_tty_ioctl(struct tty *t, struct file *f, uint32_t request, uaddr_t arg)
{
    struct stream *s = of(t)->stream;
    int r;
    (void)f;
    switch (request) {
    case FIONREAD:
    case TIOCOUTQ:
        return stream_ioctl(s, request, arg, 4, false);
    case TCFLSH:
    case TCXONC:
    case TCSBRK:
    case TCSBRKP:
        r = tty_may(t, SIGTTOU);
        return r < 0 ? r : host_ioctl_value(stream_fd(s), request, arg);
    default:
        return -ENOTTY;
    }
}

static void host_tty_free(struct tty *t)
{
    stream_free(of(t)->stream);
    kfree(of(t));
}

static const struct tty_ops host_tty_ops = {
    .read = host_read,
    .write = host_write,
    .poll = host_poll,
    .get_termios = host_get_termios,
    .set_termios = host_set_termios,
    .get_size = host_get_size,
    .set_size = host_set_size,
    .ioctl = host_tty_ioctl,
    .free = host_tty_free,
};

bool hosttty_is(int fd)
{
    struct abi_termios now;
    return host_ioctl(fd, TCGETS, &now, sizeof(now)) == 0;
}

int hosttty_new(int fd, uint64_t rdev, struct tty **out)
{
    struct hosttty *h = kzalloc(sizeof(*h));
    if (h)
        h->stream = stream_new(fd, true, false);
    if (!h || !h->stream) {
        kfree(h);
        return -ENOMEM;
    }
    tty_init(&h->tty, &host_tty_ops);
    h->tty.rdev = rdev;
    *out = &h->tty;
    return 0;
}
