/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions and their terminals, job control, and the files of terminals.
 * A process has its session's terminal unless it gave it up (process.no_tty).
 */
#include "tty/tty.h"

#include "abi/errno.h"
#include "mm/user.h"
#include "proc/group.h"
#include "proc/process.h"

static struct spinlock tty_lock = SPINLOCK_INIT(RANK_EVENT);
static struct list terminals GUARDED_BY(tty_lock) = LIST_INIT(terminals);

void tty_init(struct tty *t, const struct tty_ops *ops)
{
    t->ops = ops;
    atomic_store(&t->refs, 1);
    spin_lock(&tty_lock);
    list_append(&terminals, &t->node);
    spin_unlock(&tty_lock);
}

void tty_discard(struct tty *t)
{
    spin_lock(&tty_lock);
    list_remove(&t->node);
    spin_unlock(&tty_lock);
}

struct tty *tty_get(struct tty *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

bool tty_get_live(struct tty *t)
{
    uint32_t refs = atomic_load(&t->refs);
    while (refs && !atomic_compare_exchange_weak(&t->refs, &refs, refs + 1))
        ;
    return refs != 0;
}

/* Under the lock, so that nobody finds in the list what is about to be freed. */
void tty_put(struct tty *t)
{
    spin_lock(&tty_lock);
    bool last = atomic_fetch_sub(&t->refs, 1) == 1;
    if (last)
        list_remove(&t->node);
    spin_unlock(&tty_lock);
    if (last)
        t->ops->free(t);
}

/* ---- sessions ---- */

static struct tty *find_locked(int sid) HELD(tty_lock)
{
    struct tty *t;
    list_for_each (t, &terminals, node) {
        if (sid && atomic_load(&t->session) == sid)
            return t;
    }
    return NULL;
}

static bool is_mine(const struct tty *t)
{
    struct process *p = current->tgid ? current_process : NULL;
    return p && !p->no_tty && atomic_load(&t->session) == p->sid;
}

struct tty *tty_controlling(void)
{
    if (!current->tgid || current_process->no_tty)
        return NULL;
    spin_lock(&tty_lock);
    struct tty *t = find_locked(current_process->sid);
    if (t && !atomic_load(&t->hung))
        tty_get(t);
    else
        t = NULL;
    spin_unlock(&tty_lock);
    return t;
}

uint64_t tty_of_session(int sid, int *group)
{
    spin_lock(&tty_lock);
    struct tty *t = find_locked(sid);
    *group = t ? atomic_load(&t->group) : -1;
    uint64_t rdev = t ? t->rdev : 0;
    spin_unlock(&tty_lock);
    return rdev;
}

void tty_set_session(struct tty *t, int sid, int group)
{
    spin_lock(&tty_lock);
    atomic_store(&t->session, sid);
    atomic_store(&t->group, group);
    spin_unlock(&tty_lock);
}

static void signal_both(int group)
{
    struct abi_siginfo info = {.si_signo = SIGHUP, .si_code = SI_KERNEL};
    (void)group_signal(group, &info);
    info.si_signo = SIGCONT;
    (void)group_signal(group, &info);
}

/* The session's leader lets go of its terminal, or ends. */
static void session_release(int sid)
{
    spin_lock(&tty_lock);
    struct tty *t = find_locked(sid);
    int group = t ? atomic_load(&t->group) : 0;
    if (t) {
        atomic_store(&t->session, 0);
        atomic_store(&t->group, 0);
    }
    spin_unlock(&tty_lock);
    if (group)
        signal_both(group);
}

static bool leads_session(void)
{
    return current->tgid && current_process->pid == current_process->sid;
}

/* True: the caller's session has it now. */
static bool acquire(struct tty *t, bool steal)
{
    struct process *p = current_process;
    spin_lock(&tty_lock);
    bool mine = leads_session() && !find_locked(p->sid) && (!atomic_load(&t->session) || steal);
    if (mine) {
        atomic_store(&t->session, p->sid);
        atomic_store(&t->group, p->pgid);
        p->no_tty = false;
    }
    spin_unlock(&tty_lock);
    return mine;
}

void tty_signal(struct tty *t, int sig)
{
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    int group = atomic_load(&t->group);
    if (group)
        (void)group_signal(group, &info);
}

void tty_resized(struct tty *t)
{
    tty_signal(t, SIGWINCH);
}

void tty_hangup(struct tty *t)
{
    struct abi_siginfo info = {.si_signo = SIGHUP, .si_code = SI_KERNEL};
    atomic_store(&t->hung, true);
    int sid = atomic_load(&t->session);
    struct process *p = sid ? process_find(sid) : NULL;
    if (p) {
        (void)signal_send_group(&p->signals, &info);
        info.si_signo = SIGCONT;
        (void)signal_send_group(&p->signals, &info);
    }
    process_put(p);
}

int tty_may(struct tty *t, int sig)
{
    int group = atomic_load(&t->group);
    if (!is_mine(t) || !group || current_process->pgid == group)
        return 0;
    if (signal_is_ignored(sig))
        return sig == SIGTTIN ? -EIO : 0;
    if (group_orphaned(current_process->pgid))
        return -EIO;
    struct abi_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    (void)group_signal(current_process->pgid, &info);
    atomic_fetch_or(&current->flags, TASK_SIGNAL);
    return -ERESTARTSYS;
}

/* ---- requests ---- */

static int64_t set_controlling(struct tty *t, uaddr_t arg)
{
    if (leads_session() && is_mine(t))
        return 0;
    return acquire(t, arg == 1 && cred_can(current->cred, CAP_SYS_ADMIN)) ? 0 : -EPERM;
}

static int64_t give_up(struct tty *t)
{
    if (!is_mine(t))
        return -ENOTTY;
    if (leads_session())
        session_release(current_process->sid);
    else
        current_process->no_tty = true;
    return 0;
}

static int64_t set_foreground(struct tty *t, uaddr_t arg)
{
    int32_t group;
    int r = tty_may(t, SIGTTOU);
    if (r < 0)
        return r == -EIO ? -ENOTTY : r;
    if (!is_mine(t))
        return -ENOTTY;
    if (get_user(&group, arg) < 0)
        return -EFAULT;
    if (group < 0)
        return -EINVAL;
    if (!group_exists(group, 0))
        return -ESRCH;
    if (!group_exists(group, current_process->sid))
        return -EPERM;
    spin_lock(&tty_lock);
    atomic_store(&t->group, group);
    spin_unlock(&tty_lock);
    return 0;
}

static int64_t get_group(struct tty *t, uaddr_t arg, bool session, bool other)
{
    if (!other && !is_mine(t))
        return -ENOTTY;
    int id = session ? atomic_load(&t->session) : atomic_load(&t->group);
    if (session && !id)
        return -ENOTTY;
    return put_user(arg, (int32_t)id);
}

static int64_t get_termios(struct tty *t, uint32_t request, uaddr_t arg)
{
    struct abi_termios2 now;
    size_t size = request == TCGETS ? sizeof(struct abi_termios) : sizeof(now);
    int r = t->ops->get_termios(t, &now);
    return r < 0 ? r : copy_to_user(arg, &now, size);
}

static int64_t set_termios(struct tty *t, uint32_t request, uaddr_t arg)
{
    struct abi_termios2 fresh;
    bool two = request != TCSETS && request != TCSETSW && request != TCSETSF;
    int r = tty_may(t, SIGTTOU);
    if (r == 0)
        r = t->ops->get_termios(t, &fresh);
    if (r == 0)
        r = copy_from_user(&fresh, arg, two ? sizeof(fresh) : sizeof(struct abi_termios));
    if (r < 0)
        return r;
    return t->ops->set_termios(t, &fresh, two ? request - TCSETS2 + TCSETS : request);
}

static int64_t get_size(struct tty *t, uaddr_t arg)
{
    struct abi_winsize size;
    int r = t->ops->get_size(t, &size);
    return r < 0 ? r : copy_to_user(arg, &size, sizeof(size));
}

static int64_t set_size(struct tty *t, uaddr_t arg)
{
    struct abi_winsize size;
    if (copy_from_user(&size, arg, sizeof(size)) < 0)
        return -EFAULT;
    int r = t->ops->set_size(t, &size);
    if (r > 0)
        tty_resized(t);
    return MIN(r, 0);
}

static int64_t line_discipline(uint32_t request, uaddr_t arg)
{
    int32_t number = 0; /* N_TTY, the only one */
    if (request == TIOCGETD)
        return put_user(arg, number);
    if (get_user(&number, arg) < 0)
        return -EFAULT;
    return number ? -EINVAL : 0;
}

static int64_t session_ioctl(struct tty *t, uint32_t request, uaddr_t arg, bool other)
{
    switch (request) {
    case TIOCSCTTY:
        return set_controlling(t, arg);
    case TIOCNOTTY:
        return give_up(t);
    case TIOCSPGRP:
        return set_foreground(t, arg);
    default:
        return get_group(t, arg, request == TIOCGSID, other);
    }
}

int64_t tty_ioctl(struct tty *t, struct file *f, uint32_t request, uaddr_t arg, bool other)
{
    switch (request) {
    case TIOCSCTTY:
    case TIOCNOTTY:
    case TIOCSPGRP:
    case TIOCGPGRP:
    case TIOCGSID:
        return session_ioctl(t, request, arg, other);
    case TCGETS:
    case TCGETS2:
        return get_termios(t, request, arg);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(t, request, arg);
    case TIOCGWINSZ:
        return get_size(t, arg);
    case TIOCSWINSZ:
        return set_size(t, arg);
    case TIOCGETD:
    case TIOCSETD:
        return line_discipline(request, arg);
    default:
        return t->ops->ioctl(t, f, request, arg);
    }
}

/* ---- files ---- */

static ssize_t tty_read(struct file *f, struct iter *to, uint64_t *pos)
{
    struct tty *t = f->private;
    (void)pos;
    if (atomic_load(&t->hung))
        return 0;
    int r = tty_may(t, SIGTTIN);
    if (r < 0)
        return r;
    return to->remaining ? t->ops->read(t, f, to) : 0;
}

static bool stops_output(struct tty *t)
{
    struct abi_termios2 now;
    return t->ops->get_termios(t, &now) == 0 && (now.lflag & TOSTOP);
}

static ssize_t tty_write(struct file *f, struct iter *from, uint64_t *pos)
{
    struct tty *t = f->private;
    (void)pos;
    if (atomic_load(&t->hung))
        return -EIO;
    bool background = is_mine(t) && current_process->pgid != atomic_load(&t->group);
    int r = background && stops_output(t) ? tty_may(t, SIGTTOU) : 0;
    if (r < 0)
        return r;
    return from->remaining ? t->ops->write(t, f, from) : 0;
}

static uint32_t tty_poll(struct file *f, struct poll_table *p)
{
    struct tty *t = f->private;
    uint32_t events = t->ops->poll(t, f, p);
    if (atomic_load(&t->hung))
        events |= POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    return events;
}

static int64_t tty_file_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct tty *t = f->private;
    if (atomic_load(&t->hung))
        return request == TIOCSPGRP ? -ENOTTY : -EIO;
    return tty_ioctl(t, f, request, arg, false);
}

static void tty_release(struct file *f)
{
    struct tty *t = f->private;
    if (t->ops->closed)
        t->ops->closed(t, f);
    tty_put(t);
}

const struct file_ops tty_file_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
    .release = tty_release,
};

void tty_attach_file(struct tty *t, struct file *f)
{
    f->private = t;
    f->ops = &tty_file_ops;
    if (t->ops->opened)
        t->ops->opened(t, f);
    if (!(f->state & FILE_NOCTTY) && leads_session() && !current_process->no_tty)
        (void)acquire(t, false);
}

void tty_boot(void)
{
    proc_session_ended = session_release;
}
