/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boot: the image relocates itself, finds its own range from where it runs, and copies what the
 * host says into the enclave, once, checking the copy.
 */
#include "enclave/boot.h"

#include <elf.h>

#include "abi/errno.h"
#include "enclave/config.h"
#include "enclave/control.h"
#include "enclave/exception.h"
#include "enclave/hostcall.h"
#include "enclave/pages.h"
#include "enclave/trace.h"
#include "enclave/vcpu.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/string.h"

#define ARGS_MAX    65536u
#define CPUID_MAX   1024u
#define HOST_TOP    (1ull << 47)   /* no process has memory above, where not all is canonical */
#define GUARD_BYTES (256ull << 20) /* nothing is ever mapped between the kernel's areas */

struct enclave enclave;
struct boot_args boot_args;
static struct boot_info info_copy;
const struct boot_info *boot_info = &info_copy;

extern const char __image_start[], __text_end[], __relro_start[], __relro_end[];
extern const Elf64_Rela __rela_start[], __rela_end[];

/* Runs before any pointer in data is valid. */
void relocate_image(uint64_t base);
void relocate_image(uint64_t base)
{
    for (const Elf64_Rela *r = __rela_start; r < __rela_end; r++) {
        if (ELF64_R_TYPE(r->r_info) == R_X86_64_RELATIVE)
            *(uint64_t *)(base + r->r_offset) = base + (uint64_t)r->r_addend;
    }
}

/* For cpuid_entry: the table by leaf and subleaf; leaves from 0x80000000 on are rows 32 and up.
 */
#define CPUID_LEAVES    64u
#define CPUID_SUBLEAVES 8u
static uint32_t cpuid_rows[CPUID_LEAVES][CPUID_SUBLEAVES][4];
extern uint64_t cpuid_indexed;
extern uint32_t (*const cpuid_rows_address)[CPUID_SUBLEAVES][4];
uint64_t cpuid_indexed; /* bit set: that leaf has subleaves */
uint32_t (*const cpuid_rows_address)[CPUID_SUBLEAVES][4] = cpuid_rows;

bool host_range_ok(haddr_t address, uint64_t size)
{
    uint64_t end;

    if (!address || add_overflows(address, size, &end) || end > HOST_TOP)
        return false;
    return end <= enclave.base || address >= enclave.base + enclave.size;
}

static void find_self(void)
{
    struct vcpu *v = this_vcpu();

    enclave.size = v->slot_offset - LAYOUT_VCPU + LAYOUT_TOP_BYTES;
    enclave.base = (uint64_t)v - VCPU_SLOT_DATA - v->slot_offset;
    uint64_t top = enclave.base + layout_top(enclave.size);
    assert((uint64_t)__image_start == top + LAYOUT_KERNEL);
    enclave.config = (const struct enclave_config *)(top + LAYOUT_CONFIG);
    enclave.user_start = MAX(enclave.base, LAYOUT_USER_MIN);
    enclave.user_end = enclave.base + layout_user_end(enclave.size);
    uint64_t quarter = (top - enclave.user_end) / 4;
    enclave.heap_start = enclave.user_end + GUARD_BYTES;
    enclave.heap_end = enclave.user_end + 3 * quarter;
    enclave.stack_start = enclave.heap_end + GUARD_BYTES;
    enclave.stack_end = top - GUARD_BYTES;
}

/* A report on ourselves: the CPU's word on attributes and identity. */
static void read_identity(void)
{
    static struct sgx_targetinfo target;
    static uint8_t data[64] __attribute__((aligned(128)));
    static struct sgx_report report __attribute__((aligned(512)));

    enclu(ENCLU_EREPORT, &target, data, &report);
    enclave.attributes = report.attributes;
    memcpy(enclave.mrenclave, report.mrenclave, 32);
    memcpy(enclave.mrsigner, report.mrsigner, 32);
    memcpy(enclave.cpusvn, report.cpusvn, 16);
    enclave.isv_svn = report.isv_svn;
}

void boot_early(haddr_t info)
{
    find_self();
    if (info % 8 || !host_range_ok(info, sizeof(info_copy)))
        for (;;)
            __asm__ volatile("pause"); /* nobody to tell */
    host_copy_in(&info_copy, info, sizeof(info_copy));
    struct boot_info *b = &info_copy;
    b->vcpu_count = MIN(MAX(b->vcpu_count, 1u), LAYOUT_VCPU_MAX);
    if (b->vcpu_shared % 4096 ||
        !host_range_ok(b->vcpu_shared, (uint64_t)b->vcpu_count * VCPU_SHARED_STRIDE))
        for (;;)
            __asm__ volatile("pause");
    pool_init(b->pool_address, b->pool_size, b->vcpu_count);
    this_vcpu()->shared = b->vcpu_shared;
    log_levels_set(LOG_ERROR, NULL, LOG_TRACE);
    if (b->magic != BOOT_MAGIC || b->version != BOOT_VERSION)
        panic("the runtime and the enclave are of different versions");
    config_check(enclave.config, LAYOUT_CONFIG_MAX);
    b->vcpu_count = MIN(b->vcpu_count, enclave.config->tcs_count);
    log_levels_set(b->log_level, b->log_levels, enclave.config->max_log_level);
    trace_configure(b, enclave.config);
    read_identity();
    enclave_pages_protect((uint64_t)__relro_start,
                          (uint64_t)(__relro_end - __relro_start) / PAGE_SIZE,
                          PAGES_R | PAGES_W, PAGES_R);
}

