/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a page plan to the end of its run: choose the machine, load, hand over struct boot_info,
 * run the vCPUs, clean up.
 */
#include "host/run.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boundary/layout.h"
#include "host/control.h"
#include "host/service.h"
#include "host/terminal.h"
#include "host/vcpu.h"

#define POOL_BYTES  (512ull << 20) /* touched as far as it is used */
#define CPUID_MAX   512u
#define XFRM_USABLE (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512 | SGX_XFRM_PKRU)

/*
 * Automatic means the emulator only where there is no SGX at all: a device that is there and
 * cannot be used is an error, or protection would be lost without a word.
 */
static int choose(enum host_mode mode, const struct dev_ops **ops, struct host_error *err)
{
    if (mode != HOST_MODE_SIM) {
        int rc = dev_hw.probe(err);
        *ops = &dev_hw;
        if (rc != -ENODEV || mode == HOST_MODE_HW)
            return rc;
    }
    *ops = &dev_emu;
    return dev_emu.probe(err);
}

int host_probe(enum host_mode mode, struct host_error *err)
{
    const struct dev_ops *ops;
    return choose(mode, &ops, err);
}

static uint64_t usable_xfrm(uint32_t platform)
{
    uint32_t low, high, a, b, c, d;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t xfrm = low & XFRM_USABLE;
    if (platform == PLATFORM_HARDWARE && __get_cpuid_count(0x12, 1, &a, &b, &c, &d))
        xfrm &= c | SGX_XFRM_LEGACY;
    if ((xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512)
        xfrm &= ~SGX_XFRM_AVX512;
    return xfrm;
}

/* What SIGSTRUCT fixes as it says, the rest as this machine has it. */
static struct sgx_attributes attributes(const struct host_run_params *p, uint32_t platform)
{
    const struct sgx_sigstruct *s = p->sigstruct;
    struct sgx_attributes want = s->attributes, mask = s->attribute_mask;
    uint64_t open = SGX_ATTR_MODE64 | (p->debug ? SGX_ATTR_DEBUG : 0);

    return (struct sgx_attributes){
        .flags = (want.flags & mask.flags & ~SGX_ATTR_INIT) | (open & ~mask.flags),
        .xfrm = (want.xfrm & mask.xfrm) | (usable_xfrm(platform) & ~mask.xfrm),
    };
}

static int load(const struct host_run_params *p, const struct dev_ops *ops, struct dev **out,
                struct host_error *err)
{
    const struct page_plan *plan = p->plan;
    struct dev_secs secs = {
        .size = plan->size,
        .base_zero = p->base_zero,
        .ssa_frame_size = plan->ssa_frame_size,
        .miscselect = plan->miscselect,
        .attributes = attributes(p, ops->platform),
    };
    struct dev *dev;
    int rc = ops->create(&secs, &dev, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < plan->count && !rc; i++)
        rc = ops->add_pages(dev, &plan->runs[i], err);
    if (!rc && ops->set_enclu_sites)
        rc = ops->set_enclu_sites(dev, plan->enclu_sites, plan->enclu_count);
    if (!rc && p->complete)
        rc = p->complete(p->complete_arg, err);
    if (!rc)
        rc = ops->init(dev, p->sigstruct, err);
    if (rc) {
        ops->destroy(dev);
        return rc;
    }
    *out = dev;
    return 0;
}

/* Memory that is given to the enclave and lives as long as the run. */
struct loan {
    void *address[12];
    size_t bytes[12];
    unsigned count;
};

static void *lend(struct loan *l, size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    l->address[l->count] = p;
    l->bytes[l->count++] = bytes;
    return p;
}

static void lend_end(struct loan *l)
{
    while (l->count--)
        munmap(l->address[l->count], l->bytes[l->count]);
}

static int strings(struct loan *l, char *const *list, struct boot_strings *out)
{
    size_t bytes = 0;
    uint32_t count = 0;

    for (; list && list[count]; count++)
        bytes += strlen(list[count]) + 1;
    if (bytes > BOOT_STRINGS_MAX)
        return -E2BIG;
    char *p = lend(l, bytes ? bytes : 1);
    if (!p)
        return -ENOMEM;
    *out = (struct boot_strings){.host_address = (uint64_t)p, .size = bytes, .count = count};
    for (uint32_t i = 0; i < count; i++)
        p = stpcpy(p, list[i]) + 1;
    return 0;
}

static int one_string(struct loan *l, const char *text, struct boot_strings *out)
{
    char *const list[] = {(char *)text, NULL};
    return strings(l, list, out);
}

static int map_image(struct loan *l, const char *path, struct boot_image *out,
                     struct host_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st)) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return host_fail(err, rc, "%s: %s", path, strerror(-rc));
    }
    if (!st.st_size) {
        close(fd);
        return host_fail(err, -EINVAL, "%s: the image is empty", path);
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return host_fail(err, -errno, "%s: cannot map: %s", path, strerror(errno));
    /* What is read is forgotten soon: see HOSTCALL_FORGET. */
    madvise(p, (size_t)st.st_size, MADV_NOHUGEPAGE);
    l->address[l->count] = p;
    l->bytes[l->count++] = (size_t)st.st_size;
    *out = (struct boot_image){.host_address = (uint64_t)p, .size = (uint64_t)st.st_size};
    return 0;
}

