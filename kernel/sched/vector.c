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

#define LEGACY_BYTES      576u /* FXSAVE image and XSAVE header */
#define XSTATE_BV_OFFSET  512
#define MXCSR_OFFSET      24
#define MXCSR_MASK_OFFSET 28
#define XMM_OFFSET        160
#define X87_BYTES         24u
#define STATE_X87         1u
#define STATE_SSE         2u
#define MXCSR_DEFAULT     0x1f80u
#define FCW_DEFAULT       0x37fu

uint64_t vector_mask = 3;
uint32_t vector_bytes = LEGACY_BYTES;
static uint32_t component_end[64];

/* XSAVE and XRSTOR cost 140 ns together, whatever is in use; programs mostly have nothing but
 * XMM registers in use when they call, and XGETBV tells. */
static bool by_hand;

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

static uint64_t in_use(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return low & vector_mask;
}

#define XMM_ALL(move)                                                                          \
    move(0) move(1) move(2) move(3) move(4) move(5) move(6) move(7) move(8) move(9) move(10)   \
        move(11) move(12) move(13) move(14) move(15)
#define XMM_STORE(n) "movaps %%xmm" #n ", 16 * " #n "(%0)\n"
#define XMM_LOAD(n)  "movaps 16 * " #n "(%0), %%xmm" #n "\n"

static void set_states(char *area, uint64_t states)
{
    memcpy(area + XSTATE_BV_OFFSET, &states, sizeof(states));
}

static uint64_t get_states(const char *area)
{
    uint64_t states;

    memcpy(&states, area + XSTATE_BV_OFFSET, sizeof(states));
    return states & vector_mask;
}

static void save_sse(char *area)
{
    if (get_states(area) & STATE_X87) { /* as XSAVE leaves it when it is not in use */
        memcpy(area, initial_area, X87_BYTES);
        memcpy(area + 32, initial_area + 32, XMM_OFFSET - 32);
    }
    __asm__ volatile(XMM_ALL(XMM_STORE) "stmxcsr %c1(%0)"
                     :
                     : "r"(area + XMM_OFFSET), "i"(MXCSR_OFFSET - XMM_OFFSET)
                     : "memory");
    set_states(area, STATE_SSE);
}

static void load_sse(const char *area)
{
    __asm__ volatile(XMM_ALL(XMM_LOAD) "ldmxcsr %c1(%0)"
                     :
                     : "r"(area + XMM_OFFSET), "i"(MXCSR_OFFSET - XMM_OFFSET)
                     : "memory");
}

#define XMM_ZERO(n) "xorps %%xmm" #n ", %%xmm" #n "\n"

/* Everything but what SSE has is in its initial state, whoever left the registers so. */
static bool nothing_more(void)
{
    return by_hand && !(in_use() & ~STATE_SSE);
}

static void load_initial(void)
{
    uint32_t mxcsr = MXCSR_DEFAULT;

    if (nothing_more())
        __asm__ volatile(XMM_ALL(XMM_ZERO) "ldmxcsr %0" : : "m"(mxcsr));
    else
        xrstor(initial_area);
}

/* The registers are in their initial state. */
static void write_initial(void *area)
{
    uint16_t fcw = FCW_DEFAULT;
    uint32_t mxcsr = MXCSR_DEFAULT, mask;

    xsave(area);
    memcpy(&mask, (char *)area + MXCSR_MASK_OFFSET, sizeof(mask));

    memset(area, 0, VECTOR_BYTES_MAX);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy((char *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    memcpy((char *)area + MXCSR_MASK_OFFSET, &mask, sizeof(mask));
}

/* Where components lie differs between CPUs: the sizes come from cpuid, bounded by our areas.
 */
void vector_init(uint64_t xfrm)
{
    uint32_t bytes = LEGACY_BYTES, extensions[4];

    vector_mask = xfrm;
    cpuid_emulate(0xd, 1, extensions);
    by_hand = extensions[0] & 4; /* XGETBV with ECX = 1 */
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
    load_initial();
    current->vector_saved = false;
    this_vcpu()->vector_clean = this_vcpu()->vector_plain = false;
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
    this_vcpu()->vector_plain = by_hand && in_use() == STATE_SSE;
    if (this_vcpu()->vector_plain)
        save_sse(t->vector);
    else
        xsave(t->vector);
    t->vector_saved = true;
}

void vector_restore(struct task *t)
{
    struct vcpu *v = this_vcpu();

    if (!t->vector_saved)
        return;
    if (get_states(t->vector) == STATE_SSE && (v->vector_plain || nothing_more()))
        load_sse(t->vector);
    else
        xrstor(t->vector);
    t->vector_saved = false;
    v->vector_clean = v->vector_plain = false;
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
        load_initial();
        v->vector_clean = true;
    }
    v->vector_plain = false; /* the host comes in between */
}

void vector_begin(void)
{
    struct vcpu *v = this_vcpu();
    uint64_t tls = (uint64_t)v - VCPU_SLOT_DATA + VCPU_SLOT_TLS;

    if (current)
        vector_save(current);
    v->vector_clean = v->vector_plain = false;
    __asm__ volatile("rdfsbase %0" : "=r"(v->outer_fs));
    __asm__ volatile("wrfsbase %0" : : "r"(tls));
    uint32_t mxcsr = MXCSR_DEFAULT;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

void vector_end(void)
{
    __asm__ volatile("wrfsbase %0" : : "r"(this_vcpu()->outer_fs));
}
