/* SPDX-License-Identifier: BSD-3-Clause */
/* The control call, copies to and from host memory, and the bounce buffers. */
#include "enclave/hostcall.h"

#include <stdatomic.h>

#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/vcpu.h"
#include "lib/log.h"
#include "lib/string.h"

void host_exit(void); /* entry.S */
void (*hostcall_prepare)(void);

static haddr_t pool_base, pool_chunks;
static _Atomic uint64_t pool_free[POOL_CHUNKS_MAX / 64]; /* bit set: chunk is free */
static uint32_t pool_chunk_count;

static void copy_words(void *to, const void *from, size_t words)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

void host_copy_in(void *to, haddr_t from, size_t size)
{
    size_t whole = size / 8;

    assert(from % 8 == 0 && host_range_ok(from, align_up(size, 8)));
    copy_words(to, (const void *)from, whole);
    if (size % 8) {
        uint64_t last = *(const volatile uint64_t *)(from + whole * 8);
        memcpy((char *)to + whole * 8, &last, size % 8);
    }
}

void host_copy_out(haddr_t to, const void *from, size_t size)
{
    size_t whole = size / 8;

    assert(to % 8 == 0 && host_range_ok(to, align_up(size, 8)));
    copy_words((void *)to, from, whole);
    if (size % 8) {
        uint64_t last = 0;
        memcpy(&last, (const char *)from + whole * 8, size % 8);
        *(volatile uint64_t *)(to + whole * 8) = last;
    }
}

/* The aligned quadword around a 32-bit value is read, and the half picked from it. */
uint32_t host_load32(haddr_t from)
{
    uint64_t word = __atomic_load_n((const uint64_t *)(from & ~7ull), __ATOMIC_ACQUIRE);
    return (uint32_t)(from & 4 ? word >> 32 : word);
}

/* What is mapped there may be a device's register: a store of less than eight bytes could take
 * old bytes of the CPU's buffers along. VERW empties them before, the fences let nothing else
 * in until it is done. */
void host_store32(haddr_t to, uint32_t value)
{
    uint16_t selector = 0;

    __asm__ volatile("mov %%ds, %0; verw %0" : "+m"(selector) : : "memory", "cc");
    __atomic_store_n((uint32_t *)to, value, __ATOMIC_RELEASE);
    __asm__ volatile("mfence; lfence" : : : "memory");
}

int64_t hostcall(enum hostcall_nr nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                 uint64_t a4, uint64_t a5)
{
    struct vcpu *v = this_vcpu();
    struct hostcall call = {.nr = nr, .arg = {a0, a1, a2, a3, a4, a5}};
    haddr_t result = v->shared + offsetof(struct vcpu_shared, call.result);

    if (hostcall_prepare)
        hostcall_prepare();
    host_copy_out(v->shared + offsetof(struct vcpu_shared, call), &call, sizeof(call));
    v->exits++;
    host_exit();
    int64_t r = (int64_t)__atomic_load_n((const uint64_t *)result, __ATOMIC_ACQUIRE);
    return r < -MAX_ERRNO ? -EIO : r;
}

haddr_t host_sync_area(void)
{
    return pool_base + (uint64_t)this_vcpu()->index * HOST_SYNC_BYTES;
}

void pool_init(haddr_t address, uint64_t size, uint32_t vcpus)
{
    uint64_t sync = (uint64_t)vcpus * HOST_SYNC_BYTES;

    if (address % 4096 || !host_range_ok(address, size) ||
        size < align_up(sync, 4096) + POOL_CHUNK_BYTES)
        panic("the host's buffer pool is unusable");
    pool_base = address;
    pool_chunks = address + align_up(sync, 4096);
    uint64_t count = (address + size - pool_chunks) / POOL_CHUNK_BYTES;
    pool_chunk_count = (uint32_t)MIN(count, (uint64_t)POOL_CHUNKS_MAX);
    for (uint32_t i = 0; i < pool_chunk_count; i++)
        pool_free[i / 64] |= 1ull << i % 64;
}

static haddr_t take_bit(unsigned word)
{
    uint64_t free = atomic_load(&pool_free[word]);

    while (free) {
        uint64_t bit = free & -free;
        if (atomic_compare_exchange_weak(&pool_free[word], &free, free & ~bit))
            return pool_chunks +
                   (word * 64ull + (uint64_t)__builtin_ctzll(bit)) * POOL_CHUNK_BYTES;
    }
    return 0;
}

haddr_t pool_get(void)
{
    haddr_t chunk = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(pool_free) && !chunk; i++)
        chunk = take_bit(i);
    return chunk;
}

uint32_t pool_count(void)
{
    return pool_chunk_count;
}

uint32_t pool_index(haddr_t at)
{
    return (uint32_t)((at - pool_chunks) / POOL_CHUNK_BYTES);
}

void pool_put(haddr_t chunk)
{
    uint32_t i = pool_index(chunk);
    uint64_t before = atomic_fetch_or(&pool_free[i / 64], 1ull << i % 64);

    assert(!(before >> i % 64 & 1));
}
