/* SPDX-License-Identifier: BSD-3-Clause */
/* The system's name and figures, per-thread switches, random bytes. */
#include "abi/errno.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/host.h"
#include "fs/core/cred.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "proc/uts.h"
#include "syscall/syscall.h"
#include "time/time.h"

/* ---- uname ---- */

#define UTS_LEN 65

int64_t sys_uname(uaddr_t buf)
{
    char u[6][UTS_LEN] = {
        "Linux", "", UTS_RELEASE, UTS_VERSION, UTS_MACHINE, "",
    };
    uts_get_names(u[1], u[5], UTS_LEN);
    return copy_to_user(buf, u, sizeof(u));
}

static int64_t set_name(uaddr_t name, uint64_t len, bool domain)
{
    char text[UTS_LEN] = "";
    if (current->cred->euid)
        return -EPERM;
    if (len >= UTS_LEN)
        return -EINVAL;
    int r = copy_from_user(text, name, len);
    if (!r)
        uts_set_name(text, domain);
    return r;
}

int64_t sys_sethostname(uaddr_t name, uint64_t len)
{
    return set_name(name, len, false);
}

int64_t sys_setdomainname(uaddr_t name, uint64_t len)
{
    return set_name(name, len, true);
}

/* ---- figures ---- */

struct sysinfo {
    int64_t uptime;
    uint64_t loads[3];
    uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, pad;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit;
    uint32_t pad2;
};
_Static_assert(sizeof(struct sysinfo) == 112, "struct sysinfo");

int64_t sys_sysinfo(uaddr_t info)
{
    struct sysinfo s = {.mem_unit = 1};
    struct heap_stats heap;
    uint32_t threads;
    heap_stats(&heap);
    (void)process_count(&threads);
    s.uptime = (int64_t)(clock_monotonic_ns() / NS_PER_SEC);
    s.totalram = MIN(boot_info->memory_bytes, enclave.user_end - enclave.user_start);
    s.freeram = s.totalram - MIN(s.totalram, heap.committed_bytes);
    s.procs = (uint16_t)MIN(threads, 65535u);
    return copy_to_user(info, &s, sizeof(s));
}

/* ---- random bytes ---- */

#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u
#define CHUNK         256u

int64_t sys_getrandom(uaddr_t buf, uint64_t count, uint32_t flags)
{
    uint8_t chunk[CHUNK];
    uint64_t done = 0;
    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    count = MIN(count, 0x7ffff000ull);
    while (done < count) {
        size_t n = MIN(count - done, (uint64_t)CHUNK);
        random_bytes(chunk, n);
        size_t copied = copy_to_user_partial(buf + done, chunk, n);
        done += copied;
        if (copied < n)
            return done ? (int64_t)done : -EFAULT;
        if (task_signalled() && done >= CHUNK)
            break;
    }
    memzero_secret(chunk, sizeof(chunk));
    return (int64_t)done;
}

/* ---- arch_prctl, personality ---- */

#define ARCH_SET_GS    0x1001
#define ARCH_SET_FS    0x1002
#define ARCH_GET_FS    0x1003
#define ARCH_GET_GS    0x1004
#define ARCH_GET_CPUID 0x1011
#define FS_BASE_END    0x7ffffffff000ull

int64_t sys_arch_prctl(int code, uint64_t addr)
{
    uint64_t base;
    switch (code) {
    case ARCH_SET_FS:
        if (addr >= FS_BASE_END)
            return -EPERM;
        __asm__ volatile("wrfsbase %0" : : "r"(addr));
        return 0;
    case ARCH_GET_FS:
        __asm__ volatile("rdfsbase %0" : "=r"(base));
        return put_user(addr, base);
    case ARCH_GET_GS:
        base = 0;
        return put_user(addr, base);
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_GS: /* LIMIT: the kernel finds its own data through GS */
    default:
        return -EINVAL;
    }
}

int64_t sys_personality(uint32_t persona)
{
    struct thread *t = current_thread;
    uint32_t old = t->personality;
    if (persona == UINT32_MAX)
        return old;
    if (persona & 0xff)
        return -EINVAL;
    t->personality = persona;
    return old;
}

/* ---- prctl ---- */

#define PR_SET_PDEATHSIG       1
#define PR_GET_PDEATHSIG       2
#define PR_GET_DUMPABLE        3
#define PR_SET_DUMPABLE        4
#define PR_GET_KEEPCAPS        7
#define PR_SET_KEEPCAPS        8
#define PR_GET_TIMING          13
#define PR_SET_NAME            15
#define PR_GET_NAME            16
#define PR_GET_SECCOMP         21
#define PR_CAPBSET_READ        23
#define PR_CAPBSET_DROP        24
#define PR_GET_SECUREBITS      27
#define PR_SET_TIMERSLACK      29
#define PR_GET_TIMERSLACK      30
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37
#define PR_SET_NO_NEW_PRIVS    38
#define PR_GET_NO_NEW_PRIVS    39
#define PR_GET_TID_ADDRESS     40
#define PR_SET_THP_DISABLE     41
#define PR_GET_THP_DISABLE     42
#define PR_CAP_LAST            40u
#define DEFAULT_SLACK_NS       50000u

