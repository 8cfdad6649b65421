/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_run() from the page plan to the exit status, with one vCPU and with two.
 * LINK: emu/*.[cS] host/*.[cS] image/*.c cli/err.c cli/progress.c tests/unit/*tiny*.[cS]
 * LIBS: -lcrypto -luring -lelf -ljansson -lpthread
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/run.h"
#include "tests/unit/enclave_tiny.h"
#include "tests/unit/tiny_sign.h"
#include "tests/unit/unit.h"

static struct host_error err;

static uint32_t run(struct host_run_params *p)
{
    uint32_t status = 0xffff;
    int rc = host_run(p, &status, &err);

    if (rc)
        fprintf(stderr, "host_run: %d: %s\n", rc, err.msg);
    CHECK(rc == 0);
    return status;
}

static long elapsed_us(const struct timespec *a)
{
    struct timespec b;

    clock_gettime(CLOCK_MONOTONIC, &b);
    return (b.tv_sec - a->tv_sec) * 1000000 + (b.tv_nsec - a->tv_nsec) / 1000;
}

/* A vCPU sits in a call of the host's that never ends while another one exits. */
static void test_blocked(struct host_run_params p)
{
    char path[] = "/tmp/occlum-fifo-XXXXXX";
    struct timespec start;

    CHECK(mkdtemp(path));
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", path);
    CHECK(mkfifo(fifo, 0600) == 0);
    p.program = fifo;
    p.log_level = TINY_FIFO;
    p.vcpus = 2;
    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK_EQ(run(&p), 9 << 8);
    CHECK(elapsed_us(&start) < 900000);
    unlink(fifo);
    rmdir(path);
}

int main(void)
{
    struct page_plan *plan = tiny_plan(4);
    struct sgx_sigstruct sig;
    char *const argv[] = {"prog", "arg", NULL};
    struct host_run_params p = {.plan = plan,
                                .sigstruct = &sig,
                                .mode = HOST_MODE_SIM,
                                .program = "/bin/prog",
                                .argv = argv,
                                .vcpus = 1};
    struct timespec start;
    uint32_t status;

    alarm(30);
    tiny_sign(plan, &sig);
    for (int i = 0; i < 3; i++) {
        clock_gettime(CLOCK_MONOTONIC, &start);
        CHECK_EQ(run(&p), 0);
        printf("a run: %ld us\n", elapsed_us(&start));
    }
    p.base_zero = 1;
    CHECK_EQ(run(&p), 0);
    p.base_zero = 0;
    for (int i = 0; i < 20; i++) {
        p.vcpus = 2;
        clock_gettime(CLOCK_MONOTONIC, &start);
        CHECK_EQ(run(&p), 5 << 8);
    }
    printf("a run with two: %ld us\n", elapsed_us(&start));
    test_blocked(p);
    setenv("OCCLUM_RING", "interp", 1);
    CHECK_EQ(run(&p), 5 << 8);
    setenv("OCCLUM_RING", "nonsense", 1);
    CHECK_EQ(host_run(&p, &status, &err), -EINVAL);
    unsetenv("OCCLUM_RING");
    /* What must be refused, with a message. */
    p.images[0] = "/nonexistent/image";
    CHECK_EQ(host_run(&p, &status, &err), -ENOENT);
    CHECK(strstr(err.msg, "/nonexistent/image"));
    p.images[0] = NULL;
    sig.enclave_hash[0] ^= 1;
    CHECK_EQ(host_run(&p, &status, &err), -EPERM);
    CHECK(strstr(err.msg, "signature"));
    tiny_sign(plan, &sig);
    plan->runs[1].measured = 0;
    CHECK_EQ(host_run(&p, &status, &err), -EPERM);
    CHECK(strstr(err.msg, "signed for enclave"));
    plan->runs[1].measured = 1;
    CHECK_EQ(run(&p), 5 << 8);
    if (host_probe(HOST_MODE_HW, &err)) {
        p.mode = HOST_MODE_HW;
        CHECK_EQ(host_run(&p, &status, &err), -ENODEV);
        puts(err.msg);
    }
    puts("ok");
    return 0;
}
