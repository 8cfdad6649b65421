/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host asks of a running enclave: signals that it received, and requests, in order. A
 * page of host memory; the host fills a slot, counts it in `posted`, and interrupts vCPU 0. The
 * enclave takes each slot once, copies it and what it points to, and answers by
 * HOSTCALL_REPLY. Nothing here is trusted: a hostile host can post anything, at any time.
 */
#pragma once

#include <stdint.h>

#define CONTROL_SLOTS     64u /* power of two */
#define CONTROL_EXEC_MAX  (4u << 20)
#define CONTROL_REPLY_MAX (32u * 1024)

enum control_kind {
    CONTROL_EXEC = 1, /* start a program: payload struct control_exec and its strings */
    CONTROL_SIGNAL,   /* value: signal, for the foreground of that exec's program */
    CONTROL_RESIZE,   /* value: rows << 16 | columns of its terminal */
    CONTROL_DETACH,   /* its client goes; the program stays */
    CONTROL_HANGUP,   /* its client is gone */
    CONTROL_KILL,     /* value: pid << 8 | signal; pid 0: all */
    CONTROL_LIST,     /* the processes, as text */
    CONTROL_STOP, /* value: milliseconds between SIGTERM and SIGKILL; then the kernel ends */
};

struct control_request {
    uint32_t kind; /* enum control_kind */
    uint32_t id;   /* of the exec, or to tell answers apart; not 0 */
    uint64_t value;
    uint64_t address, size; /* payload; it stays until the request is taken */
};

struct control_page {
    uint64_t signals; /* bit N: signal N came; the host sets, the enclave clears */
    uint64_t posted;  /* requests since the beginning; the host counts */
    uint64_t taken;   /* the same; the enclave counts */
    uint64_t pad[5];
    struct control_request slot[CONTROL_SLOTS];
};

/* The signals that the host passes on; others are nothing that a terminal or an init sends. */
#define CONTROL_SIGNALS                                                                        \
    (1ull << 1 | 1ull << 2 | 1ull << 3 | 1ull << 10 | 1ull << 12 | 1ull << 15 | 1ull << 18 |   \
     1ull << 20 | 1ull << 28)

#define CONTROL_EXEC_TERMINAL 1u /* a new terminal inside; fd[0] is the stream to it */
#define CONTROL_EXEC_USER     2u /* uid and gid count */

/* NUL-terminated strings follow: program, directory, argc arguments, envc variables. */
struct control_exec {
    uint32_t flags;
    int32_t fd[3]; /* descriptors of the runtime; the enclave closes them. -1: closed */
    uint32_t argc, envc;
    uint32_t uid, gid;
    uint16_t rows, columns;
    uint32_t pad;
};

/* HOSTCALL_REPLY's second argument; the third is the value. */
enum control_reply {
    REPLY_STARTED = 1, /* pid */
    REPLY_REFUSED,     /* exit status, with a sentence why */
    REPLY_STOPPED,     /* signal: the program stopped; id 0: the first program */
    REPLY_ENDED,       /* wait(2) status */
    REPLY_TEXT,        /* a piece of a list */
    REPLY_DONE,        /* 0, or errno: the end of a request */
};
