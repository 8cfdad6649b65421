/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page plan of a small kernel: what lies where, its measurement against one computed here
 * record by record, and the way through a file and back. Damaged ELF and SGXS files are
 * refused.
 */
/* LINK: image/*.c cli/err.c cli/progress.c LIBS: -lcrypto -lpthread */
#include <elf.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "boundary/layout.h"
#include "image/file.h"
#include "image/image.h"
#include "tests/unit/unit.h"

#define SIZE      LAYOUT_DEFAULT_SIZE
#define TCS       3u
#define CODE_AT   0x1000u
#define DATA_AT   0x3000u
#define BSS_PAGES 3u

static char dir[4000];

static const char *path_of(const char *name)
{
    static char paths[4][4096];
    static int turn;

    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", dir, name);
    return paths[turn];
}

/* A new file each time: replacing one makes some file systems write it out at once. */
static struct err *put(const char *path, const void *bytes, size_t size)
{
    unlink(path);
    return file_put(path, bytes, size);
}

/* A kernel of two segments in a file of four pages, with one ENCLU at CODE_AT + 0x10. */
struct small_kernel {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    Elf64_Shdr sh[3];
    uint64_t sites[1];
    char names[32];
    uint8_t pad[4096 - 64 - 2 * 56 - 3 * 64 - 8 - 32];
    uint8_t code[4096];
    uint8_t data[4096];
};
_Static_assert(sizeof(struct small_kernel) == 3 * 4096, "three pages");

static void make_kernel(struct small_kernel *k)
{
    static const uint8_t enclu[] = {0x0f, 0x01, 0xd7, 0x0f, 0x1f, 0x00};

    memset(k, 0, sizeof(*k));
    memcpy(k->eh.e_ident, ELFMAG, SELFMAG);
    k->eh.e_ident[EI_CLASS] = ELFCLASS64;
    k->eh.e_ident[EI_DATA] = ELFDATA2LSB;
    k->eh.e_type = ET_DYN;
    k->eh.e_machine = EM_X86_64;
    k->eh.e_entry = CODE_AT + 4;
    k->eh.e_phoff = offsetof(struct small_kernel, ph);
    k->eh.e_phentsize = sizeof(Elf64_Phdr);
    k->eh.e_phnum = 2;
    k->eh.e_shoff = offsetof(struct small_kernel, sh);
    k->eh.e_shentsize = sizeof(Elf64_Shdr);
    k->eh.e_shnum = 3;
    k->eh.e_shstrndx = 1;
    k->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_flags = PF_R | PF_X,
                            .p_offset = offsetof(struct small_kernel, code),
                            .p_vaddr = CODE_AT,
                            .p_filesz = 4096,
                            .p_memsz = 4096};
    k->ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_flags = PF_R | PF_W,
                            .p_offset = offsetof(struct small_kernel, data),
                            .p_vaddr = DATA_AT,
                            .p_filesz = 100,
                            .p_memsz = 4096 * (1 + BSS_PAGES)};
    memcpy(k->names, "\0.enclu\0.names", 15);
    k->sh[1] = (Elf64_Shdr){.sh_name = 8,
                            .sh_offset = offsetof(struct small_kernel, names),
                            .sh_size = sizeof(k->names)};
    k->sh[2] = (Elf64_Shdr){.sh_name = 1,
                            .sh_offset = offsetof(struct small_kernel, sites),
                            .sh_size = sizeof(k->sites)};
    k->sites[0] = CODE_AT + 0x10;
    memset(k->code, 0x90, sizeof(k->code));
    memcpy(k->code + 0x10, enclu, sizeof(enclu));
    for (size_t i = 0; i < sizeof(k->data); i++)
        k->data[i] = (uint8_t)(i + 1);
}

static struct err *build(const struct small_kernel *k, struct page_plan *plan)
{
    static const uint8_t config[5000] = "configuration";
    struct plan_input input = {.kernel = path_of("kernel"),
                               .config = config,
                               .config_bytes = sizeof(config),
                               .size = SIZE,
                               .tcs_count = TCS};
    struct err *err = put(input.kernel, k, sizeof(*k));

