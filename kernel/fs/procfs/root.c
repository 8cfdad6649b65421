/* SPDX-License-Identifier: BSD-3-Clause */
/* The entries of /proc and /sys that are about the whole system, as tables. */
#include "abi/errno.h"
#include "boundary/boot.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "fs/procfs/cpuinfo.h"
#include "fs/procfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "proc/uts.h"
#include "sched/internal.h"
#include "sched/task.h"

/* A file with one fixed line. */
#define FIXED(function, line)                                                                  \
    static int function(const struct proc_key *key, struct text *t)                            \
    {                                                                                          \
        (void)key;                                                                             \
        text_add(t, "%s\n", line);                                                             \
        return 0;                                                                              \
    }

static int show_meminfo(const struct proc_key *key, struct text *t)
{
    struct heap_stats heap;
    struct cache_stats cache;
    (void)key;
    heap_stats(&heap);
    cache_stats(&cache);
    uint64_t total = MIN(boot_info->memory_bytes, enclave.user_end - enclave.user_start) / 1024;
    uint64_t used = MIN(total, heap.committed_bytes / 1024 + vm_used_pages() * 4);
    uint64_t cached = cache.pages * 4;
    static const char *const zeros[] = {"SwapCached", "Unevictable", "Mlocked",  "SwapTotal",
                                        "SwapFree",   "Dirty",       "Writeback"};
    text_add(t, "MemTotal:       %8llu kB\n", (unsigned long long)total);
    text_add(t, "MemFree:        %8llu kB\n", (unsigned long long)(total - used));
    text_add(t, "MemAvailable:   %8llu kB\n", (unsigned long long)(total - used));
    text_add(t, "Buffers:        %8u kB\n", 0u);
    text_add(t, "Cached:         %8llu kB\n", (unsigned long long)cached);
    text_add(t, "Active:         %8llu kB\n", (unsigned long long)cached);
    text_add(t, "Inactive:       %8u kB\n", 0u);
    text_add(t, "Shmem:          %8llu kB\n", (unsigned long long)cache.kept_pages * 4);
    text_add(t, "Slab:           %8llu kB\n", (unsigned long long)heap.used_bytes / 1024);
    for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
        text_add(t, "%s:%*s0 kB\n", zeros[i], (int)(22 - strlen(zeros[i])), "");
    text_add(t, "CommitLimit:    %8llu kB\n", (unsigned long long)total);
    text_add(t, "Committed_AS:   %8llu kB\n", (unsigned long long)used);
    text_add(
        t, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    return 0;
}

static int show_uptime(const struct proc_key *key, struct text *t)
{
    uint64_t cs = clock_monotonic_ns() / 10000000u;
    (void)key;
    text_add(t, "%llu.%02llu %llu.%02llu\n", (unsigned long long)cs / 100,
             (unsigned long long)cs % 100, (unsigned long long)cs / 100,
             (unsigned long long)cs % 100);
    return 0;
}

static int show_stat(const struct proc_key *key, struct text *t)
{
    uint32_t cpus = atomic_load(&vcpu_online), threads;
    uint64_t user = 0, system = 0, up = clock_monotonic_ns();
    struct process *p;
    (void)key;
    for (int pid = 0; (p = process_next(&pid)) != NULL; pid++) {
        uint64_t u, s;
        process_cpu_ns(p, &u, &s);
        user += u;
        system += s;
        process_put(p);
    }
    user /= 10000000u;
    system /= 10000000u;
    uint64_t all = up / 10000000u * cpus, idle = all > user + system ? all - user - system : 0;
    text_add(t, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)user,
             (unsigned long long)system, (unsigned long long)idle);
    for (uint32_t i = 0; i < cpus; i++)
        text_add(t, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", i, (unsigned long long)user / cpus,
                 (unsigned long long)system / cpus, (unsigned long long)idle / cpus);
    uint32_t processes = process_count(&threads);
    text_add(t, "intr 0\nctxt 0\nbtime %llu\nprocesses %u\nprocs_running 1\nprocs_blocked 0\n",
             (unsigned long long)((clock_realtime_ns() - up) / 1000000000u), processes);
    return 0;
}

