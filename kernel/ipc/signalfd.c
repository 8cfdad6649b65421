/* SPDX-License-Identifier: BSD-3-Clause */
/* signalfd(2): signals of the reading thread and its process, taken by read. */
#include "ipc/signalfd.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "signal/signal.h"

struct signalfd {
    _Atomic uint64_t mask;
};

struct signalfd_siginfo {
    uint32_t signo;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t tid, band, overrun, trapno;
    int32_t status, value;
    uint64_t ptr, utime, stime, addr;
    uint16_t addr_lsb, pad2;
    int32_t syscall;
    uint64_t call_addr;
    uint32_t arch;
    uint8_t pad[28];
};
_Static_assert(sizeof(struct signalfd_siginfo) == 128, "struct signalfd_siginfo");

static void convert(const struct abi_siginfo *i, struct signalfd_siginfo *o)
{
    memset(o, 0, sizeof(*o));
    o->signo = (uint32_t)i->si_signo;
    o->error = i->si_errno;
    o->code = i->si_code;
    if (i->si_code == SI_TIMER) {
        o->tid = (uint32_t)i->timer_id;
        o->overrun = (uint32_t)i->overrun;
        o->ptr = i->value;
        o->value = (int32_t)i->value;
        return;
    }
    if (i->si_code > 0 && i->si_signo != SIGCHLD && i->si_code != SI_KERNEL) {
        o->addr = i->addr;
        return;
    }
    o->pid = (uint32_t)i->pid;
    o->uid = i->uid;
    if (i->si_signo == SIGCHLD) {
        o->status = i->status;
        o->utime = (uint64_t)i->utime;
        o->stime = (uint64_t)i->stime;
    } else {
        o->ptr = i->value;
        o->value = (int32_t)i->value;
    }
}

static ssize_t signalfd_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct signalfd *s = f->private;
    struct abi_siginfo info;
    struct signalfd_siginfo out;
    ssize_t done = 0;
    if (to->remaining < sizeof(out))
        return -EINVAL;
    while (to->remaining >= sizeof(out) && signal_take(atomic_load(&s->mask), &info)) {
        convert(&info, &out);
        if (iter_copy_to(to, &out, sizeof(out)) != sizeof(out))
            return done ? done : -EFAULT;
        done += (ssize_t)sizeof(out);
    }
    return done ? done : -EAGAIN;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *table)
{
    struct signalfd *s = f->private;
    struct signal_thread *t = task_signals(current);
    poll_add(table, &t->group->arrival);
    return signal_pending_set(t) & atomic_load(&s->mask) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
    kfree(f->private);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
};

int signalfd_new(uint64_t mask, uint32_t flags, struct file **out)
{
    struct signalfd *s = kzalloc(sizeof(*s));
    struct inode *inode;
    if (!s)
        return -ENOMEM;
    atomic_store(&s->mask, mask & ~SIGNALS_UNBLOCKABLE);
    int r = inode_new_anonymous(0600, &inode);
    if (!r)
        r = file_new_anonymous(inode, "anon_inode:[signalfd]", O_RDWR | (flags & O_NONBLOCK),
                               &signalfd_ops, s, out);
    if (r)
        kfree(s);
    return r;
}

int signalfd_set(struct file *f, uint64_t mask)
{
    struct signalfd *s = f->private;
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    atomic_store(&s->mask, mask & ~SIGNALS_UNBLOCKABLE);
    (void)wait_wake_all(&task_signals(current)->group->arrival);
    return 0;
}