    return err ? err : plan_build(&input, plan);
}

static const struct plan_run *run_at(const struct page_plan *plan, uint64_t offset)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->runs[i].offset == offset)
            return &plan->runs[i];
    return NULL;
}

/* ---- what lies where ---------------------------------------------------- */

static void check_kernel(const struct page_plan *plan, const struct small_kernel *k)
{
    uint64_t base = layout_top(SIZE) + LAYOUT_KERNEL;
    const struct plan_run *code = run_at(plan, base + CODE_AT);
    const struct plan_run *data = run_at(plan, base + DATA_AT);
    const struct plan_run *bss = run_at(plan, base + DATA_AT + 4096);

    CHECK(code && data && bss);
    CHECK_EQ(code->secinfo, SECINFO_TYPE(PT_REG) | SECINFO_R | SECINFO_X);
    CHECK_EQ(data->secinfo, SECINFO_TYPE(PT_REG) | SECINFO_R | SECINFO_W);
    CHECK(code->measured && data->measured && bss->measured);
    CHECK(!memcmp(code->data, k->code, 4096));
    CHECK(!memcmp(data->data, k->data, 100));
    for (int i = 100; i < 4096; i++)
        CHECK_EQ(data->data[i], 0);
    CHECK(!bss->data);
    CHECK_EQ(bss->pages, BSS_PAGES);
    CHECK_EQ(plan->enclu_count, 1);
    CHECK_EQ(plan->enclu_sites[0], base + CODE_AT + 0x10);
}

static void check_slot(const struct page_plan *plan, uint32_t index)
{
    uint64_t slot = layout_vcpu(SIZE, index);
    const struct plan_run *tcs_run = run_at(plan, slot + VCPU_SLOT_TCS);
    const struct plan_run *ssa = run_at(plan, slot + VCPU_SLOT_SSA);
    const struct plan_run *data = run_at(plan, slot + VCPU_SLOT_DATA);
    uint32_t found_index;
    uint64_t found_slot;

    CHECK(tcs_run && ssa && data);
    CHECK(run_at(plan, slot + VCPU_SLOT_STACK) && run_at(plan, slot + VCPU_SLOT_EXC_STACK));
    const struct sgx_tcs *tcs = (const struct sgx_tcs *)tcs_run->data;

    CHECK_EQ(tcs_run->secinfo, SECINFO_TYPE(PT_TCS));
    CHECK(tcs_run->measured);
    CHECK_EQ(tcs->ossa, slot + VCPU_SLOT_SSA);
    CHECK_EQ(tcs->nssa, LAYOUT_NSSA);
    CHECK_EQ(tcs->cssa, 0);
    CHECK_EQ(tcs->oentry, layout_top(SIZE) + LAYOUT_KERNEL + CODE_AT + 4);
    CHECK_EQ(tcs->ofs_base, slot + VCPU_SLOT_TLS);
    CHECK_EQ(tcs->ogs_base, slot + VCPU_SLOT_DATA);
    CHECK_EQ(tcs->fs_limit, 0xfff);
    CHECK_EQ(tcs->gs_limit, 0xfff);
    CHECK_EQ(ssa->pages, LAYOUT_NSSA * LAYOUT_SSA_PAGES);
    memcpy(&found_index, data->data + 8, sizeof(found_index));
    memcpy(&found_slot, data->data + 16, sizeof(found_slot));
    CHECK_EQ(found_index, index);
    CHECK_EQ(found_slot, slot);
    CHECK_EQ(plan->tcs_offset[index], slot + VCPU_SLOT_TCS);
}

/* Ascending, disjoint, within the range; every page the enclave relies on is measured. */
static void check_order(const struct page_plan *plan)
{
    uint64_t floor = 0;

    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_run *run = &plan->runs[i];

        CHECK(run->offset % 4096 == 0 && run->offset >= floor && run->pages > 0);
        CHECK(run->measured || !run->data);
        floor = run->offset + run->pages * 4096;
    }
    CHECK(floor <= plan->size);
}

