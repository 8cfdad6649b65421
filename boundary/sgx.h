/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SGX's architectural structures and constants, Intel SDM volume 3D, chapters 35 to 40.
 * Names, sizes and offsets are the manual's; little endian, naturally aligned or packed.
 */
#pragma once

#include <stdint.h>

#define SGX_PAGE 4096u

/* ENCLS leaves that the emulator serves, ENCLU leaves (EAX). */
enum sgx_enclu {
    ENCLU_EREPORT = 0,
    ENCLU_EGETKEY = 1,
    ENCLU_EENTER = 2,
    ENCLU_ERESUME = 3,
    ENCLU_EEXIT = 4,
    ENCLU_EACCEPT = 5,
    ENCLU_EMODPE = 6,
    ENCLU_EACCEPTCOPY = 7,
};

/* Error codes in RAX. */
enum sgx_error {
    SGX_SUCCESS = 0,
    SGX_INVALID_SIG_STRUCT = 1,
    SGX_INVALID_ATTRIBUTE = 2,
    SGX_BLKSTATE = 3,
    SGX_INVALID_MEASUREMENT = 4,
    SGX_NOTBLOCKABLE = 5,
    SGX_PG_INVLD = 6,
    SGX_INVALID_SIGNATURE = 8,
    SGX_MAC_COMPARE_FAIL = 9,
    SGX_PAGE_NOT_BLOCKED = 10,
    SGX_NOT_TRACKED = 11,
    SGX_CHILD_PRESENT = 13,
    SGX_ENCLAVE_ACT = 14,
    SGX_ENTRYEPOCH_LOCKED = 15,
    SGX_INVALID_EINITTOKEN = 16,
    SGX_PAGE_ATTRIBUTES_MISMATCH = 19,
    SGX_PAGE_NOT_MODIFIABLE = 20,
    SGX_INVALID_CPUSVN = 32,
    SGX_INVALID_ISVSVN = 64,
    SGX_UNMASKED_EVENT = 128,
    SGX_INVALID_KEYNAME = 256,
};

#define SGX_ATTR_INIT         0x01ull
#define SGX_ATTR_DEBUG        0x02ull
#define SGX_ATTR_MODE64       0x04ull
#define SGX_ATTR_PROVISIONKEY 0x10ull
#define SGX_ATTR_EINITTOKEN   0x20ull
#define SGX_ATTR_KSS          0x80ull
#define SGX_ATTR_AEXNOTIFY    0x400ull

#define SGX_XFRM_LEGACY 0x003ull
#define SGX_XFRM_AVX    0x004ull
#define SGX_XFRM_AVX512 0x0e0ull
#define SGX_XFRM_PKRU   0x200ull
#define SGX_XFRM_AMX    0x60000ull

#define SGX_MISC_EXINFO 1u

struct sgx_attributes {
    uint64_t flags;
    uint64_t xfrm;
};

struct sgx_secs { /* 37.7 */
    uint64_t size;
    uint64_t base;
    uint32_t ssa_frame_size; /* pages */
    uint32_t miscselect;
    uint8_t reserved1[24];
    struct sgx_attributes attributes;
    uint8_t mrenclave[32];
    uint8_t reserved2[32];
    uint8_t mrsigner[32];
    uint8_t reserved3[32];
    uint8_t configid[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t reserved4[3834];
};
_Static_assert(sizeof(struct sgx_secs) == 4096, "SECS");

struct sgx_tcs { /* 37.8 */
    uint64_t state; /* the CPU's */
    uint64_t flags; /* bit 0 DBGOPTIN, bit 1 AEXNOTIFY */
    uint64_t ossa;  /* offsets from the enclave's base */
    uint32_t cssa;
    uint32_t nssa;
    uint64_t oentry;
    uint64_t aep;
    uint64_t ofs_base;
    uint64_t ogs_base;
    uint32_t fs_limit;
    uint32_t gs_limit;
    uint8_t reserved[4024];
};
_Static_assert(sizeof(struct sgx_tcs) == 4096, "TCS");

/* SECINFO.FLAGS, 37.11 */
#define SECINFO_R        0x001ull
#define SECINFO_W        0x002ull
#define SECINFO_X        0x004ull
#define SECINFO_PENDING  0x008ull
#define SECINFO_MODIFIED 0x010ull
#define SECINFO_PR       0x020ull
#define SECINFO_RWX      0x007ull
#define SECINFO_TYPE(t)  ((uint64_t)(t) << 8)

enum sgx_page_type { PT_SECS = 0, PT_TCS = 1, PT_REG = 2, PT_VA = 3, PT_TRIM = 4 };

struct sgx_secinfo {
    uint64_t flags;
    uint64_t reserved[7];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sgx_secinfo) == 64, "SECINFO");

