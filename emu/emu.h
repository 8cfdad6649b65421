/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SGX architecture in software: shared structures. Section numbers are those of the SDM,
 * volume 3D. The enclave's range is real memory of this process; a byte per page (the EPCM)
 * says what the architecture knows about it, and page protection stands for the page tables.
 */
#pragma once

/* struct emu_thread, as enter.S sees it. */
#define ET_HOST_FS 0
#define ET_HOST_GS 8
#define ET_KEY     16
#define ET_STACK   24
#define ET_RETURN  32
#define ET_URSP    40
#define ET_URBP    48
#define ET_ENTRY   56
#define ET_CSSA    64
#define ET_AEP     72
#define ET_FS      80
#define ET_GS      88
#define ET_XFRM    96
#define ET_XSAVE   104
#define ET_STATE   112
#define ET_STEP    120
#define ET_LEAF    124
#define ET_RAX     128
#define ET_RCX     136
#define ET_RDX     144
#define ET_RBX     152
#define ET_RSP     160
#define ET_RBP     168
#define ET_RSI     176
#define ET_RDI     184
#define ET_R8      192
#define ET_R9      200
#define ET_R10     208
#define ET_R11     216
#define ET_R12     224
#define ET_R13     232
#define ET_R14     240
#define ET_R15     248
#define ET_RFLAGS  256
#define ET_RIP     264
#define ET_IRET    272
#define ET_SLOW_FS 312

#define EMU_HASH_SIZE 256

/* What a leaf asks enter.S to do. */
#define LEAF_DONE  0
#define LEAF_SLOW  1 /* call emu_leaf_slow with the host's FS and the vector state saved */
#define LEAF_FAULT 2

#ifndef __ASSEMBLER__

#include <openssl/sha.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "boundary/sgx.h"
#include "host/dev.h"
#include "host/thread.h"

#define EMU_TCS_MAX   128u
#define EMU_STUB_SIZE 0x10000u
#define EMU_STUB_TRAP 0x20u

/* EPCM entry, one byte: SECINFO's low bits and the type in two. */
#define EPCM_R        0x01u
#define EPCM_W        0x02u
#define EPCM_X        0x04u
#define EPCM_PENDING  0x08u
#define EPCM_MODIFIED 0x10u
#define EPCM_PR       0x20u
#define EPCM_TYPE     0xc0u /* 0: not valid */
#define EPCM_TCS      0x40u
#define EPCM_REG      0x80u
#define EPCM_TRIM     0xc0u

struct emu_tcs {
    uint64_t offset;
    struct sgx_tcs tcs; /* the page itself: software never sees it */
    atomic_uint busy;
    uint64_t aep;
};

struct emu {
    struct dev dev;
    struct sgx_secs secs;
    uint8_t isv_family_id[16], isv_ext_prod_id[16];
    uint8_t *epcm;
    int initialized;
    int strict; /* a page becomes accessible by EACCEPT only */
    SHA256_CTX hash;
    struct emu_tcs *tcs[EMU_TCS_MAX];
    uint32_t tcs_count;
    uint32_t ssa_bytes;   /* SSA frame */
    uint32_t xsave_bytes; /* of XFRM, standard format */
    const uint64_t *sites;
    size_t site_count;
    char *stub;
};

struct emu_regs {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags, rip;
};

struct emu_thread {
    uint64_t host_fs, host_gs;
    uint64_t key;   /* the enclave's GS base while this thread is in it */
    uint64_t stack; /* top of the stack for leaves */
    uint64_t ret, ursp, urbp, entry, cssa, aep;
    uint64_t fs, gs; /* to load on the way in */
    uint64_t xfrm;
    uint8_t *xsave;
    atomic_uint *busy; /* of the TCS entered last */
    uint32_t step;
    uint32_t leaf; /* 0: none; 1: fast; 2: slow: xsave holds the enclave's vector state */
    struct emu_regs regs;
    uint64_t iret[5];
    uint64_t slow_fs; /* the enclave's FS during a slow leaf */

