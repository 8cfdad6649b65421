/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets: what all families share. A socket is a file (FILE_STREAM) whose `private` is a
 * struct socket; a family fills one const table. Operations never sleep for readiness: they
 * answer -EAGAIN, and the loops in socket.c wait, with O_NONBLOCK, MSG_DONTWAIT, MSG_WAITALL,
 * timeouts and signals handled there once. docs/network.md has the objects and the locks.
 */
#pragma once

#include <stdatomic.h>

#include "abi/socket.h"
#include "fs/core/file.h"
#include "net/packet.h"

struct socket;

struct message {
    struct iter *data;
    struct sock_name name; /* sending: where to, size 0: nowhere; receiving: from whom */
    struct scm scm;        /* owned: what the operation does not take is freed by the caller */
    uint32_t flags;        /* receiving: MSG_TRUNC, MSG_EOR and so on, added */
};

/* As /proc/net tells it. */
struct socket_state {
    uint32_t number; /* TCP's, which the other families use as well; UNIX: SS_* */
    bool listening;
    uint32_t in, out; /* bytes; listening: connections that wait, and how many may */
};

struct socket_ops {
    /* NULL slots answer -EOPNOTSUPP where nothing else is said. No locks held. */
    int (*bind)(struct socket *s, const struct sock_name *name);
    int (*listen)(struct socket *s, uint32_t backlog);
    /* A new socket with one reference; -EAGAIN: nobody is waiting. */
    int (*accept)(struct socket *s, struct socket **out);
    /* 0; -EAGAIN: would have to wait, connect_wait says for what; -EINPROGRESS: started, done
     * when the socket polls writable. */
    int (*connect)(struct socket *s, const struct sock_name *name, uint32_t file_flags);
    int (*name)(struct socket *s, bool peer, struct sock_name *out);
    /* Bytes taken, message->data advanced. -EAGAIN: no room. */
    ssize_t (*send)(struct socket *s, struct message *m, uint32_t flags);
    /* Bytes, 0 at the end. -EAGAIN: nothing there. */
    ssize_t (*receive)(struct socket *s, struct message *m, uint32_t flags);
    uint32_t (*poll)(struct socket *s, struct poll_table *t);
    /* Where -EAGAIN of send or connect does not depend on the socket itself: sleeps until it
     * is worth trying again. NULL: poll for POLLOUT. */
    int (*wait_peer)(struct socket *s, const struct sock_name *name, uint64_t deadline_ns);
    int (*shutdown)(struct socket *s, int how);
    /* What socket.c does not answer itself. value is kernel memory; *size in and out. */
    int (*getopt)(struct socket *s, int level, int name, void *value, uint32_t *size);
    int (*setopt)(struct socket *s, int level, int name, const void *value, uint32_t size);
    int64_t (*ioctl)(struct socket *s, uint32_t request, uaddr_t arg); /* NULL: -ENOTTY */
    void (*describe)(struct socket *s, struct socket_state *out); /* for /proc/net; not NULL */
    /* The file is gone. */
    void (*release)(struct socket *s);
    /* The last reference is gone: frees it. Never NULL. */
    void (*free)(struct socket *s);
};

struct socket {
    const struct socket_ops *_Atomic ops; /* changes once, to a connection's inside */
    /* const */
    uint32_t family, type, protocol;

    _Atomic uint32_t refs;
    _Atomic int32_t error; /* SO_ERROR: positive, taken by whoever sees it */
    _Atomic uint32_t pass_cred;
    _Atomic uint32_t low_water;                         /* SO_RCVLOWAT */
    _Atomic uint64_t read_timeout_ns, write_timeout_ns; /* 0: none */
    struct file *file;    /* not counted; NULL before accept(2) and after the end */
    struct list all_node; /* while it has a file */
    uint64_t ino;
    uint32_t uid; /* of whoever made the file */
};

void socket_init(struct socket *s, const struct socket_ops *ops, uint32_t family,
                 uint32_t type);
struct socket *socket_get(struct socket *s);
void socket_put(struct socket *s); /* NULL is fine */

/* socket(2), without the flags in `type`. */
int socket_new(uint32_t family, uint32_t type, uint32_t protocol,
               struct socket **out) MUST_CHECK;
int socket_pair(uint32_t family, uint32_t type, uint32_t protocol,
                struct socket *out[2]) MUST_CHECK;
/* Takes over the reference, also on failure; flags: O_NONBLOCK counts. */
int socket_file_new(struct socket *s, uint32_t flags, struct file **out) MUST_CHECK;
/* NULL: not a socket. */
struct socket *socket_of(const struct file *f);

/* With waiting. Negative errno, -ERESTARTSYS among them; SIGPIPE has been sent. */
int socket_accept(struct file *f, struct socket **out) MUST_CHECK;
int socket_connect(struct file *f, const struct sock_name *name) MUST_CHECK;
ssize_t socket_send(struct file *f, struct message *m, uint32_t flags) MUST_CHECK;
ssize_t socket_receive(struct file *f, struct message *m, uint32_t flags) MUST_CHECK;
int socket_getopt(struct socket *s, int level, int name, void *value,
                  uint32_t *size) MUST_CHECK;
int socket_setopt(struct socket *s, int level, int name, const void *value,
                  uint32_t size) MUST_CHECK;
/* Those with a file, each with a reference, in an array to be freed. */
int socket_snapshot(uint32_t family, uint32_t type, struct socket ***out,
                    uint32_t *count) MUST_CHECK;
/* Takes and clears SO_ERROR: 0 or negative. */
int socket_error(struct socket *s);

/* netdevice(7)'s questions, on a socket of any family. -ENOTTY: it is none. */
int64_t net_interface_ioctl(uint32_t request, uaddr_t arg);

/* The families' ways in. UNIX: type and protocol are not checked. */
int inet_socket_new(uint32_t family, uint32_t type, uint32_t protocol,
                    struct socket **out) MUST_CHECK;
int unix_socket_new(uint32_t type, uint32_t protocol, struct socket **out) MUST_CHECK;
int unix_socket_pair(uint32_t type, uint32_t protocol, struct socket *out[2]) MUST_CHECK;

#define SOCKET_OPT_MAX 4096u /* bytes of an option's value */
