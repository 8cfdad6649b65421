/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for children: what wait4(2) and waitid(2) have in common. */
#pragma once

#include "lib/types.h"
#include "proc/rusage.h"

struct wait_request {
    int type; /* P_ALL, P_PID, P_PGID, P_PIDFD */
    int id;
    const struct process *process; /* P_PIDFD */
    uint32_t options; /* WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __W* */
};
struct wait_result {
    int pid;    /* 0: nothing (WNOHANG) */
    uint32_t uid;
    int status; /* as wait(2) has it */
    struct usage usage;
};

/* 0; -ECHILD, -ERESTARTSYS. */
int wait_child(const struct wait_request *q, struct wait_result *out) MUST_CHECK;