    struct emu *emu;
    struct emu_tcs *tcs;
    struct {
        int armed;
        uint32_t vector, error;
        uint64_t address, site;
    } forced; /* an exception that a leaf raises */
    uint32_t step_count;
    int breakpoint; /* of step.c; -1: none */
    uint32_t burst; /* single steps left */
    int burst_timed;
    uint64_t steps, events;
    timer_t burst_timer;
    uint32_t eenter_vector;
};
_Static_assert(offsetof(struct emu_thread, key) == ET_KEY, "ET_KEY");
_Static_assert(offsetof(struct emu_thread, ret) == ET_RETURN, "ET_RETURN");
_Static_assert(offsetof(struct emu_thread, entry) == ET_ENTRY, "ET_ENTRY");
_Static_assert(offsetof(struct emu_thread, aep) == ET_AEP, "ET_AEP");
_Static_assert(offsetof(struct emu_thread, fs) == ET_FS, "ET_FS");
_Static_assert(offsetof(struct emu_thread, xfrm) == ET_XFRM, "ET_XFRM");
_Static_assert(offsetof(struct emu_thread, busy) == ET_STATE, "ET_STATE");
_Static_assert(offsetof(struct emu_thread, step) == ET_STEP, "ET_STEP");
_Static_assert(offsetof(struct emu_thread, leaf) == ET_LEAF, "ET_LEAF");
_Static_assert(offsetof(struct emu_thread, regs) == ET_RAX, "ET_RAX");
_Static_assert(offsetof(struct emu_thread, iret) == ET_IRET, "ET_IRET");
_Static_assert(offsetof(struct emu_thread, slow_fs) == ET_SLOW_FS, "ET_SLOW_FS");

/* Code that runs with the enclave's FS and vector registers. */
#define EMU_FAST __attribute__((target("general-regs-only"), no_stack_protector))

struct emu_options {
    int trap, strict, step;
    int burst;  /* steps in bursts, after interrupts at any time */
    int asleep; /* stepping begins with a program's first system call */
    int count;  /* say at the end how many steps there were */
    uint32_t seed, every; /* one step in `every` is a tick */
    uint64_t step_begin, step_end; /* offsets of RIP; 0, 0: everywhere */
    int seccomp, exclusive;        /* how system calls are intercepted */
};
extern struct emu_options emu_options;
int emu_options_parse(const char *text, struct host_error *err);

extern __thread struct emu_thread *emu_self;
extern struct emu *emu_current; /* one enclave at a time */
extern struct emu_thread *emu_hash[EMU_HASH_SIZE];

static inline struct emu *emu_of(struct dev *dev)
{
    return (struct emu *)dev;
}

static inline int emu_in_range(const struct emu *e, uint64_t address)
{
    return address - e->dev.base < e->dev.size;
}

/* epcm.c */
int emu_add_pages(struct dev *dev, const struct plan_run *run, struct host_error *err);
int emu_aug(struct dev *dev, uint64_t offset, uint64_t pages);
int emu_restrict(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms);
int emu_extend(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms);
int emu_trim(struct dev *dev, uint64_t offset, uint64_t pages);
int emu_remove(struct dev *dev, uint64_t offset, uint64_t pages);
int emu_prot(uint8_t entry);
EMU_FAST uint8_t *emu_epcm_at(struct emu *e, uint64_t address);

/* measure.c */
void emu_measure_create(struct emu *e);
void emu_measure_add(struct emu *e, uint64_t offset, uint64_t secinfo, const uint8_t *data,
                     int extend);
void emu_measure_final(struct emu *e);
void emu_sha256(const void *data, size_t size, uint8_t digest[32]);

/* einit.c */
int emu_init(struct dev *dev, const struct sgx_sigstruct *sig, struct host_error *err);

/* keys.c: 0, or the vector of the fault. */
int emu_ereport(struct emu *e, struct emu_regs *r);
int emu_egetkey(struct emu *e, struct emu_regs *r);
int emu_fuses_load(struct host_error *err);

/* enclu.c */
uint32_t emu_eenter(struct emu_thread *t, uint64_t tcs, uint64_t aep);
uint32_t emu_eresume(struct emu_thread *t, uint64_t tcs, uint64_t aep);
EMU_FAST uint32_t emu_leaf_fast(struct emu_thread *t);
uint32_t emu_leaf_slow(struct emu_thread *t);
EMU_FAST uint32_t emu_fault(struct emu_thread *t, uint32_t vector, uint32_t error,
                            uint64_t address);

/* aex.c */
int emu_signal(struct dev *dev, struct host_signal *s);

/* step.c */
enum { STEP_CONTINUE = 1, STEP_AEX, STEP_EVENT };
int emu_step_thread_init(struct emu_thread *t, struct host_error *err);
void emu_step_thread_fini(struct emu_thread *t);
uint32_t emu_step_enter(struct emu_thread *t, uint32_t cssa);
uint32_t emu_step_resume(struct emu_thread *t, uint32_t cssa, uint64_t rip);
int emu_step_trap(struct emu_thread *t, struct host_signal *s);
void emu_step_wake(void);

/* dispatch.c: `syscall` in the range raises SIGSYS on the calling thread. */
int emu_dispatch_probe(void);
int emu_dispatch_on(struct emu *e, struct host_error *err);
void emu_dispatch_off(void);
int emu_cpuid_faulting(int on);

/* enter.S */
void emu_host_enclu(void);
extern const char emu_stub_entry[], emu_fallback[];

#endif
