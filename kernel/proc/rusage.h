/* SPDX-License-Identifier: BSD-3-Clause */
/* struct rusage, from what is counted. LIMIT: major faults and block counts are zero. */
#pragma once

#include "abi/process.h"
#include "lib/string.h"
#include "mm/user.h"
#include "sched/task.h"
#include "time/time.h"

static inline struct abi_timeval rusage_time(uint64_t ns)
{
    return (struct abi_timeval){(int64_t)(ns / NS_PER_SEC),
                                (int64_t)(ns % NS_PER_SEC / NS_PER_USEC)};
}

/* What a thread, a process or its children have used. */
struct usage {
    uint64_t user_ns, system_ns;
    uint64_t faults, switches, preemptions;
    uint64_t peak_pages;
};

static inline void usage_add(struct usage *to, const struct usage *more)
{
    to->user_ns += more->user_ns;
    to->system_ns += more->system_ns;
    to->faults += more->faults;
    to->switches += more->switches;
    to->preemptions += more->preemptions;
    to->peak_pages = MAX(to->peak_pages, more->peak_pages);
}

static inline void usage_of_task(struct task *t, struct usage *out)
{
    uint64_t system, all = task_cpu_ns(t, &system);
    *out = (struct usage){
        .user_ns = all - system,
        .system_ns = system,
        .faults = t->faults,
        .switches = t->switches,
        .preemptions = t->preemptions,
    };
}

static inline int rusage_put(uaddr_t at, const struct usage *of)
{
    struct abi_rusage u = {
        .utime = rusage_time(of->user_ns),
        .stime = rusage_time(of->system_ns),
        .maxrss = (int64_t)(of->peak_pages * (PAGE_SIZE / 1024)),
        .minflt = (int64_t)of->faults,
        .nvcsw = (int64_t)of->switches,
        .nivcsw = (int64_t)of->preemptions,
    };
    return copy_to_user(at, &u, sizeof(u));
}
