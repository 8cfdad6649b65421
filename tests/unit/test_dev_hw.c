/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev_hw against a driver that checks every request as the kernel's does, answers in part,
 * is interrupted, and hands what is right to the emulator: EINIT then compares MRENCLAVE.
 * LINK: emu/*.[cS] host/*.[cS] image/*.c cli/err.c cli/progress.c tests/unit/*tiny*.[cS]
 * LIBS: -lcrypto -luring -lelf -ljansson -lpthread
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/emu.h"
#include "host/dev_hw.h"
#include "host/run.h"
#include "host/signal.h"
#include "tests/unit/enclave_tiny.h"
#include "tests/unit/tiny_sign.h"
#include "tests/unit/unit.h"

#define FD_ENCLAVE   1000
#define FD_PROVISION 1001
#define PAGES        (TINY_SIZE / 4096)

static struct host_error err;
static struct dev *model;
static uint64_t base, size; /* what was mapped with the driver's descriptor */
static int open_enclave, open_provision, provisioned, missing, calls, corrupt;
static uint64_t next_offset; /* runs come in ascending order */
static uint8_t max_prot[PAGES], mapped_prot[PAGES];

static int fail(int code)
{
    errno = code;
    return -1;
}

static int fake_open(const char *path, int flags)
{
    if (missing)
        return fail(missing);
    if (!strcmp(path, "/dev/sgx_enclave")) {
        CHECK_EQ(flags & O_ACCMODE, O_RDWR);
        open_enclave++;
        return FD_ENCLAVE;
    }
    CHECK(!strcmp(path, "/dev/sgx_provision"));
    open_provision++;
    return FD_PROVISION;
}

static int fake_close(int fd)
{
    CHECK(fd == FD_ENCLAVE ? open_enclave-- > 0 : open_provision-- > 0);
    return 0;
}

static void *fake_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    if (fd < 0)
        return mmap(at, bytes, prot, flags, fd, offset);
    CHECK_EQ(fd, FD_ENCLAVE);
    CHECK_EQ(prot, PROT_NONE);
    CHECK_EQ(offset, 0);
    CHECK(flags & MAP_SHARED && flags & (MAP_FIXED | MAP_FIXED_NOREPLACE));
    base = (uint64_t)at & -(uint64_t)TINY_SIZE;
    size = bytes + ((uint64_t)at - base);
    return at;
}

static int fake_mprotect(void *at, size_t bytes, int prot)
{
    uint64_t offset = (uint64_t)at - base;

    CHECK(offset % 4096 == 0 && bytes % 4096 == 0 && offset + bytes <= size);
    for (uint64_t i = offset / 4096; i < (offset + bytes) / 4096; i++) {
        if (prot & ~max_prot[i])
            return fail(EACCES);
        mapped_prot[i] = (uint8_t)prot;
    }
    return 0;
}

static void check_range(uint64_t offset, uint64_t length)
{
    CHECK(offset % 4096 == 0 && length % 4096 == 0 && length > 0);
    CHECK(offset + length <= size);
}

static int create(const struct hw_create *a)
{
    const struct sgx_secs *s = (const void *)a->src;
    struct dev_secs secs = {.size = s->size,
                            .ssa_frame_size = s->ssa_frame_size,
                            .miscselect = s->miscselect,
                            .attributes = s->attributes};

    CHECK_EQ(a->src % 4096, 0);
    CHECK_EQ(s->base, base);
    CHECK_EQ(s->size, size);
    CHECK_EQ(s->base % s->size, 0);
    for (int i = 0; i < 3834; i++)
        CHECK(!s->reserved4[i] && (i >= 24 || !s->reserved1[i]));
    secs.attributes.flags &= ~SGX_ATTR_PROVISIONKEY;
    memset(max_prot, PROT_READ | PROT_WRITE | PROT_EXEC, sizeof(max_prot));
    next_offset = 0;
    return dev_emu.create(&secs, &model, &err) ? fail(EINVAL) : 0;
}

/* Two pages at a time, every third call interrupted before it begins. */
static uint64_t part(uint64_t length)
{
    return length < 8192 ? length : 8192;
}