struct sgx_ssa_gpr { /* 37.9.2.1: the last 184 bytes of an SSA frame */
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags, rip, ursp, urbp;
    uint32_t exitinfo;
    uint8_t reserved[3];
    uint8_t aexnotify;
    uint64_t fs_base, gs_base;
};
_Static_assert(sizeof(struct sgx_ssa_gpr) == 184, "GPRSGX");

#define EXITINFO_VECTOR(e) ((e)&0xffu)
#define EXITINFO_TYPE(e)   (((e) >> 8) & 7u) /* 3 hardware exception, 6 software */
#define EXITINFO_VALID     0x80000000u

struct sgx_exinfo { /* 37.9.2.2: below the GPRs when MISCSELECT.EXINFO is set */
    uint64_t maddr;
    uint32_t errcd;
    uint32_t reserved;
};

struct sgx_sigstruct { /* 37.14; 1808 bytes */
    uint8_t header[16];
    uint32_t vendor;
    uint32_t date; /* BCD yyyymmdd */
    uint8_t header2[16];
    uint32_t swdefined;
    uint8_t reserved1[84];
    uint8_t modulus[384]; /* little endian */
    uint32_t exponent;    /* 3 */
    uint8_t signature[384];
    uint32_t miscselect;
    uint32_t miscmask;
    uint8_t reserved2[4];
    uint8_t isv_family_id[16];
    struct sgx_attributes attributes;
    struct sgx_attributes attribute_mask;
    uint8_t enclave_hash[32];
    uint8_t reserved3[16];
    uint8_t isv_ext_prod_id[16];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint8_t reserved4[12];
    uint8_t q1[384];
    uint8_t q2[384];
} __attribute__((packed));
_Static_assert(sizeof(struct sgx_sigstruct) == 1808, "SIGSTRUCT");

struct sgx_targetinfo { /* 37.17 */
    uint8_t measurement[32];
    struct sgx_attributes attributes;
    uint8_t reserved1[2];
    uint16_t config_svn;
    uint32_t miscselect;
    uint8_t reserved2[8];
    uint8_t configid[64];
    uint8_t reserved3[384];
} __attribute__((aligned(512)));
_Static_assert(sizeof(struct sgx_targetinfo) == 512, "TARGETINFO");

struct sgx_report { /* 37.16 */
    uint8_t cpusvn[16];
    uint32_t miscselect;
    uint8_t reserved1[12];
    uint8_t isv_ext_prod_id[16];
    struct sgx_attributes attributes;
    uint8_t mrenclave[32];
    uint8_t reserved2[32];
    uint8_t mrsigner[32];
    uint8_t reserved3[32];
    uint8_t configid[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t reserved4[42];
    uint8_t isv_family_id[16];
    uint8_t reportdata[64];
    uint8_t keyid[32];
    uint8_t mac[16];
};
_Static_assert(sizeof(struct sgx_report) == 432, "REPORT");

enum sgx_key_name {
    KEY_EINITTOKEN = 0,
    KEY_PROVISION = 1,
    KEY_PROVISION_SEAL = 2,
    KEY_REPORT = 3,
    KEY_SEAL = 4,
};

#define KEYPOLICY_MRENCLAVE    0x01u
#define KEYPOLICY_MRSIGNER     0x02u
#define KEYPOLICY_NOISVPRODID  0x04u
#define KEYPOLICY_CONFIGID     0x08u
#define KEYPOLICY_ISVFAMILYID  0x10u
#define KEYPOLICY_ISVEXTPRODID 0x20u

struct sgx_keyrequest { /* 37.18 */
    uint16_t keyname;
    uint16_t keypolicy;
    uint16_t isv_svn;
    uint16_t reserved1;
    uint8_t cpusvn[16];
    struct sgx_attributes attribute_mask;
    uint8_t keyid[32];
    uint32_t miscmask;
    uint16_t config_svn;
    uint8_t reserved2[434];
} __attribute__((aligned(512)));
_Static_assert(sizeof(struct sgx_keyrequest) == 512, "KEYREQUEST");

/* Offset of the XSAVE area is 0; of the GPRs and EXINFO: from the end of the frame. */
#define SSA_GPR_OFFSET(frame_bytes)    ((frame_bytes)-184u)
#define SSA_EXINFO_OFFSET(frame_bytes) ((frame_bytes)-184u - 16u)
