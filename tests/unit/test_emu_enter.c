/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entering, leaving, exceptions, interrupts and the ENCLU leaves, in every mode of the
 * emulator.
 * LINK: emu/*.[cS] host/*.[cS] image/*.c cli/err.c cli/progress.c tests/unit/*tiny*.[cS]
 * LIBS: -lcrypto -luring -lelf -ljansson -lpthread
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "boundary/boot.h"
#include "host/dev.h"
#include "host/signal.h"
#include "host/vcpu.h"
#include "tests/unit/enclave_tiny.h"
#include "tests/unit/tiny_sign.h"
#include "tests/unit/unit.h"

static struct host_error err;
static struct dev *dev;
static struct host_thread *self;
static char *data; /* the data page of TCS 0 */

#define DATA(at) (*(volatile uint64_t *)(data + (at)))

static void ok(int rc)
{
    if (rc)
        fprintf(stderr, "error %d: %s\n", rc, err.msg);
    CHECK(rc == 0);
}

static int load(const char *mode)
{
    struct page_plan *plan = tiny_plan(1);
    struct dev_secs secs = {.size = plan->size,
                            .ssa_frame_size = 4,
                            .miscselect = 1,
                            .attributes = {SGX_ATTR_MODE64, 7}};
    struct sgx_sigstruct sig;

    tiny_sign(plan, &sig);
    ok(dev_emu.probe(&err));
    ok(dev_emu.create(&secs, &dev, &err));
    for (size_t i = 0; i < plan->count; i++)
        ok(dev_emu.add_pages(dev, &plan->runs[i], &err));
    ok(dev_emu.set_enclu_sites(dev, plan->enclu_sites, plan->enclu_count));
    ok(dev_emu.init(dev, &sig, &err));
    ok(host_signals_init(dev, &err));
    int rc = host_thread_new(dev, &self, &err);
    if (rc && strchr(mode, ':')) { /* no hardware breakpoints here */
        puts(err.msg);
        return 0;
    }
    ok(rc);
    self->tcs = dev->base + TINY_CPU;
    data = (char *)dev->base + TINY_CPU + TINY_DATA;
    return 1;
}

static uint64_t run(uint64_t command, uint64_t argument)
{
    uint64_t reason = host_enter(self, command, argument);

    if (reason != EXIT_HOSTCALL)
        fprintf(stderr, "left with 0x%lx\n", reason);
    CHECK(reason == EXIT_HOSTCALL);
    return self->exit_value;
}

static void test_enter(int rounds)
{
    uint64_t fs;

    CHECK_EQ(run(TC_ADD_ONE, 41), 42);
    CHECK_EQ(DATA(TD_FS_SEEN), (uint64_t)data + 0x1000);
    __asm__ volatile("rdfsbase %0" : "=r"(fs));
    CHECK_EQ(fs, self->fs);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < rounds; i++)
        run(TC_ADD_ONE, 1);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("enter and exit: %ld ns\n",
           ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec) / rounds);
    self->tcs += 0x1000; /* no TCS there */
    CHECK_EQ(host_enter(self, TC_ADD_ONE, 1), (uint64_t)HOST_EXIT_FAULT | 14);
    self->tcs -= 0x1000;
}

static void expect_fault(uint64_t command, uint64_t argument, uint32_t vector, uint64_t address)
{
    uint64_t before = DATA(TD_FAULTS);

    CHECK_EQ(run(command, argument), (uint64_t)-14);
    CHECK_EQ(DATA(TD_FAULTS), before + 1);
    CHECK_EQ(EXITINFO_VECTOR(DATA(TD_EXITINFO)), vector);
    CHECK_EQ(EXITINFO_TYPE(DATA(TD_EXITINFO)), 3);
    if (vector == 14)
        CHECK_EQ(DATA(TD_MADDR), address);
}

