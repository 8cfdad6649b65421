/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo terminals: a line discipline between a terminal and a master, both ordinary files. */
#include "tty/pty.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "time/time.h"

#define CHUNK 256u

static struct pty *pty_of(struct tty *t)
{
    return container_of(t, struct pty, tty);
}

static void wake_all(struct pty *p)
{
    wait_wake_all(&p->typed);
    wait_wake_all(&p->written);
}

/* ---- the terminal ---- */

/* What is to be waited for, as termios(3) has it. */
struct patience {
    uint64_t deadline_ns; /* for the next byte */
    uint64_t between_ns;  /* between bytes; 0: any time */
    size_t least;
};

static struct patience patience_of(const struct ldisc *d)
{
    const struct abi_termios2 *t = &d->termios;
    uint64_t time = (t->lflag & ICANON ? 0 : t->cc[VTIME]) * (NS_PER_SEC / 10);
    struct patience w = {.deadline_ns = NO_DEADLINE, .least = 1};
    if ((t->lflag & ICANON) || t->cc[VMIN]) {
        w.least = t->lflag & ICANON ? 1 : t->cc[VMIN];
        w.between_ns = time;
    } else {
        w.deadline_ns = time ? time_deadline_in(time) : 0;
    }
    return w;
}

/* Bytes that are there, in canonical mode up to the end of a line; *over then. */
static ssize_t take_locked(struct pty *p, struct iter *to, bool *over)
{
    uint8_t chunk[CHUNK];
    size_t done = 0, n;
    bool more = true;
    while (more && to->remaining) {
        more = ldisc_take(&p->ldisc, chunk, MIN(to->remaining, (size_t)CHUNK), &n);
        size_t copied = iter_copy_to(to, chunk, n);
        done += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    *over = p->ldisc.termios.lflag & ICANON;
    return (ssize_t)done;
}

/* Waits for the next byte: 0, or why not. */
static int wait_typed(struct pty *p, struct file *f, const struct patience *w)
{
    if (atomic_load(&p->tty.hung))
        return -EIO;
    if (w->deadline_ns == 0)
        return -ETIMEDOUT;
    if (atomic_load(&f->flags) & O_NONBLOCK)
        return -EAGAIN;
    return wait_event(&p->typed, ldisc_has_input(&p->ldisc) || atomic_load(&p->tty.hung),
                      w->deadline_ns);
}

static ssize_t slave_read(struct tty *t, struct file *f, struct iter *to)
{
    struct pty *p = pty_of(t);
    size_t done = 0;
    bool over = false;
    mutex_lock(&p->lock);
    struct patience w = patience_of(&p->ldisc);
    mutex_unlock(&p->lock);
    for (;;) {
        mutex_lock(&p->lock);
        bool any = ldisc_has_input(&p->ldisc);
        ssize_t r = any ? take_locked(p, to, &over) : 0;
        mutex_unlock(&p->lock);
        if (any)
            wait_wake_all(&p->typed); /* there is room for the master again */
        if (r < 0)
            return done ? (ssize_t)done : r;
        done += (size_t)r;
        if (over || done >= w.least || to->remaining == 0)
            return (ssize_t)done;
        if (any && w.between_ns)
            w.deadline_ns = time_deadline_in(w.between_ns);
        int e = wait_typed(p, f, &w);
        if (e == 0)
            e = tty_may(t, SIGTTIN);
        if (e < 0)
            return done || e == -ETIMEDOUT ? (ssize_t)done : e;
    }
}

static ssize_t slave_write(struct tty *t, struct file *f, struct iter *from)
{
    struct pty *p = pty_of(t);
    uint8_t chunk[CHUNK];
    size_t done = 0;
    bool full = false, fault = false;
    (void)f;
    mutex_lock(&p->lock);
    while (from->remaining && !full && !fault) {
        struct iter start = *from;
        size_t n = iter_copy_from(from, chunk, MIN(from->remaining, (size_t)CHUNK));
        size_t taken = ldisc_output(&p->ldisc, chunk, n);
        fault = n == 0;
        full = taken < n;
        iter_revert(from, &start);
        iter_advance(from, taken);
        done += taken;
    }
    mutex_unlock(&p->lock);
    if (done)
        wait_wake_all(&p->written);
    if (done)
        return (ssize_t)done;
    return fault ? -EFAULT : -EAGAIN;
}

static uint32_t slave_poll(struct tty *t, struct file *f, struct poll_table *table)
{
    struct pty *p = pty_of(t);
    uint32_t events = 0;
    (void)f;
    poll_add(table, &p->typed);
    poll_add(table, &p->written);
    mutex_lock(&p->lock);
    if (ldisc_readable(&p->ldisc))
        events |= POLLIN | POLLRDNORM;
    if (ldisc_output_room(&p->ldisc))
        events |= POLLOUT | POLLWRNORM;
    mutex_unlock(&p->lock);
    return events;
}

static int pty_get_termios(struct tty *t, struct abi_termios2 *out)
{
    struct pty *p = pty_of(t);
    mutex_lock(&p->lock);
    *out = p->ldisc.termios;
    mutex_unlock(&p->lock);
    return 0;
}

static int pty_set_termios(struct tty *t, const struct abi_termios2 *in, uint32_t request)
{
    struct pty *p = pty_of(t);
    mutex_lock(&p->lock);
    if (request == TCSETSF)
        ldisc_flush_input(&p->ldisc);
    struct abi_termios2 fresh = *in;
    /* A pseudo terminal has eight bits and a receiver that is on. */
    fresh.cflag = (fresh.cflag & ~0000460u) | CS8 | CREAD;
    ldisc_set_termios(&p->ldisc, &fresh);
    mutex_unlock(&p->lock);
    wake_all(p);
    return 0;
}

static int pty_get_size(struct tty *t, struct abi_winsize *out)
{
    struct pty *p = pty_of(t);
    mutex_lock(&p->lock);
    *out = p->size;
    mutex_unlock(&p->lock);
    return 0;
}

static int put_size(struct tty *t, const struct abi_winsize *in)
{
    struct pty *p = pty_of(t);
    mutex_lock(&p->lock);
    bool changed = p->size.row != in->row || p->size.col != in->col ||
                   p->size.xpixel != in->xpixel || p->size.ypixel != in->ypixel;
    p->size = *in;
    mutex_unlock(&p->lock);
    return changed;
}

void pty_set_size(struct pty *p, const struct abi_winsize *size)
{
    if (put_size(&p->tty, size) > 0)
        tty_resized(&p->tty);
}

static int64_t flush(struct pty *p, uaddr_t what)
{
    if (what > TCIOFLUSH)
        return -EINVAL;
    mutex_lock(&p->lock);
    if (what != TCOFLUSH)
        ldisc_flush_input(&p->ldisc);
    if (what != TCIFLUSH)
        ldisc_flush_output(&p->ldisc);
    mutex_unlock(&p->lock);
    wake_all(p);
    return 0;
}

static int64_t flow(struct pty *p, uaddr_t what)
{
    uint8_t c = 0;
    if (what > TCION)
        return -EINVAL;
    mutex_lock(&p->lock);
    if (what == TCOOFF || what == TCOON) {
        ldisc_stop(&p->ldisc, what == TCOOFF);
    } else {
        c = p->ldisc.termios.cc[what == TCIOFF ? VSTOP : VSTART];
        uint32_t at = p->ldisc.out_head;
        if (c && at - p->ldisc.out_tail < LDISC_OUT)
            p->ldisc.out[p->ldisc.out_head++ % LDISC_OUT] = c;
    }
    mutex_unlock(&p->lock);
    wake_all(p);
    return 0;
}

static int64_t input_count(struct pty *p, uaddr_t arg)
{
    mutex_lock(&p->lock);
    int32_t n = (int32_t)ldisc_input_count(&p->ldisc);
    mutex_unlock(&p->lock);
    return put_user(arg, n);
}

/* What both sides know, and answer alike. */
static int64_t common_ioctl(struct pty *p, uint32_t request, uaddr_t arg)
{
    switch (request) {
    case TCFLSH:
        return flush(p, arg);
    case TCXONC:
        return flow(p, arg);
    case TCSBRK: /* what is written is with the master at once */
    case TCSBRKP:
        return 0;
    case TIOCOUTQ:
        return put_user(arg, (int32_t)0);
    default:
        return -ENOTTY;
    }
}

static int64_t slave_ioctl(struct tty *t, struct file *f, uint32_t request, uaddr_t arg)
{
    struct pty *p = pty_of(t);
    (void)f;
    if (request == FIONREAD)
        return input_count(p, arg);
    if (request == TCFLSH || request == TCXONC || request == TCSBRK || request == TCSBRKP) {
        int r = tty_may(t, SIGTTOU);
        if (r < 0)
            return r;
    }
    return common_ioctl(p, request, arg);
}

static void slave_opened(struct tty *t, struct file *f)
{
    struct pty *p = pty_of(t);
    (void)f;
    mutex_lock(&p->lock);
    p->slaves++;
    p->was_open = true;
    mutex_unlock(&p->lock);
}

static void slave_closed(struct tty *t, struct file *f)
{
    struct pty *p = pty_of(t);
    (void)f;
    mutex_lock(&p->lock);
    p->slaves--;
    mutex_unlock(&p->lock);
    wake_all(p);
}

static void pty_free(struct tty *t)
{
    struct pty *p = pty_of(t);
    p->gone(p);
    kfree(p);
}

static const struct tty_ops pty_tty_ops = {
    .read = slave_read,
    .write = slave_write,
    .poll = slave_poll,
    .get_termios = pty_get_termios,
    .set_termios = pty_set_termios,
    .get_size = pty_get_size,
    .set_size = put_size,
    .ioctl = slave_ioctl,
    .opened = slave_opened,
    .closed = slave_closed,
    .free = pty_free,
};

static void signal_typed(struct ldisc *d, int sig)
{
    tty_signal(&container_of(d, struct pty, ldisc)->tty, sig);
}

struct pty *pty_new(void (*gone)(struct pty *p))
{
    struct pty *p = kzalloc(sizeof(*p));
    if (!p)
        return NULL;
    ldisc_init(&p->ldisc);
    p->ldisc.signal = signal_typed;
    p->gone = gone;
    p->locked = p->master_open = true;
    mutex_init(&p->lock, RANK_TTY);
    wait_queue_init(&p->typed);
    wait_queue_init(&p->written);
    tty_init(&p->tty, &pty_tty_ops);
    return p;
}

void pty_discard(struct pty *p)
{
    tty_discard(&p->tty);
    kfree(p);
}

int pty_attach_slave(struct pty *p, struct file *f)
{
    mutex_lock(&p->lock);
    bool refused = p->locked || !p->master_open;
    mutex_unlock(&p->lock);
    if (refused)
        return -EIO;
    tty_attach_file(&p->tty, f);
    return 0;
}

/* ---- the master ---- */

ssize_t pty_type(struct pty *p, const uint8_t *bytes, size_t n)
{
    mutex_lock(&p->lock);
    size_t taken = ldisc_input(&p->ldisc, bytes, n);
    mutex_unlock(&p->lock);
    wake_all(p); /* the echo, too */
    return taken || !n ? (ssize_t)taken : -EAGAIN;
}

static ssize_t output_locked(struct pty *p, uint8_t *to, size_t size)
{
    size_t n = ldisc_take_output(&p->ldisc, to, size);
    if (n)
        return (ssize_t)n;
    return p->was_open && !p->slaves ? -EIO : -EAGAIN;
}

ssize_t pty_take_output(struct pty *p, uint8_t *to, size_t size)
{
    mutex_lock(&p->lock);
    ssize_t r = output_locked(p, to, size);
    mutex_unlock(&p->lock);
    if (r > 0)
        wait_wake_all(&p->written);
    return r;
}

/* In packet mode: one byte with news, or a zero before data. 0: neither. */
static size_t packet_head(struct pty *p, uint8_t *to)
{
    to[0] = TIOCPKT_DATA;
    if (p->packet_mode && p->ldisc.packet) {
        to[0] = (uint8_t)p->ldisc.packet;
        p->ldisc.packet = 0;
    }
    return p->packet_mode;
}

static ssize_t master_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct pty *p = f->private;
    uint8_t chunk[1 + CHUNK];
    (void)pos;
    if (to->remaining == 0)
        return 0;
    mutex_lock(&p->lock);
    size_t head = packet_head(p, chunk), room = MIN(to->remaining, sizeof(chunk)) - head;
    ssize_t r = 0;
    if (!head || chunk[0] == TIOCPKT_DATA)
        r = output_locked(p, chunk + head, room);
    mutex_unlock(&p->lock);
    if (r < 0)
        return r;
    if (r > 0)
        wait_wake_all(&p->written);
    size_t copied = iter_copy_to(to, chunk, head + (size_t)r);
    return copied ? (ssize_t)copied : -EFAULT;
}

