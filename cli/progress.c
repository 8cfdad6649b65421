/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Progress, see progress.h. Adding is cheap and safe from any thread; who first sees that a
 * tick has passed draws.
 */
#include "cli/progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 250000000ull

static struct {
    const char *what; /* NULL: no step is open */
    uint64_t total, began_ns;
    bool terminal, drawn;
    _Atomic uint64_t done, next_ns;
} state;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void draw(uint64_t done)
{
    uint64_t rate = done * 1000 / ((now_ns() - state.began_ns) / 1000000 + 1);

    if (state.total && rate && done < state.total)
        fprintf(stderr, "\r%s: %llu%% of %llu MiB, %llu MiB/s, %llu s left\033[K", state.what,
                (unsigned long long)(done * 100 / state.total),
                (unsigned long long)(state.total >> 20), (unsigned long long)(rate >> 20),
                (unsigned long long)((state.total - done) / rate));
    else if (state.total)
        fprintf(stderr, "\r%s: %llu%% of %llu MiB ", state.what,
                (unsigned long long)(done >= state.total ? 100 : done * 100 / state.total),
                (unsigned long long)(state.total >> 20));
    else
        fprintf(stderr, "\r%s: %llu MiB ", state.what, (unsigned long long)(done >> 20));
    state.drawn = true;
}

void progress_begin(const char *what, uint64_t total)
{
    progress_end();
    state.terminal = isatty(STDERR_FILENO);
    state.total = total;
    state.began_ns = now_ns();
    atomic_store(&state.done, 0);
    atomic_store(&state.next_ns, now_ns() + TICK_NS);
    state.what = what;
}

void progress_add(uint64_t bytes)
{
    uint64_t done = atomic_fetch_add(&state.done, bytes) + bytes;
    uint64_t next = atomic_load(&state.next_ns);
    uint64_t now;

    if (!state.what || !state.terminal)
        return;
    now = now_ns();
    if (now >= next && atomic_compare_exchange_strong(&state.next_ns, &next, now + TICK_NS))
        draw(done);
}

void progress_end(void)
{
    if (state.what && state.drawn)
        fprintf(stderr, "\r\033[K");
    state.what = NULL;
    state.drawn = false;
}
