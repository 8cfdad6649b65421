/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In enclave mode `syscall` raises #UD. Here the host kernel reports it as SIGSYS: by system
 * call dispatch on the enclave's range where it knows that mode; else by dispatch with
 * everything above the range allowed; else by a filter on the instruction pointer.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emu/emu.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH_OFF       0
#define DISPATCH_EXCLUSIVE 1 /* all but the range is dispatched */
#define DISPATCH_INCLUSIVE 2 /* the range is dispatched */
#define ARCH_CPUID_        0x1012

static __thread int cpuid_faults;

static int dispatch(unsigned long mode, uint64_t offset, uint64_t length)
{
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, offset, length, 0) ? -errno : 0;
}

int emu_dispatch_probe(void)
{
    if (dispatch(DISPATCH_INCLUSIVE, 0x10000, 0x1000) == 0 ||
        dispatch(DISPATCH_EXCLUSIVE, 0x10000, 0x7fffffff0000) == 0)
        return dispatch(DISPATCH_OFF, 0, 0);
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 ? 0 : -ENOSYS;
}

#define LOW(v)  ((uint32_t)(v))
#define HIGH(v) ((uint32_t)((v) >> 32))
#define IP_LOW  offsetof(struct seccomp_data, instruction_pointer)

/* Traps if start <= instruction pointer < end. */
static int install_filter(uint64_t start, uint64_t end)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_LOW + 4),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, HIGH(start), 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HIGH(start), 0, 8),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_LOW),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LOW(start), 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_LOW + 4),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, HIGH(end), 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HIGH(end), 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_LOW),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LOW(end), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        return -errno;
    return 0;
}

int emu_dispatch_on(struct emu *e, struct host_error *err)
{
    uint64_t start = e->dev.base ? e->dev.base : SGX_PAGE, end = e->dev.base + e->dev.size;
    int rc = -EINVAL;

    if (!emu_options.seccomp) {
        if (!emu_options.exclusive)
            rc = dispatch(DISPATCH_INCLUSIVE, start, end - start);
        if (rc)
            rc = dispatch(DISPATCH_EXCLUSIVE, end, (1ull << 47) - SGX_PAGE - end);
    }
    if (rc)
        rc = install_filter(start, end);
    if (rc)
        return host_fail(err, rc,
                         "this kernel cannot intercept system calls of the enclave: %s",
                         strerror(-rc));
    cpuid_faults = syscall(SYS_arch_prctl, ARCH_CPUID_, 0) == 0;
    return 0;
}

void emu_dispatch_off(void)
{
    emu_cpuid_faulting(0);
    cpuid_faults = 0;
    dispatch(DISPATCH_OFF, 0, 0);
}

/* on: 1 or 0 to switch it, where it works; -1: whether it does. */
int emu_cpuid_faulting(int on)
{
    if (on >= 0 && cpuid_faults)
        syscall(SYS_arch_prctl, ARCH_CPUID_, on ? 0 : 1);
    return cpuid_faults;
}
