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
    if (!cred_can(current->cred, CAP_SYS_ADMIN))
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
