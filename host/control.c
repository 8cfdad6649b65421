/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread. Signals for the process come to it alone (all threads block them), so
 * that no vCPU is in the way; it sets their bits and interrupts vCPU 0, as it does for
 * requests. It takes them by handlers, within ppoll() alone: a signalfd that somebody polls is
 * woken by every signal of the process, and so by every fault of a program.
 */
#include "host/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host/service.h"
#include "host/terminal.h"
#include "host/vcpu.h"

#define POLL_MAX    4096
#define PATIENCE_NS 3000000000ull /* then a signal that the enclave does not take ends us */

static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                             SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH};
#define PASSED      (sizeof(passed) / sizeof(passed[0]))
static sigset_t held; /* blocked outside of ppoll(); the tick is host/signal.c's */
static struct sigaction saved[PASSED];
static uint64_t arrived; /* bits */

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void note_signal(int sig)
{
    __atomic_fetch_or(&arrived, 1ull << sig, __ATOMIC_RELAXED);
}

/* What was ignored when we were started (nohup) stays so. */
static void choose_signals(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < PASSED; i++) {
        if (!sigaction(passed[i], NULL, &saved[i]) && saved[i].sa_handler != SIG_IGN)
            sigaddset(set, passed[i]);
    }
}

static void take_over(struct host_control *c, const sigset_t *set)
{
    struct sigaction note = {.sa_handler = note_signal};
    sigset_t before;

    sigfillset(&note.sa_mask);
    arrived = 0;
    pthread_sigmask(SIG_BLOCK, set, &before);
    c->while_polling = before;
    sigemptyset(&held);
    for (size_t i = 0; i < PASSED; i++) {
        if (!sigismember(set, passed[i]))
            continue;
        sigaction(passed[i], &note, NULL);
        sigdelset(&c->while_polling, passed[i]);
        if (!sigismember(&before, passed[i]))
            sigaddset(&held, passed[i]);
    }
}

static void give_back(void)
{
    for (size_t i = 0; i < PASSED; i++) {
        if (saved[i].sa_handler != SIG_IGN)
            sigaction(passed[i], &saved[i], NULL);
    }
    pthread_sigmask(SIG_UNBLOCK, &held, NULL);
}

int host_control_init(struct host_control *c, struct machine *m, struct control_page *page,
                      struct host_error *err)
{
    sigset_t set;

    choose_signals(&set);
    c->machine = m;
    c->page = page;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0)
        return host_fail(err, -errno, "eventfd: %s", strerror(errno));
    take_over(c, &set);
    c->taken_over = 1;
    return 0;
}

static void notify(struct host_control *c)
{
    vcpu_alert(c->machine, 0);
}

