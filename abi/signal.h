/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals as programs see them, x86-64: signal(7), sigaction(2), sigaltstack(2), sigreturn(2).
 */
#pragma once

#include <stdint.h>

#define SIGHUP    1
#define SIGINT    2
#define SIGQUIT   3
#define SIGILL    4
#define SIGTRAP   5
#define SIGABRT   6
#define SIGBUS    7
#define SIGFPE    8
#define SIGKILL   9
#define SIGUSR1   10
#define SIGSEGV   11
#define SIGUSR2   12
#define SIGPIPE   13
#define SIGALRM   14
#define SIGTERM   15
#define SIGSTKFLT 16
#define SIGCHLD   17
#define SIGCONT   18
#define SIGSTOP   19
#define SIGTSTP   20
#define SIGTTIN   21
#define SIGTTOU   22
#define SIGURG    23
#define SIGXCPU   24
#define SIGXFSZ   25
#define SIGVTALRM 26
#define SIGPROF   27
#define SIGWINCH  28
#define SIGIO     29
#define SIGPWR    30
#define SIGSYS    31
#define SIGRTMIN  32
#define SIGMAX    64

#define SIG_DFL 0u
#define SIG_IGN 1u

#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SA_NOCLDSTOP 0x00000001u
#define SA_NOCLDWAIT 0x00000002u
#define SA_SIGINFO   0x00000004u
#define SA_RESTORER  0x04000000u
#define SA_ONSTACK   0x08000000u
#define SA_RESTART   0x10000000u
#define SA_NODEFER   0x40000000u
#define SA_RESETHAND 0x80000000u

#define SS_ONSTACK    1
#define SS_DISABLE    2
#define SS_AUTODISARM 0x80000000u
#define MINSIGSTKSZ   2048u

/* si_code */
#define SI_USER       0
#define SI_KERNEL     0x80
#define SI_QUEUE      (-1)
#define SI_TIMER      (-2)
#define SI_MESGQ      (-3)
#define SI_ASYNCIO    (-4)
#define SI_SIGIO      (-5)
#define SI_TKILL      (-6)
#define ILL_ILLOPC    1
#define ILL_ILLOPN    2
#define FPE_INTDIV    1
#define FPE_INTOVF    2
#define FPE_FLTDIV    3
#define FPE_FLTOVF    4
#define FPE_FLTUND    5
#define FPE_FLTRES    6
#define FPE_FLTINV    7
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define BUS_ADRALN    1
#define BUS_ADRERR    2
#define TRAP_BRKPT    1
#define TRAP_TRACE    2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define WAIT_CORE     0x80 /* in a wait(2) status: a core file was written */
#define CLD_TRAPPED   4
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

struct abi_sigaction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct abi_siginfo {
    int32_t si_signo, si_errno, si_code, pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            union {
                uint64_t value; /* SI_QUEUE, SI_TIMER, SI_MESGQ */
                int32_t status; /* SIGCHLD */
            };
            int64_t utime, stime; /* SIGCHLD, clock ticks */
        };
        struct {
            int32_t timer_id, overrun; /* SI_TIMER; value follows as above */
        };
        struct {
            uint64_t addr; /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP */
            int16_t addr_lsb;
        };
        struct {
            int64_t band; /* SIGIO */
            int32_t fd;
        };
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "siginfo_t");

struct abi_sigevent {
    uint64_t value;
    int32_t signo, notify;
    int32_t tid;
    int32_t reserved[11];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "struct sigevent");

struct abi_stack {
    uint64_t ss_sp;
    int32_t ss_flags, pad;
    uint64_t ss_size;
};

struct abi_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint64_t fpstate; /* address of the FXSAVE or XSAVE image, or 0 */
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct abi_sigcontext) == 256, "struct sigcontext");

#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u

struct abi_ucontext {
    uint64_t uc_flags, uc_link;
    struct abi_stack uc_stack;
    struct abi_sigcontext uc_mcontext;
    uint64_t uc_sigmask;
};

/* At the handler's stack pointer: the return address, then these. */
struct abi_rt_sigframe {
    uint64_t pretcode;
    struct abi_ucontext uc;
    struct abi_siginfo info;
};
_Static_assert(sizeof(struct abi_rt_sigframe) == 8 + 304 + 128, "struct rt_sigframe");

/* In the last 48 bytes of the FXSAVE area, and after the extended state. */
#define FP_XSTATE_MAGIC1      0x46505853u
#define FP_XSTATE_MAGIC2      0x46505845u
#define FP_XSTATE_MAGIC2_SIZE 4u
#define FP_SW_OFFSET          464u
struct abi_fpx_sw {
    uint32_t magic1, extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size;
    uint32_t padding[7];
};
_Static_assert(sizeof(struct abi_fpx_sw) == 48, "struct _fpx_sw_bytes");
