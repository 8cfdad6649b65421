/* SPDX-License-Identifier: BSD-3-Clause */
/* struct rusage, from what is counted. LIMIT: faults, switches and block counts are zero. */
#pragma once

#include "abi/process.h"
#include "lib/string.h"
#include "mm/user.h"
#include "time/time.h"

static inline struct abi_timeval rusage_time(uint64_t ns)
{
    return (struct abi_timeval){(int64_t)(ns / NS_PER_SEC),
                                (int64_t)(ns % NS_PER_SEC / NS_PER_USEC)};
}

static inline int rusage_put(uaddr_t at, uint64_t user_ns, uint64_t system_ns,
                             uint64_t peak_pages)
{
    struct abi_rusage u = {
        .utime = rusage_time(user_ns),
        .stime = rusage_time(system_ns),
        .maxrss = (int64_t)(peak_pages * (PAGE_SIZE / 1024)),
    };
    return copy_to_user(at, &u, sizeof(u));
}