/* ---- the measurement ---------------------------------------------------- */

static void put64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void measure_page(EVP_MD_CTX *hash, const struct plan_run *run, uint64_t page)
{
    uint8_t record[64] = "EADD";
    uint64_t offset = run->offset + page * 4096;
    uint8_t data[4096] = {0};

    put64(record + 8, offset);
    put64(record + 16, run->secinfo);
    EVP_DigestUpdate(hash, record, 64);
    if (run->data)
        plan_page(run, page, data);
    for (unsigned at = 0; run->measured && at < 4096; at += 256) {
        uint8_t extend[64] = "EEXTEND";

        put64(extend + 8, offset + at);
        EVP_DigestUpdate(hash, extend, 64);
        EVP_DigestUpdate(hash, data + at, 256);
    }
}

static void measure_here(const struct page_plan *plan, uint8_t out[32])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t record[64] = "ECREATE";

    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    record[8] = (uint8_t)plan->ssa_frame_size;
    put64(record + 12, plan->size);
    EVP_DigestUpdate(hash, record, 64);
    for (size_t i = 0; i < plan->count; i++)
        for (uint64_t page = 0; page < plan->runs[i].pages; page++)
            measure_page(hash, &plan->runs[i], page);
    EVP_DigestFinal_ex(hash, out, NULL);
    EVP_MD_CTX_free(hash);
}

/* ---- through a file and back -------------------------------------------- */

static void check_same(const struct page_plan *a, const struct page_plan *b)
{
    uint8_t ma[32], mb[32];
    size_t size_a, size_b;
    const uint8_t *config_a = plan_config(a, &size_a), *config_b = plan_config(b, &size_b);

    CHECK(!plan_measure(a, ma) && !plan_measure(b, mb));
    CHECK(!memcmp(ma, mb, 32));
    CHECK_EQ(a->size, b->size);
    CHECK_EQ(a->ssa_frame_size, b->ssa_frame_size);
    CHECK_EQ(a->miscselect, b->miscselect);
    CHECK_EQ(a->tcs_count, b->tcs_count);
    CHECK(!memcmp(a->tcs_offset, b->tcs_offset, sizeof(a->tcs_offset)));
    CHECK_EQ(a->enclu_count, b->enclu_count);
    CHECK(!memcmp(a->enclu_sites, b->enclu_sites, 8 * a->enclu_count));
    CHECK(config_a && config_b);
    CHECK_EQ(size_a, size_b);
    CHECK(!memcmp(config_a, config_b, size_a));
}

static void check_file(const struct page_plan *plan)
{
    uint8_t mrenclave[32], read_back[32];
    struct page_plan again;

    CHECK(!plan_measure(plan, mrenclave));
    CHECK(!sgxs_write(plan, path_of("sgxs")));
    CHECK(!sites_write(plan, mrenclave, path_of("sites")));
    CHECK(!sgxs_read(path_of("sgxs"), &again, read_back));
    CHECK(!memcmp(mrenclave, read_back, 32));
    CHECK(!sites_read(path_of("sites"), mrenclave, &again));
    check_same(plan, &again);
    plan_free(&again);
}

/* Whether a file with one bit flipped is refused, or has another measurement. */
static void check_sgxs_flips(const uint8_t mrenclave[32])
{
    struct file_map map;

    CHECK(!file_map(path_of("sgxs"), &map));
    uint8_t *copy = malloc(map.size);

    memcpy(copy, map.bytes, map.size);
    for (int i = 0; i < 400; i++) {
        struct page_plan plan;
        uint8_t found[32];
        size_t at = i < 200 ? (size_t)i : unit_random() % map.size;
        uint8_t bit = (uint8_t)(1u << unit_random() % 8);

        copy[at] ^= bit;
        CHECK(!put(path_of("flipped"), copy, map.size));
        copy[at] ^= bit;
        struct err *err = sgxs_read(path_of("flipped"), &plan, found);

        CHECK(err || memcmp(found, mrenclave, 32));
        if (!err)
            plan_free(&plan);
        err_free(err);
    }
    for (size_t size = 0; size < map.size; size += 1 + size / 3) {
        struct page_plan plan;
        uint8_t found[32];

        CHECK(!put(path_of("flipped"), copy, size));
        struct err *err = sgxs_read(path_of("flipped"), &plan, found);

        CHECK(err || memcmp(found, mrenclave, 32));
        if (!err)
            plan_free(&plan);
        err_free(err);
    }
    free(copy);
    file_unmap(&map);
}

