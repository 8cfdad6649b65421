/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds the page plan of an enclave: the kernel's segments, the configuration and one slot a
 * TCS (boundary/layout.h). A page whose contents the enclave relies on is measured, also where
 * it is zero: what is only added may hold anything the host likes. Stacks and SSA frames are
 * written before they are read, so they are added without EEXTEND.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boundary/layout.h"
#include "image/elf.h"
#include "image/measure.h"

#define SECINFO_REG(perms) (SECINFO_TYPE(PT_REG) | (perms))
#define RUNS_PER_SLOT      6u

/* What a plan owns: page-aligned contents, a stream, and the arrays. */
struct plan_store {
    uint8_t *pages;
    size_t used, count; /* pages */
    struct file_map stream;
};

/* All at once: thousands of faults one by one would be felt at every start. */
uint8_t *plan_pages(size_t count)
{
    void *pages = mmap(NULL, count * LAYOUT_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

static uint64_t page_count(uint64_t bytes)
{
    return (bytes + LAYOUT_PAGE - 1) / LAYOUT_PAGE;
}

static uint8_t *store_pages(struct plan_store *store, uint64_t pages)
{
    uint8_t *at = store->pages + store->used * LAYOUT_PAGE;

    store->used += pages;
    return store->used <= store->count ? at : NULL;
}

static struct plan_run *add_run(struct page_plan *plan, uint64_t offset, uint64_t pages,
                                uint64_t secinfo)
{
    struct plan_run *run = &plan->runs[plan->count++];

    run->offset = offset;
    run->pages = pages;
    run->secinfo = secinfo;
    run->measured = 0;
    run->data = NULL;
    run->stream = 0;
    return run;
}

static void add_kernel(struct page_plan *plan, const struct elf_image *elf)
{
    uint64_t base = layout_top(plan->size) + LAYOUT_KERNEL;

    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *seg = &elf->segment[i];
        uint64_t perms = (seg->flags & PF_R ? SECINFO_R : 0) |
                         (seg->flags & PF_W ? SECINFO_W : 0) |
                         (seg->flags & PF_X ? SECINFO_X : 0);
        uint64_t filled = page_count(seg->file_bytes);
        uint64_t all = page_count(seg->memory_bytes);

        if (filled) {
            struct plan_run *run =
                add_run(plan, base + seg->address, filled, SECINFO_REG(perms));
            uint8_t *data = store_pages(plan->owner, filled);

            memcpy(data, elf->bytes + seg->file_offset, seg->file_bytes);
            run->data = data;
            run->measured = 1;
        }
        if (all > filled)
            add_run(plan, base + seg->address + filled * LAYOUT_PAGE, all - filled,
                    SECINFO_REG(perms))
                ->measured = 1;
    }
}

static void add_config(struct page_plan *plan, const struct plan_input *input)
{
    uint64_t pages = page_count(input->config_bytes);
    struct plan_run *run =
        add_run(plan, layout_top(plan->size) + LAYOUT_CONFIG, pages, SECINFO_REG(SECINFO_R));
    uint8_t *data = store_pages(plan->owner, pages);

    memcpy(data, input->config, input->config_bytes);
    run->data = data;
    run->measured = 1;
}

static void add_slot(struct page_plan *plan, uint32_t index, uint64_t entry)
{
    uint64_t slot = layout_vcpu(plan->size, index);
    uint64_t rw = SECINFO_REG(SECINFO_R | SECINFO_W);
    struct sgx_tcs *tcs = (struct sgx_tcs *)store_pages(plan->owner, 1);
    uint8_t *data = store_pages(plan->owner, 1);
    struct plan_run *run;

    tcs->ossa = slot + VCPU_SLOT_SSA;
    tcs->nssa = LAYOUT_NSSA;
    tcs->oentry = entry;
    tcs->ofs_base = slot + VCPU_SLOT_TLS;
    tcs->ogs_base = slot + VCPU_SLOT_DATA;
    tcs->fs_limit = 0xfff;
    tcs->gs_limit = 0xfff;
    plan->tcs_offset[plan->tcs_count++] = slot + VCPU_SLOT_TCS;
    run = add_run(plan, slot + VCPU_SLOT_TCS, 1, SECINFO_TYPE(PT_TCS));
    run->measured = 1;
    run->data = (const uint8_t *)tcs;

    add_run(plan, slot + VCPU_SLOT_SSA, LAYOUT_NSSA * LAYOUT_SSA_PAGES, rw);

    /* The first page tells the kernel which vCPU it is on: +8 index, +16 offset of the slot. */
    memcpy(data + 8, &index, sizeof(index));
    memcpy(data + 16, &slot, sizeof(slot));
    run = add_run(plan, slot + VCPU_SLOT_DATA, 1, rw);
    run->measured = 1;
    run->data = data;
    _Static_assert(VCPU_SLOT_DATA + VCPU_DATA_PAGES * LAYOUT_PAGE == VCPU_SLOT_TLS, "one run");
    run = add_run(plan, slot + VCPU_SLOT_DATA + LAYOUT_PAGE,
                  VCPU_DATA_PAGES - 1 + VCPU_TLS_PAGES, rw);
    run->measured = 1;

    add_run(plan, slot + VCPU_SLOT_EXC_STACK, VCPU_EXC_PAGES, rw);
    add_run(plan, slot + VCPU_SLOT_STACK, VCPU_STACK_PAGES, rw);
}

static struct err *check_input(const struct plan_input *input)
{
    if (input->size < LAYOUT_MIN_SIZE || (input->size & (input->size - 1)))
        return err_new("enclave size 0x%llx: not a power of two of at least 0x%llx",
                       (unsigned long long)input->size, (unsigned long long)LAYOUT_MIN_SIZE);
    if (input->tcs_count < 1 || input->tcs_count > LAYOUT_VCPU_MAX)
        return err_new("%u TCSs: 1 to %u fit", input->tcs_count, LAYOUT_VCPU_MAX);
    if (input->config_bytes == 0 || input->config_bytes > LAYOUT_CONFIG_MAX)
        return err_new("a configuration of %zu bytes: at most %llu fit", input->config_bytes,
                       (unsigned long long)LAYOUT_CONFIG_MAX);
    return NULL;
}

/* Room for the contents and for the arrays. */
static struct err *allocate(const struct plan_input *input, const struct elf_image *elf,
                            struct page_plan *plan)
{
    struct plan_store *store = calloc(1, sizeof(*store));
    size_t pages = page_count(input->config_bytes) + 2ul * input->tcs_count;

    for (uint32_t i = 0; i < elf->count; i++)
        pages += page_count(elf->segment[i].file_bytes);
    plan->owner = store;
    plan->runs =
        calloc(2ul * elf->count + 1 + RUNS_PER_SLOT * input->tcs_count, sizeof(*plan->runs));
    plan->enclu_sites = calloc(elf->enclu_count + 1, sizeof(*plan->enclu_sites));
    if (!store || !plan->runs || !plan->enclu_sites)
        return err_sys(ENOMEM, "planning the enclave");
    store->count = pages;
    store->pages = plan_pages(pages);
    return store->pages ? NULL : err_sys(ENOMEM, "planning the enclave");
}

struct err *plan_build(const struct plan_input *input, struct page_plan *plan)
{
    struct elf_image elf;
    struct err *err = check_input(input);

    memset(plan, 0, sizeof(*plan));
    if (err)
        return err;
    err = elf_open(input->kernel, &elf);
    if (err)
        return err_wrap(err, "the enclave's kernel");
    err = allocate(input, &elf, plan);
    if (err) {
        elf_close(&elf);
        plan_free(plan);
        return err;
    }
    uint64_t image = layout_top(input->size) + LAYOUT_KERNEL;

    plan->size = input->size;
    plan->ssa_frame_size = LAYOUT_SSA_PAGES;
    plan->miscselect = SGX_MISC_EXINFO;
    add_kernel(plan, &elf);
    add_config(plan, input);
    for (uint32_t i = 0; i < input->tcs_count; i++)
        add_slot(plan, i, image + elf.entry);
    for (size_t i = 0; i < elf.enclu_count; i++)
        plan->enclu_sites[i] = image + elf.enclu[i];
    plan->enclu_count = elf.enclu_count;
    elf_close(&elf);
    return NULL;
}

void plan_loaded(const struct page_plan *plan)
{
    const struct plan_store *store = plan->owner;
    size_t bytes;
    const uint8_t *config = plan_config(plan, &bytes);

    if (store->stream.size)
        madvise((void *)store->stream.bytes, store->stream.size, MADV_DONTNEED);
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_run *run = &plan->runs[i];

        if (run->data && !run->stream && run->data != config)
            madvise((void *)run->data, run->pages * PLAN_PAGE, MADV_DONTNEED);
    }
}