static int add_pages(struct hw_add_pages *a)
{
    const struct sgx_secinfo *s = (const void *)a->secinfo;
    struct plan_run run = {
        a->offset, 0, s->flags, (a->flags & HW_PAGE_MEASURE) != 0, (const uint8_t *)a->src, 0};
    int prot = (int)(s->flags & 7), is_tcs = s->flags >> 8 == PT_TCS;

    check_range(a->offset, a->length);
    CHECK_EQ(a->src % 4096, 0);
    CHECK_EQ(a->flags & ~(uint64_t)HW_PAGE_MEASURE, 0);
    CHECK_EQ(a->count, 0);
    CHECK(a->offset >= next_offset);
    if (++calls % 3 == 0)
        return fail(EINTR);
    a->count = part(a->length);
    run.pages = a->count / 4096;
    next_offset = a->offset + a->count;
    for (uint64_t i = a->offset / 4096; i < next_offset / 4096; i++)
        max_prot[i] = (uint8_t)(is_tcs ? PROT_READ | PROT_WRITE : prot);
    if (corrupt)
        run.measured = !run.measured;
    return model->ops->add_pages(model, &run, &err) ? fail(EINVAL) : 0;
}

static int init(const struct hw_init *a)
{
    int rc = model->ops->init(model, (const void *)a->sigstruct, &err);
    return rc ? SGX_INVALID_MEASUREMENT : 0;
}

static int change(unsigned long request, struct hw_restrict *a)
{
    struct hw_remove_pages *r = (void *)a;
    int rc;

    check_range(a->offset, a->length);
    if (++calls % 3 == 0)
        return fail(EAGAIN);
    uint64_t bytes = part(a->length), pages = bytes / 4096;
    if (request == HW_REMOVE_PAGES) {
        rc = model->ops->remove(model, r->offset, pages);
        r->count = rc ? 0 : bytes;
        return rc ? fail(-rc) : 0;
    }
    CHECK(a->count == 0 && a->result == 0);
    if (request == HW_RESTRICT) {
        CHECK_EQ(a->permissions & ~7ull, 0);
        rc = model->ops->restrict_perms(model, a->offset, pages, (uint32_t)a->permissions);
    } else {
        CHECK_EQ(a->permissions, PT_TRIM);
        rc = model->ops->trim(model, a->offset, pages);
    }
    a->count = rc ? 0 : bytes;
    return rc ? fail(-rc) : 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
    CHECK_EQ(fd, FD_ENCLAVE);
    switch (request) {
    case HW_CREATE:
        return create(arg);
    case HW_ADD_PAGES:
        return add_pages(arg);
    case HW_INIT:
        return init(arg);
    case HW_PROVISION:
        CHECK_EQ(((struct hw_provision *)arg)->fd, FD_PROVISION);
        provisioned++;
        return 0;
    case HW_RESTRICT:
    case HW_MODIFY_TYPES:
    case HW_REMOVE_PAGES:
        return change(request, arg);
    default:
        CHECK(!"a request the driver has");
        return -1;
    }
}

static const struct hw_os fake = {
    .open = fake_open,
    .close = fake_close,
    .ioctl = fake_ioctl,
    .mmap = fake_mmap,
    .munmap = munmap,
    .mprotect = fake_mprotect,
};

static struct dev *load(const struct page_plan *plan, const struct sgx_sigstruct *sig, int want,
                        uint64_t flags)
{
    struct dev_secs secs = {.size = plan->size,
                            .ssa_frame_size = 4,
                            .miscselect = 1,
                            .attributes = {SGX_ATTR_MODE64 | flags, 7}};
    struct dev *dev;

    CHECK_EQ(dev_hw.create(&secs, &dev, &err), 0);
    CHECK_EQ(dev->base, base);
    for (size_t i = 0; i < plan->count; i++)
        CHECK_EQ(dev_hw.add_pages(dev, &plan->runs[i], &err), 0);
    CHECK_EQ(dev_hw.init(dev, sig, &err), want);
    return dev;
}

static void unload(struct dev *dev)
{
    dev_hw.destroy(dev);
    model->ops->destroy(model);
    model = NULL;
    CHECK_EQ(open_enclave, 0);
    CHECK_EQ(open_provision, 0);
}

