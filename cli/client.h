/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients' side of a running instance's socket (host/ctl.h). */
#pragma once

#include "cli/err.h"
#include "host/ctl.h"

#define SERVICE_SOCKET "run/occlum.sock"
#define SERVICE_LOCK   "run/.occlum_service"
#define SERVICE_LOG    "run/occlum.log"

/* Does a service run here? Cleans up after one that was killed. *pid: its process, if known. */
int service_running(int *pid);
/* Connects; the error says that none runs. */
MUST_CHECK struct err *client_connect(int *fd);
MUST_CHECK struct err *client_send(int fd, uint32_t type, int64_t value, const void *payload,
                                   size_t size, const int *fds, int fd_count);
/* The next answer; *text is to be freed, has a NUL behind it. Ends of connections are errors.
 */
MUST_CHECK struct err *client_receive(int fd, struct ctl_head *head, char **text);
/* A question with texts as its answer, put together; *text is to be freed; *value: DONE's. */
MUST_CHECK struct err *client_ask(uint32_t type, int64_t value, char **text, int64_t *result);
