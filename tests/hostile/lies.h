/* SPDX-License-Identifier: BSD-3-Clause */
/* What hosts that misbehave by a seed have in common: KIND:SEED in a variable, and numbers. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The index of the kind in `names`; `kinds`: nothing that is known is asked for. */
static inline unsigned lies_asked(const char *variable, const char *const names[],
                                  unsigned kinds, unsigned long *seed)
{
    const char *text = getenv(variable);
    unsigned kind = 0;
    char name[16];

    if (!text || sscanf(text, "%15[a-z]:%lu", name, seed) != 2)
        return kinds;
    while (kind < kinds && strcmp(name, names[kind]))
        kind++;
    return kind;
}

/* Of each thread's own. */
static inline uint64_t lies_random(unsigned long seed)
{
    static __thread uint64_t state;

    if (!state)
        state = seed * 0x9e3779b97f4a7c15ull + (uint64_t)syscall(SYS_gettid) % 7 + 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull >> 8;
}
