/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SGX hardware through the in-kernel driver. Entering is our own ENCLU (enter.S) with ordinary
 * signals, not the vDSO's: the AEP must be ours, so that ticks get in.
 * Memory after EINIT needs SGX2: the driver does EAUG when EACCEPT faults.
 */
#include "host/dev_hw.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boundary/boot.h"
#include "boundary/layout.h"
#include "host/dev.h"

#define BOUNCE_PAGES 64u

struct hw {
    struct dev dev;
    int fd;
    int provision;
    uint8_t *bounce; /* page aligned, for sources that are not */
};

static int os_open(const char *path, int flags)
{
    return open(path, flags);
}

static int os_ioctl(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg);
}

static const struct hw_os linux_os = {
    .open = os_open,
    .close = close,
    .ioctl = os_ioctl,
    .mmap = mmap,
    .munmap = munmap,
    .mprotect = mprotect,
};
const struct hw_os *hw_os = &linux_os;

static struct hw *hw_of(struct dev *dev)
{
    return (struct hw *)dev;
}

static int hw_probe(struct host_error *err)
{
    int fd = hw_os->open("/dev/sgx_enclave", O_RDWR | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return host_fail(err, -ENODEV,
                         "no /dev/sgx_enclave: this machine, its firmware or its "
                         "kernel has no SGX");
    if (fd < 0)
        return host_fail(err, -errno,
                         "/dev/sgx_enclave: %s: join the group that may open it, or "
                         "set SGX_MODE=SIM to run without protection",
                         strerror(errno));
    hw_os->close(fd);
    if (!(getauxval(AT_HWCAP2) & 2))
        return host_fail(err, -ENOSYS, "the kernel does not enable FSGSBASE");
    return 0;
}

static int reserve(struct hw *h, int base_zero)
{
    uint64_t size = h->dev.size, low = base_zero ? LAYOUT_USER_MIN : 0;
    int flags = MAP_SHARED | (base_zero ? MAP_FIXED_NOREPLACE : MAP_FIXED);

    if (!base_zero) {
        char *raw = hw_os->mmap(NULL, 2 * size, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (raw == MAP_FAILED)
            return -errno;
        uint64_t base = ((uint64_t)raw + size - 1) & -size;
        if (base > (uint64_t)raw)
            hw_os->munmap(raw, base - (uint64_t)raw);
        hw_os->munmap((void *)(base + size), (uint64_t)raw + size - base);
        h->dev.base = base;
    }
    void *p = hw_os->mmap((void *)(h->dev.base + low), size - low, PROT_NONE, flags, h->fd, 0);
    return p == MAP_FAILED ? -errno : 0;
}

static void hw_destroy(struct dev *dev)
{
    struct hw *h = hw_of(dev);
    uint64_t low = dev->base ? 0 : LAYOUT_USER_MIN;

    hw_os->munmap((void *)(dev->base + low), dev->size - low);
    if (h->fd >= 0)
        hw_os->close(h->fd);
    free(h->bounce);
    free(h);
}

uint64_t dev_hw_size_limit(void)
{
    uint32_t a, b, c, d, bits = 0;

    if (__get_cpuid_count(0x12, 0, &a, &b, &c, &d))
        bits = d >> 8 & 0xff;
    return bits >= 30 && bits < 63 ? 1ull << bits : UINT64_MAX;
}

static int hw_create_enclave(const struct dev_secs *s, struct dev **out, struct host_error *err)
{
    struct hw *h = calloc(1, sizeof(*h));
    struct sgx_secs *secs = aligned_alloc(SGX_PAGE, SGX_PAGE);
    uint8_t *bounce = aligned_alloc(SGX_PAGE, BOUNCE_PAGES * SGX_PAGE);
    uint64_t limit = dev_hw_size_limit();
    int rc = -ENOMEM;

    if (s->size > limit) {
        host_fail(err, -E2BIG,
                  "an enclave of %lu GiB is more than this CPU can have: set "
                  "resource_limits.enclave_size to \"%luGB\" and build again",
                  s->size >> 30, limit >> 30);
        free(h);
        free(secs);
        free(bounce);
        return -E2BIG;
    }
    if (!h || !secs || !bounce)
        goto fail;
    *h = (struct hw){.dev = {.ops = &dev_hw, .size = s->size}, .bounce = bounce};
    h->provision = (s->attributes.flags & SGX_ATTR_PROVISIONKEY) != 0;
    h->fd = hw_os->open("/dev/sgx_enclave", O_RDWR | O_CLOEXEC);
    if (h->fd < 0 || (rc = reserve(h, s->base_zero))) {
        rc = h->fd < 0 ? -errno : rc;
        if (h->fd >= 0)
            hw_os->close(h->fd);
        goto fail;
    }
    memset(secs, 0, SGX_PAGE);
    secs->size = s->size;
    secs->base = h->dev.base;
    secs->ssa_frame_size = s->ssa_frame_size;
    secs->miscselect = s->miscselect;
    secs->attributes = s->attributes;
    struct hw_create arg = {.src = (uint64_t)secs};
    if (hw_os->ioctl(h->fd, HW_CREATE, &arg)) {
        rc = host_fail(err, -errno, "ECREATE of %lu GiB: %s", s->size >> 30, strerror(errno));
        hw_destroy(&h->dev);
        free(secs);
        return rc;
    }
    free(secs);
    *out = &h->dev;
    return 0;
fail:
    free(h);
    free(secs);
    free(bounce);
    return host_fail(err, rc, "cannot create an enclave of %lu GiB: %s", s->size >> 30,
                     strerror(-rc));
}

static int prot_of(uint64_t perms)
{
    return (perms & SECINFO_R ? PROT_READ : 0) | (perms & SECINFO_W ? PROT_WRITE : 0) |
           (perms & SECINFO_X ? PROT_EXEC : 0);
}

static int protect(struct dev *dev, uint64_t offset, uint64_t pages, int prot)
{
    return hw_os->mprotect((void *)(dev->base + offset), pages * SGX_PAGE, prot) ? -errno : 0;
}

/* One ioctl may do less than asked when a signal comes. */
static int add_chunk(struct hw *h, struct hw_add_pages arg)
{
    while (arg.length) {
        arg.count = 0;
        int rc = hw_os->ioctl(h->fd, HW_ADD_PAGES, &arg);
        if (arg.count > arg.length || (rc && errno != EINTR && errno != EAGAIN))
            return arg.count > arg.length ? -EIO : -errno;
        if (!rc && !arg.count)
            return -EIO;
        arg.src += arg.count;
        arg.offset += arg.count;
        arg.length -= arg.count;
    }
    return 0;
}

static int hw_add_pages(struct dev *dev, const struct plan_run *run, struct host_error *err)
{
    struct hw *h = hw_of(dev);
    struct sgx_secinfo secinfo = {.flags = run->secinfo};
    int direct = run->data && !run->stream && (uint64_t)run->data % SGX_PAGE == 0;
    int is_tcs = run->secinfo >> 8 == PT_TCS;
    uint64_t step = direct ? run->pages : BOUNCE_PAGES;
    int rc = 0;

    if (!run->data)
        memset(h->bounce, 0, BOUNCE_PAGES * SGX_PAGE);
    for (uint64_t done = 0; done < run->pages && !rc; done += step) {
        uint64_t n = run->pages - done < step ? run->pages - done : step;
        for (uint64_t i = 0; i < n && run->data && !direct; i++)
            plan_page(run, done + i, h->bounce + i * SGX_PAGE);
        rc = add_chunk(h, (struct hw_add_pages){
                              .src = (uint64_t)(direct ? run->data : h->bounce),
                              .offset = run->offset + done * SGX_PAGE,
                              .length = n * SGX_PAGE,
                              .secinfo = (uint64_t)&secinfo,
                              .flags = run->measured ? HW_PAGE_MEASURE : 0,
                          });
    }
    if (!rc)
        rc = protect(dev, run->offset, run->pages,
                     is_tcs ? PROT_READ | PROT_WRITE : prot_of(run->secinfo));
    if (rc)
        return host_fail(err, rc, "EADD at offset 0x%lx: %s", run->offset, strerror(-rc));
    return 0;
}

static int hw_init_enclave(struct dev *dev, const struct sgx_sigstruct *sig,
                           struct host_error *err)
{
    struct hw *h = hw_of(dev);

    if (h->provision) {
        int fd = hw_os->open("/dev/sgx_provision", O_RDONLY | O_CLOEXEC);
        struct hw_provision arg = {.fd = (uint64_t)fd};
        if (fd < 0)
            return host_fail(err, -errno, "/dev/sgx_provision: %s", strerror(errno));
        int rc = hw_os->ioctl(h->fd, HW_PROVISION, &arg) ? -errno : 0;
        hw_os->close(fd);
        if (rc)
            return host_fail(err, rc, "the provisioning key is refused: %s", strerror(-rc));
    }
    struct hw_init arg = {.sigstruct = (uint64_t)sig};
    int rc = hw_os->ioctl(h->fd, HW_INIT, &arg);
    if (rc < 0)
        return host_fail(err, -errno, "EINIT: %s", strerror(errno));
    if (rc > 0)
        return host_fail(err, -EPERM, "EINIT refused the enclave with SGX error %d", rc);
    return 0;
}

static int hw_aug(struct dev *dev, uint64_t offset, uint64_t pages)
{
    return protect(dev, offset, pages, PROT_READ | PROT_WRITE);
}

/* The three ioctls that change pages all report how far they came. */
static int change(struct hw *h, unsigned long request, struct hw_restrict arg)
{
    int remove = request == HW_REMOVE_PAGES;

    while (arg.length) {
        struct hw_remove_pages r = {.offset = arg.offset, .length = arg.length};
        arg.count = arg.result = 0;
        int rc = hw_os->ioctl(h->fd, request, remove ? (void *)&r : (void *)&arg);
        uint64_t count = remove ? r.count : arg.count;
        if (count > arg.length || (rc && errno != EINTR && errno != EAGAIN))
            return count > arg.length ? -EIO : -errno;
        if (!rc && !count)
            return -EIO;
        arg.offset += count;
        arg.length -= count;
    }
    return 0;
}

static int hw_restrict_perms(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms)
{
    struct hw_restrict arg = {
        .offset = offset, .length = pages * SGX_PAGE, .permissions = perms};
    int rc = change(hw_of(dev), HW_RESTRICT, arg);

    return rc ? rc : protect(dev, offset, pages, prot_of(perms));
}

static int hw_extend(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms)
{
    return protect(dev, offset, pages, prot_of(perms));
}

static int hw_trim(struct dev *dev, uint64_t offset, uint64_t pages)
{
    struct hw_restrict arg = {
        .offset = offset, .length = pages * SGX_PAGE, .permissions = PT_TRIM};
    return change(hw_of(dev), HW_MODIFY_TYPES, arg);
}

static int hw_remove(struct dev *dev, uint64_t offset, uint64_t pages)
{
    struct hw_restrict arg = {.offset = offset, .length = pages * SGX_PAGE};
    int rc = change(hw_of(dev), HW_REMOVE_PAGES, arg);

    return rc ? rc : protect(dev, offset, pages, PROT_NONE);
}

const struct dev_ops dev_hw = {
    .name = "hardware",
    .platform = PLATFORM_HARDWARE,
    .probe = hw_probe,
    .create = hw_create_enclave,
    .add_pages = hw_add_pages,
    .init = hw_init_enclave,
    .destroy = hw_destroy,
    .aug = hw_aug,
    .restrict_perms = hw_restrict_perms,
    .extend = hw_extend,
    .trim = hw_trim,
    .remove = hw_remove,
};
