/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ECREATE, EADD and EINIT: MRENCLAVE of random plans agrees with image/'s; what the manual
 * refuses is refused: a SIGSTRUCT with any byte changed, wrong attributes, pages that overlap.
 * LINK: emu/*.[cS] host/*.[cS] image/*.c cli/err.c cli/progress.c tests/unit/*tiny*.[cS]
 * LIBS: -lcrypto -luring -lelf -ljansson -lpthread
 */
#include <errno.h>
#include <stdio.h>

#include "emu/emu.h"
#include "tests/unit/enclave_tiny.h"
#include "tests/unit/tiny_sign.h"
#include "tests/unit/unit.h"

#define RW  (SECINFO_R | SECINFO_W)
#define REG SECINFO_TYPE(PT_REG)

static struct host_error err;
static const struct dev_secs good = {.size = TINY_SIZE,
                                     .ssa_frame_size = 4,
                                     .miscselect = 1,
                                     .attributes = {SGX_ATTR_MODE64, 7}};

static struct dev *create(const struct dev_secs *secs)
{
    struct dev *dev;
    int rc = dev_emu.create(secs, &dev, &err);

    if (rc)
        fprintf(stderr, "%s\n", err.msg);
    CHECK(rc == 0);
    return dev;
}

static struct dev *load(const struct page_plan *plan, const struct dev_secs *secs)
{
    struct dev *dev = create(secs);

    for (size_t i = 0; i < plan->count; i++)
        CHECK_EQ(dev_emu.add_pages(dev, &plan->runs[i], &err), 0);
    CHECK_EQ(dev_emu.set_enclu_sites(dev, plan->enclu_sites, plan->enclu_count), 0);
    return dev;
}

static void test_random_plans(void)
{
    static uint8_t data[64 * 4096] __attribute__((aligned(4096)));

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)unit_random();
    for (int n = 0; n < 40; n++) {
        struct plan_run runs[12];
        struct page_plan plan = {.size = (uint64_t)TINY_SIZE << (n % 4),
                                 .ssa_frame_size = 2 + n % 3,
                                 .miscselect = 1,
                                 .runs = runs,
                                 .count = 1 + n % 12};
        struct dev_secs secs = good;
        struct sgx_sigstruct sig;
        uint64_t at = 0;
        for (size_t i = 0; i < plan.count; i++) {
            uint64_t perms[] = {SECINFO_R, RW, SECINFO_R | SECINFO_X, RW | SECINFO_X};
            at += unit_random() % 64 * 4096;
            runs[i] =
                (struct plan_run){at,
                                  1 + unit_random() % 20,
                                  REG | perms[unit_random() % 4],
                                  unit_random() % 3 != 0,
                                  unit_random() % 4 ? data + unit_random() % 40 * 4096 : NULL,
                                  0};
            at += runs[i].pages * 4096;
        }
        secs.size = plan.size;
        secs.ssa_frame_size = plan.ssa_frame_size;
        tiny_sign(&plan, &sig);
        struct dev *dev = load(&plan, &secs);
        CHECK_EQ(dev_emu.init(dev, &sig, &err), 0);
        CHECK_EQ(dev_emu.init(dev, &sig, &err), -EBUSY);
        CHECK_EQ(dev_emu.add_pages(dev, &runs[0], &err), -EINVAL);
        CHECK(!memcmp(((struct emu *)dev)->secs.mrenclave, sig.enclave_hash, 32));
        dev_emu.destroy(dev);
    }
}

