/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The synchronous control calls for the host's sockets, with every answer checked. Buffers are
 * enclave memory. Results: >= 0, or negative errno; an answer out of bounds becomes -EIO.
 */
#pragma once

#include "boundary/hostcalls.h"
#include "lib/types.h"

#define HOST_NAME_MAX 128u /* bytes of an address */

int host_socket(uint32_t family, uint32_t type, uint32_t protocol) MUST_CHECK;
int host_bind(int fd, const void *name, uint32_t size) MUST_CHECK;
int host_listen(int fd, uint32_t backlog) MUST_CHECK;
/* Where it does not wait: datagrams, and AF_UNSPEC to end a connection by a reset. */
int host_connect(int fd, const void *name, uint32_t size) MUST_CHECK;
/* Into HOST_NAME_MAX bytes, the rest zeroed. Bytes. */
ssize_t host_sockname(int fd, bool peer, void *name) MUST_CHECK;
ssize_t host_getsockopt(int fd, int level, int option, void *value, uint32_t room) MUST_CHECK;
int host_setsockopt(int fd, int level, int option, const void *value, uint32_t size) MUST_CHECK;
/* Bytes of SIOCGIFCONF's table. */
ssize_t host_ifconf(int fd, void *buffer, uint32_t room) MUST_CHECK;

#define HOST_MESSAGE_MAX 65535u
struct host_message {
    const void *name, *data, *control;
    uint32_t name_size, data_size, control_size; /* data up to HOST_MESSAGE_MAX */
};
ssize_t host_sendmsg(int fd, const struct host_message *m, uint32_t flags) MUST_CHECK;