void plan_free(struct page_plan *plan)
{
    struct plan_store *store = plan->owner;

    if (store && store->pages)
        munmap(store->pages, store->count * LAYOUT_PAGE);
    if (store)
        file_unmap(&store->stream);
    free(store);
    free(plan->runs);
    free(plan->enclu_sites);
    memset(plan, 0, sizeof(*plan));
}

/* The configuration in one piece; and what is parsed must not change meanwhile, as a file can.
 */
static int copy_config(struct page_plan *plan, struct plan_store *store)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_run *run = &plan->runs[i];

        if (run->offset != layout_top(plan->size) + LAYOUT_CONFIG || !run->data)
            continue;
        store->pages = plan_pages(run->pages);
        if (!store->pages)
            return -ENOMEM;
        store->count = run->pages;
        for (uint64_t page = 0; page < run->pages; page++)
            plan_page(run, page, store->pages + page * LAYOUT_PAGE);
        run->data = store->pages;
        run->stream = 0;
        break;
    }
    return 0;
}

struct err *plan_adopt(struct page_plan *plan, const struct file_map *stream)
{
    struct plan_store *store = calloc(1, sizeof(*store));

    if (!store || copy_config(plan, store)) {
        free(store);
        return err_sys(ENOMEM, "reading the enclave");
    }
    store->stream = *stream;
    plan->owner = store;
    return NULL;
}

const uint8_t *plan_config(const struct page_plan *plan, size_t *bytes)
{
    uint64_t offset = layout_top(plan->size) + LAYOUT_CONFIG;

    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_run *run = &plan->runs[i];

        if (run->offset == offset && run->data && run->measured) {
            *bytes = run->pages * LAYOUT_PAGE;
            return run->data;
        }
    }
    *bytes = 0;
    return NULL;
}