static void test_exceptions(void)
{
    expect_fault(TC_LOAD, dev->base + TINY_EMPTY, 14, dev->base + TINY_EMPTY);
    CHECK_EQ(DATA(TD_ERRCD) & 0x8007, 0x8004);
    expect_fault(TC_STORE, dev->base + TINY_CODE, 14, dev->base + TINY_CODE);
    CHECK_EQ(DATA(TD_ERRCD) & 0x8007, 0x8007);
    expect_fault(TC_LOAD, 0x7000000000000000, 13, 0);
    expect_fault(TC_UD, 0, 6, 0);
    expect_fault(TC_DE, 0, 0, 0);
    expect_fault(TC_STORE, self->tcs, 14, self->tcs); /* a TCS is not software's */
    CHECK_EQ(run(TC_BP, 0), 3);
    CHECK_EQ(DATA(TD_EXITINFO), 0x80000603);
    /* getpid traps as #UD, with RIP at the instruction and RAX the number. */
    CHECK_EQ(run(TC_SYSCALL, SYS_getpid), 0x1000 + SYS_getpid);
    CHECK_EQ(EXITINFO_VECTOR(DATA(TD_EXITINFO)), 6);
    CHECK_EQ(*(const uint16_t *)DATA(TD_RIP), 0x050f);
    CHECK_EQ(syscall(SYS_getpid), getpid());
    uint64_t before = DATA(TD_FAULTS), rc = run(TC_CPUID, 0);
    if (rc == (uint64_t)-14) {
        CHECK_EQ(EXITINFO_VECTOR(DATA(TD_EXITINFO)), 6);
        printf("cpuid faults\n");
    } else {
        CHECK_EQ(DATA(TD_FAULTS), before);
        printf("cpuid does not fault here\n");
    }
}

static void timer_of(timer_t *timer, long ns)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_SIGNAL_TICK};
    struct itimerspec its = {.it_interval.tv_nsec = ns, .it_value.tv_nsec = ns};

    ev._sigev_un._tid = self->tid;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, timer) == 0);
    CHECK(timer_settime(*timer, 0, &its, NULL) == 0);
}

static void test_interrupts(long rounds)
{
    uint64_t before = DATA(TD_TICKS);
    timer_t timer;

    timer_of(&timer, 200000);
    CHECK_EQ(run(TC_REGS, rounds), 0);
    CHECK_EQ(run(TC_SPIN, rounds), 0);
    timer_delete(timer);
    printf("%lu ticks\n", DATA(TD_TICKS) - before);
    CHECK(DATA(TD_TICKS) - before >= 2);
}

static uint64_t leaf(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
    DATA(TD_LEAF) = rax;
    DATA(TD_LEAF + 8) = rbx;
    DATA(TD_LEAF + 16) = rcx;
    DATA(TD_LEAF + 24) = rdx;
    CHECK_EQ(run(TC_LEAF, 0), 0);
    return DATA(TD_LEAF + 32);
}

static uint64_t accept(uint64_t flags, uint64_t address)
{
    struct sgx_secinfo *s = (void *)(dev->base + TINY_PLAIN);

    memset(s, 0, sizeof(*s));
    s->flags = flags;
    uint64_t rc = leaf(ENCLU_EACCEPT, (uint64_t)s, address, 0);
    CHECK_EQ((DATA(TD_LEAF + 40) >> 6) & 1, rc != 0);
    return rc;
}

#define REG SECINFO_TYPE(PT_REG)
#define RW  (SECINFO_R | SECINFO_W)

