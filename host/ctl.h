/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passes over a service's socket: frames, a head and `size` bytes. Both sides run as the
 * same user on one machine, so numbers are the machine's. The server still checks everything.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "boundary/control.h"

#define CTL_MAGIC   0x4c54434fu
#define CTL_FDS_MAX 3
/* What a client may send in one frame. */
#define CTL_SIZE_MAX CONTROL_EXEC_MAX

/* From client to server; with CTL_EXEC come the descriptors: one with CONTROL_EXEC_TERMINAL,
 * else three. The server fills in control_exec.fd. */
enum ctl_type {
    CTL_EXEC = 1, /* payload: struct control_exec and strings */
    CTL_SIGNAL,   /* value: signal */
    CTL_RESIZE,   /* value: rows << 16 | columns */
    CTL_DETACH,
    CTL_KILL, /* value: pid << 8 | signal; pid 0: all */
    CTL_LIST,
    CTL_STOP, /* value: milliseconds */
    CTL_TYPE_COUNT,
    /* From server to client: CTL_REPLY + enum control_reply, payload: text. */
    CTL_REPLY = 64,
};

struct ctl_head {
    uint32_t magic;
    uint32_t type;
    uint64_t size;
    int64_t value;
};

/* 1: a whole frame is there, *used bytes of it; 0: more is to come; -EPROTO: nonsense. */
int ctl_parse(const void *bytes, size_t size, struct ctl_head *head, size_t *used);
