/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The number of busy connections is counted in periods. As long as half of them have not
 * answered, whoever is at the other end has something to do, so that waiting for that half
 * costs no throughput; GATHER_NS bounds what it can cost in time. `limit` is how many lately
 * came in that time; where it was far from enough, `hold` lets ever more waits pass before the
 * next try.
 */
#include "sched/gather.h"

#include "boundary/layout.h"
#include "enclave/clock.h"
#include "enclave/hostcall.h"
#include "enclave/ring.h"
#include "enclave/vcpu.h"

#define GATHER_NS  500000u
#define LAZY_NS    200000u
#define PERIOD_NS  4000000u
#define BUSY_MIN   8u /* connections */
#define GATHER_MAX 32u
#define HOLD_MAX   256u

struct gather {
    uint32_t lazy; /* of what is queued and not submitted */
    bool eager;
    uint32_t limit, hold, held;
    uint32_t period, busy, usual; /* connections: in this period, in the last one */
    uint64_t since_tsc;
};

static struct gather gathers[LAYOUT_VCPU_MAX];

static struct gather *mine(void)
{
    return &gathers[this_vcpu()->index];
}

void gather_note(uint32_t *stamp)
{
    struct gather *g = mine();
    uint32_t now = g->period << 8 | (this_vcpu()->index + 1);

    g->busy += *stamp != now;
    *stamp = now;
}

void gather_lazy(void)
{
    mine()->lazy++;
}

void gather_eager(void)
{
    mine()->eager = true;
}

static void submitted(struct gather *g)
{
    g->lazy = 0;
    g->eager = false;
}

void gather_submit(void)
{
    submitted(mine());
    (void)hostcall2(HOSTCALL_WAIT, 0, 0);
}

static void next_period(struct gather *g, uint64_t now)
{
    uint64_t passed = clock_tsc_to_ns(now - g->since_tsc);

    if (passed < PERIOD_NS)
        return;
    g->usual = passed < 8 * PERIOD_NS ? g->busy : 0;
    g->busy = 0;
    g->period++;
    g->since_tsc = now;
}

static uint32_t wanted(const struct gather *g)
{
    uint32_t want = g->usual < BUSY_MIN ? 1 : MIN(g->usual / 2, GATHER_MAX);

    return MAX(MIN(want, g->limit), 1u);
}

static void learn(struct gather *g, uint32_t want, uint32_t came)
{
    if (came >= want) {
        if (g->held)
            g->held--;
        else
            g->limit = MIN(g->limit + g->limit / 4 + 1, GATHER_MAX);
        return;
    }
    if (!came) /* they went quiet altogether: says nothing */
        return;
    g->limit = came;
    g->hold = came >= want / 2 ? 1 : MIN(g->hold * 2 + 1, HOLD_MAX);
    g->held = g->hold;
}

int64_t gather_wait(uint64_t timeout_ns)
{
    struct gather *g = mine();
    uint64_t before = rdtsc();

    next_period(g, before);
    uint32_t lazy = g->lazy, want = wanted(g), gather_ns = want > 1 ? GATHER_NS : LAZY_NS;
    bool one = g->eager || ring_waited_for() || timeout_ns <= GATHER_NS;
    submitted(g);
    if (one)
        return hostcall3(HOSTCALL_WAIT, timeout_ns, 1, 0);
    int64_t r = hostcall3(HOSTCALL_WAIT, timeout_ns, want + lazy, gather_ns);
    uint32_t came = ring_ready();
    came = came > lazy ? came - lazy : 0;
    if (came >= want || clock_tsc_to_ns(rdtsc() - before) >= gather_ns) /* or else: a kick */
        learn(g, want, came);
    return r;
}