static void test_sigstruct(const struct page_plan *plan)
{
    struct sgx_sigstruct sig;
    uint8_t *bytes = (uint8_t *)&sig;
    struct dev *dev = load(plan, &good);

    tiny_sign(plan, &sig);
    for (size_t i = 0; i < sizeof(sig); i++) {
        uint8_t bit = (uint8_t)(1u << (unit_random() & 7));
        bytes[i] ^= bit;
        CHECK_EQ(dev_emu.init(dev, &sig, &err), -EPERM);
        bytes[i] ^= bit;
    }
    CHECK_EQ(dev_emu.init(dev, &sig, &err), 0);
    dev_emu.destroy(dev);
    /* Signed for something else. */
    struct dev_secs other = good;
    other.attributes.flags |= SGX_ATTR_PROVISIONKEY;
    dev = load(plan, &other);
    CHECK_EQ(dev_emu.init(dev, &sig, &err), -EPERM);
    CHECK(strstr(err.msg, "attributes"));
    dev_emu.destroy(dev);
    other = good;
    other.miscselect = 0;
    dev = load(plan, &other);
    CHECK_EQ(dev_emu.init(dev, &sig, &err), -EPERM);
    dev_emu.destroy(dev);
}

static void refuse_secs(struct dev_secs secs)
{
    struct dev *dev;
    CHECK_EQ(dev_emu.create(&secs, &dev, &err), -EINVAL);
}

static void test_create(void)
{
    struct dev_secs s = good;

    s.size = TINY_SIZE + 4096;
    refuse_secs(s);
    s = good;
    s.attributes.xfrm = 5;
    refuse_secs(s);
    s.attributes.xfrm = 7 | 0x20; /* a part of AVX-512 */
    refuse_secs(s);
    s.attributes.xfrm = 7 | SGX_XFRM_AMX;
    refuse_secs(s);
    s = good;
    s.attributes.flags |= SGX_ATTR_INIT;
    refuse_secs(s);
    s = good;
    s.ssa_frame_size = 0;
    refuse_secs(s);
    s = good;
    s.miscselect = 2;
    refuse_secs(s);
    CHECK_EQ(setenv("OCCLUM_EMU", "nonsense", 1), 0);
    refuse_secs(good);
    unsetenv("OCCLUM_EMU");
}

static void refuse_run(struct dev *dev, struct plan_run run, int code)
{
    CHECK_EQ(dev_emu.add_pages(dev, &run, &err), code);
}

static void test_add(void)
{
    static struct sgx_tcs tcs __attribute__((aligned(4096)));
    struct dev *dev = create(&good);
    struct plan_run run = {0x10000, 4, REG | RW, 0, NULL, 0};

    CHECK_EQ(dev_emu.add_pages(dev, &run, &err), 0);
    refuse_run(dev, (struct plan_run){0x13000, 4, REG | RW, 0, NULL, 0}, -EEXIST);
    refuse_run(dev, (struct plan_run){0x20001, 1, REG | RW, 0, NULL, 0}, -EINVAL);
    refuse_run(dev, (struct plan_run){TINY_SIZE - 4096, 2, REG | RW, 0, NULL, 0}, -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, 0, REG | RW, 0, NULL, 0}, -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, UINT64_MAX / 2, REG | RW, 0, NULL, 0}, -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, 1, REG | SECINFO_W, 0, NULL, 0}, -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, 1, REG | RW | SECINFO_PENDING, 0, NULL, 0},
               -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, 1, SECINFO_TYPE(PT_VA) | RW, 0, NULL, 0},
               -EINVAL);
    refuse_run(dev, (struct plan_run){0x20000, 1, SECINFO_TYPE(PT_TCS) | RW, 0, NULL, 0},
               -EINVAL);
    tcs.cssa = 1;
    refuse_run(dev, (struct plan_run){0x20000, 1, SECINFO_TYPE(PT_TCS), 0, (uint8_t *)&tcs, 0},
               -EINVAL);
    /* Nothing dynamic before EINIT. */
    CHECK_EQ(dev_emu.aug(dev, 0x40000, 1), -EINVAL);
    CHECK_EQ(dev_emu.trim(dev, 0x10000, 1), -EINVAL);
    CHECK_EQ(dev_emu.restrict_perms(dev, 0x10000, 1, 1), -EINVAL);
    dev_emu.destroy(dev);
}

int main(void)
{
    struct page_plan *plan = tiny_plan(1);

    test_random_plans();
    test_sigstruct(plan);
    test_create();
    test_add();
    puts("ok");
    return 0;
}