static void test_edmm(int strict)
{
    uint64_t at = dev->base + TINY_EMPTY;
    struct sgx_secinfo *s = (void *)(dev->base + TINY_PLAIN);
    char seen[1];

    CHECK_EQ(dev_emu.aug(dev, TINY_EMPTY, 64), 0);
    CHECK_EQ(dev_emu.aug(dev, TINY_EMPTY, 1), -EEXIST);
    if (strict)
        expect_fault(TC_LOAD, at, 14, at);
    CHECK_EQ(accept(RW | REG, at), SGX_PAGE_ATTRIBUTES_MISMATCH); /* not PENDING */
    CHECK_EQ(accept(RW | REG | SECINFO_PENDING, at), 0);
    CHECK_EQ(accept(RW | REG | SECINFO_PENDING, at), SGX_PAGE_ATTRIBUTES_MISMATCH);
    CHECK_EQ(run(TC_STORE, at), 0);
    /* Pages never added, and ones outside the range. */
    DATA(TD_LEAF) = ENCLU_EACCEPT;
    DATA(TD_LEAF + 8) = (uint64_t)s;
    s->flags = RW | REG | SECINFO_PENDING;
    DATA(TD_LEAF + 16) = at + 64 * 4096;
    expect_fault(TC_LEAF, 0, 14, at + 64 * 4096);
    DATA(TD_LEAF + 16) = (uint64_t)seen & -4096ull;
    expect_fault(TC_LEAF, 0, 13, 0);
    DATA(TD_LEAF) = 99;
    expect_fault(TC_LEAF, 0, 13, 0);
    /* The thread is found even if GS is anything, or another's. */
    DATA(TD_LEAF) = ENCLU_EACCEPT;
    DATA(TD_LEAF + 16) = at;
    CHECK_EQ(run(TC_LEAF_GS, 0), SGX_PAGE_ATTRIBUTES_MISMATCH);
    CHECK_EQ(run(TC_LEAF_GS, 0x123456789000), SGX_PAGE_ATTRIBUTES_MISMATCH);
    /* The rest at once. */
    DATA(TD_LEAF + 8) = (uint64_t)s;
    DATA(TD_LEAF + 16) = at + 4096;
    CHECK_EQ(run(TC_LEAF_PAGES, 63), 0);
    /* To read-execute: EMODPE, then the page tables; then restrict, accept. */
    s->flags = SECINFO_R | SECINFO_X | REG;
    CHECK_EQ(dev_emu.extend(dev, TINY_EMPTY, 1, 7), -EACCES);
    leaf(ENCLU_EMODPE, (uint64_t)s, at, 0);
    CHECK_EQ(dev_emu.extend(dev, TINY_EMPTY, 1, 7), 0);
    CHECK_EQ(dev_emu.restrict_perms(dev, TINY_EMPTY, 1, 5), 0);
    expect_fault(TC_STORE, at, 14, at);
    CHECK_EQ(accept(SECINFO_R | SECINFO_X | REG | SECINFO_PR, at), 0);
    CHECK_EQ(run(TC_LOAD, at), 1);
    /* EACCEPTCOPY */
    CHECK_EQ(dev_emu.aug(dev, TINY_EMPTY + 64 * 4096, 1), 0);
    memset(s, 0, sizeof(*s));
    s->flags = SECINFO_R | SECINFO_X | REG;
    CHECK_EQ(leaf(ENCLU_EACCEPTCOPY, (uint64_t)s, at + 64 * 4096, at), 0);
    CHECK_EQ(run(TC_LOAD, at + 64 * 4096), 1);
    CHECK_EQ(leaf(ENCLU_EACCEPTCOPY, (uint64_t)s, at + 64 * 4096, at),
             SGX_PAGE_ATTRIBUTES_MISMATCH);
    /* Away. */
    CHECK_EQ(dev_emu.remove(dev, TINY_EMPTY, 64), -EPERM);
    CHECK_EQ(dev_emu.trim(dev, TINY_EMPTY, 64), 0);
    CHECK_EQ(dev_emu.remove(dev, TINY_EMPTY, 1), -EPERM);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(accept(SECINFO_TYPE(PT_TRIM) | SECINFO_MODIFIED, at + i * 4096ull), 0);
    CHECK_EQ(dev_emu.remove(dev, TINY_EMPTY, 64), 0);
    expect_fault(TC_LOAD, at, 14, at);
    CHECK_EQ(dev_emu.aug(dev, TINY_EMPTY, 64), 0);
    CHECK_EQ(accept(RW | REG | SECINFO_PENDING, at), 0);
    CHECK_EQ(run(TC_LOAD, at), 0); /* zeros again */
}

