/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread a vCPU: enter, serve the call that it left for, enter again. Ticks come from a timer
 * of the thread's own; one that finds the thread on its way in or out is repeated soon after.
 */
#include "host/vcpu.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RETRY_NS    20000u
#define RETRIES_MAX 8 /* doublings */
#define STACK_BYTES (256u << 10)

static void arm(struct vcpu_host *v, uint64_t ns, int flags)
{
    struct itimerspec its = {.it_value = {.tv_sec = (time_t)(ns / 1000000000u),
                                          .tv_nsec = (long)(ns % 1000000000u)}};

    timer_settime(v->timer, flags, &its, NULL);
}

/* OCCLUM_TICK=MICROSECONDS: for tests, ticks that nobody asked for, about that far apart and
 * not in step with each other. */
static long unasked_ns(const struct vcpu_host *v)
{
    const char *text = getenv("OCCLUM_TICK");
    long us = text ? strtol(text, NULL, 10) : 0;

    if (us < 20 || us > 1000000)
        return 0;
    return us * (700 + (v->thread->tid * 7919 + v->index * 104729) % 300);
}

static uint64_t monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int vcpu_timer_new(struct vcpu_host *v)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_SIGNAL_TICK};
    struct itimerspec often = {.it_value.tv_nsec = unasked_ns(v) % 1000000000,
                               .it_interval.tv_nsec = unasked_ns(v) % 1000000000};

    ev._sigev_un._tid = v->thread->tid;
    if (timer_create(CLOCK_MONOTONIC, &ev, &v->timer))
        return -errno;
    v->timer_made = 1;
    if (often.it_value.tv_nsec && !timer_create(CLOCK_MONOTONIC, &ev, &v->unasked)) {
        v->unasked_made = 1;
        timer_settime(v->unasked, 0, &often, NULL);
    }
    return 0;
}

int vcpu_set_timer(struct vcpu_host *v, uint64_t deadline_ns)
{
    struct host_thread *t = v->thread;

    v->deadline_ns = deadline_ns;
    v->hurried = 0;
    if (t->owed)
        __atomic_fetch_or(&t->tick_pending, TICK_POKE, __ATOMIC_SEQ_CST);
    t->owed = 0;
    __atomic_fetch_and(&t->tick_pending, ~TICK_TIMER, __ATOMIC_SEQ_CST);
    arm(v, deadline_ns, TIMER_ABSTIME);
    return 0;
}

/* Where signals are slow (a tracer) a fixed interval would leave no time for anything else. */
void vcpu_tick_missed(struct vcpu_host *v)
{
    arm(v, (uint64_t)RETRY_NS << v->hurried, 0);
    if (v->hurried < RETRIES_MAX)
        v->hurried++;
}

void vcpu_timer_fired(struct vcpu_host *v)
{
    __atomic_store_n(&v->shared->timer_fired, v->shared->timer_fired + 1, __ATOMIC_RELEASE);
}

void vcpu_count_tick(struct vcpu_host *v)
{
    if (v)
        v->ticks++;
}

void vcpu_tick_taken(struct vcpu_host *v)
{
    v->thread->owed = 0;
    if (!v->hurried)
        return;
    v->hurried = 0;
    if (v->deadline_ns > monotonic_ns())
        arm(v, v->deadline_ns, TIMER_ABSTIME);
}

static struct vcpu_host *running(struct machine *m, uint64_t index)
{
    if (index >= m->count || !m->vcpu[index].running)
        return NULL;
    return &m->vcpu[index];
}

static int poke(struct vcpu_host *v)
{
    struct host_thread *t = v->thread;

    if (__atomic_exchange_n(&t->poked, 1, __ATOMIC_SEQ_CST) ||
        !syscall(SYS_tgkill, getpid(), t->tid, HOST_SIGNAL_TICK))
        return 0;
    int rc = -errno;
    __atomic_store_n(&t->poked, 0, __ATOMIC_SEQ_CST);
    return rc;
}

int vcpu_interrupt(struct machine *m, uint64_t index)
{
    struct vcpu_host *v = running(m, index);
    return v ? poke(v) : -EINVAL;
}

int vcpu_kick(struct machine *m, uint64_t index)
{
    struct vcpu_host *v = running(m, index);

    if (!v)
        return -EINVAL;
    __atomic_store_n(&v->thread->kicked, 1, __ATOMIC_SEQ_CST);
    return v->thread->waiting ? poke(v) : 0;
}

void vcpu_alert(struct machine *m, uint64_t index)
{
    struct vcpu_host *v = running(m, index);

    if (!v)
        return;
    __atomic_store_n(&v->thread->kicked, 1, __ATOMIC_SEQ_CST);
    poke(v);
}

void machine_end(struct machine *m, uint32_t status, int failed, const char *message)
{
    pthread_mutex_lock(&m->lock);
    if (!m->exited) {
        m->exited = 1;
        m->status = status;
        m->failed = failed;
        if (message)
            host_fail(&m->error, failed, "%s", message);
        host_stopping = 1;
    }
    pthread_mutex_unlock(&m->lock);
    for (uint32_t i = 0; i < m->count; i++) {
        struct vcpu_host *v = &m->vcpu[i];
        if (v->running && v->thread != host_self) {
            __atomic_store_n(&v->thread->kicked, 1, __ATOMIC_SEQ_CST);
            poke(v);
        }
    }
}

