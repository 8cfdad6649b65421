/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readiness: a file's poll operation tells what is ready and, when given a table, queues the
 * waiter on every wait queue that may announce more.
 */
#pragma once

#include "abi/poll.h"
#include "sched/wait.h"

struct file;

#define POLL_INLINE 4u

struct poll_entry {
    struct waiter waiter; /* first */
    struct wait_queue *queue;
    void *owner;          /* what notify needs to find */
    struct poll_entry *next;
};

/* One waiting task or epoll item. */
struct poll_table {
    void (*notify)(struct waiter *w); /* NULL: wakes `task` */
    void *owner;
    struct task *task;
    unsigned count;
    bool failed;                      /* out of memory: some queue is missing */
    struct poll_entry entries[POLL_INLINE];
    struct poll_entry *more;
};

void poll_table_init(struct poll_table *t, void (*notify)(struct waiter *w), void *owner);
/* Called by poll operations; t may be NULL. */
void poll_add(struct poll_table *t, struct wait_queue *q);
/* Leaves all queues. */
void poll_table_fini(struct poll_table *t);

/* What is ready: POLLIN.., files without the operation are always readable and writable. */
uint32_t file_poll(struct file *f, struct poll_table *t);

/* Always part of the answer. */
#define POLL_ALWAYS (POLLERR | POLLHUP | POLLNVAL)
