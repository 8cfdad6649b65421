/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files that serve the calls for sockets. */
#pragma once

#include "net/socket.h"

/* A counted file that is a socket: -EBADF, -ENOTSOCK. */
int socket_by_fd(int fd, struct file **out) MUST_CHECK;
int sock_name_from_user(uaddr_t at, int64_t size, struct sock_name *out) MUST_CHECK;
/* value-result, as accept(2): cut to the room there is, with the whole size. */
int sock_name_to_user(const struct sock_name *name, uaddr_t at, uaddr_t size_at) MUST_CHECK;
