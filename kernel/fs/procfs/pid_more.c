/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rarer files of /proc/PID. LIMIT: nothing counts what a process reads and writes, nor how
 * often it waits, so io and schedstat say 0; mem is the reader's own memory only.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/procfs/pid.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "sched/task.h"

#define CHUNK 16384u

int proc_pid_io(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\n"
                "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

int proc_pid_schedstat(const struct proc_key *key, struct text *t)
{
    struct process *p = process_find(key->pid);
    uint64_t user, system;
    if (!p)
        return -ESRCH;
    process_cpu_ns(p, &user, &system);
    process_put(p);
    text_add(t, "%llu 0 0\n", (unsigned long long)(user + system));
    return 0;
}

int proc_pid_smaps_rollup(const struct proc_key *key, struct text *t)
{
    static const char *const zeros[] = {"Shared_Clean", "Shared_Dirty", "Private_Clean", "Swap",
                                        "SwapPss",      "Locked",       "AnonHugePages"};
    struct process *p = process_find(key->pid);
    struct mm *mm = p ? process_mm(p) : NULL;
    struct vm_stats s = {0};
    struct mm_layout l = {0};
    if (!p)
        return -ESRCH;
    if (mm) {
        vm_stats(mm, &s);
        l = *mm_layout(mm);
        mm_put(mm);
    }
    process_put(p);
    uint64_t kb = s.resident_pages * 4;
    text_add(t, "%08llx-%08llx ---p 00000000 00:00 0                              [rollup]\n",
             (unsigned long long)l.code_start, (unsigned long long)l.stack_start);
    text_add(t, "Rss:            %8llu kB\nPss:            %8llu kB\n", (unsigned long long)kb,
             (unsigned long long)kb);
    text_add(t,
             "Private_Dirty:  %8llu kB\nReferenced:     %8llu kB\nAnonymous:      %8llu kB\n",
             (unsigned long long)kb, (unsigned long long)kb, (unsigned long long)kb);
    for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
        text_add(t, "%s:%*s0 kB\n", zeros[i], (int)(22 - strlen(zeros[i])), "");
    return 0;
}

/* ---- single values ---- */

int proc_pid_no_login(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "4294967295");
    return 0;
}

int proc_pid_setgroups(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "allow\n");
    return 0;
}

/* There is one user namespace, the first: every id is itself. */
int proc_pid_id_map(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "%10u %10u %10u\n", 0, 0, UINT32_MAX);
    return 0;
}

int proc_pid_personality(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "00000000\n");
    return 0;
}

int proc_pid_cpuset(const struct proc_key *key, struct text *t)
{
    (void)key;
    text_add(t, "/\n");
    return 0;
}

/* ---- mem ---- */

/* Through a kernel buffer, because both ends are guest memory. */
ssize_t proc_pid_mem(const struct proc_key *key, struct iter *it, uint64_t *pos, bool write)
{
    if (key->pid != current->tgid)
        return -EIO;
    size_t size = MIN(it->remaining, (size_t)CHUNK);
    uint8_t *buffer = kmalloc(MAX(size, (size_t)1));
    if (!buffer)
        return -ENOMEM;
    size_t done;
    if (write) {
        size = iter_copy_from(it, buffer, size);
        done = copy_to_user_partial(*pos, buffer, size);
    } else {
        done = copy_from_user_partial(buffer, *pos, size);
        size = iter_copy_to(it, buffer, done);
        done = MIN(done, size);
    }
    kfree(buffer);
    *pos += done;
    return done ? (ssize_t)done : -EIO;
}