static int show_loadavg(const struct proc_key *key, struct text *t)
{
    uint32_t threads;
    (void)key;
    process_count(&threads);
    text_add(t, "0.00 0.00 0.00 1/%u %d\n", threads, current->tgid);
    return 0;
}

static int show_threads_max(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "%u\n", threads_max());
    return 0;
}

static int show_version(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "Linux version %s (occlum) %s\n", UTS_RELEASE, UTS_VERSION);
    return 0;
}

static int show_filesystems(const struct proc_key *key, struct text *t)
{
    struct fs_type *type = NULL;
    (void)key;
    while ((type = fs_type_next(type)) != NULL)
        text_add(t, "nodev\t%s\n", type->name);
    return 0;
}

static ssize_t link_text(char *buffer, size_t size, const char *text)
{
    size_t n = MIN(size, strlen(text));
    memcpy(buffer, text, n);
    return (ssize_t)n;
}

static ssize_t link_self(const struct proc_key *key, char *buffer, size_t size)
{
    char text[16];
    (void)key;
    format_string(text, sizeof(text), "%d", current->tgid);
    return link_text(buffer, size, text);
}

static ssize_t link_thread_self(const struct proc_key *key, char *buffer, size_t size)
{
    char text[32];
    (void)key;
    format_string(text, sizeof(text), "%d/task/%d", current->tgid, current->tid);
    return link_text(buffer, size, text);
}

static ssize_t link_mounts(const struct proc_key *key, char *buffer, size_t size)
{
    (void)key;
    return link_text(buffer, size, "self/mounts");
}

static ssize_t link_net(const struct proc_key *key, char *buffer, size_t size)
{
    (void)key;
    return link_text(buffer, size, "self/net");
}

static int show_nothing(const struct proc_key *key, struct text *t)
{
    (void)key;
    (void)t;
    return 0;
}

static int show_interrupts(const struct proc_key *key, struct text *t)
{
    uint32_t cpus = atomic_load(&vcpu_online);
    (void)key;
    text_add(t, "%11s", "");
    for (uint32_t i = 0; i < cpus; i++)
        text_add(t, "CPU%-8u", i);
    text_add(t, "\n");
    return 0;
}

/* Pages, as free and vmstat want them; nothing is ever swapped. */
static int show_vmstat(const struct proc_key *key, struct text *t)
{
    static const char *const zeros[] = {"pgpgin",  "pgpgout", "pswpin",
                                        "pswpout", "pgfault", "pgmajfault"};
    struct cache_stats cache;
    struct heap_stats heap;
    (void)key;
    cache_stats(&cache);
    heap_stats(&heap);
    uint64_t total = MIN(boot_info->memory_bytes, enclave.user_end - enclave.user_start);
    uint64_t used = MIN(total, heap.committed_bytes);
    text_add(t, "nr_free_pages %llu\nnr_file_pages %llu\nnr_shmem %llu\nnr_dirty 0\n",
             (unsigned long long)(total - used) / PAGE_SIZE, (unsigned long long)cache.pages,
             (unsigned long long)cache.kept_pages);
    for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
        text_add(t, "%s 0\n", zeros[i]);
    return 0;
}

/* ---- /proc/sys ---- */

static int show_hostname(const struct proc_key *key, struct text *t)
{
    char name[65];
    (void)key;
    uts_get_names(name, NULL, sizeof(name));
    text_add(t, "%s\n", name);
    return 0;
}

static int show_domainname(const struct proc_key *key, struct text *t)
{
    char name[65];
    (void)key;
    uts_get_names(NULL, name, sizeof(name));
    text_add(t, "%s\n", name);
    return 0;
}