static void broken(struct vcpu_host *v, uint64_t reason)
{
    const char *what = "the enclave left in a way that it does not know";
    uint64_t kind = reason & 0xffffffff00000000ull;
    char text[160];

    if (kind == (uint64_t)HOST_EXIT_STOP)
        return;
    if (kind == (uint64_t)HOST_EXIT_FAULT)
        what = "the machine refused to enter the enclave";
    else if (kind == (uint64_t)HOST_EXIT_NESTED)
        what = "an exception in the enclave's own exception handler";
    snprintf(text, sizeof(text), "vCPU %u: %s (0x%lx)", v->index, what, reason & 0xffffffffu);
    machine_end(v->machine, 0, -EFAULT, text);
}

static void run_loop(struct vcpu_host *v, uint64_t command, uint64_t argument)
{
    struct host_thread *t = v->thread;

    while (!host_stopping) {
        t->in_enclave = 1;
        t->in_host = 0;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (t->tick_pending) {
            if (t->tick_pending & TICK_POKE)
                t->owed = 1;
            t->tick_pending = 0;
            vcpu_tick_missed(v);
        }
        if (host_stopping)
            break;
        uint64_t reason = host_enter(t, command, argument);
        t->in_host = 1;
        t->in_enclave = 0;
        if (reason != EXIT_HOSTCALL) {
            broken(v, reason);
            break;
        }
        hostcall_serve(v);
        command = ENTER_RETURN;
        argument = 0;
    }
    t->in_host = 1;
    t->in_enclave = 0;
}

/* The whole life of a vCPU on the calling thread. */
static int vcpu_life(struct vcpu_host *v, uint64_t command, uint64_t argument,
                     struct host_error *err)
{
    struct machine *m = v->machine;
    int rc = host_thread_new(m->dev, &v->thread, err);

    if (rc)
        return rc;
    v->thread->vcpu = v;
    v->thread->in_host = 1;
    v->thread->tcs = m->dev->base + m->plan->tcs_offset[v->index];
    rc = ring_init(&v->ring, err);
    if (!rc && (rc = vcpu_timer_new(v)))
        host_fail(err, rc, "timer_create: %s%s", strerror(-rc),
                  rc == -EAGAIN ? "; too many signals and timers: ulimit -i" : "");
    if (!rc) {
        v->shared->ring = v->ring.map;
        __atomic_store_n(&v->running, 1, __ATOMIC_SEQ_CST);
        run_loop(v, command, argument);
    }
    return rc;
}

/* On the vCPU's own thread. Its block stays until machine_run() ends: others may look at it. */
static void vcpu_fini(struct vcpu_host *v)
{
    __atomic_store_n(&v->running, 0, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &v->running, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    if (v->timer_made)
        timer_delete(v->timer);
    if (v->unasked_made)
        timer_delete(v->unasked);
    ring_fini(&v->ring);
    if (v->thread)
        host_thread_fini(v->machine->dev);
}

/* vCPU 0 may sit in a call of the host's that blocks; one signal could have come too early. */
static void hurry_first(struct machine *m)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    for (int tries = 0; tries < 500 && m->vcpu[0].running; tries++) {
        poke(&m->vcpu[0]);
        syscall(SYS_futex, &m->vcpu[0].running, FUTEX_WAIT_PRIVATE, 1, &pause, NULL, 0);
    }
}

static void *vcpu_thread(void *arg)
{
    struct vcpu_host *v = arg;
    struct host_error err = {{0}};
    int rc = vcpu_life(v, ENTER_VCPU, 0, &err);
    if (rc)
        machine_end(v->machine, 0, rc, err.msg);
    hurry_first(v->machine);
    vcpu_fini(v);
    return NULL;
}

int vcpu_start(struct machine *m, uint64_t index)
{
    pthread_attr_t attr;

    if (!index || index >= m->count)
        return -EINVAL;
    struct vcpu_host *v = &m->vcpu[index];
    if (__atomic_exchange_n(&v->started, 1, __ATOMIC_SEQ_CST))
        return -EBUSY;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int rc = pthread_create(&v->pthread, &attr, vcpu_thread, v);
    pthread_attr_destroy(&attr);
    if (rc)
        v->started = 0;
    return -rc;
}

/* Waits for the others; a thread that hangs in a host call for a second is left behind. */
static int join_all(struct machine *m)
{
    int left = 0;

    for (uint32_t i = 1; i < m->count; i++) {
        struct vcpu_host *v = &m->vcpu[i];
        if (!v->started)
            continue;
        int joined = 0;
        for (int tries = 0; tries < 100 && !joined; tries++) {
            struct timespec ts;
            clock_gettime(CLOCK_REALTIME, &ts);
            ts.tv_nsec += 10000000;
            ts.tv_sec += ts.tv_nsec / 1000000000;
            ts.tv_nsec %= 1000000000;
            joined = !pthread_timedjoin_np(v->pthread, NULL, &ts);
            if (!joined && v->running)
                poke(v);
        }
        left += !joined;
    }
    return left;
}

int machine_run(struct machine *m, struct host_error *err)
{
    m->vcpu[0].started = 1;
    int rc = vcpu_life(&m->vcpu[0], ENTER_BOOT, (uint64_t)m->boot, err);
    if (rc)
        machine_end(m, 0, rc, err->msg);
    vcpu_fini(&m->vcpu[0]);
    m->hung = join_all(m) > 0;
    for (uint32_t i = 0; i < m->count && !m->hung; i++) {
        if (m->vcpu[i].thread)
            host_thread_free(m->vcpu[i].thread);
    }
    if (m->failed && !rc)
        *err = m->error;
    return m->failed;
}
