/* SPDX-License-Identifier: BSD-3-Clause */
/* The server of a running instance's socket, driven by the control thread. */
#pragma once

#include <poll.h>

#include "host/control.h"

/* `listen_fd` listens already. `ready` is called once the enclave takes requests. */
struct service *service_new(struct host_control *c, int listen_fd, void (*ready)(void *),
                            void *arg);
void service_free(struct service *s);
/* Fills in what to poll for; may lower *timeout (ms). */
int service_poll(struct service *s, struct pollfd *fds, int max, int *timeout);
void service_work(struct service *s, const struct pollfd *fds, int count);
void service_reply(struct service *s, const struct host_reply *r);
/* As a client's request to stop. */
void service_stop(struct service *s);
