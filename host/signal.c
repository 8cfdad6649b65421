/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a signal means to a thread that runs a vCPU. Hardware exceptions of the enclave appear
 * at the AEP and are passed in by entering the next SSA frame; ticks likewise. Everything else
 * that faults is a defect of the host side and ends the process as if there were no handler.
 * Not here: the AEX itself (the CPU's, or emu/aex.c).
 */
#include "host/signal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/terminal.h"

__thread struct host_thread *host_self;
volatile int host_stopping;

static struct dev *signal_dev;
static const int sync_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
#define SYNC_COUNT (sizeof(sync_signals) / sizeof(sync_signals[0]))
static struct sigaction saved_sync[SYNC_COUNT], saved_tick, saved_pipe;

void host_signal_handle(struct host_signal *s);

static int between(uint64_t rip, const char *begin, const char *end)
{
    return rip >= (uint64_t)begin && rip < (uint64_t)end;
}

static void leave(ucontext_t *uc, uint64_t reason)
{
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)host_enter_return;
    uc->uc_mcontext.gregs[REG_RDI] = (greg_t)reason;
}

static void rewind_to_aep(struct host_thread *t, ucontext_t *uc)
{
    greg_t *r = uc->uc_mcontext.gregs;

    r[REG_RIP] = (greg_t)host_aep0;
    r[REG_RAX] = ENCLU_ERESUME;
    r[REG_RBX] = (greg_t)t->tcs;
    r[REG_RCX] = (greg_t)host_aep0;
    r[REG_RSP] = (greg_t)t->rsp;
}

static void sync_signal(struct host_signal *s)
{
    struct host_thread *t = s->thread;
    uint64_t rip = (uint64_t)s->uc->uc_mcontext.gregs[REG_RIP];

    if (rip == (uint64_t)host_aep0) {
        __atomic_fetch_or(&t->event, EVENT_SYNC, __ATOMIC_RELAXED);
    } else if (rip == (uint64_t)host_aep1) {
        leave(s->uc, (uint64_t)HOST_EXIT_NESTED | s->number);
    } else if (rip == (uint64_t)host_enclu_enter || rip == (uint64_t)host_enclu_event ||
               rip == (uint64_t)host_enclu_resume0 || rip == (uint64_t)host_enclu_resume1) {
        leave(s->uc, (uint64_t)HOST_EXIT_FAULT | (s->number == SIGILL ? 6 : 13));
    } else {
        terminal_restore();
        signal((int)s->number, SIG_DFL);
        if (s->info->si_code <= 0) /* sent, so it will not come again by itself */
            syscall(SYS_tgkill, getpid(), t->tid, (int)s->number);
    }
}

static void tick_signal(struct host_signal *s)
{
    struct host_thread *t = s->thread;
    uint64_t rip = (uint64_t)s->uc->uc_mcontext.gregs[REG_RIP];
    int timer = s->info->si_code == SI_TIMER;

    if (t->vcpu && timer)
        vcpu_timer_fired(t->vcpu);
    if (between(rip, host_aep0, host_aep0_end)) {
        if (host_stopping) {
            leave(s->uc, (uint64_t)HOST_EXIT_STOP);
            return;
        }
        __atomic_fetch_or(&t->event, EVENT_TICK, __ATOMIC_RELAXED);
        rewind_to_aep(t, s->uc);
        vcpu_count_tick(t->vcpu);
    } else if (between(rip, host_aep0_end, host_aep1_end)) {
        __atomic_fetch_or(&t->event, EVENT_TICK, __ATOMIC_RELAXED);
        vcpu_count_tick(t->vcpu);
    } else if (t->in_host) {
        t->tick_pending |= timer && !t->owed ? TICK_TIMER : TICK_POKE;
        t->kicked = 1; /* a WAIT that is about to begin ends at once */
        if (rip >= (uint64_t)host_wait_begin && rip <= (uint64_t)host_wait_insn)
            s->uc->uc_mcontext.gregs[REG_RIP] = (greg_t)host_wait_cancel;
    } else if (t->vcpu && t->in_enclave) {
        t->owed |= !timer;
        vcpu_tick_missed(t->vcpu);
        return;
    }
    if (t->vcpu)
        vcpu_tick_taken(t->vcpu);
}

