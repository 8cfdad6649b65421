/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The enclave's linear range (ELRANGE), as the page plan lays it out and as the kernel finds
 * it. All values are offsets from the enclave's base, in bytes. ELRANGE is a power of two in
 * size and aligned to it; the base may be 0, and then nothing lies below LAYOUT_USER_MIN.
 *
 *   LAYOUT_USER_MIN .. layout_user_end(size)      programs; pages come by EAUG on demand
 *   layout_user_end(size) .. layout_top(size)     the kernel's heap; likewise
 *   the last GiB (layout_top(size) .. size)       what EADD put there:
 *       + LAYOUT_KERNEL   the kernel image, linked position independent
 *       + LAYOUT_CONFIG   the measured configuration (struct enclave_config), read-only
 *       + LAYOUT_VCPU     one slot of LAYOUT_VCPU_STRIDE bytes per TCS
 */
#pragma once

#include <stdint.h>

#define LAYOUT_PAGE         4096ull
#define LAYOUT_USER_MIN     0x10000ull
#define LAYOUT_TOP_BYTES    (1ull << 30)
#define LAYOUT_MIN_SIZE     (64ull << 30)
#define LAYOUT_DEFAULT_SIZE (1ull << 45) /* range, not memory: programs reserve terabytes */

/* Relative to layout_top(size). */
#define LAYOUT_KERNEL      0x00000000ull
#define LAYOUT_KERNEL_MAX  0x10000000ull
#define LAYOUT_CONFIG      0x10000000ull
#define LAYOUT_CONFIG_MAX  0x00400000ull
#define LAYOUT_VCPU        0x20000000ull
#define LAYOUT_VCPU_STRIDE 0x00040000ull
#define LAYOUT_VCPU_MAX    64u

/*
 * Inside a vCPU's slot; what is not named is never added and serves as guard pages.
 * NSSA is 2: frame 0 holds what an AEX interrupted, frame 1 what an AEX in the first-stage
 * exception handler interrupted.
 */
#define VCPU_SLOT_TCS       0x01000ull
#define VCPU_SLOT_SSA       0x04000ull /* 2 x LAYOUT_SSA_PAGES */
#define LAYOUT_NSSA         2u
#define LAYOUT_SSA_PAGES    4u
#define VCPU_SLOT_DATA      0x10000ull /* GS base: struct vcpu */
#define VCPU_DATA_PAGES     1u
#define VCPU_SLOT_EXC_STACK 0x18000ull /* first-stage exception handler, 4 pages */
#define VCPU_EXC_PAGES      4u
#define VCPU_SLOT_STACK     0x20000ull /* entry and idle, 16 pages */
#define VCPU_STACK_PAGES    16u
#define VCPU_SLOT_TLS       0x11000ull /* FS base while code with %fs:0x28 canaries runs */
#define VCPU_TLS_PAGES      1u

static inline uint64_t layout_user_end(uint64_t size)
{
    return size - size / 8;
}

static inline uint64_t layout_top(uint64_t size)
{
    return size - LAYOUT_TOP_BYTES;
}

static inline uint64_t layout_vcpu(uint64_t size, uint32_t index)
{
    return layout_top(size) + LAYOUT_VCPU + index * LAYOUT_VCPU_STRIDE;
}