static void wake(struct host_control *c)
{
    uint64_t one = 1;

    if (write(c->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

/* ---- requests ---- */

int host_control_post(struct host_control *c, const struct control_request *r, void *payload)
{
    struct control_page *p = c->page;
    uint64_t posted = p->posted;
    unsigned slot = posted % CONTROL_SLOTS;

    if (posted - __atomic_load_n(&p->taken, __ATOMIC_ACQUIRE) >= CONTROL_SLOTS)
        return -EAGAIN;
    free(c->payload[slot]);
    c->payload[slot] = payload;
    p->slot[slot] = *r;
    __atomic_store_n(&p->posted, posted + 1, __ATOMIC_RELEASE);
    notify(c);
    return 0;
}

void host_control_reply(struct machine *m, const uint64_t *a)
{
    struct host_control *c = m->control;
    uint32_t size = a[4] > CONTROL_REPLY_MAX ? CONTROL_REPLY_MAX : (uint32_t)a[4];
    struct host_reply *r = c ? malloc(sizeof(*r) + size + 1) : NULL;

    if (!r)
        return;
    *r = (struct host_reply){
        .id = (uint32_t)a[0], .what = (uint32_t)a[1], .value = (int64_t)a[2], .size = size};
    memcpy(r->text, (const void *)a[3], size);
    r->text[size] = 0;
    pthread_mutex_lock(&c->lock);
    *c->last = r;
    c->last = &r->next;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

static struct host_reply *next_reply(struct host_control *c)
{
    pthread_mutex_lock(&c->lock);
    struct host_reply *r = c->first;
    if (r)
        c->first = r->next;
    if (!c->first)
        c->last = &c->first;
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* ---- signals ---- */

/* The first program stopped: so do we, and whoever started us sees it. */
static void stop_ourselves(void)
{
    terminal_suspend();
    kill(getpid(), SIGSTOP);
}

static int ends(int sig)
{
    return sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGHUP;
}

static void die(int sig)
{
    sigset_t set;

    terminal_restore();
    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
}

static void pass_signal(struct host_control *c, int sig)
{
    uint64_t bit = 1ull << sig;

    if (sig == SIGCONT)
        terminal_resume();
    if (c->service && ends(sig)) {
        service_stop(c->service);
        return;
    }
    uint64_t old = __atomic_fetch_or(&c->page->signals, bit, __ATOMIC_ACQ_REL);
    if (!(old & bit) || !c->since_ns)
        c->since_ns = now_ns();
    else if (ends(sig) && now_ns() - c->since_ns > PATIENCE_NS)
        die(sig); /* the enclave does not listen */
    /* All: where a kick was lost, whoever is to die waits for that vCPU. */
    for (uint32_t i = 0; i < c->machine->count; i++)
        vcpu_alert(c->machine, i);
}

static void take_signals(struct host_control *c)
{
    uint64_t bits = __atomic_exchange_n(&arrived, 0, __ATOMIC_RELAXED);

    for (; bits; bits &= bits - 1)
        pass_signal(c, __builtin_ctzll(bits));
}

static void take_replies(struct host_control *c)
{
    struct host_reply *r;
    uint64_t count;

    while (read(c->wake_fd, &count, sizeof(count)) > 0)
        ;
    while ((r = next_reply(c)) != NULL) {
        if (c->service)
            service_reply(c->service, r);
        else if (r->what == REPLY_STOPPED && r->id == 0)
            stop_ourselves();
        free(r);
    }
}

static void *control_thread(void *arg)
{
    static struct pollfd fds[POLL_MAX]; /* there is one thread */
    struct host_control *c = arg;

    while (!c->ending) {
        fds[0] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
        int n = 1, timeout = -1;
        if (c->service)
            n += service_poll(c->service, fds + 1, POLL_MAX - 1, &timeout);
        struct timespec left = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000};
        if (ppoll(fds, (nfds_t)n, timeout < 0 ? NULL : &left, &c->while_polling) < 0) {
            if (errno != EINTR)
                break;
            for (int i = 0; i < n; i++)
                fds[i].revents = 0;
        }
        take_signals(c);
        take_replies(c);
        if (c->service)
            service_work(c->service, fds + 1, n - 1);
    }
    return NULL;
}

int host_control_start(struct host_control *c, struct host_error *err)
{
    int rc = pthread_create(&c->thread, NULL, control_thread, c);

    if (rc)
        return host_fail(err, -rc, "pthread_create: %s", strerror(rc));
    c->running = 1;
    return 0;
}

void host_control_stop(struct host_control *c)
{
    struct host_reply *r;

    if (c->running) {
        c->ending = 1;
        wake(c);
        pthread_join(c->thread, NULL);
    }
    while ((r = next_reply(c)) != NULL) {
        if (c->service)
            service_reply(c->service, r);
        free(r);
    }
}

void host_control_fini(struct host_control *c)
{
    for (unsigned i = 0; i < CONTROL_SLOTS; i++)
        free(c->payload[i]);
    if (c->taken_over)
        give_back();
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    pthread_mutex_destroy(&c->lock);
}
