/* SPDX-License-Identifier: BSD-3-Clause */
/* CPU-time clocks; see cputime.h. A negative id holds ~pid, a thread bit and the kind of time.
 */
#include "proc/cputime.h"

#include "abi/errno.h"
#include "proc/process.h"
#include "time/time.h"

#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_KIND   3
#define CPU_CLOCK_VIRT   1 /* user time only */

static int process_clock(int pid, bool user_only, uint64_t *ns)
{
    uint64_t user, system;
    struct process *p = pid ? process_find(pid) : process_get(current_process);
    if (!p)
        return -EINVAL;
    process_cpu_ns(p, &user, &system);
    process_put(p);
    *ns = user_only ? user : user + system;
    return 0;
}

static int thread_clock(int tid, bool user_only, uint64_t *ns)
{
    uint64_t system;
    struct thread *t = tid ? thread_find(tid) : thread_get(current_thread);
    if (!t)
        return -EINVAL;
    bool ours = t->process == current_process;
    uint64_t all = task_cpu_ns(&t->task, &system);
    thread_put(t);
    *ns = user_only ? all - system : all;
    return ours ? 0 : -EINVAL;
}

bool clock_is_cpu(int id)
{
    return id < 0 || id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID;
}

int clock_read_any(int id, uint64_t *ns)
{
    if (clock_is_cpu(id))
        task_cpu_sync();
    if (id == CLOCK_PROCESS_CPUTIME_ID)
        return process_clock(0, false, ns);
    if (id == CLOCK_THREAD_CPUTIME_ID)
        return thread_clock(0, false, ns);
    if (id >= 0)
        return clock_read(id, ns);
    int kind = id & CPU_CLOCK_KIND, pid = ~(id >> 3);
    if (kind == 3)
        return -EINVAL;
    return id & CPU_CLOCK_THREAD ? thread_clock(pid, kind == CPU_CLOCK_VIRT, ns)
                                 : process_clock(pid, kind == CPU_CLOCK_VIRT, ns);
}
