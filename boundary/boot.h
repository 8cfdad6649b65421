/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the untrusted runtime enters the enclave, and what it hands over at the first entry.
 * Everything here is a claim of the host: the enclave copies it once and checks the copy.
 *
 * EENTER with CSSA 0:   RDI = enum enter_command, RSI = its argument
 * EENTER with CSSA 1:   after an AEX; no arguments, the truth is in the SSA
 * EEXIT:                RDI = enum exit_reason, RSI = value
 *     EXIT_HOSTCALL     a call waits in struct vcpu_shared; enter again with ENTER_RETURN
 *     EXIT_RESUME       first-stage exception handler is done; ERESUME at the AEP
 * All other registers are scrubbed on the way out and taken as garbage on the way in. Only RCX
 * (the address after EENTER, given by the CPU) is used, to return to.
 */
#pragma once

#include <stdint.h>

#include "boundary/config.h"

enum enter_command {
    ENTER_BOOT = 1, /* RSI = host address of struct boot_info; once, on TCS 0 */
    ENTER_VCPU =
        2, /* start this TCS as a vCPU; after boot asked for it (HOSTCALL_START_VCPU) */
    ENTER_RETURN = 3, /* back from the call that the last EEXIT asked for */
};

enum exit_reason {
    EXIT_HOSTCALL = 1,
    EXIT_RESUME = 2,
};

#define BOOT_MAGIC       0x746f6f626c636f63ull
#define BOOT_VERSION     2u
#define BOOT_MAX_IMAGES  4u
#define BOOT_STRINGS_MAX (8u << 20)

/* A file that holds a read-only image (file system, then its hash tree), mapped by the host. */
struct boot_image {
    uint64_t host_address;
    uint64_t size; /* bytes */
};

/* argv and envp: `count` NUL-terminated strings one after the other. */
struct boot_strings {
    uint64_t host_address;
    uint64_t size; /* bytes, with the NULs */
    uint32_t count;
    uint32_t pad;
};

struct boot_info {
    uint64_t magic;
    uint32_t version;
    uint32_t vcpu_count;   /* how many TCSs the host will run; at most what was added */
    uint64_t enclave_base; /* must agree with what the enclave finds by itself */
    uint64_t enclave_size;
    uint64_t vcpu_shared;  /* host address: struct vcpu_shared [vcpu_count] */
    uint64_t pool_address; /* host memory for bounce buffers, shared by all vCPUs */
    uint64_t pool_size;    /* bytes */
    uint64_t tsc_hz;       /* 0: unknown, measure */
    uint64_t memory_bytes; /* what the machine can back */
    uint32_t log_level;    /* enum log_level of boundary/config.h */
    uint32_t platform;     /* enum boot_platform */
    uint32_t uid, gid;     /* the caller's, informative */
    struct boot_image image[BOOT_MAX_IMAGES];
    struct boot_strings argv; /* argv[0] is what the program sees as argv[0] */
    struct boot_strings envp;
    struct boot_strings program; /* one string: the path to execute */
    struct boot_strings cwd;     /* one string */
    struct boot_strings hostname;
    /* cpuid leaves 0..0x1f and 0x80000000..0x8000001f with subleaves 0..7, as the host saw them
     */
    uint64_t cpuid_address;
    uint32_t cpuid_count;
    uint32_t service; /* 1: no program; requests come through the control page */
    uint64_t control; /* host address of a struct control_page; 0: none */
    uint64_t trace[8]; /* a bit a system call's number: show it; where LOG_TRACE is allowed */
    uint8_t log_levels[LOG_SUBSYSTEMS]; /* one more than an enum log_level; 0: log_level's */
    uint32_t flags;                     /* BOOT_* */
};

#define BOOT_STATS 1u /* print counts at the end */
#define BOOT_MAPS  2u /* say what is mapped: HOSTCALL_MAPPED */

struct boot_cpuid {
    uint32_t leaf, subleaf;
    uint32_t eax, ebx, ecx, edx;
};

enum boot_platform { PLATFORM_HARDWARE = 1, PLATFORM_EMULATOR = 2 };
