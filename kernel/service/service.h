/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host asks of a running kernel (boundary/control.h): signals for the first program's
 * terminal; and, as a service, to start programs, signal, list and stop them.
 */
#pragma once

#include "boundary/control.h"
#include "lib/types.h"

/* Takes what comes from now on. */
void service_start(void);

/* parse.c: pure code over the payload, which is changed and pointed into. */
struct service_exec {
    uint32_t flags; /* CONTROL_EXEC_* */
    int fd[3];
    uint32_t uid, gid;
    uint16_t rows, columns;
    char *program, *directory;
    char **argv, **envp; /* NULL-terminated; service_parse_free() */
};
/* `bytes` has a NUL behind its end. -EINVAL: malformed; -ENOMEM. */
int service_parse_exec(char *bytes, size_t size, struct service_exec *out) MUST_CHECK;
void service_parse_free(struct service_exec *e);

/* exec.c */
/* Starts a program; takes over `payload`. Answers with STARTED or REFUSED, in time. */
void service_exec(uint32_t id, char *payload, size_t size);
/* CONTROL_SIGNAL, RESIZE, DETACH, HANGUP of an exec. */
void service_exec_request(const struct control_request *r);
void service_exec_init(void);

/* relay.c: a pseudo terminal whose master is a stream of the host. */
struct relay;
struct pty;
int relay_new(uint32_t id, int fd, struct pty *pty, struct relay **out) MUST_CHECK;
void relay_detach(struct relay *r);
void relay_hangup(struct relay *r);
/* The program ended: what it wrote is passed on, REPLY_ENDED is sent (unless status < 0), and
 * the relay is gone. */
void relay_end(struct relay *r, int status);
struct pty *relay_pty(struct relay *r);

/* list.c */
void service_list(uint32_t id);
