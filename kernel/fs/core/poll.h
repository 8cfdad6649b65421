/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readiness: a file's poll operation tells what is ready and, when given a table, queues the
 * waiter on every wait queue that may announce more.
 */
#pragma once

#include "abi/poll.h"
#include "sched/wait.h"

#include <stdatomic.h>

struct file;

#define POLL_INLINE 4u

struct poll_entry {
    struct waiter waiter; /* first */
    struct wait_queue *queue;
    void *owner; /* what notify needs to find */
    struct poll_entry *next;
};

/* One waiting task or epoll item. */
struct poll_table {
    bool (*notify)(struct waiter *w);
    void *owner;
    struct task *task;
    _Atomic bool triggered; /* since the last sleep */
    unsigned count;
    bool exclusive; /* one of those is enough to be told; set before polling */
    bool failed; /* out of memory: some queue is missing */
    struct poll_entry entries[POLL_INLINE];
    struct poll_entry *more;
};

/* notify NULL: for the current task, which then calls poll_table_sleep(). */
void poll_table_init(struct poll_table *t, bool (*notify)(struct waiter *w), void *owner);
/* Sleeps until something was announced: 0; -ERESTARTSYS, -ETIMEDOUT. Poll again afterwards. */
int poll_table_sleep(struct poll_table *t, uint64_t deadline_ns) MUST_CHECK;
/* Called by poll operations; t may be NULL. */
void poll_add(struct poll_table *t, struct wait_queue *q);
/* Leaves all queues. */
void poll_table_fini(struct poll_table *t);

/* What is ready: POLLIN.., files without the operation are always readable and writable. */
uint32_t file_poll(struct file *f, struct poll_table *t);

/* Always part of the answer. */
#define POLL_ALWAYS (POLLERR | POLLHUP | POLLNVAL)