static void check_sites_flips(const uint8_t mrenclave[32])
{
    uint8_t bytes[128];
    struct file_map map;

    CHECK(!file_map(path_of("sites"), &map));
    CHECK(map.size <= sizeof(bytes));
    for (size_t bit = 0; bit < map.size * 8; bit++) {
        struct page_plan plan = {0};

        memcpy(bytes, map.bytes, map.size);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!put(path_of("flipped"), bytes, map.size));
        struct err *err = sites_read(path_of("flipped"), mrenclave, &plan);

        CHECK(err);
        err_free(err);
        free(plan.enclu_sites);
    }
    file_unmap(&map);
}

/* ---- damaged kernels ---------------------------------------------------- */

static void check_refused(const struct small_kernel *k, const char *why)
{
    struct page_plan plan;
    char text[512];
    struct err *err = build(k, &plan);

    CHECK(err);
    if (!strstr(err_text(err, text, sizeof(text)), why))
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", text, why);
    CHECK(strstr(text, why) && strstr(text, path_of("kernel")));
    err_free(err);
}

static void check_bad_kernels(const struct small_kernel *good)
{
    struct small_kernel k = *good;

    k.eh.e_type = ET_EXEC;
    check_refused(&k, "not a position-independent");
    k = *good;
    k.ph[0].p_flags |= PF_W;
    check_refused(&k, "writable and executable");
    k = *good;
    k.ph[1].p_vaddr = CODE_AT;
    check_refused(&k, "not on a page of its own");
    k = *good;
    k.ph[1].p_offset = ~0ull - 8;
    check_refused(&k, "does not fit");
    k = *good;
    k.ph[1].p_memsz = LAYOUT_KERNEL_MAX;
    check_refused(&k, "does not fit");
    k = *good;
    k.eh.e_entry = DATA_AT;
    check_refused(&k, "entry point");
    k = *good;
    k.sites[0]++;
    check_refused(&k, ".enclu");
    k = *good;
    k.sh[2].sh_size = 7;
    check_refused(&k, ".enclu");
    for (int i = 0; i < 2000; i++) {
        struct page_plan plan;

        k = *good;
        ((uint8_t *)&k)[unit_random() % 500] ^= (uint8_t)(1u << unit_random() % 8);
        struct err *err = build(&k, &plan);

        if (!err)
            plan_free(&plan);
        err_free(err);
    }
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    struct small_kernel k;
    struct page_plan plan;
    uint8_t expected[32], found[32];

    snprintf(dir, sizeof(dir), "%s/plan-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir));
    make_kernel(&k);
    CHECK(!build(&k, &plan));
    CHECK_EQ(plan.size, SIZE);
    CHECK_EQ(plan.tcs_count, TCS);
    check_order(&plan);
    check_kernel(&plan, &k);
    for (uint32_t i = 0; i < TCS; i++)
        check_slot(&plan, i);
    measure_here(&plan, expected);
    CHECK(!plan_measure(&plan, found));
    CHECK(!memcmp(expected, found, 32));
    check_file(&plan);
    check_sgxs_flips(found);
    check_sites_flips(found);
    plan_free(&plan);
    check_bad_kernels(&k);
    unlink(path_of("kernel"));
    unlink(path_of("sgxs"));
    unlink(path_of("sites"));
    unlink(path_of("flipped"));
    rmdir(dir);
    return 0;
}
