/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A descriptor of the host as a stream of bytes. Nothing that passes here is secret or trusted.
 *
 * Readiness: asked of the host at each poll. While somebody waits, a kernel task of the stream
 * has a poll pending with the host and wakes the queue when it returns.
 */
#pragma once

#include "fs/core/file.h"

struct stream;

/* `waits`: reading can block. `owned`: the descriptor is closed at the end. NULL: no memory. */
struct stream *stream_new(int fd, bool waits, bool owned) MUST_CHECK;
void stream_free(struct stream *s); /* nobody may use or poll it any more */
int stream_fd(const struct stream *s);

/* Bytes; -EAGAIN only when told not to wait. At `offset`, or HOSTIO_STREAM. */
ssize_t stream_read(struct stream *s, bool wait, struct iter *to, int64_t offset) MUST_CHECK;
ssize_t stream_write(struct stream *s, bool wait, struct iter *from, int64_t offset) MUST_CHECK;
uint32_t stream_poll(struct stream *s, struct file *f, struct poll_table *t);
/* ioctl requests whose argument is `size` bytes in or out. */
int64_t stream_ioctl(struct stream *s, uint32_t request, uaddr_t arg, size_t size, bool in);
