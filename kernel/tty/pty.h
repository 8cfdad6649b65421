/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pseudo terminals (pty(7)): the terminal, with the line discipline, and its master. Names and
 * numbers are the business of /dev/pts.
 */
#pragma once

#include "tty/ldisc.h"
#include "tty/tty.h"

struct pty {
    struct tty tty;
    int index;
    struct inode *inode; /* of /dev/pts/INDEX; counted; NULL once the master is closed */
    struct mutex lock;   /* of what follows */
    struct ldisc ldisc;
    struct abi_winsize size;
    struct wait_queue typed;   /* the terminal's readers, the master's writers */
    struct wait_queue written; /* the master's readers, the terminal's writers */
    uint32_t slaves;           /* open files of the terminal */
    bool was_open;             /* it had one */
    bool locked;               /* TIOCSPTLCK */
    bool packet_mode;
    bool master_open;
    void (*gone)(struct pty *p); /* the number is free again */
};

/* Without a master yet. */
struct pty *pty_new(void (*gone)(struct pty *p)) MUST_CHECK;
void pty_discard(struct pty *p); /* nothing has used it yet */
/* f becomes the master; takes over the reference. */
void pty_attach_master(struct pty *p, struct file *f);
/* f becomes an open file of the terminal; takes over the reference only on success: -EIO. */
int pty_attach_slave(struct pty *p, struct file *f) MUST_CHECK;

/* The master's side for the kernel itself: -EAGAIN when nothing is there, or no room. The two
 * wait queues announce more. -EIO: nobody has the terminal open any more. */
ssize_t pty_type(struct pty *p, const uint8_t *bytes, size_t n) MUST_CHECK;
ssize_t pty_take_output(struct pty *p, uint8_t *to, size_t size) MUST_CHECK;
void pty_set_size(struct pty *p, const struct abi_winsize *size);
/* As closing the last file of the master does. */
void pty_master_close(struct pty *p);
