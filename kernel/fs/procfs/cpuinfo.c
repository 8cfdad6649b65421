/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/cpuinfo. The figures are those of cpuid: in an enclave, the host's word. */
#include "fs/procfs/cpuinfo.h"

#include "boundary/boot.h"
#include "enclave/boot.h"
#include "enclave/exception.h"
#include "lib/string.h"
#include "sched/internal.h"

struct flag_set {
    uint32_t leaf, reg; /* 0 eax .. 3 edx */
    const char *names;  /* 32, separated by spaces; "-": none */
};

static const struct flag_set flag_sets[] = {
    {1, 3,
     "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - "
     "dts "
     "acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, 3,
     "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - "
     "lm "
     "3dnowext 3dnow"},
    {1, 2,
     "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - "
     "pcid "
     "dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand "
     "hypervisor"},
    {0x80000001, 2,
     "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs "
     "xop "
     "skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext "
     "ptsc "
     "perfctr_llc mwaitx - -"},
    {7, 1,
     "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a "
     "avx512f "
     "avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er "
     "avx512cd "
     "sha_ni avx512bw avx512vl"},
    {7, 2,
     "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni "
     "avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - "
     "movdiri movdir64b enqcmd sgx_lc -"},
    {7, 3,
     "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - "
     "serialize - "
     "tsxldtrk - pconfig arch_lbr - - amx_bf16 avx512_fp16 amx_tile amx_int8 - - flush_l1d "
     "arch_capabilities - -"},
};

static void add_flags(struct text *t, const struct flag_set *s)
{
    uint32_t r[4];
    cpuid_emulate(s->leaf, 0, r);
    const char *at = s->names;
    for (unsigned bit = 0; *at; bit++) {
        const char *end = strchr(at, ' ');
        size_t len = end ? (size_t)(end - at) : strlen(at);
        if ((r[s->reg] >> bit & 1) && *at != '-')
            text_add(t, " %.*s", (int)len, at);
        at += len + (end != NULL);
    }
}

static void add_model(struct text *t)
{
    uint32_t r[4], brand[13] = {0};
    cpuid_emulate(0, 0, r);
    uint32_t vendor[4] = {r[1], r[3], r[2], 0};
    text_add(t, "vendor_id\t: %s\n", (const char *)vendor);
    cpuid_emulate(1, 0, r);
    uint32_t family = r[0] >> 8 & 0xf, model = r[0] >> 4 & 0xf;
    if (family == 0xf || family == 6)
        model |= (r[0] >> 16 & 0xf) << 4;
    if (family == 0xf)
        family += r[0] >> 20 & 0xff;
    text_add(t, "cpu family\t: %u\nmodel\t\t: %u\n", family, model);
    uint32_t stepping = r[0] & 0xf;
    for (unsigned i = 0; i < 3; i++)
        cpuid_emulate(0x80000002u + i, 0, brand + 4 * i);
    const char *name = (const char *)brand;
    while (*name == ' ')
        name++;
    text_add(t, "model name\t: %s\nstepping\t: %u\nmicrocode\t: 0x0\n", name, stepping);
}

int proc_cpuinfo_show(const struct proc_key *key, struct text *t)
{
    uint32_t cpus = atomic_load(&vcpu_online), r[4];
    uint64_t khz = boot_info->tsc_hz / 1000;
    (void)key;
    for (uint32_t i = 0; i < cpus; i++) {
        text_add(t, "processor\t: %u\n", i);
        add_model(t);
        text_add(t, "cpu MHz\t\t: %llu.%03llu\ncache size\t: 1024 KB\n",
                 (unsigned long long)khz / 1000, (unsigned long long)khz % 1000);
        text_add(t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
                 cpus, i, cpus);
        cpuid_emulate(0, 0, r);
        text_add(t,
                 "apicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\n",
                 i, i);
        text_add(t, "cpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", r[0]);
        for (size_t k = 0; k < ARRAY_SIZE(flag_sets); k++)
            add_flags(t, &flag_sets[k]);
        text_add(t, "\nbugs\t\t:\nbogomips\t: %llu.%02llu\nclflush size\t: 64\n",
                 (unsigned long long)khz / 500, (unsigned long long)khz / 5 % 100);
        text_add(t,
                 "cache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n"
                 "power management:\n\n");
    }
    return 0;
}