static void add_uuid(struct text *t, uint8_t b[16])
{
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    for (int i = 0; i < 16; i++)
        text_add(t, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    text_add(t, "\n");
}

static int show_uuid(const struct proc_key *key, struct text *t)
{
    uint8_t b[16];
    (void)key;
    random_bytes(b, sizeof(b));
    add_uuid(t, b);
    return 0;
}

static int show_boot_id(const struct proc_key *key, struct text *t)
{
    static uint8_t id[16];
    static _Atomic int state;
    int none = 0;
    uint8_t b[16];
    (void)key;
    if (atomic_compare_exchange_strong(&state, &none, 1)) {
        random_bytes(id, sizeof(id));
        atomic_store(&state, 2);
    }
    while (atomic_load(&state) != 2)
        task_yield();
    memcpy(b, id, sizeof(b));
    add_uuid(t, b);
    return 0;
}

FIXED(show_osrelease, UTS_RELEASE)
FIXED(show_ostype, "Linux")
FIXED(show_kernel_version, UTS_VERSION)
FIXED(show_pid_max, "4194304")
FIXED(show_ngroups_max, "64")
FIXED(show_last_cap, "40")
FIXED(show_core_pattern, "core")
FIXED(show_randomize, "2")
FIXED(show_entropy, "256")
FIXED(show_overcommit, "1")
FIXED(show_max_map_count, "1048576")
FIXED(show_min_addr, "65536")
FIXED(show_zero, "0")
FIXED(show_file_max, "9223372036854775807")
FIXED(show_nr_open, "1048576")
FIXED(show_pipe_max, "1048576")
FIXED(show_somaxconn, "4096")
FIXED(show_partitions, "major minor  #blocks  name\n")
FIXED(show_swaps, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority")
FIXED(show_one, "1")
FIXED(show_overflow_id, "65534")
FIXED(show_overcommit_ratio, "50")
FIXED(show_max_watches, "1048576")
FIXED(show_inotify_instances, "1024")
FIXED(show_inotify_queue, "16384")
FIXED(show_ports, "32768\t60999")
FIXED(show_paranoid, "4")
FIXED(show_cgroups, "#subsys_name\thierarchy\tnum_cgroups\tenabled")

static const struct proc_node random_nodes[] = {
    PROC_FILE("uuid", show_uuid),
    PROC_FILE("boot_id", show_boot_id),
    PROC_FILE("entropy_avail", show_entropy),
    PROC_FILE("poolsize", show_entropy),
};
static const struct proc_node kernel_nodes[] = {
    PROC_FILE("osrelease", show_osrelease),
    PROC_FILE("ostype", show_ostype),
    PROC_FILE("version", show_kernel_version),
    PROC_FILE("hostname", show_hostname),
    PROC_FILE("domainname", show_domainname),
    PROC_FILE("pid_max", show_pid_max),
    PROC_FILE("threads-max", show_threads_max),
    PROC_FILE("ngroups_max", show_ngroups_max),
    PROC_FILE("cap_last_cap", show_last_cap),
    PROC_FILE("core_pattern", show_core_pattern),
    PROC_FILE("randomize_va_space", show_randomize),
    PROC_FILE("overflowuid", show_overflow_id),
    PROC_FILE("overflowgid", show_overflow_id),
    PROC_FILE("perf_event_paranoid", show_paranoid),
    PROC_FILE("tainted", show_zero),
    PROC_FILE("dmesg_restrict", show_one),
    PROC_FILE("kptr_restrict", show_one),
    PROC_DIR("random", random_nodes),
};
static const struct proc_node vm_nodes[] = {
    PROC_FILE("overcommit_memory", show_overcommit),
    PROC_FILE("max_map_count", show_max_map_count),
    PROC_FILE("mmap_min_addr", show_min_addr),
    PROC_FILE("swappiness", show_zero),
    PROC_FILE("overcommit_ratio", show_overcommit_ratio),
    PROC_FILE("nr_hugepages", show_zero),
    PROC_FILE("memfd_noexec", show_zero),
};
static const struct proc_node inotify_nodes[] = {
    PROC_FILE("max_user_watches", show_max_watches),
    PROC_FILE("max_user_instances", show_inotify_instances),
    PROC_FILE("max_queued_events", show_inotify_queue),
};
static const struct proc_node fs_nodes[] = {
    PROC_FILE("file-max", show_file_max),       PROC_FILE("nr_open", show_nr_open),
    PROC_FILE("pipe-max-size", show_pipe_max),  PROC_FILE("protected_hardlinks", show_one),
    PROC_FILE("protected_symlinks", show_zero), PROC_FILE("protected_fifos", show_zero),
    PROC_FILE("protected_regular", show_zero),  PROC_FILE("leases-enable", show_zero),
    PROC_FILE("dir-notify-enable", show_zero),  PROC_FILE("overflowuid", show_overflow_id),
    PROC_FILE("overflowgid", show_overflow_id), PROC_DIR("inotify", inotify_nodes),
};
static const struct proc_node net_core_nodes[] = {PROC_FILE("somaxconn", show_somaxconn)};
static const struct proc_node ipv4_nodes[] = {
    PROC_FILE("ip_local_port_range", show_ports),
};
static const struct proc_node net_nodes[] = {
    PROC_DIR("core", net_core_nodes),
    PROC_DIR("ipv4", ipv4_nodes),
};
static const struct proc_node proc_sys_nodes[] = {
    PROC_DIR("kernel", kernel_nodes),
    PROC_DIR("vm", vm_nodes),
    PROC_DIR("fs", fs_nodes),
    PROC_DIR("net", net_nodes),
};

static const struct proc_node root_nodes[] = {
    {.name = "self", .mode = S_IFLNK | 0777, .link = link_self},
    {.name = "thread-self", .mode = S_IFLNK | 0777, .link = link_thread_self},
    {.name = "mounts", .mode = S_IFLNK | 0777, .link = link_mounts},
    PROC_FILE("cpuinfo", proc_cpuinfo_show),
    PROC_FILE("meminfo", show_meminfo),
    PROC_FILE("stat", show_stat),
    PROC_FILE("loadavg", show_loadavg),
    PROC_FILE("uptime", show_uptime),
    PROC_FILE("version", show_version),
    PROC_FILE("filesystems", show_filesystems),
    PROC_FILE("cgroups", show_cgroups),
    PROC_FILE("vmstat", show_vmstat),
    PROC_FILE("interrupts", show_interrupts),
    PROC_FILE("partitions", show_partitions),
    PROC_FILE("diskstats", show_nothing),
    PROC_FILE("swaps", show_swaps),
    {.name = "net", .mode = S_IFLNK | 0777, .link = link_net},
    PROC_DIR("sys", proc_sys_nodes),
};

static int lookup_pid(const struct proc_key *dir, const char *name, struct proc_key *child)
{
    int pid;
    (void)dir;
    if (!proc_number(name, &pid))
        return -ENOENT;
    struct process *p = process_find(pid);
    if (!p) {
        struct thread *t = thread_find(pid); /* threads are found, but not listed */
        if (!t)
            return -ENOENT;
        child->tid = pid;
        pid = t->task.tgid;
        thread_put(t);
    } else {
        process_put(p);
    }
    child->node = &proc_pid_node;
    child->pid = pid;
    return 0;
}

static bool list_pids(const struct proc_key *dir, uint64_t *number, char name[16],
                      uint32_t *dt_type)
{
    int pid = (int)MIN(*number, (uint64_t)INT32_MAX);
    (void)dir;
    struct process *p = process_next(&pid);
    if (!p)
        return false;
    process_put(p);
    *number = (uint64_t)pid;
    *dt_type = DT_DIR;
    format_string(name, 16, "%d", pid);
    return true;
}

const struct proc_node proc_root_node = {
    .name = "/",
    .mode = S_IFDIR | 0555,
    .children = root_nodes,
    .count = ARRAY_SIZE(root_nodes),
    .lookup = lookup_pid,
    .list = list_pids,
};
