/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Terminals: what they have in common. A terminal belongs to at most one session and knows that
 * session's foreground process group; reading, writing and setting it from another group is
 * refused here (credentials(7), setpgid(2), ioctl_tty(2)). The kinds (pseudo terminals, the
 * host's) embed struct tty and fill in struct tty_ops.
 */
#pragma once

#include <stdatomic.h>

#include "abi/tty.h"
#include "fs/core/file.h"

struct tty;

/* Contracts as in struct file_ops; job control and hanging up have been looked after. */
struct tty_ops {
    /* May sleep until something is typed, as VMIN and VTIME say. */
    ssize_t (*read)(struct tty *t, struct file *f, struct iter *to);
    ssize_t (*write)(struct tty *t, struct file *f, struct iter *from);
    uint32_t (*poll)(struct tty *t, struct file *f, struct poll_table *p);
    int (*get_termios)(struct tty *t, struct abi_termios2 *out);
    /* Waits for output and drops input, as the request (TCSETS, TCSETSW, TCSETSF) says. */
    int (*set_termios)(struct tty *t, const struct abi_termios2 *in, uint32_t request);
    int (*get_size)(struct tty *t, struct abi_winsize *out);
    /* 1: it is another one than before. */
    int (*set_size)(struct tty *t, const struct abi_winsize *in);
    /* TCFLSH, TCXONC, TCSBRK, FIONREAD, TIOCOUTQ and the kind's own. -ENOTTY: unknown. */
    int64_t (*ioctl)(struct tty *t, struct file *f, uint32_t request, uaddr_t arg);
    void (*opened)(struct tty *t, struct file *f); /* NULL: nothing to do */
    void (*closed)(struct tty *t, struct file *f); /* NULL: nothing to do */
    void (*free)(struct tty *t);                   /* after the last reference */
};

struct tty {
    const struct tty_ops *ops;
    uint64_t rdev; /* what /proc/PID/stat shows */
    _Atomic uint32_t refs;
    _Atomic bool hung;   /* hung up: nothing works any more */
    _Atomic int session; /* 0: none; changed under tty_lock */
    _Atomic int group;   /* in the foreground; 0: none; changed under tty_lock */
    struct list node;    /* under tty_lock */
};

/* With one reference; tty_discard() undoes it where nothing else has happened. */
void tty_init(struct tty *t, const struct tty_ops *ops);
void tty_discard(struct tty *t);
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);
/* False when the last reference is already gone, for tables that hold none; the table's lock
 * keeps the terminal from being freed meanwhile. */
bool tty_get_live(struct tty *t);

/* For open files: f->private is the terminal, whose reference the file takes over. The opener,
 * if it leads a session without a terminal, gets it as its own (unless O_NOCTTY). */
extern const struct file_ops tty_file_ops;
void tty_attach_file(struct tty *t, struct file *f);

/* The current process's controlling terminal with a reference, or NULL. */
struct tty *tty_controlling(void) MUST_CHECK;
/* A session's, for /proc: device number (0: none) and foreground group. */
uint64_t tty_of_session(int sid, int *group);
/* It becomes the terminal of a session that is just beginning. */
void tty_set_session(struct tty *t, int sid, int group);
/* Sends to the foreground group, as typing does. */
void tty_signal(struct tty *t, int sig);
/* The line is gone: SIGHUP and SIGCONT for the session's leader, and errors from now on. */
void tty_hangup(struct tty *t);
/* The window is another one: tells the foreground group. */
void tty_resized(struct tty *t);
/* Requests of `t` made through another file (a pseudo terminal's master: `other` side). */
int64_t tty_ioctl(struct tty *t, struct file *f, uint32_t request, uaddr_t arg, bool other);
/* 0 if the caller may act now, else -EIO or -ERESTARTSYS with `sig` sent to its group. */
int tty_may(struct tty *t, int sig) MUST_CHECK;

/* Boot. */
void tty_boot(void);
