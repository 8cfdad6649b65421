/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /sys: what libcs, runtimes and numeric libraries read of it, which is the processors, one
 * node of memory, and huge pages. The directories of devices are there and empty.
 */
#include "abi/errno.h"
#include "boundary/boot.h"
#include "enclave/boot.h"
#include "fs/procfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/internal.h"

#define FIXED(function, line)                                                                  \
    static int function(const struct proc_key *key, struct text *t)                            \
    {                                                                                          \
        (void)key;                                                                             \
        text_add(t, "%s\n", line);                                                             \
        return 0;                                                                              \
    }
FIXED(show_zero, "0")
FIXED(show_one, "1")
FIXED(show_empty, "")
FIXED(show_kernel_max, "63")
FIXED(show_thp, "always [madvise] never")
FIXED(show_pmd_size, "2097152")
FIXED(show_not_implemented, "notimplemented")
FIXED(show_distance, "10")

static uint32_t cpu_count(void)
{
    return atomic_load(&vcpu_online);
}

static void add_range(struct text *t, uint32_t first, uint32_t end)
{
    if (end - first > 1)
        text_add(t, "%u-%u\n", first, end - 1);
    else
        text_add(t, "%u\n", first);
}

/* Groups of 32 bits, the highest first. */
static void add_mask(struct text *t, uint32_t first, uint32_t end)
{
    for (uint32_t word = (cpu_count() + 31) / 32; word-- > 0;) {
        uint32_t bits = 0;
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t cpu = word * 32 + i;
            bits |= cpu >= first && cpu < end ? 1u << i : 0;
        }
        text_add(t, "%0*x%s", (int)MIN(8u, (cpu_count() + 3) / 4), bits, word ? "," : "\n");
    }
}

static int show_cpus(const struct proc_key *key, struct text *t)
{
    (void)key;
    add_range(t, 0, cpu_count());
    return 0;
}

static int show_cpu_mask(const struct proc_key *key, struct text *t)
{
    (void)key;
    add_mask(t, 0, cpu_count());
    return 0;
}

/* Each processor is a core of its own, all are one package: what cpuid says, too. */
static int show_own(const struct proc_key *key, struct text *t)
{
    text_add(t, "%d\n", key->fd);
    return 0;
}

static int show_own_mask(const struct proc_key *key, struct text *t)
{
    add_mask(t, (uint32_t)key->fd, (uint32_t)key->fd + 1);
    return 0;
}

static const struct proc_node topology_nodes[] = {
    PROC_FILE("core_id", show_own),
    PROC_FILE("physical_package_id", show_zero),
    PROC_FILE("die_id", show_zero),
    PROC_FILE("cluster_id", show_zero),
    PROC_FILE("thread_siblings", show_own_mask),
    PROC_FILE("thread_siblings_list", show_own),
    PROC_FILE("core_cpus", show_own_mask),
    PROC_FILE("core_cpus_list", show_own),
    PROC_FILE("core_siblings", show_cpu_mask),
    PROC_FILE("core_siblings_list", show_cpus),
    PROC_FILE("package_cpus", show_cpu_mask),
    PROC_FILE("package_cpus_list", show_cpus),
    PROC_FILE("die_cpus", show_cpu_mask),
    PROC_FILE("die_cpus_list", show_cpus),
};
static const struct proc_node cpu_dir_nodes[] = {
    PROC_FILE("online", show_one),
    PROC_DIR("topology", topology_nodes),
};
static const struct proc_node cpu_dir_node = PROC_DIR("", cpu_dir_nodes);

static int lookup_cpu(const struct proc_key *dir, const char *name, struct proc_key *child)
{
    int cpu;
    (void)dir;
    if (!str_starts(name, "cpu") || !proc_number(name + 3, &cpu) ||
        (uint32_t)cpu >= cpu_count())
        return -ENOENT;
    child->node = &cpu_dir_node;
    child->fd = cpu;
    return 0;
}

