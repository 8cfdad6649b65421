/* SPDX-License-Identifier: BSD-3-Clause */
/* A tiny enclave for the tests of emu/ and host/: its layout, commands and page plan. */
#pragma once

/* Offsets in the enclave. */
#define TINY_SIZE   0x40000000
#define TINY_CODE   0x0020000 /* 4 pages */
#define TINY_CPU    0x0100000 /* TCS i at TINY_CPU + i * TINY_STRIDE */
#define TINY_STRIDE 0x0040000
#define TINY_DATA   0x0010000 /* relative to the TCS: GS; 8 pages: data, FS, stacks */
#define TINY_SSA    0x0020000 /* 2 frames of 4 pages */
#define TINY_PLAIN  0x0300000 /* 4 pages, read-write */
#define TINY_EMPTY  0x0400000 /* nothing is added from here on */

/* In the data page. */
#define TD_RSP        0x00
#define TD_RBP        0x08
#define TD_RETURN     0x10
#define TD_FIXUP      0x18
#define TD_EXC_RSP    0x20
#define TD_EXC_RBP    0x28
#define TD_EXC_RETURN 0x30
#define TD_EXITINFO   0x40
#define TD_MADDR      0x48
#define TD_ERRCD      0x50
#define TD_RIP        0x58
#define TD_FAULTS     0x60
#define TD_TICKS      0x68
#define TD_CALL_RSP   0x70
#define TD_SHARED     0x78
#define TD_LEAF       0x80 /* RAX, RBX, RCX, RDX in; RAX and flags out */
#define TD_STOP       0xb0
#define TD_FS_SEEN    0xb8

/* Commands above the boot protocol's; RSI: the argument; the result comes back in RSI. */
#define TC_ADD_ONE    0x10
#define TC_LOAD       0x11 /* a quadword from RSI */
#define TC_SYSCALL    0x12
#define TC_REGS       0x13 /* RSI rounds; 0: every register kept its value */
#define TC_LEAF       0x14 /* ENCLU with TD_LEAF */
#define TC_UD         0x15
#define TC_BP         0x16
#define TC_DE         0x17
#define TC_CPUID      0x18
#define TC_SPIN       0x19 /* until TD_STOP is set, or RSI rounds */
#define TC_STORE      0x1a /* a byte to RSI */
#define TC_LEAF_PAGES 0x1b /* EACCEPT of RSI pages from TD_LEAF's RCX */
#define TC_LEAF_GS    0x1c /* ENCLU with TD_LEAF while GS base is RSI */
#define TC_LAST       0x1c

/* boot_info.log_level that asks for the blocking scenario. */
#define TINY_FIFO 99

#ifndef __ASSEMBLER__

#include <stdlib.h>
#include <string.h>

#include "boundary/sgx.h"
#include "image/plan.h"

extern const char tiny_begin[], tiny_end[], tiny_site_begin[], tiny_site_end[];

/* The plan of the tiny enclave with `cpus` TCSs. Never freed. */
static inline struct page_plan *tiny_plan(unsigned cpus)
{
    struct page_plan *p = calloc(1, sizeof(*p));
    struct plan_run *r = calloc(64, sizeof(*r));
    uint8_t *code = aligned_alloc(4096, 4 * 4096),
            *tcs_pages = aligned_alloc(4096, cpus * 4096);
    const uint64_t *sites = (const void *)tiny_site_begin;
    size_t n = 0;

    memset(code, 0xcc, 4 * 4096);
    memcpy(code, tiny_begin, (size_t)(tiny_end - tiny_begin));
    r[n++] = (struct plan_run){TINY_CODE, 4,    SECINFO_R | SECINFO_X | SECINFO_TYPE(PT_REG),
                               1,         code, 0};
    for (unsigned i = 0; i < cpus; i++) {
        uint64_t at = TINY_CPU + i * TINY_STRIDE,
                 rw = SECINFO_R | SECINFO_W | SECINFO_TYPE(PT_REG);
        struct sgx_tcs *t = (void *)(tcs_pages + i * 4096);
        memset(t, 0, 4096);
        *t = (struct sgx_tcs){.ossa = at + TINY_SSA,
                              .nssa = 2,
                              .oentry = TINY_CODE,
                              .ofs_base = at + TINY_DATA + 0x1000,
                              .ogs_base = at + TINY_DATA,
                              .fs_limit = 0xffffffff,
                              .gs_limit = 0xffffffff};
        p->tcs_offset[i] = at;
        r[n++] = (struct plan_run){at, 1, SECINFO_TYPE(PT_TCS), 1, (uint8_t *)t, 0};
        r[n++] = (struct plan_run){at + TINY_DATA, 8, rw, 1, NULL, 0};
        r[n++] = (struct plan_run){at + TINY_SSA, 8, rw, 0, NULL, 0};
    }
    r[n++] = (struct plan_run){TINY_PLAIN, 4,    SECINFO_R | SECINFO_W | SECINFO_TYPE(PT_REG),
                               0,          NULL, 0};
    *p = (struct page_plan){.size = TINY_SIZE,
                            .ssa_frame_size = 4,
                            .miscselect = 1,
                            .runs = r,
                            .count = n,
                            .tcs_count = cpus,
                            .enclu_count = (size_t)(tiny_site_end - tiny_site_begin) / 8};
    for (unsigned i = 0; i < cpus; i++)
        p->tcs_offset[i] = TINY_CPU + i * TINY_STRIDE;
    p->enclu_sites = calloc(p->enclu_count, 8);
    for (size_t i = 0; i < p->enclu_count; i++)
        p->enclu_sites[i] = TINY_CODE + sites[i];
    return p;
}

#endif