static int has_subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 0x4:
    case 0x7:
    case 0xb:
    case 0xd:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1d:
    case 0x1f:
    case 0x8000001d:
    case 0x80000020:
    case 0x80000026:
        return 1;
    default:
        return 0;
    }
}

/* Leaves that neither maker gives a meaning. */
static int is_reserved(uint32_t leaf)
{
    return leaf == 0x80000009 || (leaf >= 0x8000000b && leaf <= 0x80000018);
}

/* Whether a subleaf says more than zeros, by what the ones before it say. */
static int says_more(const struct boot_cpuid *c)
{
    const struct boot_cpuid *first = c - c->subleaf;

    switch (c->leaf) {
    case 0x4:
    case 0x8000001d:
        return c[-1].eax & 0x1f; /* a cache */
    case 0x7:
        return c->subleaf <= first->eax;
    case 0xb:
    case 0x1f:
        return c[-1].ecx & 0xff00; /* a level */
    case 0xd:
        return c->subleaf < 2 || (first->eax | first[1].ecx) >> c->subleaf & 1;
    default:
        return 1;
    }
}

static void cpuid_row(struct boot_cpuid *c, uint32_t leaf, uint32_t sub)
{
    *c = (struct boot_cpuid){.leaf = leaf, .subleaf = sub};
    if (is_reserved(leaf))
        return;
    if (!sub || (has_subleaves(leaf) && says_more(c))) {
        __cpuid_count(leaf, sub, c->eax, c->ebx, c->ecx, c->edx);
    } else if (!has_subleaves(leaf)) {
        *c = c[-1];
        c->subleaf = sub;
    } else if (leaf == 0xb || leaf == 0x1f) {
        c->ecx = sub;
        c->edx = c[-1].edx;
    }
}

/* As few as can be are executed: in a virtual machine each takes microseconds. */
static void cpuid_table(struct boot_info *b, struct boot_cpuid *table)
{
    uint32_t n = 0;

    for (int half = 0; half < 2; half++) {
        uint32_t base = half ? 0x80000000u : 0;
        uint32_t last = __get_cpuid_max(base, NULL);
        for (uint32_t leaf = base; leaf < base + 0x20 && leaf <= last; leaf++) {
            for (uint32_t sub = 0; sub < 8; sub++)
                cpuid_row(&table[n++], leaf, sub);
        }
    }
    b->cpuid_address = (uint64_t)table;
    b->cpuid_count = n;
}

static int fill_strings(struct loan *l, struct boot_info *b, const struct host_run_params *p,
                        struct host_error *err)
{
    char own[HOST_NAME_MAX + 1] = "";
    const char *name = p->hostname;
    int rc;

    /* The host's own, since /etc/hosts is usually the host's, too, and names it. */
    if (!name)
        name = gethostname(own, sizeof(own) - 1) || !*own ? "occlum" : own;

    if ((rc = strings(l, p->argv, &b->argv)) || (rc = strings(l, p->envp, &b->envp)) ||
        (rc = one_string(l, p->program ? p->program : "", &b->program)) ||
        (rc = one_string(l, p->cwd ? p->cwd : "/", &b->cwd)) ||
        (rc = one_string(l, name, &b->hostname)))
        return host_fail(err, rc, "arguments and environment: %s", strerror(-rc));
    return 0;
}

static int fill_boot(struct machine *m, struct loan *l, const struct host_run_params *p,
                     struct host_error *err)
{
    struct boot_info *b = lend(l, sizeof(*b));
    char *shared = lend(l, (size_t)m->count * VCPU_SHARED_STRIDE);
    void *pool = lend(l, POOL_BYTES), *cpuid = lend(l, CPUID_MAX * sizeof(struct boot_cpuid));

    if (!b || !shared || !pool || !cpuid)
        return host_fail(err, -ENOMEM, "out of memory");
    *b = (struct boot_info){
        .magic = BOOT_MAGIC,
        .version = BOOT_VERSION,
        .vcpu_count = m->count,
        .enclave_base = m->dev->base,
        .enclave_size = m->dev->size,
        .vcpu_shared = (uint64_t)shared,
        .pool_address = (uint64_t)pool,
        .pool_size = POOL_BYTES,
        .tsc_hz = tsc_hz(&m->begin),
        .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
        .log_level = p->log_level,
        .flags = (p->stats ? BOOT_STATS : 0) | (p->mapped ? BOOT_MAPS : 0),
        .platform = m->dev->ops->platform,
        .uid = getuid(),
        .gid = getgid(),
        .service = (uint32_t)p->service,
        .control = (uint64_t)m->control->page,
    };
    if (p->log_levels)
        memcpy(b->log_levels, p->log_levels, sizeof(b->log_levels));
    if (p->trace)
        memcpy(b->trace, p->trace, sizeof(b->trace));
    for (uint32_t i = 0; i < m->count; i++) {
        m->vcpu[i].machine = m;
        m->vcpu[i].index = i;
        m->vcpu[i].shared = (struct vcpu_shared *)(shared + (size_t)i * VCPU_SHARED_STRIDE);
    }
    for (unsigned i = 0; i < BOOT_MAX_IMAGES; i++) {
        int rc = p->images[i] ? map_image(l, p->images[i], &b->image[i], err) : 0;
        if (rc)
            return rc;
    }
    cpuid_table(b, cpuid);
    m->boot = b;
    return fill_strings(l, b, p, err);
}