static void test_changes(struct dev *dev)
{
    uint64_t at = TINY_PLAIN / 4096;

    CHECK_EQ(dev_hw.aug(dev, TINY_EMPTY, 10), 0);
    CHECK_EQ(mapped_prot[TINY_EMPTY / 4096 + 9], PROT_READ | PROT_WRITE);
    CHECK_EQ(dev_hw.restrict_perms(dev, TINY_PLAIN, 4, SECINFO_R), 0);
    CHECK_EQ(mapped_prot[at + 3], PROT_READ);
    CHECK_EQ(*emu_epcm_at((struct emu *)model, model->base + TINY_PLAIN + 3 * 4096),
             EPCM_REG | EPCM_R | EPCM_PR);
    CHECK_EQ(dev_hw.extend(dev, TINY_PLAIN, 4, 7), -EACCES);
    CHECK_EQ(dev_hw.extend(dev, TINY_EMPTY, 4, 5), 0);
    CHECK_EQ(mapped_prot[TINY_EMPTY / 4096 + 3], PROT_READ | PROT_EXEC);
    CHECK_EQ(dev_hw.remove(dev, TINY_PLAIN, 4), -EPERM);
    CHECK_EQ(dev_hw.trim(dev, TINY_PLAIN, 4), 0);
    for (uint64_t i = 0; i < 4; i++) { /* the enclave's EACCEPT */
        uint8_t *e = emu_epcm_at((struct emu *)model, model->base + TINY_PLAIN + i * 4096);
        CHECK_EQ(*e, EPCM_TRIM | EPCM_MODIFIED);
        *e &= (uint8_t)~EPCM_MODIFIED;
    }
    CHECK_EQ(dev_hw.remove(dev, TINY_PLAIN, 4), 0);
    CHECK_EQ(mapped_prot[at], PROT_NONE);
}

/* Without SGX the instruction is #UD: entering must end with a reason, not with the process. */
static void test_enter(struct dev *dev)
{
    struct host_thread *t;

    CHECK_EQ(host_signals_init(dev, &err), 0);
    CHECK_EQ(host_thread_new(dev, &t, &err), 0);
    t->tcs = dev->base + TINY_CPU;
    CHECK_EQ(host_enter(t, TC_ADD_ONE, 1), (uint64_t)HOST_EXIT_FAULT | 6);
    host_thread_fini(dev);
    host_thread_free(t);
    host_signals_fini();
}

int main(void)
{
    struct page_plan *plan = tiny_plan(2);
    struct sgx_sigstruct sig;
    uint8_t *odd = malloc(4 * 4096 + 1);

    hw_os = &fake;
    missing = ENOENT;
    CHECK_EQ(dev_hw.probe(&err), -ENODEV);
    CHECK_EQ(host_probe(HOST_MODE_AUTO, &err), 0); /* the emulator */
    CHECK_EQ(host_probe(HOST_MODE_HW, &err), -ENODEV);
    missing = EACCES; /* protection is not given up silently */
    CHECK_EQ(host_probe(HOST_MODE_AUTO, &err), -EACCES);
    CHECK_EQ(host_probe(HOST_MODE_SIM, &err), 0);
    missing = 0;
    CHECK_EQ(dev_hw.probe(&err), 0);
    tiny_sign(plan, &sig);
    struct dev *dev = load(plan, &sig, 0, 0);
    CHECK_EQ(provisioned, 0);
    test_changes(dev);
    test_enter(dev);
    unload(dev);

    /* A source that is not page aligned gives the same enclave. */
    memcpy(odd + 1, plan->runs[0].data, 4 * 4096);
    plan->runs[0].data = odd + 1;
    dev = load(plan, &sig, 0, 0);
    unload(dev);
    dev = load(plan, &sig, 0, SGX_ATTR_PROVISIONKEY);
    CHECK_EQ(provisioned, 1);
    unload(dev);
    corrupt = 1;
    dev = load(plan, &sig, -EPERM, 0);
    CHECK(strstr(err.msg, "SGX error 4"));
    unload(dev);
    puts("ok");
    return 0;
}
