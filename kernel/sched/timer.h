/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel timers on CLOCK_MONOTONIC. Functions run on a vCPU between tasks: no sleeping. */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"

struct timer {
    struct rb_node node;
    uint64_t deadline_ns;
    bool armed;
    bool running;
    void (*fire)(struct timer *t);
};

void timer_init(struct timer *t, void (*fire)(struct timer *t));
/* (Re)arms; a deadline in the past fires at the next opportunity. */
void timer_set(struct timer *t, uint64_t deadline_ns);
/* Disarms and waits until a running `fire` on another vCPU has ended. True: it was armed. */
bool timer_cancel(struct timer *t);
