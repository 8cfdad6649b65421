/* SPDX-License-Identifier: BSD-3-Clause */
/* POSIX message queues: files that are found by a name in a space of their own. */
#pragma once

#include "abi/ipc.h"
#include "fs/core/file.h"

struct signal_group;

/* `attr` NULL: the default. The new file is readable and writable as `flags` (O_*) say. */
int mq_new(const char *name, uint32_t flags, uint32_t mode, const struct abi_mq_attr *attr,
           struct file **out) MUST_CHECK;
int mq_unlink(const char *name) MUST_CHECK;
bool mq_is(const struct file *f);
int mq_send(struct file *f, uaddr_t text, size_t size, uint32_t priority,
            uint64_t deadline_ns) MUST_CHECK;
int64_t mq_receive(struct file *f, uaddr_t text, size_t size, uint32_t *priority,
                   uint64_t deadline_ns) MUST_CHECK;
void mq_attr(struct file *f, struct abi_mq_attr *out);
/* Signal `sig` (0: none, but the place is taken) to the current process when a message comes to
 * the empty queue. */
int mq_notify_set(struct file *f, int sig, uint64_t value) MUST_CHECK;
void mq_notify_remove(struct file *f);
/* The process goes. LIMIT: closing its descriptor does not end a process's notification. */
void mq_notify_forget(struct signal_group *g);