static int64_t prctl_name(int option, uaddr_t at)
{
    char name[TASK_NAME_BYTES] = "";
    if (option == PR_GET_NAME)
        return copy_to_user(at, current->name, sizeof(current->name));
    ssize_t n = strncpy_from_user(name, at, sizeof(name) - 1);
    if (n < 0 && n != -ENAMETOOLONG)
        return n;
    if (n < 0 && copy_from_user(name, at, sizeof(name) - 1))
        return -EFAULT;
    name[sizeof(name) - 1] = '\0';
    spin_lock(&proc_lock);
    memcpy(current->name, name, sizeof(name));
    spin_unlock(&proc_lock);
    return 0;
}

static int64_t set_flag(bool *flag, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    *flag = value;
    return 0;
}

static int64_t prctl_process(int option, uint64_t arg)
{
    struct process *p = current_process;
    switch (option) {
    case PR_GET_DUMPABLE:
        return p->dumpable;
    case PR_SET_DUMPABLE:
        return set_flag(&p->dumpable, arg);
    case PR_SET_CHILD_SUBREAPER:
        p->child_reaper = arg != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user(arg, (int32_t)p->child_reaper);
    default:
        return -EINVAL;
    }
}

static int64_t prctl_thread(int option, uint64_t arg)
{
    struct thread *t = current_thread;
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (arg > SIGMAX)
            return -EINVAL;
        t->parent_death_signal = (int)arg;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user(arg, (int32_t)t->parent_death_signal);
    case PR_SET_KEEPCAPS:
        return set_flag(&t->keep_caps, arg);
    case PR_GET_KEEPCAPS:
        return t->keep_caps;
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = arg ? arg : DEFAULT_SLACK_NS;
        return 0;
    case PR_GET_TIMERSLACK:
        return (int64_t)t->timer_slack_ns;
    case PR_GET_TID_ADDRESS:
        return put_user(arg, t->clear_child_tid);
    default:
        return prctl_process(option, arg);
    }
}

int64_t sys_prctl(int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
    switch (option) {
    case PR_SET_NAME:
    case PR_GET_NAME:
        return prctl_name(option, arg2);
    case PR_SET_NO_NEW_PRIVS:
        if (arg2 != 1 || arg3 || arg4 || arg5)
            return -EINVAL;
        current_thread->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return arg2 || arg3 || arg4 || arg5 ? -EINVAL : current_thread->no_new_privs;
    case PR_CAPBSET_READ:
        return arg2 > PR_CAP_LAST ? -EINVAL : 1;
    case PR_CAPBSET_DROP: /* LIMIT: capabilities are those of the user id */
        return arg2 > PR_CAP_LAST ? -EINVAL : -EPERM;
    case PR_GET_TIMING:
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
        return 0;
    case PR_GET_THP_DISABLE:
        return arg2 || arg3 || arg4 || arg5 ? -EINVAL : 0;
    default:
        return prctl_thread(option, arg2);
    }
}

/* ---- capabilities ---- */

#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u
#define CAP_ALL       0x1ffffffffffull

struct cap_header {
    uint32_t version;
    int32_t pid;
};
struct cap_data {
    uint32_t effective, permitted, inheritable;
};

/* The number of struct cap_data, or negative. */
static int cap_words(uaddr_t at, struct cap_header *h)
{
    uint32_t newest = CAP_VERSION_3;
    if (copy_from_user(h, at, sizeof(*h)))
        return -EFAULT;
    if (h->version == CAP_VERSION_1)
        return 1;
    if (h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
        return 2;
    return put_user(at, newest) ? -EFAULT : -EINVAL;
}

int64_t sys_capget(uaddr_t header, uaddr_t data)
{
    struct cap_header h;
    struct cap_data d[2] = {0};
    uint64_t caps = current->cred->euid ? 0 : CAP_ALL;
    int words = cap_words(header, &h);
    if (words < 0)
        return words == -EINVAL && !data ? 0 : words;
    if (h.pid < 0)
        return -EINVAL;
    struct thread *t = h.pid ? thread_find(h.pid) : thread_get(current_thread);
    if (!t)
        return -ESRCH;
    thread_put(t);
    d[0].effective = d[0].permitted = (uint32_t)caps;
    d[1].effective = d[1].permitted = (uint32_t)(caps >> 32);
    return copy_to_user(data, d, (size_t)words * sizeof(d[0]));
}

int64_t sys_capset(uaddr_t header, uaddr_t data)
{
    struct cap_header h;
    struct cap_data d[2] = {0};
    uint64_t caps = current->cred->euid ? 0 : CAP_ALL;
    int words = cap_words(header, &h);
    if (words < 0)
        return words;
    if (h.pid && h.pid != current->tid)
        return -EPERM;
    if (copy_from_user(d, data, (size_t)words * sizeof(d[0])))
        return -EFAULT;
    uint64_t effective = d[0].effective | (uint64_t)d[1].effective << 32;
    return (effective & CAP_ALL) == caps ? 0 : -EPERM;
}
