/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers that send signals: setitimer(2), timer_create(2), RLIMIT_CPU. */
#pragma once

#include "abi/signal.h"
#include "lib/types.h"

struct process;

enum cpu_timer_kind { CPU_TIMER_VIRTUAL, CPU_TIMER_PROF, CPU_TIMER_LIMIT };

struct timer_value {
    uint64_t interval_ns, value_ns; /* value 0: disarmed */
};

/* setitimer(2)'s three; `fresh` NULL: only asks. */
void itimer_real(struct process *p, const struct timer_value *fresh, struct timer_value *old);
void itimer_cpu(struct process *p, enum cpu_timer_kind kind, const struct timer_value *fresh,
                struct timer_value *old);
void process_cpu_limit_changed(struct process *p);

/* timer_create(2) and its kin, for the current process. The id, or negative errno. */
int64_t posix_timer_create(int clock, const struct abi_sigevent *event) MUST_CHECK;
int posix_timer_set(int id, const struct timer_value *fresh, bool absolute,
                    struct timer_value *old) MUST_CHECK;
int posix_timer_get(int id, struct timer_value *out) MUST_CHECK;
int64_t posix_timer_overrun(int id) MUST_CHECK;
int posix_timer_delete(int id) MUST_CHECK;
