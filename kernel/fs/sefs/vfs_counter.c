/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Freshness. A counter that nobody can set back tells which state of a store is the newest.
 * Each commit carries the counter's value plus one, and when it is durable the counter follows;
 * who asked for the commit hears of it after that. So a state is good if it carries the
 * counter's value, or if the enclave ended between the two steps. States of that kind were
 * reported to nobody, but a host could keep several and choose. Therefore opening takes two
 * steps at once, which puts all of them behind.
 *
 * The counter kept in a file is for tests and for hosts that are trusted not to copy it back;
 * one that a remote service or a chip keeps fills in the same operations.
 */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "enclave/host.h"
#include "fs/sefs/vfs.h"
#include "lib/log.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"

#define OPENING 2u

int vs_counter_check(struct vsuper *v)
{
    struct vs_counter *c = v->counter;
    if (!c)
        return 0;
    uint64_t state = store_counter(v->store);
    int r = c->ops->read(c, &c->value);
    if (r < 0) {
        log_always("sefs %s: its counter cannot be read: error %d", v->name, -r);
        return r;
    }
    if (state < c->value || state - c->value > OPENING || c->value > UINT64_MAX - 4) {
        log_always("sefs %s: the counter is at %lu, this state at %lu: it is not the newest",
                   v->name, c->value, state);
        return -ESTALE;
    }
    if (v->read_only)
        return 0;
    store_set_counter(v->store, c->value + OPENING);
    r = store_commit(v->store);
    return r < 0 ? r : vs_counter_end(v);
}

void vs_counter_begin(struct vsuper *v)
{
    if (v->counter)
        store_set_counter(v->store, v->counter->value + 1);
}

int vs_counter_end(struct vsuper *v)
{
    struct vs_counter *c = v->counter;
    if (!c)
        return 0;
    uint64_t to = store_counter(v->store);
    int r = c->ops->advance(c, to);
    if (r == 0)
        c->value = to;
    else
        log_always("sefs %s: its counter cannot be advanced: error %d", v->name, -r);
    return r;
}

/* ---- in a file: eight bytes, little endian ---- */

struct file_counter {
    struct vs_counter counter;
    int fd;
};

static int file_counter_read(struct vs_counter *counter, uint64_t *out)
{
    struct file_counter *c = container_of(counter, struct file_counter, counter);
    *out = 0;
    ssize_t n = hostio_pread(c->fd, out, sizeof(*out), 0);
    if (n == 0)
        return 0; /* new */
    return n < 0 ? (int)n : n == sizeof(*out) ? 0 : -EIO;
}

static int file_counter_advance(struct vs_counter *counter, uint64_t to)
{
    struct file_counter *c = container_of(counter, struct file_counter, counter);
    ssize_t n = hostio_pwrite(c->fd, &to, sizeof(to), 0);
    if (n != sizeof(to))
        return n < 0 ? (int)n : -EIO;
    return hostio_fsync(c->fd, true);
}

static void file_counter_free(struct vs_counter *counter)
{
    struct file_counter *c = container_of(counter, struct file_counter, counter);
    host_close(c->fd);
    kfree(c);
}

static const struct vs_counter_ops file_counter_ops = {file_counter_read, file_counter_advance,
                                                       file_counter_free};

int vs_counter_open_file(const char *path, struct vs_counter **out)
{
    struct file_counter *c = kzalloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->counter.ops = &file_counter_ops;
    c->fd = host_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, 0);
    if (c->fd < 0) {
        int r = c->fd;
        log_always("sefs: the counter %s cannot be opened: error %d", path, -r);
        kfree(c);
        return r;
    }
    *out = &c->counter;
    return 0;
}
