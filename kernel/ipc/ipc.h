/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes, eventfd and epoll: files that live in the enclave alone. */
#pragma once

#include "fs/core/file.h"

void ipc_register(void);
void pipe_register(void);
void epoll_register(void);
void sigio_register(void);

/* flags: O_NONBLOCK, O_DIRECT (LIMIT: packet mode is refused). */
int pipe_new(uint32_t flags, struct file **reader, struct file **writer) MUST_CHECK;
bool pipe_is(const struct file *f);

/*
 * For splice(2) and tee(2), on open pipes: bytes out of one, whose room stays reserved until
 * pipe_return() puts back those that nobody wanted; room in one, until pipe_fill() fills it
 * with as many bytes or fewer. Bytes, 0 at the end, -EAGAIN; with PIPE_WAIT they wait as reads
 * and writes do. PIPE_PEEK: the bytes stay, and nothing is reserved.
 */
#define PIPE_WAIT 1u
#define PIPE_PEEK 2u
ssize_t pipe_take(struct file *f, void *buffer, size_t size, uint32_t how) MUST_CHECK;
void pipe_return(struct file *f, size_t taken, const void *rest, size_t size);
ssize_t pipe_reserve(struct file *f, size_t size, uint32_t how) MUST_CHECK;
void pipe_fill(struct file *f, size_t reserved, const void *data, size_t size);

int eventfd_new(uint64_t count, uint32_t flags, struct file **out) MUST_CHECK;
bool eventfd_is(const struct file *f);
void eventfd_signal(struct file *f); /* one more, as far as there is room */

/* O_ASYNC on or off; `fd` is what signals name. -ENOTTY: never waits; -ENOMEM. */
int sigio_set(struct file *f, int fd, bool on) MUST_CHECK;

int epoll_new(struct file **out) MUST_CHECK;
bool epoll_is(const struct file *f);
struct abi_epoll_event;
int epoll_control(struct file *ep, int op, int fd, struct file *f,
                  const struct abi_epoll_event *event) MUST_CHECK;
/* Up to `max` events into `out`; 0 at the deadline (0: do not wait). *round is 0 at first; with
 * it, another call goes on without telling anything twice. */
int epoll_wait_events(struct file *ep, struct abi_epoll_event *out, int max,
                      uint64_t deadline_ns, uint64_t *round) MUST_CHECK;