static void test_accept_speed(void)
{
    struct sgx_secinfo *s = (void *)(dev->base + TINY_PLAIN);
    struct timespec a, b;

    CHECK_EQ(dev_emu.aug(dev, 0x10000000, 32768), 0);
    memset(s, 0, sizeof(*s));
    s->flags = RW | REG | SECINFO_PENDING;
    DATA(TD_LEAF + 8) = (uint64_t)s;
    DATA(TD_LEAF + 16) = dev->base + 0x10000000;
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_EQ(run(TC_LEAF_PAGES, 32768), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("EACCEPT: %ld ns\n",
           ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec) / 32768);
}

static void test_keys(void)
{
    char *p = (char *)dev->base + TINY_PLAIN;
    struct sgx_targetinfo *target = (void *)p;
    struct sgx_report *report = (void *)(p + 0x1000);
    struct sgx_keyrequest *q = (void *)(p + 0x2000);
    uint8_t key[16], *out = (uint8_t *)p + 0x3000;

    memset(p, 0, 0x4000);
    memcpy(p + 0x800, "report data", 11);
    leaf(ENCLU_EREPORT, (uint64_t)target, (uint64_t)p + 0x800, (uint64_t)report);
    CHECK(!memcmp(report->reportdata, "report data", 11));
    CHECK(report->attributes.flags & SGX_ATTR_INIT);
    CHECK_EQ(report->attributes.xfrm, 7);
    /* A report for ourselves can be checked with our report key. */
    memcpy(target->measurement, report->mrenclave, 32);
    target->attributes = report->attributes;
    target->miscselect = report->miscselect;
    leaf(ENCLU_EREPORT, (uint64_t)target, (uint64_t)p + 0x800, (uint64_t)report);
    q->keyname = KEY_REPORT;
    memcpy(q->keyid, report->keyid, 32);
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), 0);
    tiny_cmac(out, report, 384, key);
    CHECK(!memcmp(key, report->mac, 16));
    /* Seal keys depend on the policy, and not on the moment. */
    q->keyname = KEY_SEAL;
    q->keypolicy = KEYPOLICY_MRENCLAVE;
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), 0);
    memcpy(key, out, 16);
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), 0);
    CHECK(!memcmp(key, out, 16));
    q->keypolicy = KEYPOLICY_MRSIGNER;
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), 0);
    CHECK(memcmp(key, out, 16));
    q->isv_svn = 9;
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), SGX_INVALID_ISVSVN);
    q->isv_svn = 0;
    q->keyname = KEY_PROVISION;
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), SGX_INVALID_ATTRIBUTE);
    q->keyname = 77;
    CHECK_EQ(leaf(ENCLU_EGETKEY, (uint64_t)q, (uint64_t)out, 0), SGX_INVALID_KEYNAME);
    DATA(TD_LEAF + 8) = (uint64_t)q + 16; /* misaligned */
    expect_fault(TC_LEAF, 0, 13, 0);
}

static void run_mode(const char *mode)
{
    int stepping = strstr(mode, "step") != NULL;

    setenv("OCCLUM_EMU", mode, 1);
    printf("-- %s\n", *mode ? mode : "plain");
    if (!load(mode))
        return;
    test_enter(stepping ? 100 : 100000);
    test_exceptions();
    if (stepping)
        CHECK_EQ(run(TC_REGS, 2000), 0);
    else
        test_interrupts(20000000);
    test_edmm(strstr(mode, "strict") != NULL);
    test_keys();
    if (!stepping)
        test_accept_speed();
    if (stepping)
        CHECK(DATA(TD_TICKS) > 100);
    host_thread_fini(dev);
    host_thread_free(self);
    host_signals_fini();
    dev_emu.destroy(dev);
}

int main(void)
{
    static const char *const modes[] = {
        "",          "trap", "strict",           "seccomp",
        "exclusive", "step", "step:20000-30000", "trap,strict,step"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        fflush(stdout);
        pid_t pid = fork();
        int status;
        if (!pid) {
            alarm(20);
            run_mode(modes[i]);
            fflush(stdout);
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status)
            fprintf(stderr, "mode '%s': status 0x%x\n", modes[i], status);
        CHECK(status == 0);
    }
    puts("ok");
    return 0;
}