static uint32_t vcpu_count(const struct host_run_params *p)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t want = p->vcpus ? p->vcpus : online > 0 ? (uint32_t)online : 1;

    return want < p->plan->tcs_count ? want : p->plan->tcs_count;
}

static int check(const struct host_run_params *p, struct host_error *err)
{
    int what = p->service || (p->program && p->argv);

    if (!p->plan || !p->sigstruct || !what || !p->plan->tcs_count || p->plan->tcs_count > 64)
        return host_fail(err, -EINVAL, "incomplete parameters for a run");
    return 0;
}

static int control_new(struct machine *m, struct loan *l, const struct host_run_params *p,
                       struct host_error *err)
{
    struct host_control *c = calloc(1, sizeof(*c));
    struct control_page *page = lend(l, sizeof(*page));

    if (!c || !page) {
        free(c);
        return host_fail(err, -ENOMEM, "out of memory");
    }
    m->control = c;
    int rc = host_control_init(c, m, page, err);
    if (!rc && p->service) {
        c->service = service_new(c, p->listen_fd, p->ready, p->ready_arg);
        rc = c->service ? 0 : host_fail(err, -ENOMEM, "out of memory");
    }
    return rc;
}

static void control_free(struct machine *m)
{
    if (!m->control)
        return;
    host_control_stop(m->control);
    if (m->hung)
        return;
    host_control_fini(m->control);
    service_free(m->control->service);
    free(m->control);
    m->control = NULL;
}

/* From a loaded enclave to its end; `m->hung`: what it uses must stay. */
static int run_loaded(struct machine *m, struct loan *l, const struct host_run_params *p,
                      struct host_error *err)
{
    int rc = control_new(m, l, p, err);

    if (!rc)
        rc = fill_boot(m, l, p, err);
    if (!rc)
        rc = host_signals_init(m->dev, err);
    if (rc) {
        control_free(m);
        return rc;
    }
    terminal_save();
    rc = host_control_start(m->control, err);
    if (!rc)
        rc = machine_run(m, err);
    terminal_restore();
    control_free(m);
    if (!m->hung)
        host_signals_fini();
    return rc;
}

static void collect_stats(const struct machine *m, struct host_stats *out)
{
    for (uint32_t i = 0; out && i < m->count; i++) {
        for (unsigned nr = 0; nr < HOSTCALL_COUNT; nr++)
            out->calls[nr] += m->vcpu[i].calls[nr];
        out->ticks += m->vcpu[i].ticks;
    }
}

/* A debugger's breakpoints are in pages that have no other copy. */
static int is_traced(void)
{
    char line[128];
    int pid = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof(line), f) && sscanf(line, "TracerPid: %d", &pid) != 1)
        ;
    if (f)
        fclose(f);
    return pid != 0;
}

/* To load takes much more code than to run: what is needed again comes back out of the host's
 * cache. The first object is this program. */
static int forget_code(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = (info->dlpi_addr + p->p_vaddr) & -LAYOUT_PAGE;
        uintptr_t to = info->dlpi_addr + p->p_vaddr + p->p_filesz;

        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
            madvise((void *)from, to - from, MADV_DONTNEED);
    }
    return 1;
}

/* Descriptors for all programs inside, who have limits of their own. */
static void raise_limit(void)
{
    struct rlimit l;

    if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

int host_run(const struct host_run_params *params, uint32_t *status, struct host_error *err)
{
    struct loan loan = {0};
    int rc = check(params, err);

    if (rc)
        return rc;
    const struct dev_ops *ops;
    if ((rc = choose(params->mode, &ops, err)))
        return rc;
    struct machine *m = calloc(1, sizeof(*m));
    if (!m)
        return host_fail(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&m->lock, NULL);
    raise_limit();
    m->begin = tsc_begin();
    m->plan = params->plan;
    m->observer = params->observer;
    m->mapped = params->mapped;
    m->count = vcpu_count(params);
    if ((rc = load(params, ops, &m->dev, err)))
        goto out_free;
    if (params->loaded)
        params->loaded(params->plan);
    if (!is_traced())
        dl_iterate_phdr(forget_code, NULL);
    if (m->mapped)
        m->mapped(NULL, m->dev->base + layout_top(m->dev->size) + LAYOUT_KERNEL, 0);
    rc = run_loaded(m, &loan, params, err);
    *status = m->status;
    collect_stats(m, params->stats);
    if (m->hung)
        return rc;
    ops->destroy(m->dev);
    lend_end(&loan);
out_free:
    free(m);
    return rc;
}