static bool list_cpus(const struct proc_key *dir, uint64_t *number, char name[16],
                      uint32_t *dt_type)
{
    (void)dir;
    *dt_type = DT_DIR;
    format_string(name, 16, "cpu%u", (unsigned)*number);
    return *number < cpu_count();
}

static int show_node_meminfo(const struct proc_key *key, struct text *t)
{
    uint64_t kb = MIN(boot_info->memory_bytes, enclave.user_end - enclave.user_start) / 1024;
    (void)key;
    struct heap_stats heap;
    heap_stats(&heap);
    uint64_t used = MIN(kb, heap.committed_bytes / 1024);
    text_add(t, "Node 0 MemTotal:       %8llu kB\n", (unsigned long long)kb);
    text_add(t, "Node 0 MemFree:        %8llu kB\n", (unsigned long long)(kb - used));
    text_add(t, "Node 0 MemUsed:        %8llu kB\n", (unsigned long long)used);
    return 0;
}

static const struct proc_node smt_nodes[] = {
    PROC_FILE("active", show_zero),
    PROC_FILE("control", show_not_implemented),
};
static const struct proc_node cpu_nodes[] = {
    PROC_FILE("online", show_cpus),    PROC_FILE("possible", show_cpus),
    PROC_FILE("present", show_cpus),   PROC_FILE("offline", show_empty),
    PROC_FILE("isolated", show_empty), PROC_FILE("kernel_max", show_kernel_max),
    PROC_DIR("smt", smt_nodes),
};
static const struct proc_node node0_nodes[] = {
    PROC_FILE("cpulist", show_cpus),
    PROC_FILE("cpumap", show_cpu_mask),
    PROC_FILE("distance", show_distance),
    PROC_FILE("meminfo", show_node_meminfo),
};
static const struct proc_node numa_nodes[] = {
    PROC_FILE("online", show_zero),
    PROC_FILE("possible", show_zero),
    PROC_FILE("has_cpu", show_zero),
    PROC_FILE("has_memory", show_zero),
    PROC_FILE("has_normal_memory", show_zero),
    PROC_DIR("node0", node0_nodes),
};
static const struct proc_node system_nodes[] = {
    {.name = "cpu",
     .mode = S_IFDIR | 0555,
     .children = cpu_nodes,
     .count = ARRAY_SIZE(cpu_nodes),
     .lookup = lookup_cpu,
     .list = list_cpus},
    PROC_DIR("node", numa_nodes),
};
static const struct proc_node devices_nodes[] = {PROC_DIR("system", system_nodes)};
static const struct proc_node thp_nodes[] = {
    PROC_FILE("enabled", show_thp),
    PROC_FILE("hpage_pmd_size", show_pmd_size),
};
static const struct proc_node mm_nodes[] = {PROC_DIR("transparent_hugepage", thp_nodes)};
static const struct proc_node sys_kernel_nodes[] = {PROC_DIR("mm", mm_nodes)};
#define EMPTY_DIR(n)                                                                           \
    {                                                                                          \
        .name = n, .mode = S_IFDIR | 0555                                                      \
    }
static const struct proc_node class_nodes[] = {EMPTY_DIR("block"), EMPTY_DIR("net")};
static const struct proc_node fs_nodes[] = {EMPTY_DIR("cgroup")};
static const struct proc_node sys_nodes[] = {
    EMPTY_DIR("block"),
    EMPTY_DIR("bus"),
    PROC_DIR("class", class_nodes),
    EMPTY_DIR("dev"),
    PROC_DIR("devices", devices_nodes),
    EMPTY_DIR("firmware"),
    PROC_DIR("fs", fs_nodes),
    PROC_DIR("kernel", sys_kernel_nodes),
    EMPTY_DIR("module"),
};

const struct proc_node sys_root_node = PROC_DIR("/", sys_nodes);