static ssize_t master_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct pty *p = f->private;
    uint8_t chunk[CHUNK];
    struct iter start = *from;
    (void)pos;
    size_t n = iter_copy_from(from, chunk, MIN(from->remaining, (size_t)CHUNK));
    if (!n)
        return from->remaining ? -EFAULT : 0;
    ssize_t r = pty_type(p, chunk, n);
    iter_revert(from, &start);
    if (r > 0)
        iter_advance(from, (size_t)r);
    return r;
}

static uint32_t master_poll(struct file *f, struct poll_table *table)
{
    struct pty *p = f->private;
    uint32_t events = 0;
    poll_add(table, &p->typed);
    poll_add(table, &p->written);
    mutex_lock(&p->lock);
    if (ldisc_output_count(&p->ldisc))
        events |= POLLIN | POLLRDNORM;
    if (p->packet_mode && p->ldisc.packet)
        events |= POLLIN | POLLRDNORM | POLLPRI;
    if (p->was_open && !p->slaves)
        events |= POLLHUP;
    if (ldisc_input_room(&p->ldisc))
        events |= POLLOUT | POLLWRNORM;
    mutex_unlock(&p->lock);
    return events;
}

static int64_t open_peer(struct pty *p, uint32_t flags)
{
    char name[24];
    struct file *f;
    format_string(name, sizeof(name), "/dev/pts/%d", p->index);
    int r = file_open(AT_FDCWD, name, flags & (O_ACCMODE | O_NONBLOCK | O_NOCTTY), 0, 0, &f);
    return r < 0 ? r : fd_add(f, flags & O_CLOEXEC);
}

