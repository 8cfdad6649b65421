/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving, restoring and fencing of vector state; SDM volume 1, chapter 13. */
#include "sched/vector.h"

#include "boundary/layout.h"
#include "boundary/sgx.h"
#include "enclave/exception.h"
#include "enclave/hostcall.h"
#include "enclave/vcpu.h"
#include "lib/log.h"
#include "lib/string.h"
#include "sched/task.h"

#define LEGACY_BYTES  576u /* FXSAVE image and XSAVE header */
#define XSTATE_BV_OFFSET 512
#define MXCSR_OFFSET  24
#define MXCSR_DEFAULT 0x1f80u
#define FCW_DEFAULT   0x37fu

uint64_t vector_mask = 3;
uint32_t vector_bytes = LEGACY_BYTES;
static uint32_t component_end[64];

static uint8_t initial_area[VECTOR_BYTES_MAX] __attribute__((aligned(64)));

static void xsave(void *area)
{
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)vector_mask), "d"((uint32_t)(vector_mask >> 32))
                     : "memory");
}

static void xrstor(const void *area)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)vector_mask), "d"((uint32_t)(vector_mask >> 32))
                     : "memory");
}

static void write_initial(void *area)
{
    uint16_t fcw = FCW_DEFAULT;
    uint32_t mxcsr = MXCSR_DEFAULT;

    memset(area, 0, VECTOR_BYTES_MAX);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy((char *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

/* Where components lie differs between CPUs: the sizes come from cpuid, bounded by our areas.
 */
void vector_init(uint64_t xfrm)
{
    uint32_t bytes = LEGACY_BYTES;

    vector_mask = xfrm;
    for (uint32_t i = 2; i < 63; i++) {
        uint32_t leaf[4];
        if (!(xfrm >> i & 1))
            continue;
        cpuid_emulate(0xd, i, leaf);
        component_end[i] = leaf[0] + leaf[1];
        bytes = MAX(bytes, component_end[i]);
    }
    if (bytes > VECTOR_BYTES_MAX)
        panic("the CPU's vector state needs %u bytes, more than fit", bytes);
    vector_bytes = bytes;
    write_initial(initial_area);
    hostcall_prepare = vector_clean;
}

/* With no component marked as present the rest of the area does not count. */
void vector_reset(struct task *t)
{
    memcpy(t->vector, initial_area, LEGACY_BYTES);
    t->vector_saved = true;
}

void vector_reset_now(void)
{
    xrstor(initial_area);
    current->vector_saved = false;
    this_vcpu()->vector_clean = false;
}

size_t vector_used(const void *area)
{
    uint64_t present;
    size_t used = LEGACY_BYTES;

    memcpy(&present, (const char *)area + XSTATE_BV_OFFSET, sizeof(present));
    for (present &= vector_mask & ~3ull; present; present &= present - 1)
        used = MAX(used, component_end[__builtin_ctzll(present)]);
    return used;
}

void vector_save(struct task *t)
{
    if (t->vector_saved)
        return;
    xsave(t->vector);
    t->vector_saved = true;
}

void vector_restore(struct task *t)
{
    if (!t->vector_saved)
        return;
    xrstor(t->vector);
    t->vector_saved = false;
    this_vcpu()->vector_clean = false;
}

void vector_clean(void)
{
    struct task *t = current;
    struct vcpu *v = this_vcpu();

    lock_assert_none("the host is called");
    if (t && !t->vector_saved) {
        vector_save(t);
        v->vector_clean = false;
    }
    if (!v->vector_clean) {
        xrstor(initial_area);
        v->vector_clean = true;
    }
}

void vector_begin(void)
{
    struct vcpu *v = this_vcpu();
    uint64_t tls = (uint64_t)v - VCPU_SLOT_DATA + VCPU_SLOT_TLS;

    if (current)
        vector_save(current);
    v->vector_clean = false;
    __asm__ volatile("rdfsbase %0" : "=r"(v->outer_fs));
    __asm__ volatile("wrfsbase %0" : : "r"(tls));
    uint32_t mxcsr = MXCSR_DEFAULT;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

void vector_end(void)
{
    __asm__ volatile("wrfsbase %0" : : "r"(this_vcpu()->outer_fs));
}