void host_signal_handle(struct host_signal *s)
{
    int saved_errno = errno;

    /* Before anything is looked at that whoever pokes has changed. */
    if (s->number == (uint64_t)HOST_SIGNAL_TICK && s->info->si_code != SI_TIMER)
        __atomic_store_n(&s->thread->poked, 0, __ATOMIC_SEQ_CST);
    if (!signal_dev || !signal_dev->ops->signal || !signal_dev->ops->signal(signal_dev, s)) {
        if (s->number == (uint64_t)HOST_SIGNAL_TICK)
            tick_signal(s);
        else
            sync_signal(s);
    }
    errno = saved_errno;
}

static void tick_mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, HOST_SIGNAL_TICK);
    pthread_sigmask(how, &set, NULL);
}

int host_thread_new(struct dev *dev, struct host_thread **out, struct host_error *err)
{
    char *raw = mmap(NULL, 2 * HOST_BLOCK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (raw == MAP_FAILED)
        return host_fail(err, -ENOMEM, "no memory for a thread");
    char *block = (char *)(((uint64_t)raw + HOST_BLOCK_SIZE - 1) & -(uint64_t)HOST_BLOCK_SIZE);
    if (block > raw)
        munmap(raw, (size_t)(block - raw));
    munmap(block + HOST_BLOCK_SIZE, (size_t)(raw + HOST_BLOCK_SIZE - block));

    struct host_thread *t = (struct host_thread *)block;
    stack_t stack = {.ss_sp = block + HOST_BLOCK_DATA,
                     .ss_size = HOST_BLOCK_SIZE - HOST_BLOCK_DATA};
    __asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(t->fs), "=r"(t->gs));
    t->tid = (pid_t)syscall(SYS_gettid);
    t->enclu = (uint64_t)dev->ops->enclu;
    host_self = t;
    int rc = 0;
    if (sigaltstack(&stack, NULL))
        rc = host_fail(err, -errno, "sigaltstack: %s", strerror(errno));
    else if (dev->ops->thread_init)
        rc = dev->ops->thread_init(dev, err);
    if (!rc)
        tick_mask(SIG_UNBLOCK);
    if (rc) {
        host_thread_fini(NULL);
        host_thread_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void host_thread_fini(struct dev *dev)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    tick_mask(SIG_BLOCK); /* one that is late would find no stack */
    if (dev && dev->ops->thread_fini)
        dev->ops->thread_fini(dev);
    sigaltstack(&none, NULL);
    host_self = NULL;
}

void host_thread_free(struct host_thread *t)
{
    munmap(t, HOST_BLOCK_SIZE);
}

int host_signals_init(struct dev *dev, struct host_error *err)
{
    struct sigaction sa = {.sa_sigaction = host_signal_entry,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    signal_dev = dev;
    host_stopping = 0;
    sigfillset(&sa.sa_mask);
    sigemptyset(&set);
    for (unsigned i = 0; i < SYNC_COUNT; i++) {
        sigdelset(&sa.sa_mask, sync_signals[i]);
        sigaddset(&set, sync_signals[i]);
    }
    for (unsigned i = 0; i < SYNC_COUNT; i++) {
        if (sigaction(sync_signals[i], &sa, &saved_sync[i]))
            return host_fail(err, -errno, "sigaction: %s", strerror(errno));
    }
    if (sigaction(HOST_SIGNAL_TICK, &sa, &saved_tick) ||
        sigaction(SIGPIPE, &ignore, &saved_pipe))
        return host_fail(err, -errno, "sigaction: %s", strerror(errno));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return 0;
}

void host_signals_fini(void)
{
    for (unsigned i = 0; i < SYNC_COUNT; i++)
        sigaction(sync_signals[i], &saved_sync[i], NULL);
    signal(HOST_SIGNAL_TICK, SIG_IGN); /* forgets one that is pending */
    sigaction(HOST_SIGNAL_TICK, &saved_tick, NULL);
    tick_mask(SIG_UNBLOCK);
    sigaction(SIGPIPE, &saved_pipe, NULL);
    signal_dev = NULL;
}
