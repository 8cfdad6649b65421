/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two threads in one enclave, under ticks that come at every moment: of entries, exits, leaves,
 * faults and their handlers. Every register and every result must come out right.
 * LINK: emu/*.[cS] host/*.[cS] image/*.c cli/err.c cli/progress.c tests/unit/*tiny*.[cS]
 * LIBS: -lcrypto -luring -lelf -ljansson -lpthread
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "boundary/boot.h"
#include "host/signal.h"
#include "host/vcpu.h"
#include "tests/unit/enclave_tiny.h"
#include "tests/unit/tiny_sign.h"
#include "tests/unit/unit.h"

#define THREADS 2
#define RW      (SECINFO_R | SECINFO_W)
#define REG     SECINFO_TYPE(PT_REG)

static struct host_error err;
static struct dev *dev;
static volatile int stop;
static uint64_t rounds[THREADS], ticks[THREADS];

static void ok(int rc)
{
    if (rc)
        fprintf(stderr, "error %d: %s\n", rc, err.msg);
    CHECK(rc == 0);
}

static void load(void)
{
    struct page_plan *plan = tiny_plan(THREADS);
    struct dev_secs secs = {.size = plan->size,
                            .ssa_frame_size = 4,
                            .miscselect = 1,
                            .attributes = {SGX_ATTR_MODE64, 7}};
    struct sgx_sigstruct sig;

    tiny_sign(plan, &sig);
    ok(dev_emu.create(&secs, &dev, &err));
    for (size_t i = 0; i < plan->count; i++)
        ok(dev_emu.add_pages(dev, &plan->runs[i], &err));
    ok(dev_emu.set_enclu_sites(dev, plan->enclu_sites, plan->enclu_count));
    ok(dev_emu.init(dev, &sig, &err));
    ok(host_signals_init(dev, &err));
}

struct worker {
    struct host_thread *t;
    char *data, *page; /* the page holds this worker's operands */
    uint64_t memory;   /* offset of its own dynamic memory */
};

static uint64_t run(struct worker *w, uint64_t command, uint64_t argument)
{
    uint64_t reason = host_enter(w->t, command, argument);

    CHECK_EQ(reason, EXIT_HOSTCALL);
    return w->t->exit_value;
}

static void leaf(struct worker *w, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
    uint64_t *block = (uint64_t *)(w->data + TD_LEAF);

    block[0] = rax;
    block[1] = (uint64_t)w->page;
    block[2] = rcx;
    block[3] = rdx;
    CHECK_EQ(run(w, TC_LEAF, 0), 0);
}

static uint64_t value(struct worker *w, unsigned at)
{
    return *(volatile uint64_t *)(w->data + at);
}

static void accept(struct worker *w, uint64_t flags)
{
    memset(w->page, 0, 64);
    *(uint64_t *)w->page = flags;
    leaf(w, ENCLU_EACCEPT, dev->base + w->memory, 0);
    CHECK_EQ(value(w, TD_LEAF + 32), 0);
}

static void one_round(struct worker *w)
{
    uint64_t address = dev->base + w->memory;

    CHECK_EQ(run(w, TC_ADD_ONE, 6), 7);
    CHECK_EQ(run(w, TC_REGS, 3000), 0);
    ok(dev->ops->aug(dev, w->memory, 1));
    accept(w, RW | REG | SECINFO_PENDING);
    CHECK_EQ(run(w, TC_LOAD, address), 0);
    CHECK_EQ(run(w, TC_STORE, address), 0);
    CHECK_EQ(run(w, TC_LOAD, address), 1);
    ok(dev->ops->restrict_perms(dev, w->memory, 1, SECINFO_R));
    CHECK_EQ(run(w, TC_STORE, address), (uint64_t)-14);
    CHECK_EQ(value(w, TD_MADDR), address);
    accept(w, SECINFO_R | REG | SECINFO_PR);
    ok(dev->ops->trim(dev, w->memory, 1));
    accept(w, SECINFO_TYPE(PT_TRIM) | SECINFO_MODIFIED);
    ok(dev->ops->remove(dev, w->memory, 1));
    CHECK_EQ(run(w, TC_SYSCALL, 5), 0x1005);
    memset(w->page, 0, 512);
    leaf(w, ENCLU_EREPORT, (uint64_t)w->page + 512, (uint64_t)w->page + 1024);
    CHECK_EQ(((struct sgx_report *)(w->page + 1024))->attributes.xfrm, 7);
}

static void *worker(void *arg)
{
    uint64_t index = (uint64_t)arg;
    struct worker w = {.page = (char *)dev->base + TINY_PLAIN + index * 4096,
                       .data = (char *)dev->base + TINY_CPU + index * TINY_STRIDE + TINY_DATA,
                       .memory = TINY_EMPTY + index * SGX_PAGE}; /* neighbours */
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_SIGNAL_TICK};
    struct itimerspec its = {.it_interval.tv_nsec = 47000 + (long)index * 10000,
                             .it_value.tv_nsec = 50000};
    timer_t timer;

    ok(host_thread_new(dev, &w.t, &err));
    w.t->tcs = dev->base + TINY_CPU + index * TINY_STRIDE;
    ev._sigev_un._tid = w.t->tid;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0);
    CHECK(timer_settime(timer, 0, &its, NULL) == 0);
    while (!stop) {
        one_round(&w);
        rounds[index]++;
    }
    timer_delete(timer);
    ticks[index] = value(&w, TD_TICKS);
    host_thread_fini(dev);
    host_thread_free(w.t);
    return NULL;
}

static void run_mode(const char *mode)
{
    pthread_t thread[THREADS];

    setenv("OCCLUM_EMU", mode, 1);
    load();
    for (uint64_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, worker, (void *)i) == 0);
    usleep(700000);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        printf("%-6s %lu rounds, %lu ticks inside\n", mode, rounds[i], ticks[i]);
        CHECK(rounds[i] > 0 && ticks[i] > 10);
    }
    host_signals_fini();
    dev_emu.destroy(dev);
}

int main(void)
{
    static const char *const modes[] = {"", "trap", "strict"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (!pid) {
            alarm(15);
            run_mode(modes[i]);
            fflush(stdout);
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(status, 0);
    }
    puts("ok");
    return 0;
}
