/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between a stream of the host, behind which somebody types, and a pseudo terminal: one task
 * for each direction. The stream's end hangs the terminal up, unless its client said good-bye;
 * the program's end ends the relay, even if it left others behind with the terminal open.
 */
#include "abi/errno.h"
#include "enclave/control.h"
#include "enclave/host.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"
#include "sched/task.h"
#include "service/service.h"
#include "tty/pty.h"

#define CHUNK 4096u

struct relay {
    uint32_t id;
    int fd;
    struct pty *pty;
    _Atomic uint32_t refs; /* the two tasks and whoever started the program */
    _Atomic bool detached, ended;
    int status; /* before `ended` */
    struct spinlock lock;
    struct task *typing; /* under lock: NULL once it is on its way out */
};

/* The last one: nothing of it is used any more. */
static void put(struct relay *r)
{
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    host_close(r->fd);
    pty_master_close(r->pty);
    kfree(r);
}

struct pty *relay_pty(struct relay *r)
{
    return r->pty;
}

/* True while there is a terminal to type at. */
static bool type_all(struct relay *r, const uint8_t *bytes, size_t n)
{
    struct pty *p = r->pty;
    while (n) {
        ssize_t done = pty_type(p, bytes, n);
        if (done == -EAGAIN) {
            int e = wait_event(&p->typed, ldisc_input_room(&p->ldisc) || atomic_load(&r->ended),
                               NO_DEADLINE);
            if (e < 0 || atomic_load(&r->ended))
                return false;
            continue;
        }
        if (done < 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static void type_loop(void *arg)
{
    struct relay *r = arg;
    uint8_t *chunk = kmalloc(CHUNK);
    ssize_t n = 0;
    while (chunk && (n = hostio_read(r->fd, chunk, CHUNK, HOSTIO_STREAM)) > 0) {
        if (!type_all(r, chunk, (size_t)n))
            break;
    }
    kfree(chunk);
    if (!atomic_load(&r->ended) && !atomic_load(&r->detached))
        relay_hangup(r);
    spin_lock(&r->lock);
    r->typing = NULL;
    spin_unlock(&r->lock);
    put(r);
    task_exit();
}

static void write_all(struct relay *r, const uint8_t *bytes, size_t n)
{
    while (n) {
        ssize_t done = hostio_write(r->fd, bytes, n, HOSTIO_STREAM);
        if (done <= 0)
            return; /* nobody sees it any more */
        bytes += done;
        n -= (size_t)done;
    }
}

static void show_loop(void *arg)
{
    struct relay *r = arg;
    struct pty *p = r->pty;
    uint8_t *chunk = kmalloc(CHUNK);
    for (;;) {
        bool ended = atomic_load(&r->ended); /* before looking: what came last counts */
        ssize_t n = chunk ? pty_take_output(p, chunk, CHUNK) : -EAGAIN;
        if (n > 0)
            write_all(r, chunk, (size_t)n);
        else if (ended)
            break;
        else
            (void)!wait_event(&p->written,
                              ldisc_output_count(&p->ldisc) || atomic_load(&r->ended),
                              NO_DEADLINE);
    }
    kfree(chunk);
    if (r->status >= 0)
        control_reply(r->id, REPLY_ENDED, r->status, NULL, 0);
    put(r);
    task_exit();
}

static void task_gone(struct task *t)
{
    task_fini(t);
    kfree(t);
}

static struct task *task_new(void (*loop)(void *), struct relay *r)
{
    struct task *t = kzalloc(sizeof(*t));
    if (t && task_init(t, loop, r) == 0) {
        t->release = task_gone;
        return t;
    }
    kfree(t);
    return NULL;
}

int relay_new(uint32_t id, int fd, struct pty *pty, struct relay **out)
{
    struct relay *r = kzalloc(sizeof(*r));
    struct task *show = r ? task_new(show_loop, r) : NULL;
    struct task *typing = show ? task_new(type_loop, r) : NULL;
    if (!typing) {
        if (show)
            task_gone(show);
        kfree(r);
        return -ENOMEM;
    }
    r->id = id;
    r->fd = fd;
    r->pty = pty;
    r->typing = typing;
    spin_init(&r->lock, RANK_PROC);
    atomic_store(&r->refs, 3);
    *out = r;
    task_start(show);
    task_start(typing);
    return 0;
}

void relay_detach(struct relay *r)
{
    atomic_store(&r->detached, true);
}

void relay_hangup(struct relay *r)
{
    tty_hangup(&r->pty->tty);
    wait_wake_all(&r->pty->typed);
    wait_wake_all(&r->pty->written);
}

void relay_end(struct relay *r, int status)
{
    r->status = status;
    atomic_store(&r->ended, true);
    spin_lock(&r->lock);
    if (r->typing)
        task_notify(r->typing); /* out of its read */
    spin_unlock(&r->lock);
    wait_wake_all(&r->pty->typed);
    wait_wake_all(&r->pty->written);
    put(r);
}