static int64_t set_switch(struct pty *p, bool *which, uaddr_t arg)
{
    int32_t on;
    if (get_user(&on, arg) < 0)
        return -EFAULT;
    mutex_lock(&p->lock);
    *which = on != 0;
    if (which == &p->packet_mode)
        p->ldisc.packet = 0;
    mutex_unlock(&p->lock);
    return 0;
}

static int64_t type_signal(struct pty *p, uaddr_t sig)
{
    if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
        return -EINVAL;
    tty_signal(&p->tty, (int)sig);
    return 0;
}

static int64_t master_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct pty *p = f->private;
    switch (request) {
    case TIOCGPTN:
        return put_user(arg, (uint32_t)p->index);
    case TIOCSPTLCK:
        return set_switch(p, &p->locked, arg);
    case TIOCGPTLCK:
        return put_user(arg, (int32_t)p->locked);
    case TIOCGPTPEER:
        return open_peer(p, (uint32_t)arg);
    case TIOCPKT:
        return set_switch(p, &p->packet_mode, arg);
    case TIOCGPKT:
        return put_user(arg, (int32_t)p->packet_mode);
    case TIOCSIG:
        return type_signal(p, arg);
    case FIONREAD:
        return put_user(arg, (int32_t)ldisc_output_count(&p->ldisc));
    case TIOCSCTTY: /* a master is nobody's terminal */
    case TIOCNOTTY:
        return -ENOTTY;
    case TCFLSH:
    case TCXONC:
    case TCSBRK:
    case TCSBRKP:
    case TIOCOUTQ:
        return common_ioctl(p, request, arg);
    default:
        return tty_ioctl(&p->tty, f, request, arg, true);
    }
}

void pty_master_close(struct pty *p)
{
    mutex_lock(&p->lock);
    p->master_open = false;
    struct inode *inode = p->inode;
    p->inode = NULL;
    mutex_unlock(&p->lock);
    tty_hangup(&p->tty);
    wake_all(p);
    inode_put(inode);
    tty_put(&p->tty);
}

static void master_release(struct file *f)
{
    pty_master_close(f->private);
}

static const struct file_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
};

void pty_attach_master(struct pty *p, struct file *f)
{
    f->private = p;
    f->ops = &master_ops;
}
