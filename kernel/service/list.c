/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes, for `occlum ps`: a line each, fields separated by tabs. Arguments are shown of
 * programs that the host started itself; of others the name, which is all that it needs.
 */
#include "enclave/clock.h"
#include "enclave/control.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "service/service.h"

#define LINE 512u

static void name_of(struct process *p, char *out, size_t size)
{
    int tid = 0;
    struct thread *t = process_next_thread(p, &tid);
    out[0] = 0;
    if (t)
        format_string(out, size, "%s", t->task.name);
    thread_put(t);
    spin_lock(&proc_lock);
    size_t n = p->outside && p->cmdline ? MIN(p->cmdline_size, size) : 0;
    if (n)
        memcpy(out, p->cmdline, n);
    spin_unlock(&proc_lock);
    for (size_t i = 0; i < n; i++) {
        if (!out[i] || out[i] == '\t' || out[i] == '\n')
            out[i] = i + 1 < n ? ' ' : 0;
    }
    out[size - 1] = 0;
}

static int line_of(struct process *p, char *out)
{
    char name[256];
    uint64_t user, system, pages = 0;
    struct vm_stats stats;
    struct mm *mm = process_mm(p);
    if (mm) {
        vm_stats(mm, &stats);
        pages = stats.resident_pages;
        mm_put(mm);
    }
    process_cpu_ns(p, &user, &system);
    name_of(p, name, sizeof(name));
    spin_lock(&proc_lock);
    int ppid = p->parent ? p->parent->pid : 0, pgid = p->pgid, sid = p->sid;
    uint32_t threads = p->thread_count;
    spin_unlock(&proc_lock);
    return format_string(
        out, LINE, "%d\t%d\t%d\t%d\t%c\t%u\t%llu\t%llu\t%llu\t%s\n", p->pid, ppid, pgid, sid,
        process_state_letter(p), threads, (unsigned long long)((user + system) / 1000000),
        (unsigned long long)(pages * 4),
        (unsigned long long)((clock_monotonic_ns() - p->start_ns) / 1000000), name);
}

void service_list(uint32_t id)
{
    char *text = kmalloc(CONTROL_REPLY_MAX);
    size_t used = 0;
    struct process *p;
    for (int pid = PID_INIT + 1; text && (p = process_next(&pid)) != NULL; pid++) {
        if (used + LINE > CONTROL_REPLY_MAX) {
            control_reply(id, REPLY_TEXT, 0, text, used);
            used = 0;
        }
        int n = line_of(p, text + used);
        used += (size_t)MIN(n, (int)LINE - 1);
        process_put(p);
    }
    if (used)
        control_reply(id, REPLY_TEXT, 0, text, used);
    control_reply(id, REPLY_DONE, text ? 0 : 12, NULL, 0);
    kfree(text);
}
