/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The occlum command with a host that wakes as it likes: WAKER=KIND:SEED. Kicks, interrupts,
 * the timer's ticks, ends of waits and completions come
 *   early   before their time, and when there is nothing to tell
 *   late    by milliseconds, all at once
 *   twice   again and again, also to vCPUs that nobody meant
 *   never   not at all, from some moment on
 * Says at the end how often.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/vcpu.h"
#include "tests/hostile/lies.h"

enum kind { EARLY, LATE, TWICE, NEVER, KINDS };
static const char *const names[KINDS] = {"early", "late", "twice", "never"};
static enum kind kind = KINDS;
static unsigned long seed;
static unsigned calls, doubled, lies;
static struct machine *machine;

#define LATE_US     3000
#define DOUBLED_MAX 200 /* completions: a thousand that answer nothing stop the kernel */

void __real_hostcall_serve(struct vcpu_host *v);
void __wrap_hostcall_serve(struct vcpu_host *v);
void __wrap_host_thread_free(struct host_thread *t);
int __real_machine_run(struct machine *m, struct host_error *err);
int __wrap_machine_run(struct machine *m, struct host_error *err);

static uint64_t random_bits(void)
{
    return lies_random(seed + kind);
}

__attribute__((constructor)) static void begin(void)
{
    kind = (enum kind)lies_asked("WAKER", names, KINDS, &seed);
    /* Completions that are doubled are put into the ring: not into the host kernel's own. */
    setenv("OCCLUM_RING", kind == TWICE || seed & 1 ? "interp" : "uring", 1);
}

__attribute__((destructor)) static void report(void)
{
    if (kind != KINDS)
        fprintf(stderr, "%u times %s\n", lies, names[kind]);
}

static void lie(void)
{
    __atomic_fetch_add(&lies, 1, __ATOMIC_RELAXED);
}

static void wake_anybody(void)
{
    uint64_t i = random_bits() % machine->count;

    (void)vcpu_kick(machine, i);
    (void)vcpu_interrupt(machine, i);
}

/* What was due meanwhile comes now. */
static void *late(void *arg)
{
    for (;;) {
        usleep(LATE_US);
        for (uint32_t i = 0; i < machine->count; i++) {
            (void)vcpu_kick(machine, i);
            (void)vcpu_interrupt(machine, i);
        }
    }
    return arg;
}

static void complete_again(struct vcpu_host *v)
{
    const struct ring_map *m = &v->ring.map;
    uint32_t *tail = (uint32_t *)m->cq_tail, mask = m->cq_entries - 1;
    struct ring_cqe *cqes = (struct ring_cqe *)m->cqes;

    if (!*tail || __atomic_fetch_add(&doubled, 1, __ATOMIC_RELAXED) >= DOUBLED_MAX)
        return;
    cqes[*tail & mask] = cqes[(*tail - 1) & mask];
    __atomic_fetch_add(tail, 1, __ATOMIC_RELEASE);
}

static int64_t serve_early(struct vcpu_host *v, uint32_t nr)
{
    struct hostcall *call = &v->shared->call;

    if (nr == HOSTCALL_WAIT && random_bits() % 2) {
        call->arg[0] = 0;
        call->arg[2] = 0;
        lie();
    }
    if (nr == HOSTCALL_TIMER && call->arg[0]) { /* in the past, mostly: at once */
        call->arg[0] -= random_bits() % 10000000;
        lie();
    }
    __real_hostcall_serve(v);
    return call->result;
}

static int64_t serve_late(struct vcpu_host *v, uint32_t nr)
{
    struct hostcall *call = &v->shared->call;

    lie();
    if (nr == HOSTCALL_KICK || nr == HOSTCALL_INTERRUPT)
        return 0;
    if (nr == HOSTCALL_TIMER && call->arg[0])
        call->arg[0] += random_bits() % (LATE_US * 1000);
    __real_hostcall_serve(v);
    if (nr == HOSTCALL_WAIT && call->arg[1])
        usleep((useconds_t)(random_bits() % LATE_US));
    return call->result;
}

static int64_t serve_twice(struct vcpu_host *v, uint32_t nr)
{
    struct hostcall before = v->shared->call;

    __real_hostcall_serve(v);
    int64_t result = v->shared->call.result;
    if (nr == HOSTCALL_WAIT && random_bits() % 4 == 0)
        complete_again(v);
    if (nr == HOSTCALL_KICK || nr == HOSTCALL_INTERRUPT) {
        v->shared->call = before;
        __real_hostcall_serve(v);
    }
    wake_anybody();
    lie();
    return result;
}

static int64_t serve_never(struct vcpu_host *v, uint32_t nr)
{
    struct hostcall *call = &v->shared->call;

    if (__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) >= 20 + seed * 60) {
        lie();
        if (nr != HOSTCALL_WAIT)
            return 0;
        if (call->arg[0])
            call->arg[0] = UINT64_MAX;
    }
    __real_hostcall_serve(v);
    return call->result;
}

void __wrap_hostcall_serve(struct vcpu_host *v)
{
    static int64_t (*const serve[KINDS])(struct vcpu_host *, uint32_t) = {
        serve_early, serve_late, serve_twice, serve_never};
    uint32_t nr = v->shared->call.nr;

    if (kind == KINDS || (nr != HOSTCALL_WAIT && nr != HOSTCALL_KICK &&
                          nr != HOSTCALL_INTERRUPT && nr != HOSTCALL_TIMER))
        __real_hostcall_serve(v);
    else
        v->shared->call.result = serve[kind](v, nr);
}

/* They stay: whoever is late may be looking at one. */
void __wrap_host_thread_free(struct host_thread *t)
{
}

int __wrap_machine_run(struct machine *m, struct host_error *err)
{
    pthread_t thread;

    machine = m;
    if (kind != LATE || pthread_create(&thread, NULL, late, NULL))
        return __real_machine_run(m, err);
    int rc = __real_machine_run(m, err);
    pthread_cancel(thread); /* before what it looks at goes */
    pthread_join(thread, NULL);
    return rc;
}