static void *copy_area(haddr_t from, uint64_t size, uint64_t limit, const char *what)
{
    if (size > limit || from % 8 || !host_range_ok(from, align_up(size, 8)))
        panic("%s from the host are out of range", what);
    char *copy = kzalloc(size + 8);
    if (!copy)
        panic("no memory for %s", what);
    host_copy_in(copy, from, size);
    return copy;
}

static char **copy_strings(const struct boot_strings *s, const char *what)
{
    if (s->count > ARGS_MAX)
        panic("too many %s", what);
    char *text = copy_area(s->host_address, s->size, BOOT_STRINGS_MAX, what);
    char **list = kzalloc((s->count + 1ull) * sizeof(char *));
    if (!list)
        panic("no memory for %s", what);
    uint64_t at = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (at >= s->size)
            panic("%s from the host are malformed", what);
        list[i] = text + at;
        at += strnlen(text + at, s->size - at) + 1; /* a NUL follows the copy */
    }
    return list;
}

static char *copy_string(const struct boot_strings *s, const char *what)
{
    if (s->count != 1)
        panic("%s from the host is malformed", what);
    char **list = copy_strings(s, what);
    char *one = list[0];
    kfree(list);
    return one;
}

static bool cpuid_has_subleaves(uint32_t leaf)
{
    static const uint32_t with[] = {4,    7,    0xb,  0xd,  0xf,  0x10, 0x12,
                                    0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x8000001d};
    for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
        if (with[i] == leaf)
            return true;
    }
    return false;
}

static bool cpuid_row(uint32_t leaf, uint32_t subleaf, uint32_t *row)
{
    *row = leaf >> 31 << 5 | (leaf & 31);
    return !(leaf & 0x7fffffe0) && subleaf < CPUID_SUBLEAVES;
}

static void copy_cpuid(const struct boot_info *b)
{
    uint32_t row, n = MIN(b->cpuid_count, CPUID_MAX);
    struct boot_cpuid *table = copy_area(b->cpuid_address, n * sizeof(*table),
                                         CPUID_MAX * sizeof(*table), "cpuid leaves");

    for (uint32_t i = n; i-- > 0;) {
        const struct boot_cpuid *c = &table[i];
        if (cpuid_row(c->leaf, c->subleaf, &row))
            memcpy(cpuid_rows[row][c->subleaf], &c->eax, 16);
    }
    kfree(table);
    for (uint32_t i = 0; i < CPUID_LEAVES; i++) {
        if (cpuid_has_subleaves(i / 32 * 0x80000000u + i % 32))
            cpuid_indexed |= 1ull << i;
    }
}

const char *boot_variable(const char *name)
{
    size_t size = strlen(name);
    for (char **e = boot_args.envp; e && *e; e++) {
        if (strncmp(*e, name, size) == 0 && (*e)[size] == '=')
            return *e + size + 1;
    }
    return NULL;
}

void boot_copy(haddr_t info)
{
    struct boot_info *b = &info_copy;

    boot_args.argv = copy_strings(&b->argv, "arguments");
    boot_args.envp = copy_strings(&b->envp, "environment");
    boot_args.program = copy_string(&b->program, "program");
    boot_args.cwd = copy_string(&b->cwd, "working directory");
    boot_args.hostname = copy_string(&b->hostname, "host name");
    if (!boot_args.argv[0] && !b->service)
        panic("arguments from the host are malformed");
    for (unsigned i = 0; i < BOOT_MAX_IMAGES; i++) {
        struct boot_image *image = &b->image[i];
        if (image->size &&
            (image->host_address % 4096 || !host_range_ok(image->host_address, image->size)))
            panic("image %u from the host is out of range", i);
    }
    control_init(b->control);
    copy_cpuid(b);
}

void cpuid_emulate(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    uint32_t row;

    memset(out, 0, 16);
    if (!cpuid_has_subleaves(leaf))
        subleaf = 0;
    if (cpuid_row(leaf, subleaf, &row))
        memcpy(out, cpuid_rows[row][subleaf], 16);
}

bool cpuid_row_ok(const uint32_t *row)
{
    uint64_t offset = (uint64_t)row - (uint64_t)cpuid_rows;
    return offset < sizeof(cpuid_rows) && offset % sizeof(cpuid_rows[0][0]) == 0;
}
